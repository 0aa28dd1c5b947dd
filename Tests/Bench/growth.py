"""How what Rhumb costs grows with what it is given: one series of points for each thing that there can be much of."""
import dataclasses, pathlib, random, sys, tempfile, time

import callgrind, geodata, measure, peers, tables, upheaval, workloads

QUESTIONS = 20_000
ASKED = 3_000        # names of which instructions are counted
RULES_OF_ONE = 250   # a service takes 256
POOLS_OF_ONE = 60    # a rule takes 64
NETWORKS_OF_ONE = 10_000   # networks that a rule takes
NETWORKS_OF_FILE = 250_000  # a file takes a million values
LEAST = {"load": 5 / measure.TICK}  # seconds of CPU below which the kernel's tick decides how much they grew
INTERVAL = 10        # seconds between two probes of an origin
BASE = (17, 10_000)  # 2^17 networks at so many places, where it is not the database that grows
LIMITS = """Where a series ends before 1,000,000: there can be 4,096 pools (`SteeringLimit`), of which one service comes to 3,600
here; one YAML file holds a million values (`SettingsValue`), which are 166,000 overrides; origins can be 65,536, and 10,000 asked every ten seconds
take a good part of a core. 100,000 rules (in 400 services, a tree each) and 100,000 zones (a file each) are where patience with
valgrind ended.
"""


@dataclasses.dataclass
class Point:
    series: str
    size: int
    note: str
    files: dict          # path in the folder: text or an iterable of lines
    names: list          # what is asked for
    database: object = None  # (bits, places) of one to be made, or the file of one
    grows: bool = True       # whether it is the point before with more of one thing


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
        # 6,400 networks; what comes round again has other pools, so that no two services are alike.
        services[f"s{first}"] = "".join(
            f"      - {{ match: {{ networks: [{1 + i % 200}.{i // 200 % 32 * 8}.0.0/16] }}, pools: [{names[(i + i // 6_400) % 6]}] }}\n"
            for i in numbers) + near(names)
    return steered(count, "rules", "one service" if len(services) == 1 else f"{len(services)} services", services, sites, database)


