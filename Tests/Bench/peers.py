"""How each server is told to serve a work: one function a server, which returns the command to run.

Servers stay in the foreground, listen on the work's host (127.0.0.1 or ::1) alone, and have one thread that answers.
"""
import pathlib, shutil

from workloads import SERVICES, address

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def zone_text(work, line):
    """The work's zone with a line for each steered name."""
    return work.zone.read_text() + "".join(line(owner, service) for owner, service in work.steered.items())


def authority(host, port):
    """Address and port in one word."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def rhumb(work, folder, port, database):
    (folder / "rhumb.yaml").write_text(f'listen: ["{authority(work.host, port)}"]\nworkers: 1\nidentity: ""\n')
    (folder / "zones").mkdir()
    zone = folder / f"zones/{work.apex}.zone"
    if work.steered:
        zone.write_text(zone_text(work, lambda owner, service: f"{owner} 60 STEER service{service}\n"))
        text = "monitors:\n  told: { type: push, start: up }\n" if work.flips else ""
        text += "pools:\n"
        for service in range(SERVICES):
            for site, (name, (latitude, longitude)) in enumerate(work.sites.items()):
                monitor = " monitor: told," if name == work.flips else ""
                text += (f"  {name}-{service}: {{ location: [{latitude}, {longitude}],{monitor}"
                         f" origins: {{ one: {{ addresses: [{address(site, service)}] }} }} }}\n")
        text += "services:\n"
        for service in range(SERVICES):
            pools = ", ".join(f"{name}-{service}" for name in work.sites)
            text += f"  service{service}: {{ rules: [{{ policy: proximity, pools: [{pools}] }}] }}\n"
        (folder / "zones/geo.yaml").write_text(text)
        (folder / "geo").mkdir()
        (folder / "geo/city.mmdb").symlink_to(database)
        if work.local:
            (folder / "geo/overrides.yaml").write_text(
                f"networks:\n  127.0.0.0/8: {{ coordinates: [{', '.join(map(str, work.sites[work.local]))}] }}\n")
    else:
        zone.symlink_to(work.zone)
    return [ROOT / ".build/release/rhumb", "serve", "-C", folder]


def echo(work, folder, port, database):
    return [ROOT / ".build/release/Echo", str(port), work.host]


def gdnsd(work, folder, port, database):
    (folder / "zones").mkdir()
    text = zone_text(work, lambda owner, service: f"{owner} 60 DYNA geoip!service{service}\n")
    (folder / f"zones/{work.apex}").write_text(text)
    plugins = ""
    if work.steered:
        nets = f"nets => {{ 127.0.0.0/8 => [ {work.local} ] }}, " if work.local else ""
        places = ", ".join(f"{name} => [ {latitude}, {longitude} ]" for name, (latitude, longitude) in work.sites.items())
        resources = "\n".join(
            f"service{service} => {{ map => world, service_types => up, dcmap => {{ "
            + ", ".join(f"{name} => {address(site, service)}" for site, name in enumerate(work.sites)) + " } }"
            for service in range(SERVICES))
        plugins = f"""plugins => {{ geoip => {{
  maps => {{ world => {{ geoip2_db => {database}, {nets}datacenters => [ {", ".join(work.sites)} ], auto_dc_coords => {{ {places} }} }} }},
  resources => {{ {resources} }}
}} }}
"""
    (folder / "config").write_text(
        f'options => {{ listen => {{ "{authority(work.host, port)}" => {{ udp_threads = 1, tcp_threads = 1 }} }}\n'
        f"  run_dir => {folder}/run\n  state_dir => {folder}/state }}\n{plugins}")
    return ["gdnsd", "-c", folder, "start"]


def nsd(work, folder, port, database):
    (folder / "nsd.conf").write_text(f"""server:
  ip-address: 127.0.0.1@{port}
  server-count: 1
  username: ""
  database: ""
  zonesdir: "{folder}"
  pidfile: "{folder}/pid"
  xfrdfile: "{folder}/xfrd"
  zonelistfile: "{folder}/list"
  xfrdir: "{folder}"
  logfile: "{folder}/log"
  minimal-responses: yes
  rrl-ratelimit: 0
  tcp-count: 200
