"""How what Rhumb costs grows with what it is given: one series of points for each thing that there can be much of."""
import dataclasses, random, sys, time

import callgrind, measure, peers, tables, upheaval, workloads

QUESTIONS = 20_000
ASKED = 3_000        # names of which instructions are counted
RULES_OF_ONE = 250   # a service takes 256
POOLS_OF_ONE = 60    # a rule takes 64
INTERVAL = 10        # seconds between two probes of an origin


@dataclasses.dataclass
class Point:
    series: str
    size: int
    note: str
    files: dict          # path in the folder: text or an iterable of lines
    names: list          # what is asked for
    database: object = None


def zone(names, line):
    return [workloads.HEAD, *(line(name) for name in names)]


def static(size, zones, series, note):
    """So many A records, spread over zones."""
    files, names = {}, []
    for number in range(zones):
        apex = f"z{number}.example"
        mine = [f"n{i:06x}" for i in range(number, size, zones)]
        files[f"zones/{apex}.zone"] = zone(mine, lambda name: f"{name} A 10.{int(name[1:3], 16)}.{int(name[3:5], 16)}.{int(name[5:], 16)}\n")
        names += [f"{name}.{apex}" for name in mine[:max(1, QUESTIONS // zones)]]
    return Point(series, size if series == "names" else zones, note, files, names)


def steered(size, series, note, services, sites, database):
    """100 names over services; their text has the pools to the sites."""
    names = [f"www{i}" for i in range(100)]
    pools = "".join(f"  {name}: {{ location: [{latitude}, {longitude}], origins: {{ one: {{ addresses: [10.1.{i >> 8}.{i & 255}] }} }} }}\n"
                    for i, (name, (latitude, longitude)) in enumerate(sites.items()))
    asked = [name for name in services if name.startswith("s")]
    files = {"zones/geo.example.zone": zone(names, lambda name: f"{name} 60 STEER {asked[int(name[3:]) % len(asked)]}\n"),
             "zones/geo.yaml": "pools:\n" + pools + "services:\n" + "".join(f"  {name}:\n    rules:\n{rules}" for name, rules in services.items())}
    return Point(series, size, note, files, [f"{name}.geo.example" for name in names], database)


def near(words):
    return f"      - {{ policy: proximity, pools: [{', '.join(words)}] }}\n"


def of_pools(count, database):
    sites = workloads.many_sites(count)
    names = list(sites)
    if count <= POOLS_OF_ONE: return steered(count, "pools", "one rule over all", {"s": near(names)}, sites, database)
    parts = {f"p{i}": near(names[i::count // POOLS_OF_ONE]) for i in range(count // POOLS_OF_ONE)}
    return steered(count, "pools", f"a service over {len(parts)} services",
                   parts | {"s": near([f"{{ service: {name} }}" for name in parts])}, sites, database)


def of_rules(count, database):
    sites = workloads.SITES
    names, services = list(sites), {}
    for first in range(0, count, RULES_OF_ONE):
        numbers = range(first, min(first + RULES_OF_ONE, count) - 1)  # the last one is for everyone
        services[f"s{first}"] = "".join(f"      - {{ match: {{ networks: [{1 + i % 200}.{i // 200 * 8}.0.0/16] }}, pools: [{names[i % 6]}] }}\n"
                                        for i in numbers) + near(names)
    return steered(count, "rules", "one service" if len(services) == 1 else f"{len(services)} services", services, sites, database)


def points(databases):
    """All points, smallest first within a series; one at a time, as a million names take room."""
    for size in (1_000, 10_000, 100_000, 1_000_000): yield static(size, 1, "names", "one zone")
    for zones in (1, 10, 100, 1_000): yield static(10_000, zones, "zones", "10,000 names in all")
    if not databases: return
    for count in (6, 60, 600): yield of_pools(count, databases[0])
    for count in (1, 10, 100, 1_000): yield of_rules(count, databases[0])
    sizes = sorted((nodes(path), path) for path in {*databases, *(peers.ROOT / "geo").glob("*.mmdb")})
    for size, path in sizes:
        yield dataclasses.replace(of_rules(1, path), series="nodes of the database", size=size, note=path.stem)


def nodes(path):
    """How many nodes the tree of a database has."""
    import maxminddb
    return maxminddb.open_database(str(path)).metadata().node_count


def work_of(point, folder):
    """The point as a work that `measure.Server` takes."""
    chance = random.Random(7)
    questions = folder / "growth.questions"
    questions.write_text("".join(f"{chance.choice(point.names)} A ANSWER\n" for _ in range(QUESTIONS)))

    def configure(work, folder, port, database):
        for name in ("zones", "geo"): (folder / name).mkdir()
        (folder / "rhumb.yaml").write_text(f'listen: ["127.0.0.1:{port}"]\nworkers: 1\nidentity: ""\n')
        for path, text in point.files.items():
            with open(folder / path, "w") as file: file.writelines(text)
        if database: (folder / "geo/city.mmdb").symlink_to(database)
        return [peers.ROOT / ".build/release/rhumb", "serve", "-C", folder]

    return workloads.Work("growth", point.note, zone=questions, questions=questions, clients=point.database is not None, configure=configure)


def messages(point):
    chance = random.Random(8)
    names = [chance.choice(point.names) for _ in range(ASKED)]
    if not point.database: return [measure.query(name, "A") for name in names]
    clients = measure.samples(workloads.Work("", "", "", "", steered=dict.fromkeys(names, 0)), point.database)
    return [measure.query(name, "A", clients[i % len(clients)][2]) for i, name in enumerate(names)]


def measured(point, folder, seconds):
    """What a point costs."""
    work = work_of(point, folder)
    with measure.Server("rhumb", work, point.database) as server:
        result = server.measure(seconds)
        found = {"start": server.start["seconds"], "load": server.start["cpu"], "memory": server.start["private"],
                 "cost": result["cost"], "own": result["user"], "failed": result["wrong"] + result["lost"]}
    with callgrind.Server("rhumb", work, point.database) as server:
        return found | {"instructions": callgrind.count(server, messages(point))["instructions"]}


def of_monitors(count, port):
    """Origins on addresses of their own, each asked over TCP, in pools of ten; all names go by one service of six pools."""
    addresses = [f"127.{1 + i // 50_000}.{i // 250 % 200}.{1 + i % 250}" for i in range(max(count, 60))]
    monitor = "" if count == 0 else " monitor: tcp,"
    text = f"monitors:\n  tcp: {{ type: tcp, port: {port}, interval: {INTERVAL}s, timeout: 2s }}\n" if count else ""
    text += "pools:\n" + "".join(
        f"  p{first}: {{{monitor} origins: {{ " + ", ".join(f"o{i}: {{ addresses: [{addresses[i]}] }}" for i in range(first, first + 10)) + " } }\n"
        for first in range(0, len(addresses) // 10 * 10, 10))
    text += "services:\n  s: { rules: [{ pools: [p0, p10, p20, p30, p40, p50] }] }\n"
    names = [f"www{i}" for i in range(100)]
    files = {"zones/geo.example.zone": zone(names, lambda name: f"{name} 60 STEER s\n"), "zones/geo.yaml": text}
    return Point("monitors", count, "", files, [f"{name}.geo.example" for name in names])


def monitors(folder, seconds):
    """What probing costs: in CPU time and memory, and for queries meanwhile."""
    rows, idle = [], None
    origins = upheaval.Origins(well=True)
    origins.start()
    for count in (0, 100, 1_000, 10_000):
        with measure.Server("rhumb", work_of(of_monitors(count, origins.port), folder), None) as server:
            time.sleep(2)
            before, began = sum(measure.cpu(server.process.pid)), time.monotonic()
            time.sleep(2 * INTERVAL)
            minute = (sum(measure.cpu(server.process.pid)) - before) / (time.monotonic() - began) * 60
            memory = measure.memory(server.process.pid)[1]
            result = server.measure(seconds)
        idle = idle or memory
        print(f"# growth: {count:,} monitors: {minute:.2f} CPU s a minute", file=sys.stderr, flush=True)
        probes = count * 60 / INTERVAL
        rows.append([f"{count:,}", f"{minute:.2f}", f"{minute / 60:.1%}", f"{minute / probes * 1e6:.0f}" if count else "–", f"{memory:.1f}",
                     f"{(memory - idle) * 1024 / count:.1f}" if count else "–", f"{result['cost']:.2f}", f"{result['wrong'] + result['lost']}"])
    origins.stop()
    return tables.table(["origins, each every 10 s", "CPU s a minute", "of a core", "µs a probe", "private MB", "KB an origin",
                         "µs CPU a query meanwhile, probes included", "wrong, lost"], rows)


def run(folder, args, database):
    """All series in one table, with the power that each follows from its last point but one to its last: Markdown."""
    rows, done, well = [], {}, True
    for point in points(args.database):
        one = measured(point, folder, args.seconds)
        print(f"# growth: {point.series} {point.size:,}: {one['instructions']:.0f} instructions, load {one['load']:.2f} s", file=sys.stderr, flush=True)
        before = done.get(point.series)
        power = lambda key: "–" if not before else f"{round(tables.exponent([(before[0], before[1][key]), (point.size, one[key])]), 1) + 0:.1f}"
        rows.append([point.series, f"{point.size:,}", point.note, f"{one['instructions']:,.0f}", f"{one['cost']:.2f}", f"{one['own']:.2f}",
                     f"{one['start']:.2f}", f"{one['load']:.2f}", power("load"), f"{one['memory']:.0f}", power("memory")])
        done[point.series] = (point.size, one)
        well = well and not one["failed"]
    return well, tables.table(["series", "size", "", "instructions a query", "µs CPU a query", "own", "first answer s", "CPU s of loading",
                               "its power", "private MB", "its power"], rows) + "\n" + monitors(folder, args.seconds)
