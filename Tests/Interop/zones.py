"""Served zones as the questions' source: what a peer read, by transfer, and the names that make a difference."""
import random, string

import exchange, message
from message import TYPES, lower

# Asked at every name; the rest of the types is dealt out over the names.
CORE_TYPES = [TYPES[name] for name in ("A", "NS", "CNAME", "SOA", "MX", "TXT", "AAAA", "DNAME", "DS", "ANY")]
ALL_TYPES = sorted(
    set(TYPES.values()) - {TYPES[name] for name in ("OPT", "NXNAME", "TKEY", "TSIG", "IXFR", "AXFR", "MAILB", "MAILA")}
    | {65_280, 65_535})
# Of a zone with more names than that, only some are looked at from all sides.
MANY = 500


class Zone:
    """A zone: its apex, and for every owner, in lower case, its types."""

    def __init__(self, apex, records):
        self.apex = lower(apex)
        self.types = {}
        self.records = {folded(record) for record in records}
        self.targets = set()
        for record in records:
            self.types.setdefault(lower(record.owner), set()).add(record.type)
            if record.type in (TYPES["NS"], TYPES["CNAME"], TYPES["DNAME"], TYPES["PTR"]):
                self.targets.add(lower(message.read_name(record.data, 0)[0]))
        depth = len(apex)
        self.emptyNonTerminals = {
            owner[start:] for owner in self.types for start in range(1, len(owner) - depth)} - set(self.types)

    def holds(self, name):
        return name in self.types or name in self.emptyNonTerminals

    def knows(self, name):
        """Whether it holds the name or stands below it."""
        return self.holds(name) or len(name) < len(self.apex) and self.apex[-len(name) :] == name

    def owners(self, type):
        return [owner for owner, types in self.types.items() if type in types]


def folded(record):
    """A record that compares without case."""
    return lower(record.owner), record.type, record.ttl, record.data.lower()


def read(address, apex, source):
    """The zone as a server hands it over."""
    records = []
    query = message.query(apex, TYPES["AXFR"])
    for wire in exchange.transfer(address, query, source):
        answer = message.parse(wire)
        if answer.code or not answer.answer:
            raise message.Malformed(f"{message.name_text(apex)}: no transfer, code {answer.code}")
        records += answer.answer
        if records[-1].type == TYPES["SOA"] and len(records) > 1:
            return Zone(apex, records)
    raise message.Malformed(f"{message.name_text(apex)}: the transfer ended early")


# MARK: - Names


def fits(name):
    return sum(len(label) + 1 for label in name) + 1 <= 255 and all(0 < len(label) <= 63 for label in name)


def longest(name, label=b"m" * 63):
    """`name` with as many labels before it as make 255 octets."""
    while (room := 254 - sum(len(part) + 1 for part in name)) > 1:
        take = min(63, room - 1)
        if room - take - 1 == 1:
            take -= 1  # a label has at least one octet
        name = (label[:take],) + name
    return name


def names(zone, draw):
    """Names to ask for, each with what it is; all fit in a message."""
    found = {}

    def add(name, what):
        if fits(name):
            found.setdefault(name, what)

    for owner in zone.types:
        add(owner, "owner")
    for name in sorted(zone.emptyNonTerminals):
        add(name, "empty non-terminal")
    places = [*zone.types, *sorted(zone.emptyNonTerminals)]
    for owner in places if len(places) <= MANY else draw.sample(places, MANY // 3):
        wildcard = owner[:1] == (b"*",)
        parent = owner[1:] if len(owner) > len(zone.apex) else owner
        for suffix, what in ((owner, "below"), (parent, "sibling")):
            add((b"nx",) + suffix, what + " of wildcard" if wildcard else what)
        add((b"a", b"b", b"nx") + owner, "deep below")
        add((b"*",) + owner, "wildcard label below")
        if wildcard:
            add((b"x", b"*") + owner[1:], "below the wildcard itself")
            add((b"\0\xff.",) + owner[1:], "odd octets under a wildcard")
        if len(owner) > len(zone.apex) and len(places) <= MANY:
            label = owner[0]
            for other in (label + b"0", label[:-1], label[:-1] + bytes([label[-1] ^ 1]), b"\0", b"~" + label):
                add((other,) + parent, "neighbour")
    for target in zone.targets:
        add(target, "target")
    add_beside(zone, add)
    add_long(zone, add, draw)
    return found


def add_beside(zone, add):
    """Names above, beside and at the wrong end of the zone."""
    for start in range(1, len(zone.apex) + 1):
        add(zone.apex[start:], "above")
        add((b"beside",) + zone.apex[start:], "beside")
    add(zone.apex + (b"invalid",), "elsewhere")
    if zone.apex:
        add((b"x" + zone.apex[0][:62],) + zone.apex[1:], "almost the apex")
        add((zone.apex[0] + b".",) + zone.apex[1:], "almost the apex")


def add_long(zone, add, draw):
    """Names as long as names can be, at the places where length matters."""
    places = [zone.apex, *zone.owners(TYPES["DNAME"]), *zone.owners(TYPES["NS"])]
    places += [owner[1:] for owner in zone.types if owner[:1] == (b"*",)]
    for place in places if len(places) <= MANY // 10 else draw.sample(places, MANY // 10):
        full = longest(place)
        add(full, "longest")
        add(longest(place, b"s" * 1), "most labels")
        for cut in range(1, 3):
            add(full[cut:], "long")
    for owner in zone.owners(TYPES["DNAME"])[:10]:
        # Around the length at which the rewritten name no longer fits.
        for length in draw.sample(range(150, 255), 12):
            name = owner
            while (room := length - sum(len(part) + 1 for part in name)) > 2:
                name = (b"y" * min(63, room - 2),) + name
            add(name, "long below DNAME")


def mangle(name, draw):
    """The name in random case (0x20)."""
    return tuple(bytes(o ^ 0x20 if chr(o) in string.ascii_letters and draw.random() < 0.5 else o for o in label) for label in name)
