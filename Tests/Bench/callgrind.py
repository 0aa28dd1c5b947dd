"""Counts the instructions of whole servers under callgrind, where noise can't touch them.

A server starts at valgrind's speed with nothing counted; then N queries of a kind are asked, and 3 N more, and each time
the counters are dumped. The difference by 2 N, less what being stopped that often costs, is what a query costs in user space, the C
library's part of the system calls included, and leaves out what happens now and then. The kernel is not counted.
"""
import contextlib, dataclasses, os, pathlib, re, shutil, signal, subprocess, sys, time

import measure, peers, tables, workloads

QUERIES = 3_200  # a multiple of the window
IDLE_SECONDS = .005  # in which all threads have seen that they were stopped
REST_SECONDS = 2  # what goes on after a start is over then
WINDOW = 32       # found by a server at a time, so that those which take batches get them
START_SECONDS = 900
COUNTED = ["rhumb", "gdnsd", "nsd", "knot"]
PER_QUERY = .05   # calls a query below which they are the work of other threads
FORBIDDEN = {
    "allocations": re.compile(r"^(malloc|calloc|realloc|posix_memalign|aligned_alloc|swift_(slow)?[aA]lloc.*|swift_initStackObject)$"),
    "retain/release": re.compile(r"^_?swift_(retain|release|bridgeObjectRetain|bridgeObjectRelease|unknownObject\w+)(_n)?$"),
}


def read(text):
    """A profile without compressed names: (instructions, {what: calls})."""
    calls, callee, total = dict.fromkeys(FORBIDDEN, 0), "", 0
    for line in text.splitlines():
        if line.startswith("cfn="):
            callee = line[4:].split("'")[0]
        elif line.startswith("calls="):
            for what, pattern in FORBIDDEN.items():
                if pattern.match(callee): calls[what] += int(line[6:].split()[0])
        elif line.startswith(("summary:", "totals:")):
            total = int(line.split()[1])
    return total, calls


