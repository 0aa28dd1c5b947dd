"""Servers take turns at one load, round after round, and their medians become a table.

A machine's speed drifts, so what is compared was measured within one round; and others use it, so rounds in which
they took much of the servers' core are left out, and a table says how many those were.
"""
import statistics, sys, time

import measure, tables, upheaval

BESIDE = ["echo", "rhumb", "gdnsd"]  # whose variants are asked
LEAST_QUIET = 2                      # rounds that are enough, and a third of all


# MARK: - Rounds

def take_turns(entries, args, database, checked=()):
    """Rounds of {(server, work's name): result}; how many of 2,000 clients got the nearest site of those that are checked;
    and what could not be measured, which no round has then. Without Rhumb there is nothing to compare."""
    if not entries: raise measure.Failure("none of these --servers does it")
    rounds, checks, faults, entries = [], {}, [], list(entries)
    for number in range(args.rounds):
        if number and time.monotonic() > args.deadline: break
        results = {}
        for name, work in list(entries):
            try:
                with measure.Server(name, work, database) as server:
                    if (name, work.name) in checked and number == 0 and (samples := measure.samples(work, database)):
                        checks[name, work.name] = server.nearest(samples)
                    one = results[name, work.name] = server.measure(args.seconds, upheaval.Flips) | {"start": server.start}
            except measure.FAULTS as error:
                if name == "rhumb" and work.name != "geo-flips": raise
                faults.append(f"{work.name}, {name}: {error}")
                entries.remove((name, work))
                for earlier in rounds: earlier.pop((name, work.name), None)
                continue
            print(f"# {work.name} {number + 1}: {name} {one['cost']:.2f} µs, others {one['others']:.0%}, "
                  f"wrong {one['wrong']}, lost {one['lost']}", file=sys.stderr, flush=True)
        rounds.append(results)
    if not entries: raise measure.Failure("; ".join(faults))
    if len(rounds) < args.rounds: faults.append(f"{args.rounds - len(rounds)} of {args.rounds} rounds: no time left (--minutes)")
    return rounds, checks, faults


