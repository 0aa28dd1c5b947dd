"""What the servers are asked: for each work a zone, the questions, and what is particular to it.

One seed, one result. The questions are lines that `rhumb load` reads: NAME TYPE EXPECTATION.
"""
import dataclasses, math, pathlib, random, typing

SITES = {  # name: latitude, longitude
    "virginia": (39.04, -77.49), "california": (37.37, -121.92), "frankfurt": (50.11, 8.68),
    "sao-paulo": (-23.55, -46.63), "singapore": (1.35, 103.82), "tokyo": (35.69, 139.69)}
SERVICES = 10
HEAD = """$TTL 300
@ SOA ns1 hostmaster 1 7200 1800 1209600 300
@ NS ns1
@ NS ns2
ns1 A 192.0.2.53
ns2 A 198.51.100.53
"""


@dataclasses.dataclass
class Work:
    name: str
    about: str                      # for the table's head
    zone: pathlib.Path              # a master file without STEER, relative to its $ORIGIN
    questions: pathlib.Path
    apex: str = "bench.example"
    load: list = dataclasses.field(default_factory=list)    # more options of `rhumb load`
    steered: dict = dataclasses.field(default_factory=dict)  # owner: service number
    sites: dict = dataclasses.field(default_factory=dict)
    servers: list = dataclasses.field(default_factory=list)  # those that can do it; empty: all
    clients: bool = False           # asks for clients of the database
    host: str = "127.0.0.1"         # where servers listen
    local: str = ""                 # the site where clients on this machine are, without ECS
    flips: str = ""                 # the site whose pools go down and come back while others ask
    configure: typing.Callable | None = None  # how servers are told to serve it, if not as peers.py has it


def address(site, service):
    """The address of a service at a site."""
    return f"10.{service}.{site}.1"


def static(folder):
    """70% A, 20% AAAA, 5% MX and TXT, 5% names that are not there; 1,000 names, 50 of them aliases."""
    lines, chance = [HEAD], random.Random(1)
    for number in range(1_000):
        host = f"host{number}"
        if number % 20 == 19:
            lines.append(f"{host} CNAME host{number - 1}\n")
            continue
        lines.append(f"{host} A 192.0.{number >> 8}.{number & 255}\n{host} AAAA 2001:db8::{number:x}\n")
        if number % 20 == 0:
            lines.append(f"{host} MX 10 host{number + 1}\n{host} MX 20 host{number + 2}\n"
                         f'{host} TXT "v=spf1 ip4:192.0.2.0/24 include:spf{number}.bench.example -all"\n')
    (folder / "static.zone").write_text("".join(lines))

    def question():
        kind = chance.random()
        if kind < .70: return f"host{chance.randrange(1_000)}.bench.example A ANSWER\n"
        if kind < .90: return f"host{chance.randrange(1_000)}.bench.example AAAA ANSWER\n"
        if kind < .95: return f"host{chance.randrange(50) * 20}.bench.example {chance.choice(('MX', 'TXT'))} ANSWER\n"
        return f"no{chance.randrange(10_000)}.bench.example A NXDOMAIN\n"

    (folder / "static.questions").write_text("".join(question() for _ in range(100_000)))
    return folder / "static.zone", folder / "static.questions"


def geo(folder, name, owners, questions, sites=SITES, **options):
    options = {"servers": ["rhumb"]} | options
    (folder / "geo.zone").write_text(HEAD)
    (folder / f"{name}.questions").write_text("".join(questions))
    steered = {owner: number % SERVICES for number, owner in enumerate(owners)}
    return Work(name, zone=folder / "geo.zone", questions=folder / f"{name}.questions", steered=steered,
                sites=sites, clients=True, **options)


def many_sites(count):
    """Sites all over the world, as far from each other as a spiral has them."""
    step = math.pi * (3 - math.sqrt(5))
    return {f"site{number}": (round(math.degrees(math.asin(1 - 2 * (number + .5) / count)), 2),
                              round(math.degrees(number * step % (2 * math.pi)) - 180, 2))
            for number in range(count)}


