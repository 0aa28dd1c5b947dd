"""The questions: what is asked of every server, derived from the zones."""
import dataclasses, itertools, random, struct

import message, zones
from message import AD, CD, COOKIE, DO, ECS, KEEPALIVE, NSID, PADDING, RD, TYPES, opt_record, option


@dataclasses.dataclass(slots=True)
class Query:
    packet: bytes
    text: str  # what makes it different, beside its question
    over: str = "udp"
    # None for what is no plain query of one question.
    name: tuple = None
    type: int = 0

    def __str__(self):
        return f"{message.question_text(self.packet)} ({self.text}, {self.over})"


# How a question is dressed: header flags, OPT, and the carrier.
DRESSES = {
    "plain": {},
    "rd": dict(flags=RD),
    "edns 0": dict(opt=opt_record(0)),
    "edns 512": dict(opt=opt_record(512)),
    "edns 1232": dict(opt=opt_record(1232), flags=RD),
    "edns 4096": dict(opt=opt_record(4096)),
    "edns 65535": dict(opt=opt_record(65_535)),
    "do": dict(opt=opt_record(1232, DO), flags=CD),
    "do 512": dict(opt=opt_record(512, DO)),
    "nsid": dict(opt=opt_record(options=option(NSID))),
    "ecs": dict(opt=opt_record(options=option(ECS, b"\0\1\x18\0\xc0\0\2"))),
    "tcp": dict(over="tcp"),
    "tcp edns": dict(over="tcp", opt=opt_record(1232)),
}
# Rarer ones, for a few names alone.
RARE_DRESSES = {
    "ad": dict(flags=AD),
    "cd": dict(flags=CD),
    "ad cd rd": dict(flags=AD | CD | RD),
    "edns 513": dict(opt=opt_record(513)),
    "edns version 1": dict(opt=opt_record(version=1)),
    "edns version 255": dict(opt=opt_record(version=255)),
    "edns version 1 do nsid": dict(opt=opt_record(flags=DO, version=1, options=option(NSID))),
    "edns flags": dict(opt=opt_record(flags=0x7FFF)),
    "edns all flags": dict(opt=opt_record(flags=0xFFFF)),
    "edns extended code": dict(opt=opt_record(extendedCode=0xAB)),
    "unknown option": dict(opt=opt_record(options=option(65_001, b"xyz"))),
    "unknown options": dict(opt=opt_record(options=b"".join(option(65_001 + i, b"x" * i) for i in range(20)))),
    "empty unknown option": dict(opt=opt_record(options=option(100))),
    "nsid twice": dict(opt=opt_record(options=option(NSID) * 2)),
    "nsid with data": dict(opt=opt_record(options=option(NSID, b"abc"))),
    "ecs v6": dict(opt=opt_record(options=option(ECS, b"\0\2\x38\0\x20\x01\x0d\xb8\0\0\0"))),
    "ecs /0": dict(opt=opt_record(options=option(ECS, b"\0\1\0\0"))),
    "ecs family 0": dict(opt=opt_record(options=option(ECS, b"\0\0\0\0"))),
    "ecs scope set": dict(opt=opt_record(options=option(ECS, b"\0\1\x18\x18\xc0\0\2"))),
    "ecs too short": dict(opt=opt_record(options=option(ECS, b"\0\1\x18"))),
    "ecs family 9": dict(opt=opt_record(options=option(ECS, b"\0\x09\x18\0\xc0\0\2"))),
    "ecs nonzero rest": dict(opt=opt_record(options=option(ECS, b"\0\1\x17\0\xc0\0\3"))),
    "cookie": dict(opt=opt_record(options=option(COOKIE, b"\1\2\3\4\5\6\7\x08"))),
    "cookie tcp": dict(over="tcp", opt=opt_record(options=option(COOKIE, b"\1\2\3\4\5\6\7\x08"))),
    "cookie nsid": dict(opt=opt_record(options=option(COOKIE, b"\1\2\3\4\5\6\7\x08") + option(NSID))),
    "server cookie": dict(opt=opt_record(options=option(COOKIE, b"\1\2\3\4\5\6\7\x08" + b"\1\0\0\0" + b"s" * 12))),
    "server cookie short": dict(opt=opt_record(options=option(COOKIE, b"\1\2\3\4\5\6\7\x08" + b"s" * 8))),
    "server cookie long": dict(opt=opt_record(options=option(COOKIE, b"\1\2\3\4\5\6\7\x08" + b"s" * 32))),
    **{
        f"cookie of {length}": dict(opt=opt_record(options=option(COOKIE, b"c" * length)))
        for length in (0, 1, 7, 9, 15, 41, 60)},
    "keepalive udp": dict(opt=opt_record(options=option(KEEPALIVE))),
    "keepalive tcp": dict(over="tcp", opt=opt_record(options=option(KEEPALIVE))),
    "keepalive with timeout tcp": dict(over="tcp", opt=opt_record(options=option(KEEPALIVE, b"\0\x64"))),
    "padding": dict(opt=opt_record(options=option(PADDING, bytes(16)))),
    "padding tcp": dict(over="tcp", opt=opt_record(options=option(PADDING, bytes(16)))),
    "tcp do": dict(over="tcp", opt=opt_record(512, DO)),
}
META_TYPES = [0, 128, 129, *range(249, 255), TYPES["OPT"]]


