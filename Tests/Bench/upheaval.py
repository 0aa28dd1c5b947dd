"""What happens to a server while it is asked: pools that flip, reloads of everything, and its start."""
import contextlib, json, pathlib, random, shutil, signal, socket, statistics, subprocess, sys, threading, time

import measure, peers, tables, workloads

FLIPS = 10            # a second that are wanted
FLIPS_NEEDED = .9     # of these, or it was another work
STARTS = 10
LOAD_SECONDS = 8      # of load without reloads, at the least
RELOAD_SECONDS = 18   # and beside them: at full load a reload takes some, and two should end there
RELOAD_ROUNDS = 3     # at the most, as each takes two minutes


def control(folder, **request):
    """Asks the server of that folder through its control socket."""
    with socket.socket(socket.AF_UNIX) as stream:
        stream.settimeout(5)
        stream.connect(str(folder / "state/control"))
        stream.sendall(json.dumps(request).encode() + b"\n")
        return json.loads(stream.makefile().readline())


# MARK: - Flips

class Flips:
    """In a `with`: one pool after the other of the work's site goes down and comes back, FLIPS times a second in all.

    What a monitor of type push is told is a result like any other, and each makes a new table. What counts is what the server
    says has changed, in its log.
    """

    def __init__(self, server):
        self.server, self.ended = server, threading.Event()

    def __enter__(self):
        self.check()
        self.began, self.before = time.monotonic(), self.changes()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()
        self.per_second = (self.changes() - self.before) / (time.monotonic() - self.began)
        for service in range(workloads.SERVICES): self.report(service, "up")
        if self.per_second < FLIPS * FLIPS_NEEDED:
            raise measure.Failure(f"only {self.per_second:.1f} flips a second: {self.server.output()}")

    def changes(self):
        text = (self.server.folder / "output").read_text(errors="replace")
        return text.count("event=pool_down") + text.count("event=pool_up")

    def report(self, service, result):
        answer = control(self.server.folder, command="report", pattern=f"{self.server.work.flips}-{service}/one", result=result)
        if not answer["ok"]: raise measure.Failure(f"report: {answer['error']}")

    def run(self):
        due, number = self.began, 0
        while not self.ended.wait(max(0, due - time.monotonic())):
            # All go down one by one, then all come back.
            self.report(number % workloads.SERVICES, "up" if number // workloads.SERVICES % 2 else "down")
            due, number = due + 1 / FLIPS, number + 1

    def check(self):
        """Sees that answers follow: a client at the site is sent elsewhere, and back."""
        work = self.server.work
        if not (clients := measure.samples(work, self.server.database)):
            raise measure.Failure("flips want python3-maxminddb")
        owner, service, client, _ = next(c for c in clients if measure.nearest_site(work, c[3]) == work.flips)
        here = peers.address(list(work.sites).index(work.flips), service)
        for result in ("down", "up"):
            self.report(service, result)
            for _ in range(100):
                given = self.server.address(f"{owner}.{work.apex}", client)
                if (given == here) == (result == "up"): break
                time.sleep(.01)
            else:
                raise measure.Failure(f"{work.flips} was reported {result}, answers have {given}")


# MARK: - Reloads

class Reloads:
    """In a `with`: zones, pools and the geo database are replaced and the server reloads, again and again.

    The two generations have other addresses, so that each answer says of which it is. What is asked beside
    the load has to be of the one before a reload or the one after it, and once of the new, never of the old again.
    The first reload waits for the load, which reads and draws before it sends; the last one is cut short by its end.
    """
    PAUSE = .01  # between two questions of the one that checks
    BEGUN = .1   # seconds of the server's CPU that only the load takes

    def __init__(self, server, clients, reloads=True):
        self.server, self.clients, self.reloads = server, clients, reloads
        self.ended, self.seconds, self.cut, self.asked, self.wrong, self.errors = threading.Event(), [], 0, 0, 0, []
        self.generation = getattr(server, "generation", 0)

    def __enter__(self):
        self.low = self.high = self.generation
        self.threads = [threading.Thread(target=self.guarded, args=[work]) for work in (self.replace, self.check)]
        for thread in self.threads: thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        for thread in self.threads: thread.join()
        self.server.generation = self.generation
        if self.errors: raise measure.Failure(f"{self.errors[0]}")

    def guarded(self, work):
        try:
            work()
        except Exception as error:
            self.errors.append(repr(error))

    def replace(self):
        before = sum(measure.cpu(self.server.process.pid))
        while sum(measure.cpu(self.server.process.pid)) < before + self.BEGUN:
            if self.ended.wait(self.PAUSE): return
        while self.reloads and not self.ended.is_set():
            began, said = time.monotonic(), self.count("reloaded ")
            self.generation += 1
            write_generation(self.server, self.generation)
            self.high = self.generation  # from here on it may be
            self.server.process.send_signal(signal.SIGHUP)
            while self.count("reloaded ") == said:
                if time.monotonic() > began + 60 or self.count("refused"):
                    raise RuntimeError(f"no reload: {self.server.output()}")
                time.sleep(.005)
            self.low = self.generation  # from here on it has to be
            if self.ended.is_set(): self.cut += 1  # it had all of the core at its end
            else: self.seconds.append(time.monotonic() - began)

    def count(self, word):
        return (self.server.folder / "output").read_text(errors="replace").count(word)

    def check(self):
        chance = random.Random(4)
        sites = list(self.server.work.sites)
        while not self.ended.wait(self.PAUSE):
            owner, service, subnet, place = chance.choice(self.clients)
            near = sites.index(measure.nearest_site(self.server.work, place))
            low = self.low
            try:
                given = self.server.address(f"{owner}.{self.server.work.apex}", subnet)
            except OSError as error:
                given = repr(error)
            may = [shifted(peers.address(near, service), number) for number in range(low, self.high + 1)]
            self.asked += 1
            if given not in may:
                self.wrong += 1
                print(f"# wrong: {owner} {subnet}: {given}, not {may}", file=sys.stderr, flush=True)


def shifted(address, generation):
    """The address that another generation has in its place."""
    return address.replace("10.", f"{10 + generation % 100}.", 1)


def write_generation(server, number):
    """Writes all files of a generation aside and renames them into place."""
    work, folder = server.work, server.folder
    if number == 0: return
    pools, zone = folder / "zones/geo.yaml", folder / f"zones/{work.apex}.zone"
    if not hasattr(server, "first"): server.first = (pools.read_text(), zone.read_text())
    texts = [server.first[0].replace("addresses: [10.", f"addresses: [{10 + number % 100}."),
             server.first[1].replace("hostmaster 1 ", f"hostmaster {1 + number} ")]
    for path, text in zip((pools, zone), texts):
        aside = path.with_name(f".{path.name}")
        aside.write_text(text)
        aside.replace(path)
    aside = folder / "geo/.city"
    shutil.copyfile(server.database, aside)
    aside.replace(folder / "geo/city.mmdb")  # another file, so that nothing that was made of the old one is kept


def set_apart(server):
    """Leaves core 0 to the threads that answer over UDP."""
    for task in pathlib.Path(f"/proc/{server.process.pid}/task").iterdir():
        with contextlib.suppress(OSError):
            if not (task / "comm").read_text().startswith("rhumb-udp"):
                subprocess.run(["taskset", "-cp", "1", task.name], check=True, stdout=subprocess.DEVNULL)


def reload(folder, args, database):
    """Reloads of everything under load, beside the same without."""
    work = workloads.make(folder, ["geo-static"])[0]
    clients = measure.samples(work, database)
    if not clients: raise measure.Failure("reload wants python3-maxminddb")
    rows, lost, others = [], 0, []
    for about, apart, options in (("all threads on one core", False, []), ("answering apart", True, []),
                                  ("all threads on one core, 50,000 a second", False, ["--rate", "50000"]),
                                  ("answering apart, 50,000 a second", True, ["--rate", "50000"])):
        rounds = []
        with measure.Server("rhumb", work, database) as server:
            if apart: set_apart(server)
            server.load(.3)
            for number in range(min(args.rounds, RELOAD_ROUNDS)):
                if number and time.monotonic() > args.deadline: break
                one = []
                for reloads in (False, True):
                    with Reloads(server, clients, reloads) as watch:
                        one.append(server.load(max(args.seconds, RELOAD_SECONDS if reloads else LOAD_SECONDS), *options) | {"watch": watch})
                    if not apart: others.append(one[-1]["others"])
                rounds.append(one)
        watches = [result["watch"] for one in rounds for result in one]
        seconds, cut = [value for watch in watches for value in watch.seconds], sum(watch.cut for watch in watches)
        took = f"{statistics.median(seconds):.2f} ({max(seconds):.2f})" if seconds else "–"
        if cut >= len(seconds) > 0: took = f"≥ {took}"  # those cut short took longer than was seen
        wrong = sum(result["wrong"] for one in rounds for result in one) + sum(watch.wrong for watch in watches)
        gone = sum(result["lost"] for one in rounds for result in one)
        lost += wrong + gone
        late, dropped = [sum(result[what] for one in rounds for result in one) for what in ("unsent", "dropped")]
        ratio = statistics.median(one[1]["p99"] / one[0]["p99"] for one in rounds)
        middle = lambda index, key: statistics.median(one[index][key] for one in rounds)
        rows.append([about, f"{len(seconds)} ({cut})", took, f"{middle(0, 'answers'):,.0f}", f"{middle(1, 'answers'):,.0f}",
                     f"{middle(0, 'p99'):,.0f}", f"{middle(1, 'p99'):,.0f}", f"{ratio:.2f}", f"{late:,}, {dropped:,}" if options else f"–, {dropped:,}",
                     f"{wrong}, {gone} of {sum(watch.asked for watch in watches):,} and the load"])
    return tables.Result(tables.dated(f"rounds: {len(rounds)}; {measure.noise(others)}") + tables.table(
        ["load", "reloads (cut short)", "s each (most)", "answers/s without", "with", "p99 µs without", "with", "ratio", "by the generator: late, dropped", "wrong, lost"], rows), lost == 0)


# MARK: - Starts

class Origins(threading.Thread):
    """The sample's origins on a port of their own: all well, or taking connections and saying nothing."""

    def __init__(self, well):
        super().__init__(daemon=True)
        self.well, self.listener, self.ended = well, socket.socket(), False
        self.listener.bind(("0.0.0.0", 0))
        self.listener.listen(4_096)
        self.listener.settimeout(.1)  # so that it sees its end
        self.port, self.silent = self.listener.getsockname()[1], []

    def run(self):
        while not self.ended:
            with contextlib.suppress(OSError):
                stream, _ = self.listener.accept()
                stream.settimeout(1)
                if self.well:
                    with stream:
                        if stream.recv(4096): stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
                else:
                    self.silent.append(stream)

    def stop(self):
        self.ended = True
        self.join()
        self.listener.close()


def begin(folder, port, origins_port):
    """Starts the sample; seconds until it has read its files, until it listens, and until it answered."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("zones", "geo"): shutil.copytree(peers.ROOT / name, folder / name)
    pools = folder / "zones/example.yaml"
    pools.write_text(pools.read_text().replace("port: 8080", f"port: {origins_port}"))
    for other in (folder / "geo").glob("*.mmdb"):
        if other.name != "world.mmdb": other.unlink()
    output = folder / "output"
    with socket.socket(type=socket.SOCK_DGRAM) as udp, open(output, "wb") as file:
        udp.settimeout(.002)
        udp.connect(("127.0.0.1", port))
        question = measure.query("www.example.com", "A")
        began, moments = time.monotonic(), {}
        process = measure.start([peers.ROOT / ".build/release/rhumb", "serve", "-C", folder, "-l", f"127.0.0.1:{port}"], 0, stderr=file)
        try:
            while len(moments) < 3:
                text = output.read_text(errors="replace")
                for word in ("probing", "listening"):
                    if word in text: moments.setdefault(word, time.monotonic() - began)
                with contextlib.suppress(OSError):
                    udp.send(question)
                    if udp.recv(4096)[3] & 15 == 0: moments.setdefault("answer", time.monotonic() - began)
                if process.poll() is not None or time.monotonic() > began + 60: raise measure.Failure(f"start: {text}")
        finally:
            process.kill()
            process.wait()
    return moments


def starts(folder, args, database):
    """How long the sample takes from its start to its first answer."""
    rows = []
    for about, well in (("all well", True), ("all refuse", None), ("all stall", False)):
        origins = Origins(well)
        if well is None: origins.listener.close()
        else: origins.start()
        found = [begin(folder / "sample", measure.free_port(), origins.port) for _ in range(STARTS)]
        if well is not None: origins.stop()
        milliseconds = lambda values: f"{statistics.median(values) * 1000:.0f} ({max(values) * 1000:.0f})"
        # The log is read between questions, so an answer may be there before the line.
        rounds = [max(0, min(m["listening"], m["answer"]) - m["probing"]) for m in found]
        rows.append([about, milliseconds([m["probing"] for m in found]), milliseconds(rounds), milliseconds([m["answer"] for m in found]),
                     milliseconds([m["answer"] - seconds for m, seconds in zip(found, rounds)])])
    return tables.Result(tables.dated(f"starts of each: {STARTS}") + tables.table(["origins", "files read, ms: median (most)", "first health round", "first answer", "less the round"], rows))