def big(folder, records=1_000_000):
    zone, questions = folder / "big.zone", folder / "big.questions"
    if not zone.exists():
        with open(zone, "w") as file:
            file.write(HEAD)
            file.writelines(f"n{i:06x} A 10.{i >> 16 & 255}.{i >> 8 & 255}.{i & 255}\n" for i in range(records))
        chance = random.Random(2)
        with open(questions, "w") as file:
            file.writelines(f"n{chance.randrange(records):06x}.bench.example A ANSWER\n" for _ in range(200_000))
    return zone, questions


def make(folder, wanted):
    """The works wanted, by name, in the order of this list."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"www{number}" for number in range(100)]
    full = [f"{name}.bench.example A ANSWER\n" for name in names]
    steering = ["echo", "rhumb", "gdnsd", "knot"]
    made = []

    def add(name, make):
        if name in wanted: made.append(make(name))

    add("static", lambda name: Work(name, "1,000 names; A, AAAA, MX, TXT, NXDOMAIN", *static(folder)))
    add("geo", lambda name: geo(folder, name, names, full, servers=steering,
                                about="100 names at six sites; clients are random IPv4 /24"))
    add("geo-ecs6", lambda name: geo(folder, name, names, full, servers=["rhumb", "gdnsd"], load=["--family", "6"],
                                     about="clients of IPv6 /56"))
    add("geo-ipv6", lambda name: geo(folder, name, names, full, servers=["echo", "rhumb", "gdnsd"], host="::1",
                                     about="IPv6 as transport"))
    add("geo-wildcard", lambda name: geo(
        folder, name, [f"*.{n}" for n in names], [f"a{i}.{n}.bench.example A ANSWER\n" for i in range(10) for n in names],
        about="steered wildcards"))
    add("geo-deep", lambda name: geo(
        folder, name, names, [f"a.b.c.d.e.f.g.h.{n}.bench.example A NXDOMAIN\n" for n in names],
        about="names eight labels below what is there"))
    add("geo-nxdomain", lambda name: geo(
        folder, name, names, [f"x{i}.bench.example A NXDOMAIN\n" for i in range(100_000)],
        about="names that are not there"))
    add("geo-60", lambda name: geo(folder, name, names, full, sites=many_sites(60), about="60 sites"))
    add("geo-flips", lambda name: geo(folder, name, names, full, flips="tokyo",
                                      about="a pool goes down or comes back 10 times a second"))
    add("tcp", lambda name: Work(name, "the static mix over one TCP connection, 16 queries at a time", *static(folder),
                                 load=["--tcp", "--in-flight", "16"]))
    add("tcp-each", lambda name: Work(name, "the static mix, a TCP connection for each query", *static(folder),
                                      load=["--tcp", "--in-flight", "1", "--per-connection", "1"]))
    add("big", lambda name: Work(name, "a zone of 1,000,000 names", *big(folder)))
    add("geo-static", lambda name: geo_static(folder, name, names))
    return made


def geo_static(folder, name, names):
    """The zone of the static mix with steered names, and questions for both."""
    zone, questions = static(folder)
    work = geo(folder, name, names, [], about="the static mix and as many queries for steered names")
    plain = questions.read_text().splitlines(keepends=True)
    chance = random.Random(6)
    work.questions.write_text("".join(line + f"{chance.choice(names)}.bench.example A ANSWER\n" for line in plain))
    return dataclasses.replace(work, zone=zone)


# Beside other servers, each in a table of its own.
ALONE = ["static", "geo", "tcp", "tcp-each", "big"]
# Held against the plain geo mix, together in one table.
VARIANTS = ["geo-ecs6", "geo-ipv6", "geo-wildcard", "geo-deep", "geo-nxdomain", "geo-60", "geo-flips"]
