"""Random zones over so few labels that wildcards, cuts, aliases and empty non-terminals run into each other.

A set is up to four zones, one inside another: `wN.`, `b.wN.`, `a.b.wN.` and `c.a.wN.`. All sets of a batch
are served at once. Zones are such as all three servers load: a CNAME stands alone, nothing stands below
a DNAME; data below a cut and DNAME or NS at wildcards do occur.
"""
import itertools

import message, queries, zones
from message import TYPES

BATCH = 100  # sets served at a time
LABELS = ["a", "b", "c", "*"]
OUTSIDE = ["out.example.", "a.out.example."]
QUESTIONS = [TYPES[name] for name in ("A", "TXT", "NS", "CNAME", "DNAME", "DS", "SOA", "MX", "ANY", "AAAA")]
QUESTIONS_PER_SET = 500


def write(directory, draw, count):
    """Writes the zone files of `count` sets."""
    for number in range(count):
        top = f"w{number}."
        inner = [f"b.{top}", f"a.b.{top}", f"c.a.{top}"]
        apexes = [top] + [apex for apex in inner if draw.random() < 0.25]
        blocked = set()  # names with a DNAME: nothing below, in no zone
        for apex in sorted(apexes, key=len, reverse=True):
            (directory / f"{apex}zone").write_text(zone_text(apex, apexes, top, blocked, draw))


def zone_text(apex, apexes, top, blocked, draw):
    lines = [f"$TTL {draw.choice([60, 300])}", f"@ {draw.choice(['', '7 ', '4000 '])}SOA ns host 1 2 3 4 {draw.choice([0, 5, 900])}"]
    lines += [f"@ NS {target}" for target in draw.sample(host_names(top), draw.choice([1, 1, 2]))]
    if draw.random() < 0.1 and may_rewrite(apex, apex, apexes):
        blocked.add(apex)
        lines.append(f"@ DNAME {target_name(top, draw)}")
        return "\n".join(lines) + "\n"
    lines += data("@", draw, top) if draw.random() < 0.5 else []
    names = {relative(name): {} for name in draw_names(draw)}
    for name in sorted(names, key=lambda name: name.count(".")):
        if any(f"{name}.{apex}".endswith("." + other) for other in blocked):
            continue
        kind = draw.choices(("data", "cname", "dname", "cut"), (45, 20, 12, 23))[0]
        if any(other != apex and f"{name}.{apex}" == other for other in apexes):
            kind = draw.choice(["cut", "cut", "data"])  # where another zone begins
        if kind == "dname" and not may_rewrite(f"{name}.{apex}", apex, apexes):
            kind = "data"
        if kind == "cname":
            lines.append(f"{name} CNAME {target_name(top, draw)}")
        elif kind == "dname":
            blocked.add(f"{name}.{apex}")
            lines.append(f"{name} DNAME {target_name(top, draw)}")
            lines += data(name, draw, top) if draw.random() < 0.3 else []
        elif kind == "cut":
            lines += [f"{name} NS {target}" for target in draw.sample(host_names(top), draw.choice([1, 2, 3]))]
            if draw.random() < 0.4:
                lines.append(f"{name} DS 1 8 2 " + "ab" * 32)
            if draw.random() < 0.3:
                lines += data(name, draw, top)
        else:
            lines += data(name, draw, top)
    return "\n".join(dict.fromkeys(lines)) + "\n"


def may_rewrite(name, apex, apexes):
    """Whether a DNAME may stand at a name: NSD wants nothing below it in any zone."""
    others = [other for other in apexes if other != apex]
    return not any(other.endswith(name) or ("." + name).endswith("." + other) and len(other) > len(apex) for other in others)


def draw_names(draw):
    everything = [path for depth in (1, 2, 3) for path in itertools.product(LABELS, repeat=depth)]
    weights = [{1: 6, 2: 3, 3: 1}[len(path)] for path in everything]
    return dict.fromkeys(draw.choices(everything, weights, k=draw.randrange(2, 14)))


def relative(path):
    return ".".join(path)


def host_names(top):
    return [f"{prefix}{top}" for prefix in ("a.", "b.", "c.", "a.a.", "a.b.", "b.a.", "c.b.", "a.a.b.")] + OUTSIDE


def target_name(top, draw):
    if draw.random() < 0.1:
        return draw.choice([*OUTSIDE, ".", "w0.", "a.w1."])
    labels = draw.choices(LABELS, (4, 4, 4, 1), k=draw.choice([0, 1, 1, 2, 2, 3]))
    return ".".join([*labels, top])


def data(name, draw, top):
    lines = []
    if draw.random() < 0.6:
        lines += [f"{name} A 192.0.2.{n}" for n in draw.sample(range(1, 9), draw.choice([1, 2]))]
    if draw.random() < 0.3:
        lines.append(f"{name} AAAA 2001:db8::{draw.randrange(1, 9)}")
    if draw.random() < 0.3 or not lines:
        lines.append(f'{name} TXT "{name}"')
    if draw.random() < 0.2:
        lines.append(f"{name} MX 10 {draw.choice(host_names(top))}")
    return lines


def derive(served, draw):
    """Questions for every set: names of up to four labels over the same few, and types that matter."""
    asked = []
    for zone in served:
        if len(zone.apex) != 1:
            continue
        labels = [b"a", b"b", b"c", b"*", b"x"]
        paths = [path + zone.apex for depth in range(4) for path in itertools.product(labels, repeat=depth)]
        paths += [(draw.choice(labels),) + draw.choice(paths) for _ in range(60)]
        for _ in range(QUESTIONS_PER_SET):
            dress, settings = draw.choice(list(queries.DRESSES.items())[:8])
            case = draw if draw.random() < 0.3 else None
            asked.append(queries.ask(draw.choice(paths), draw.choice(QUESTIONS), dress, settings, case))
    return asked