class Server(measure.Server):
    """A server whose instructions can be counted."""
    start_seconds = START_SECONDS
    first_seconds = 1

    @property
    def dumps(self):
        """Whether it dumps while it runs: valgrind's gdbserver does not follow a fork, and NSD's children answer."""
        return self.name != "nsd"

    def command(self):
        program, *arguments = super().command()
        if self.name == "rhumb":  # valgrind 3.19 can't read Swift's DWARF 5
            stripped = self.folder / "rhumb"
            shutil.copy(program, stripped)
            subprocess.run(["strip", "-g", stripped], check=True)
            program = stripped
        return ["valgrind", "--tool=callgrind", f"--instr-atstart={'no' if self.dumps else 'yes'}", "--compress-strings=no",
                "--compress-pos=no", f"--callgrind-out-file={self.folder}/callgrind.%p", program, *arguments]

    def environment(self):
        if self.name != "rhumb": return None
        library = self.folder / "sigsuspend.so"
        subprocess.run(["clang", "-O1", "-shared", "-fPIC", "-o", library, peers.ROOT / "Tests/Bench/sigsuspend.c"], check=True)
        # Loading hashes; with a seed of its own each run would differ.
        return os.environ | {"LD_PRELOAD": str(library), "SWIFT_DETERMINISTIC_HASHING": "1"}

    def begin(self):
        super().begin()
        time.sleep(REST_SECONDS)
        # What was asked while it started may have been answered since.
        self.socket.settimeout(.5)
        with contextlib.suppress(TimeoutError):
            while True: self.socket.recv(4096)
        if self.dumps: self.tell("instrumentation", "on")

    def tell(self, *words):
        subprocess.run(["vgdb", f"--pid={self.process.pid}", *words], check=True, capture_output=True, timeout=600)

    def dump(self):
        """What was counted since the last dump: (instructions, {what: calls})."""
        for old in self.folder.glob("callgrind.*"): old.unlink()
        self.tell("dump")
        return self.profile()

    def end(self):
        """Ends the server; what all of its processes counted."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        return self.profile()

    def profile(self):
        found = [read(path.read_text(errors="replace")) for path in self.folder.glob("callgrind.*")]
        return sum(one[0] for one in found), {what: sum(one[1][what] for one in found) for what in FORBIDDEN}

    def ask_all(self, messages, times):
        """Asks a window of queries after the other; returns the octets of an answer, in the mean.

        The server is stopped while they are sent, so that it always finds the same number: how many it takes at a time
        would else be chance, and with it what its system calls cost for each. Without messages it is only stopped.
        """
        self.socket.settimeout(30)
        octets, pids = 0, measure.family(self.process.pid)
        for first in range(0, times, WINDOW):
            numbers = range(first, min(first + WINDOW, times))
            for pid in pids: os.kill(pid, signal.SIGSTOP)
            while not all(map(is_stopped, pids)): time.sleep(0)
            if messages:
                for number in numbers: self.socket.send(messages[number % len(messages)])
            for pid in pids: os.kill(pid, signal.SIGCONT)
            if messages: octets += sum(len(self.socket.recv(4096)) for _ in numbers)
            else: time.sleep(IDLE_SECONDS)
        return octets / times


def is_stopped(pid):
    """Whether all threads of a process are stopped."""
    return all((task / "stat").read_text().rpartition(")")[2].split()[0] == "T" for task in pathlib.Path(f"/proc/{pid}/task").iterdir())


def count(server, messages):
    """What a query of these costs a server: {"instructions", "allocations", "retain/release", "octets"}."""
    if server.dumps:
        server.ask_all(messages, len(messages))  # what is done once for each is done
        server.dump()
    if not hasattr(server, "stops"): server.stops, _ = difference(server, [])
    spent, octets = difference(server, messages)
    return {what: (spent[what] - server.stops[what]) / (2 * QUERIES) for what in spent} | {"octets": octets}


def difference(server, messages):
    """What 3 QUERIES cost more than QUERIES: {what: number}; and the octets of an answer."""
    profiles = []
    for times in (QUERIES, 3 * QUERIES):
        if server.dumps:
            octets = server.ask_all(messages, times)
            profiles.append(server.dump())
        else:
            with Server(server.name, server.work, server.database) as again:
                octets = again.ask_all(messages, times)
                profiles.append(again.end())
    (few, few_calls), (many, many_calls) = profiles
    return {"instructions": many - few} | {what: many_calls[what] - few_calls[what] for what in FORBIDDEN}, octets


def counted_zone(folder):
    """The zone of the static mix with steered names, wildcards, aliases, mail and delegations; this machine is at a site."""
    work = dataclasses.replace(workloads.geo_static(folder, "counts", [f"www{number}" for number in range(100)]), local="tokyo")
    lines = []
    for i in range(100):
        lines.append(f"alias{i} CNAME host{i * 10}\nmail{i} MX 10 host{i * 10}\nchild{i} NS ns1.child{i}\nchild{i} NS ns2.child{i}\n"
                     f"ns1.child{i} A 192.0.2.{i}\nns2.child{i} A 198.51.100.{i}\n*.wild{i} A 192.0.2.{i}\n")
    with open(work.zone, "a") as file: file.writelines(lines)
    return work


KINDS = [  # what it is, name, type, response code
    ("static A", "host{}0", "A", 0), ("wildcard", "some.wild{}", "A", 0), ("NXDOMAIN", "no{}", "A", 3), ("NODATA", "host{}0", "TXT", 0),
    ("CNAME and its target", "alias{}", "A", 0), ("referral with glue", "www.child{}", "A", 0), ("MX", "mail{}", "MX", 0)]
LOCAL = "steered A, by the packet's source"


def kinds(work, database):
    """The messages of each kind; those for steered names, if there is a database to steer by:
    [(kind, messages, response code, steered)]."""
    found = []
    for kind, name, rtype, code in KINDS:
        # host0, host20, host40 and so on have TXT records.
        numbers = range(1, 100, 2) if "host" in name else range(100)
        found.append((kind, [measure.query(f"{name.format(i)}.{work.apex}", rtype) for i in numbers], code, False))
    clients = measure.samples(work, database) if database else []
    if clients:
        found.append((LOCAL, [measure.query(f"{owner}.{work.apex}", "A") for owner in work.steered], 0, True))
        found.append(("steered A, ECS /24", [measure.query(f"{owner}.{work.apex}", "A", subnet) for owner, _, subnet, _ in clients[:500]], 0, True))
    return found


def counts(folder, args, database):
    """What a query costs in instructions, for each kind and server."""
    if not shutil.which("valgrind"): raise measure.Failure("counts wants valgrind (scripts/install --with-tests)")
    work = counted_zone(folder)
    wanted = kinds(work, database)
    results, faults, servers = {}, [], [name for name in args.servers if name in COUNTED]
    if not servers: raise measure.Failure(f"of --servers, only {', '.join(COUNTED)} can be counted")
    for name in servers:
        print(f"# counts: {name}", file=sys.stderr, flush=True)
        try:
            with Server(name, work, database) as server:
                for kind, messages, code, steered in wanted:
                    if not (steered and name == "nsd"): results[kind, name] = counted(server, kind, messages, code)
        except measure.FAULTS as error:
            if name == "rhumb": raise
            faults.append(f"{name}: {error}")
    cell = lambda one: f"{one['instructions']:,.0f} ({one['octets']:.0f})" if one else "–"
    rows = [[kind, *(cell(results.get((kind, name))) for name in servers),
             *([", ".join(f"{abs(results[kind, 'rhumb'][what]):.1f}" for what in FORBIDDEN)] if "rhumb" in servers else [])]
            for kind, *_ in wanted]
    heads = ["instructions a query (octets of the answer)", *servers] + (["Rhumb's allocations, retains and releases"] if "rhumb" in servers else [])
    allowed = all(abs(results[key][what]) < PER_QUERY for key in results if key[1] == "rhumb" for what in FORBIDDEN)
    return tables.Result(tables.dated(f"steered by {database.stem}") + tables.table(heads, rows), allowed, faults=faults)


def counted(server, kind, messages, code):
    """What a query of a kind costs, if it is answered as it has to be."""
    reply = server.ask(messages[0], timeout=30)
    if reply[3] & 15 != code: raise measure.Failure(f"{server.name} answers {kind} with code {reply[3] & 15}")
    if kind == LOCAL and server.name != "knot":  # which has no place for networks of one's own, and takes its last resort
        given, sites = measure.first_address(reply, messages[0].index(b"\0", 12) + 5 - 12), list(server.work.sites)
        if given != peers.address(sites.index(server.work.local), 0): raise measure.Failure(f"{server.name} sends {server.work.local} to {given}")
    tries = []
    while len(tries) < measure.TRIES:
        tries.append(count(server, messages))
        if server.name != "rhumb" or all(abs(tries[-1][what]) < PER_QUERY for what in FORBIDDEN): return tries[-1]
    # Where others slow the machine, the server's timers come to more for each query; what a query does is in all tries.
    return min(tries, key=lambda one: sum(abs(one[what]) for what in FORBIDDEN))
