"""Runs one server under one load and says what a query cost it."""
import contextlib, ipaddress, json, math, os, pathlib, random, shutil, signal, socket, statistics, struct, subprocess, tempfile, time

import peers

TICK = os.sysconf("SC_CLK_TCK")
TYPES = {"A": 1, "MX": 15, "TXT": 16, "AAAA": 28}
START_SECONDS = 120  # a server that has not answered by then won't
QUIET = .10          # share of the server's core that others may take in a measurement that counts
TRIES = 3
LOAD_SPARE = 60      # seconds beyond its load in which the generator has read, drawn and ended


class Failure(Exception):
    """What could not be measured, and why: this work ends there, the others go on."""


FAULTS = (Failure, OSError, subprocess.SubprocessError, ValueError, LookupError, struct.error)  # what a server or a tool may come to


def start(command, core, **options):
    """Starts a program on one core, ahead of what else runs there.

    Its session is a scheduling group of its own, and groups share a core by weight, not by processes.
    """
    process = subprocess.Popen(["taskset", "-c", str(core), *map(str, command)], start_new_session=True, **options)
    with contextlib.suppress(OSError): pathlib.Path(f"/proc/{process.pid}/autogroup").write_text("-10")
    return process


def family(pid):
    """The process and its descendants."""
    pids = [pid]
    for parent in pids:
        with contextlib.suppress(OSError):
            for thread in os.listdir(f"/proc/{parent}/task"):
                pids += map(int, pathlib.Path(f"/proc/{parent}/task/{thread}/children").read_text().split())
    return pids


def cpu(pid):
    """Seconds of CPU so far: (user, kernel)."""
    total = [0, 0]
    for process in family(pid):
        with contextlib.suppress(OSError):
            fields = pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            total = [total[0] + int(fields[11]), total[1] + int(fields[12])]
    return [ticks / TICK for ticks in total]


def busy(core):
    """Seconds for which a core was not idle so far."""
    for line in open("/proc/stat"):
        name, *ticks = line.split()
        if name == f"cpu{core}": return (sum(map(int, ticks[:8])) - int(ticks[3]) - int(ticks[4])) / TICK


def noise(shares):
    """How much others used the core, of the shares of all measurements; for a table that leaves none out."""
    middle = statistics.median(shares)
    return f"{'**not quiet**: ' if middle > QUIET else ''}others took {middle:.0%} of the core, {max(shares):.0%} at the most"


def memory(pid):
    """Megabytes: in use, with the share of what is shared; and of it what is the process's alone, no mapped file."""
    total = {"Pss:": 0, "Pss_Anon:": 0}
    for process in family(pid):
        with contextlib.suppress(OSError):
            for line in open(f"/proc/{process}/smaps_rollup"):
                name, value, *_ = line.split()
                if name in total: total[name] += int(value)
    return [round(kilobytes / 1024, 1) for kilobytes in total.values()]