remote-control:
  control-enable: no
zone:
  name: "{work.apex}"
  zonefile: "{work.zone}"
""")
    return ["nsd", "-d", "-c", folder / "nsd.conf"]


# What comes nearest to distance in Knot, which steers by continent, country and subdivision.
KNOT_RULES = {
    "virginia": ["*;*", "NA;*"], "frankfurt": ["EU;*", "AF;*"], "sao-paulo": ["SA;*"], "singapore": ["AS;*", "OC;*"],
    "tokyo": ["AS;JP", "AS;KR", "AS;CN", "AS;TW"]}
KNOT_STATES = {"california": ["California", "Washington", "Oregon", "Nevada", "Arizona"]}


def knot(work, folder, port, database):
    extra, of_zone, zone = "", "", work.zone
    if work.steered:
        keys = [(f"{place};*", site) for site, places in KNOT_RULES.items() for place in places]
        keys += [(f"NA;US;{state}", site) for site, states in KNOT_STATES.items() for state in states]
        numbers = {name: number for number, name in enumerate(work.sites)}
        (folder / "geo.yaml").write_text("".join(
            f"{owner}.{work.apex}:\n" + "".join(
                f'  - geo: "{key}"\n    A: {address(numbers[site], service)}\n' for key, site in keys)
            for owner, service in work.steered.items()))
        zone = folder / "zone"
        zone.write_text(zone_text(work, lambda owner, service: f"{owner} 60 A {address(0, service)}\n"))
        extra = f"""mod-geoip:
  - id: default
    config-file: "{folder}/geo.yaml"
    ttl: 60
    mode: geodb
    geodb-file: "{database}"
    geodb-key: [ continent/code, country/iso_code, subdivisions/0/names/en ]
"""
        of_zone = "    module: mod-geoip/default\n"
    (folder / "knot.conf").write_text(f"""server:
  listen: 127.0.0.1@{port}
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
  rundir: "{folder}"
  edns-client-subnet: {"on" if work.steered else "off"}
log:
  - target: "{folder}/log"
    any: info
database:
  storage: "{folder}"
{extra}zone:
  - domain: {work.apex}
    file: "{zone}"
    zonefile-load: whole
    journal-content: none
{of_zone}""")
    return ["knotd", "-c", folder / "knot.conf"]


def bind(work, folder, port, database):
    (folder / "named.conf").write_text(f"""options {{
  directory "{folder}"; pid-file none; session-keyfile none; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
  recursion no; minimal-responses yes; dnssec-validation no; allow-query {{ any; }}; notify no;
}};
controls {{ }};
zone "{work.apex}" {{ type master; file "{work.zone}"; }};
""")
    return ["named", "-f", "-n", "1", "-c", folder / "named.conf", "-L", folder / "log"]


def pdns(work, folder, port, database):
    """Left out where answers are steered: pickclosest of its LUA records takes the places of the answers' addresses from
    the database, too, which has none for private ones, and its geoip backend goes by country."""
    (folder / "named.conf").write_text(f'zone "{work.apex}" {{ type master; file "{work.zone}"; }};\n')
    (folder / "pdns.conf").write_text(f"""launch=bind
bind-config={folder}/named.conf
local-address=127.0.0.1
local-port={port}
receiver-threads=1
distributor-threads=1
socket-dir={folder}
loglevel=3
""")
    return ["pdns_server", f"--config-dir={folder}", "--daemon=no", "--guardian=no", "--write-pid=no", "--disable-syslog=yes"]


SERVERS = {"echo": echo, "rhumb": rhumb, "gdnsd": gdnsd, "nsd": nsd, "knot": knot, "bind": bind, "pdns": pdns}
PROGRAMS = {"gdnsd": "gdnsd", "nsd": "nsd", "knot": "knotd", "bind": "named", "pdns": "pdns_server"}
PACKAGES = {"gdnsd": "gdnsd", "nsd": "nsd", "knot": "knot", "bind": "bind9", "pdns": "pdns-server"}  # of Debian


def is_installed(server):
    return server not in PROGRAMS or shutil.which(PROGRAMS[server]) is not None