def of_networks(count, database):
    """Networks that rules name, each beside one that none names: as many rules as they take, in as many services as a file takes."""
    names, services, networks = list(workloads.SITES), {}, list(geodata.every_other(count))
    for first in range(0, count, NETWORKS_OF_FILE):
        mine = networks[first:first + NETWORKS_OF_FILE]
        rules = -(-len(mine) // NETWORKS_OF_ONE)
        services[f"s{first}"] = "".join(
            f"      - {{ match: {{ networks: [{', '.join(mine[rule::rules])}] }}, pools: [{names[rule % 6]}] }}\n" for rule in range(rules)) + near(names)
    note = "1 service" if len(services) == 1 else f"{len(services)} services"
    point = steered(count, "networks of rules", note, services, workloads.SITES, database)
    # One file for each service, and one for the pools.
    head, _, _ = point.files.pop("zones/geo.yaml").partition("services:\n")
    point.files["zones/geo.yaml"] = head
    point.files |= {f"zones/{name}.yaml": f"services:\n  {name}:\n    rules:\n{rules}" for name, rules in services.items()}
    return point


def of_overrides(count, database):
    """Networks that the operator places, each beside one that is the database's."""
    places = list(workloads.SITES.values())
    point = dataclasses.replace(of_rules(1, database), series="location overrides", size=count, note="geo/overrides.yaml")
    point.files["geo/overrides.yaml"] = ["networks:\n", *(
        f"  {network}: {{ coordinates: [{places[i % 6][0]}, {places[i % 6][1]}] }}\n" for i, network in enumerate(geodata.every_other(count)))]
    return point


def points(databases):
    """All points, smallest first within a series; one at a time, as a million names take room."""
    for size in (1_000, 10_000, 100_000, 1_000_000): yield static(size, 1, "names", "one zone")
    for zones in (10, 1_000, 10_000, 100_000): yield static(max(zones, 1_000), zones, "zones", "a name each" if zones > 999 else "1,000 names in all")
    for count in (6, 60, 600, 3_600): yield of_pools(count, BASE)
    for count in (10, 100, 1_000, 10_000, 100_000): yield of_rules(count, BASE)
    for count in (1_000, 10_000, 100_000, 1_000_000): yield of_networks(count, BASE)
    for count in (1_000, 10_000, 100_000, 150_000): yield of_overrides(count, BASE)
    for bits in (10, 14, 17, 20):
        yield dataclasses.replace(of_rules(1, (bits, 1_000)), series="networks of a made database", size=1 << bits, note="at 1,000 places")
    for places in (1_000, 10_000, 100_000):
        yield dataclasses.replace(of_rules(1, (17, places)), series="places of a made database", size=places, note="of 131,072 networks")
    for size, path in sorted((nodes(path), path) for path in {*databases, *(peers.ROOT / "geo").glob("*.mmdb")} if "ASN" not in path.name):
        yield dataclasses.replace(of_rules(1, path), series="a real database", size=size, note=f"nodes; {path.stem}", grows=False)


def nodes(path):
    """How many nodes the tree of a database has."""
    try:
        import maxminddb
    except ImportError:
        raise measure.Failure("growth wants python3-maxminddb (scripts/install --with-tests)") from None
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
    if isinstance(point.database, tuple):
        point.database = geodata.write_database(folder / "made.mmdb", *point.database)
    work = work_of(point, folder)
    with measure.Server("rhumb", work, point.database) as server:
        result = server.measure(seconds)
        found = {"start": server.start["seconds"], "load": server.start["cpu"], "memory": server.start["private"], "cost": result["cost"],
                 "own": result["user"], "failed": result["wrong"] + result["lost"], "others": result["others"]}
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
    """What probing costs, in CPU time and memory, and for queries meanwhile: a table, and whether Rhumb is well."""
    rows, idle, failed = [], None, 0
    origins = upheaval.Origins(well=True)
    origins.start()
    try:
        for count in (0, 100, 1_000, 10_000):
            with measure.Server("rhumb", work_of(of_monitors(count, origins.port), folder), None) as server:
                time.sleep(2)
                before, began = sum(measure.cpu(server.process.pid)), time.monotonic()
                time.sleep(2 * INTERVAL)
                minute = (sum(measure.cpu(server.process.pid)) - before) / (time.monotonic() - began) * 60
                memory = measure.memory(server.process.pid)[1]
                result = server.measure(seconds)
            idle = idle or memory
            failed += result["wrong"] + result["lost"]
            print(f"# growth: {count:,} monitors: {minute:.2f} CPU s a minute", file=sys.stderr, flush=True)
            probes = count * 60 / INTERVAL
            rows.append([f"{count:,}", f"{minute:.2f}", f"{minute / 60:.1%}", f"{minute / probes * 1e6:.0f}" if count else "–", f"{memory:.1f}",
                         f"{(memory - idle) * 1024 / count:.1f}" if count else "–", f"{result['cost']:.2f}", f"{result['wrong'] + result['lost']}"])
    finally:
        origins.stop()
    return tables.table(["origins, each every 10 s", "CPU s a minute", "of a core", "µs a probe", "private MB", "KB an origin",
                         "µs CPU a query meanwhile, probes included", "wrong, lost"], rows), failed == 0


def grown(key, before, now):
    """The power of the size with which a figure grew between two points, (size, figures) each, as text."""
    if not before or min(before[1][key], now[1][key]) < LEAST.get(key, 0): return "–"
    return f"{round(tables.exponent([(size, figures[key]) for size, figures in (before, now)]), 1) + 0:.1f}"


def run(folder, args, database):
    """All series in one table, each point with the power of its size with which it grew from the point before."""
    rows, done, well, faults, others = [], {}, True, [], []
    for point in points(args.database):
        name, began = f"{point.series}, {point.size:,}", time.monotonic()
        try:
            if time.monotonic() > args.deadline: raise measure.Failure("no time left (--minutes)")
            with tempfile.TemporaryDirectory(dir=folder) as own: one = measured(point, pathlib.Path(own), args.seconds)
        except measure.FAULTS as error:
            faults.append(f"{name}: {error}")
            continue
        print(f"# growth: {name}: {one['instructions']:.0f} instructions, load {one['load']:.2f} s; took {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        before = done.get(point.series) if point.grows else None
        power = lambda key: grown(key, before, (point.size, one))
        rows.append([point.series, f"{point.size:,}", point.note, f"{one['instructions']:,.0f}", f"{one['cost']:.2f}", f"{one['own']:.2f}",
                     f"{one['start']:.2f}", f"{one['load']:.2f}", power("load"), f"{one['memory']:.0f}", power("memory")])
        done[point.series] = (point.size, one)
        well = well and not one["failed"]
        others.append(one["others"])
    if not rows: raise measure.Failure("; ".join(faults))
    try:
        probes, probes_well = monitors(folder, args.seconds)
    except measure.FAULTS as error:
        probes, probes_well = "", True
        faults.append(f"monitors: {error}")
    return tables.Result(tables.dated(measure.noise(others)) + tables.table(
        ["series", "size", "", "instructions a query", "µs CPU a query", "own", "first answer s", "CPU s of loading", "its power", "private MB",
         "its power"], rows) + "\n" + probes + "\n" + LIMITS, well and probes_well, faults=faults)