def quiet(rounds):
    """The rounds without much interference; all, if these are too few, and whether that is so."""
    kept = [r for r in rounds if all(one["others"] <= measure.QUIET for one in r.values())]
    enough = len(kept) >= min(len(rounds), max(LEAST_QUIET, len(rounds) // 3))
    return (kept, True) if enough else (rounds, False)


def remark(rounds, faults=()):
    """How far a table is to be trusted, above it."""
    kept, is_quiet = quiet(rounds)
    calm = sum(all(one["others"] <= measure.QUIET for one in r.values()) for r in rounds)
    took = [one["others"] for r in kept for one in r.values()]
    words = f"others took {statistics.median(took):.0%} of the core, {max(took):.0%} at the most"
    if not is_quiet:
        text = f"**{'None' if calm == 0 else f'Only {calm}'} of {len(rounds)} rounds {'was' if calm < 2 else 'were'} quiet**: all are in here; {words}"
        print(f"# {text.replace('**', '')}", file=sys.stderr, flush=True)
    else:
        text = f"{calm} of {len(rounds)} rounds were quiet, and are in here; {words}"
    return tables.dated(text) + "".join(f"Not measured: {fault.splitlines()[0]}\n\n" for fault in faults)


def ratio(rounds, one, other):
    """Median of the ratios within a round."""
    if other not in rounds[0] or one == other: return "–"
    return f"{statistics.median(r[one]['cost'] / r[other]['cost'] for r in rounds):.2f}"


def columns(rounds, kept, key):
    """The cells that all tables have: cost, own, kernel; and what was wrong or lost."""
    costs, middle = [r[key]["cost"] for r in kept], lambda what: statistics.median(r[key][what] for r in kept)
    failed = [sum(r[key][what] for r in rounds) for what in ("wrong", "lost")]
    return ([f"{statistics.median(costs):.2f} ({min(costs):.2f}–{max(costs):.2f})", f"{middle('user'):.2f}", f"{middle('kernel'):.2f}"],
            f"{failed[0]}, {failed[1]}", sum(failed))


def bar(name, kept, key):
    """For the chart: (name, kernel, own), as long as the table's median of the cost, with the table's median of its own part."""
    cost, own = [statistics.median(r[key][what] for r in kept) for what in ("cost", "user")]
    return name, cost - own, own


# MARK: - Works

def about(work, database):
    """A work in words, with the database that its clients are of."""
    return f"{work.about}; {database.stem}" if work.clients and database else work.about


def beside_others(work, args, database):
    """One work, server by server."""
    entries = [(name, work) for name in args.servers
               if (name in work.servers or not work.servers) and not (name == "echo" and "--tcp" in work.load)]
    rounds, checks, faults = take_turns(
        entries, args, database, [(name, work.name) for name, _ in entries if work.name == "geo" and name != "echo"])
    kept, rows, bars, well = quiet(rounds)[0], [], [], True
    middle = lambda key, what: statistics.median(r[key][what] for r in kept)
    for key in sorted(rounds[0], key=lambda key: middle(key, "cost")):
        name = key[0]
        started = [statistics.median(r[key]["start"][what] for r in kept) for what in ("seconds", "cpu", "memory", "private")]
        cost, failed, number = columns(rounds, kept, key)
        if name == "rhumb" and number: well = False
        rows.append([name, *cost, ratio(kept, key, ("echo", work.name)), ratio(kept, key, ("gdnsd", work.name)),
                     f"{1e6 / middle(key, 'cost'):,.0f}", failed, f"{started[0]:.2f}", f"{started[1]:.2f}",
                     f"{started[2]:.0f} ({started[3]:.0f})", *([checks.get(key, "–")] if checks else [])])
        bars.append(bar(name, kept, key))
    title = f"{work.name}: {about(work, database)}"
    text = f"### {title}\n\n" + remark(rounds, faults) + tables.table(
        ["server", "µs CPU a query (least–most)", "own", "kernel", "× echo", "× gdnsd", "answers/s of a core", "wrong, lost",
         "start s", "CPU s", "MB (private)", *(["nearest"] if checks else [])], rows)
    return tables.Result(text, well, (title, bars), rounds, faults)


def variants(works, args, database):
    """The plain geo mix and others of its kind, each beside the plain one."""
    entries = [(name, work) for work in works for name in args.servers if name in BESIDE and name in work.servers]
    rounds, checks, faults = take_turns(entries, args, database, [("rhumb", name) for name in ("geo", "geo-60", "geo-ipv6")])
    kept, rows, bars, well = quiet(rounds)[0], [], [], True
    for key in rounds[0]:
        name, work = key[0], next(work for work in works if work.name == key[1])
        cost, failed, number = columns(rounds, kept, key)
        if name == "rhumb" and number: well = False
        rows.append([f"{work.name}: {work.about}", name, *cost, ratio(kept, key, (name, "geo")), failed, checks.get(key, "–")])
        if name == "rhumb": bars.append(bar(work.name, kept, key))
    text = remark(rounds, faults) + tables.table(
        ["work", "server", "µs CPU a query (least–most)", "own", "kernel", "× geo of the same server", "wrong, lost", "nearest"], rows)
    return tables.Result(text, well, ("Rhumb: variants of the geo mix", bars) if bars else None, rounds, faults)


def databases(work, args, paths):
    """What each database costs until the first answer, beside gdnsd, with one list of rules over six sites."""
    rows, faults, rounds = [], [], args.rounds
    for path in paths:
        found = {name: [] for name in args.servers if name in ("rhumb", "gdnsd")}
        for number in range(args.rounds):
            if number and time.monotonic() > args.deadline:
                rounds = min(rounds, number)
                break
            for name in list(found):
                try:
                    with measure.Server(name, work, path) as server:
                        server.load(.3)
                        found[name].append(server.start | {"private": measure.memory(server.process.pid)[1]})
                except measure.FAULTS as error:
                    if name == "rhumb": raise
                    faults.append(f"{path.stem}, {name}: {error}")
                    del found[name]
        for name, starts in found.items():
            middle = lambda what: statistics.median(start[what] for start in starts)
            most = max(start["seconds"] for start in starts)
            rows.append([path.stem, name, f"{middle('seconds'):.2f} ({most:.2f})", f"{middle('cpu'):.2f}", f"{middle('private'):.0f}"])
            print(f"# databases: {path.stem}, {name}: {middle('cpu'):.2f} s", file=sys.stderr, flush=True)
    text = tables.dated(f"rounds: {rounds}") + "".join(f"Not measured: {fault.splitlines()[0]}\n\n" for fault in faults) + tables.table(
        ["database", "server", "first answer s: median (most)", "CPU s", "private MB"], rows)
    return tables.Result(text, faults=faults)