def ask(name, type, dress, settings, draw=None):
    """One dressed question."""
    settings = dict(settings)
    over = settings.pop("over", "udp")
    if draw is not None:
        name = zones.mangle(name, draw)
    return Query(message.query(name, type, **settings), dress, over, name, type)


def derive(served, draw):
    """Queries by the names of all zones: every name with every type that may matter, dressed in turn."""
    dresses = itertools.cycle(DRESSES.items())
    rest = itertools.cycle(zones.ALL_TYPES)
    asked = set()
    for zone in served:
        for name, what in zones.names(zone, draw).items():
            if name in asked:
                continue
            asked.add(name)
            own = zone.types.get(name, set())
            if what == "owner" and len(zone.types) > zones.MANY:
                types = dict.fromkeys([*sorted(own), draw.choice(zones.CORE_TYPES)])
            elif what in ("owner", "target") and len(zone.targets) <= zones.MANY:
                types = dict.fromkeys([*sorted(own), *zones.CORE_TYPES, *itertools.islice(rest, 6)])
            else:
                types = dict.fromkeys([*zones.CORE_TYPES[:4], TYPES["DS"], TYPES["ANY"], *itertools.islice(rest, 2)])
            for type in types:
                yield ask(name, type, f"{what}, plain", {})
                dress, settings = next(dresses)
                yield ask(name, type, f"{what}, {dress}, case", settings, draw)


def every_type(served, draw):
    """Each owner of the zone with the most types, times each type."""
    zone = max(served, key=lambda zone: len(set().union(*zone.types.values())))
    owners = list(zone.types)
    for name in owners if len(owners) < 60 else draw.sample(owners, 60):
        for type in zones.ALL_TYPES:
            yield ask(name, type, "every type", {})


def representatives(served, draw, each=2):
    """A few names of each kind, over all zones."""
    kinds = {}
    for zone in served:
        for name, what in zones.names(zone, draw).items():
            own = zone.types.get(name, ())
            for key in (what, *(message.type_name(type) for type in own)):
                kinds.setdefault(key, set()).add(name)
    chosen = dict.fromkeys(name for key in sorted(kinds) for name in draw.sample(sorted(kinds[key]), min(each, len(kinds[key]))))
    return list(chosen)


def rare(served, draw):
    """Every dress for a few names of each kind, and the types that no zone holds."""
    for name in representatives(served, draw):
        types = next((zone.types[name] for zone in served if name in zone.types), {TYPES["A"]})
        type = draw.choice(sorted(types))
        for dress, settings in {**DRESSES, **RARE_DRESSES}.items():
            yield ask(name, type, dress, settings, draw)
    for name in representatives(served, draw, 1):
        for type in META_TYPES:
            yield ask(name, type, "meta type", {})
            yield ask(name, type, "meta type, edns", dict(opt=opt_record()))


def with_cookies(served, draw, cookies):
    """Queries with the server cookies that each server gave: one secret makes them good everywhere."""
    for name in representatives(served, draw, 1):
        for giver, cookie in cookies:
            for flags in (0, DO):
                opt = opt_record(flags=flags, options=option(COOKIE, cookie))
                yield ask(name, TYPES["A"], f"cookie of {giver}", dict(opt=opt))
            bad = cookie[:-1] + bytes([cookie[-1] ^ 1])
            yield ask(name, TYPES["A"], f"spoilt cookie of {giver}", dict(opt=opt_record(options=option(COOKIE, bad))))
