"""Rhumb, NSD and Knot on the same zone files, each on a loopback port of its own.

What the peers are told brings them as near to Rhumb as their settings go: no version, an identity, no
rate limit, cookies, answers without records that nobody asked for. None of them reads or writes
anything outside of the directory that it is given.
"""
import contextlib, pathlib, re, shutil, socket, subprocess, time

import exchange, message

IDENTITY = "interop"
# RFC 9018, appendix A.1.
COOKIE_SECRET = "e5e973e5a6b2a43f48e7dc849e37bfcf"
PATIENCE = 20  # seconds until all zones are served; the machine may be busy
TRANSFER_ADDRESS = "127.0.0.2"  # from where Knot gives zones away: what it read is what is asked for
# Zone files with syntax that not all three read; scripts/compare-zone-text is for them.
NOT_FOR_ALL = {"odd.example.zone"}
PACKAGES = {"nsd": "nsd", "knotd": "knot"}

NSD = """
server:
    ip-address: 127.0.0.1@{port}
    do-ip6: no
    server-count: 1
    username: ""
    chroot: ""
    zonesdir: "{directory}"
    database: ""
    zonelistfile: "{directory}/zone.list"
    pidfile: "{directory}/nsd.pid"
    xfrdfile: "{directory}/xfrd.state"
    xfrdir: "{directory}"
    logfile: "{directory}/log"
    cookie-secret-file: ""
    cookie-secret: {secret}
    answer-cookie: yes
    identity: {identity}
    nsid: ascii_{identity}
    hide-version: yes
    minimal-responses: yes
    rrl-ratelimit: 0
    rrl-whitelist-ratelimit: 0
remote-control:
    control-enable: no
"""

KNOT = """
server:
    listen: 127.0.0.1@{port}
    rundir: {directory}
    identity: {identity}
    nsid: {identity}
    version: ""
    udp-workers: 1
    tcp-workers: 1
log:
  - target: stderr
    any: info
database:
    storage: {directory}
acl:
  - id: transfer
    address: {transfer}
    action: transfer
mod-cookies:
  - id: default
    secret: 0x{secret}
    badcookie-slip: 1
template:
  - id: default
    storage: {directory}
    acl: transfer
    zonefile-sync: -1
    journal-content: none
    global-module: mod-cookies/default
zone:
"""

RHUMB = """
listen: ["127.0.0.1:{port}"]
workers: 1
identity: {identity}
cookies: {{ secret_file: {directory}/cookie-secrets }}
zones: {zones}
"""


class Failure(Exception):
    """Why the comparison can't be made, with what to do."""


def free_port():
    """A port that is free for UDP and TCP on loopback."""
    while True:
        with contextlib.ExitStack() as sockets:
            tcp = sockets.enter_context(socket.socket())
            tcp.bind(("127.0.0.1", 0))
            udp = sockets.enter_context(socket.socket(type=socket.SOCK_DGRAM))
            with contextlib.suppress(OSError):
                udp.bind(tcp.getsockname())
                return tcp.getsockname()[1]


def zone_name(path):
    """The apex that a file is named after, as text; `@.zone` holds the root."""
    return "." if path.name == "@.zone" else path.name.removesuffix(".zone") + "."


class Server:
    """One running server."""

    def __init__(self, name, directory, port, command):
        self.name, self.directory, self.address = name, directory, ("127.0.0.1", port)
        self.output = directory / "output"
        with open(self.output, "wb") as output:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def log(self, lines=20):
        texts = [path.read_text(errors="replace") for path in (self.output, self.directory / "log") if path.exists()]
        return "\n".join("    " + line for text in texts for line in text.splitlines()[-lines:])

    def wait_for(self, zones):
        """Returns when every zone answers for its SOA with authority."""
        deadline, missing = time.monotonic() + PATIENCE, [message.name_from_text(zone) for zone in zones]
        while missing:
            if self.process.poll() is not None:
                raise Failure(f"{self.name} ended with status {self.process.returncode}:\n{self.log()}")
            replies = exchange.ask_udp(
                self.address, [message.query(zone, message.TYPES["SOA"]) for zone in missing], patience=0.3)
            missing = [zone for zone, reply in zip(missing, replies) if not is_authoritative(reply)]
            if missing and time.monotonic() > deadline:
                names = ", ".join(message.name_text(zone) for zone in missing[:5])
                raise Failure(f"{self.name} does not serve {names} after {PATIENCE} s:\n{self.log()}")
            if missing:
                time.sleep(0.05)


def is_authoritative(reply):
    return reply is not None and len(reply) > 12 and reply[2] & 0x04 and not reply[3] & 0x0F and reply[7]


def find(program):
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")
    if path is None:
        raise Failure(f"{program} is not installed; scripts/install --with-tests does that (package {PACKAGES[program]})")
    return path


def copy_zones(zones, directory):
    """Copies the zone files as they are for Rhumb, and without $GENERATE for the peers, whose files it returns."""
    shutil.copytree(zones, directory / "zones", ignore=lambda _, names: NOT_FOR_ALL & set(names))
    shutil.copytree(directory / "zones", directory / "expanded")
    files = sorted((directory / "expanded").glob("*.zone"))
    if not files:
        raise Failure(f"{zones}: no *.zone files")
    for file in files:
        lines = file.read_bytes().decode("latin-1").split("\n")
        text = "\n".join(each for line in lines for each in expand(line))
        file.write_bytes(text.encode("latin-1"))
    return files


def expand(line):
    """The lines that a $GENERATE stands for, which NSD and Knot don't know.

    It has no steps, no quotes, and no $ but plain and ${offset,width,base}.
    """
    match = re.match(r"\$GENERATE\s+(\d+)-(\d+)\s+(.*)", line)
    if not match:
        return [line]

    def number(value):
        def one(place):
            offset, width, radix = (place[1] or "0,0,d").split(",")
            return format(value + int(offset), f"0{width}{radix}")

        return re.sub(r"\$(?:\{([^}]*)\})?", one, match[3])

    return [number(value) for value in range(int(match[1]), int(match[2]) + 1)]


def start_all(binary, zones, directory):
    """Starts the three on all *.zone files of `zones`, and waits until they serve them."""
    nsd, knotd = find("nsd"), find("knotd")
    files = copy_zones(zones, directory)
    values = dict(
        secret=COOKIE_SECRET, identity=IDENTITY, transfer=TRANSFER_ADDRESS, zones=directory / "zones")
    servers = []

    def prepare(name, file, text):
        place = directory / name
        place.mkdir()
        port = free_port()
        (place / file).write_text(text.format(directory=place, port=port, **values))
        (place / "cookie-secrets").write_text(COOKIE_SECRET + "\n")
        return place, port

    try:
        place, port = prepare("rhumb", "rhumb.yaml", RHUMB)
        servers.append(Server("rhumb", place, port, [binary, "serve", "-C", place]))
        place, port = prepare(
            "nsd", "nsd.conf",
            NSD + "".join(f'zone:\n    name: "{zone_name(file)}"\n    zonefile: "{file}"\n' for file in files))
        servers.append(Server("nsd", place, port, [nsd, "-d", "-c", place / "nsd.conf"]))
        place, port = prepare(
            "knot", "knot.conf",
            KNOT + "".join(f'  - domain: "{zone_name(file)}"\n    file: "{file}"\n' for file in files))
        servers.append(Server("knot", place, port, [knotd, "-c", place / "knot.conf"]))
        for server in servers:
            server.wait_for([zone_name(file) for file in files])
    except BaseException:
        for server in servers:
            server.stop()
        raise
    return servers, [message.name_from_text(zone_name(file)) for file in files]