def query(name, rtype, subnet=None):
    """A query with EDNS, and ECS for a network."""
    option = b""
    if subnet:
        octets = subnet.network_address.packed[:(subnet.prefixlen + 7) // 8]
        option = struct.pack("!HHHBB", 8, 4 + len(octets), 1 if subnet.version == 4 else 2, subnet.prefixlen, 0) + octets
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"
    return (b"\0\7" + struct.pack("!5H", 0, 1, 0, 0, 1) + labels + struct.pack("!HH", TYPES[rtype], 1)
            + struct.pack("!BHHIH", 0, 41, 1232, 0, len(option)) + option)


def first_address(message, question_length):
    """The first A record after a question of that length; owners are pointers in all these servers."""
    at = 12 + question_length
    for _ in range(struct.unpack_from("!H", message, 6)[0]):
        while message[at] and message[at] < 192: at += message[at] + 1
        at += 2 if message[at] >= 192 else 1
        rtype, _, _, length = struct.unpack_from("!HHIH", message, at)
        if rtype == 1: return str(ipaddress.IPv4Address(message[at + 10:at + 14]))
        at += 10 + length
    return None


def family_of(host):
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def free_port(host="127.0.0.1"):
    """A port that nobody has, for both carriers."""
    while True:
        with socket.socket(family_of(host), socket.SOCK_STREAM) as tcp, socket.socket(family_of(host), socket.SOCK_DGRAM) as udp:
            tcp.bind((host, 0))
            with contextlib.suppress(OSError):
                udp.bind(tcp.getsockname())
                return tcp.getsockname()[1]


class Server:
    """A server of its own folder and port on core 0; in a `with`, from its first answer on."""
    start_seconds = START_SECONDS
    first_seconds = .02  # between queries that it may take before it is ready, and answer then

    def __init__(self, name, work, database):
        self.name, self.work, self.port, self.database = name, work, free_port(work.host), database

    def command(self):
        return (self.work.configure or peers.SERVERS[self.name])(self.work, self.folder, self.port, self.database)

    def environment(self):
        return None

    def __enter__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"bench-{self.name}-"))
        self.process, self.socket = None, socket.socket(family_of(self.work.host), socket.SOCK_DGRAM)
        try:
            self.begin()
        except BaseException:  # nothing is left running, whatever ends this
            self.__exit__()
            raise
        return self

    def begin(self):
        """Starts it and waits for its first answer."""
        command = self.command()
        self.socket.connect((self.work.host, self.port))
        name, rtype, expectation = next(line.split() for line in open(self.work.questions) if "ANSWER" in line or "NXDOMAIN" in line)
        began = time.monotonic()
        self.process = start(command, 0, stdout=open(self.folder / "output", "wb"), stderr=subprocess.STDOUT,
                             env=self.environment())
        while True:
            with contextlib.suppress(OSError):
                reply = self.ask(query(name, rtype), timeout=self.first_seconds)
                if self.name == "echo" or reply[3] & 15 == (3 if expectation == "NXDOMAIN" else 0): break
            if time.monotonic() - began > self.start_seconds or self.process.poll() is not None:
                raise Failure(f"{self.name} does not answer: {self.output().strip() or 'it says nothing'}")
            time.sleep(.001)
        self.start = {"seconds": time.monotonic() - began, "cpu": sum(cpu(self.process.pid))}
        # By now what was only needed for loading is given back, as far as it ever is.
        self.start["memory"], self.start["private"] = memory(self.process.pid)

    def output(self):
        """The end of what it said."""
        return "".join((self.folder / name).read_text(errors="replace")[-1000:] for name in ("output", "log")
                       if (self.folder / name).exists())

    def __exit__(self, *_):
        self.socket.close()
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.process and self.process.poll() is None:
                self.process.send_signal(number)
                with contextlib.suppress(subprocess.TimeoutExpired): self.process.wait(5)
        shutil.rmtree(self.folder, ignore_errors=True)

    def ask(self, message, timeout=1.0):
        """The answer to this query, not to one before it that took long."""
        number, end = os.urandom(2), time.monotonic() + timeout
        self.socket.settimeout(timeout)
        self.socket.send(number + message[2:])
        while True:
            reply = self.socket.recv(4096)
            if reply[:2] == number: return reply
            self.socket.settimeout(max(.001, end - time.monotonic()))

    def address(self, name, subnet):
        """The first address that a client gets there."""
        return first_address(self.ask(query(name, "A", subnet)), len(name) + 6)

    def nearest(self, samples):
        """Of how many clients of known place the answer is the nearest site's address."""
        right = 0
        sites = list(self.work.sites)
        for owner, service, subnet, place in samples:
            given = self.address(f"{owner}.{self.work.apex}", subnet)
            right += given == peers.address(sites.index(nearest_site(self.work, place)), service)
        return f"{right} of {len(samples)}"

    def measure(self, seconds, beside=contextlib.nullcontext):
        """What a query costs: the quietest of a few tries. `beside` makes what goes on meanwhile."""
        best, all_tries = None, [self.load(.3)]
        for _ in range(TRIES):
            with beside(self) if self.work.flips else contextlib.nullcontext():
                result = self.load(seconds)
            all_tries.append(dict(result))
            if not best or result["others"] < best["others"]: best = result
            if best["others"] <= QUIET: break
        # What goes wrong counts whenever it does.
        best.update({key: sum(result[key] for result in all_tries) for key in ("wrong", "lost", "failed")})
        # By now what loading took is given back.
        self.start["memory"], self.start["private"] = memory(self.process.pid)
        return best

    def load(self, seconds, *options):
        questions = self.work.questions
        if self.name == "echo":  # which has nothing to say
            questions = self.folder / "questions"
            if not questions.exists():
                questions.write_text("".join(line.rpartition(" ")[0] + "\n" for line in open(self.work.questions)))
        command = [peers.ROOT / ".build/release/rhumb", "load", peers.authority(self.work.host, self.port), "--queries", questions,
                   "--seconds", str(seconds), "--json", *self.work.load, *options]
        if self.work.clients: command += ["--clients", self.database, "--draw", "200000"]
        # Before it sends, the generator reads and draws; the server rests then, so its own clock counts the load alone.
        before, others, began = cpu(self.process.pid), busy(0), time.monotonic()
        done = start(command, 1, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            output, errors = done.communicate(timeout=seconds + LOAD_SPARE)
        except subprocess.TimeoutExpired:
            raise Failure(f"rhumb load against {self.name} does not end") from None
        finally:
            if done.poll() is None: done.kill()
        elapsed, others = time.monotonic() - began, busy(0) - others
        user, kernel = [after - so_far for after, so_far in zip(cpu(self.process.pid), before)]
        if not output.strip(): raise Failure(f"rhumb load against {self.name}: {errors.strip()}")
        result = json.loads(output)
        if result["failure"] and not result["answered"]: raise Failure(f"rhumb load against {self.name}: {result['failure']}")
        answered = result["answered"] or 1e-9  # so that who does not answer is told by the cost
        return {"user": user * 1e6 / answered, "kernel": kernel * 1e6 / answered, "cost": (user + kernel) * 1e6 / answered,
                "others": max(0, others - user - kernel) / elapsed, "answers": result["answers_per_second"],
                "wrong": result["wrong"],
                # What came and found no room in the generator's sockets was not lost by the server.
                "lost": max(0, result["lost"] - result["dropped"]), "dropped": result["dropped"], "unsent": result["unsent"] + result["late"], "p50": result["latency_microseconds"]["p50"] or 0,
                "p99": result["latency_microseconds"]["p99"] or 0, "failed": result["failed_connections"]}


def distance(one, other):
    """Central angle of two places."""
    (a, b), (c, d) = [tuple(map(math.radians, place)) for place in (one, other)]
    return 2 * math.asin(math.sqrt(math.sin((a - c) / 2) ** 2 + math.cos(a) * math.cos(c) * math.sin((b - d) / 2) ** 2))


def samples(work, database, count=2_000):
    """Clients of known place: (owner, service, subnet, place); none where Debian's python3-maxminddb is missing."""
    try:
        import maxminddb
    except ImportError:
        return []
    found, chance = [], random.Random(3)
    reader = maxminddb.open_database(str(database))
    owners = list(work.steered.items())
    while len(found) < count:
        subnet = ipaddress.ip_network((chance.randrange(1 << 24, 224 << 24) & ~255, 24))
        place = (reader.get(str(subnet.network_address)) or {}).get("location", {})
        if subnet.is_global and "latitude" in place:
            found.append((*owners[len(found) % len(owners)], subnet, (place["latitude"], place["longitude"])))
    return found


def nearest_site(work, place):
    return min(work.sites, key=lambda site: distance(place, work.sites[site]))
