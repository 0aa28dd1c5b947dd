"""The rules must not excuse too much: pairs of replies that have to stay differences.

Run by scripts/interop before it starts a server.
"""
import dataclasses, struct

import compare, exchange, message, queries, rules, zones
from message import AA, TYPES
from queries import Query

CHILD, PARENT = (b"child", b"parent", b"example"), (b"parent", b"example")
SERVFAIL = 2


def served():
    """A parent and its child, both served, as transfers have them."""
    soa = b"\0" * 22
    return {apex: zones.Zone(apex, [
        message.Record(apex, TYPES["SOA"], 1, 60, soa), message.Record(CHILD, TYPES["NS"], 1, 60, b"\2ns\0")])
        for apex in (CHILD, PARENT)}


def reply(query, code=0, answer=(), opt=b""):
    """An answer to a query, as octets."""
    question = query[12 : message.read_name(query, 12)[1] + 4]
    header = struct.pack("!6H", 0, 0x8000 | (AA if not code else 0) | code, 1, len(answer), 0, 1 if opt else 0)
    return header + question + b"".join(answer) + opt


def cases():
    """Text, query, Rhumb's reply and a peer's."""
    address = message.record(CHILD, TYPES["A"], 1, 60, bytes(4))
    plain = message.query(CHILD, TYPES["A"])
    ds = message.query(CHILD, TYPES["DS"])
    signer = message.record(CHILD, TYPES["DS"], 1, 60, bytes(36))
    yield "DS where the parent is served", Query(ds, "owner, plain", "udp", CHILD, TYPES["DS"]), reply(ds, 3), reply(ds, 0, [signer])
    yield "DS, NOERROR without records", Query(ds, "owner, plain", "udp", CHILD, TYPES["DS"]), reply(ds), reply(ds, 0, [signer])
    opt = message.opt_record(1232)
    subnet = message.query(CHILD, TYPES["A"], **queries.DRESSES["ecs"])
    yield "FORMERR to a good subnet", Query(subnet, "owner, ecs, case", "udp", CHILD, TYPES["A"]), reply(subnet, 1, opt=opt), reply(subnet, 0, [address], opt)
    yield "FORMERR to a query that a peer dropped", Query(plain, "owner, plain", "udp", CHILD, TYPES["A"]), reply(plain, 1), None
    yield "FORMERR to a header that can be read", Query(plain, "header AA"), reply(plain, 1), None
    for text in ("a record in additional", "header rcode 3"):
        yield f"nothing to {text}", Query(plain, text), None, reply(plain, 1)
        yield f"SERVFAIL to {text}", Query(plain, text), reply(plain, SERVFAIL), reply(plain, 1)
    loop = [message.record(CHILD, TYPES["CNAME"], 1, 60, message.name_wire(target)) for target in (CHILD, PARENT)]
    yield "another loop", Query(plain, "owner, plain", "udp", CHILD, TYPES["A"]), reply(plain, 0, loop[:1]), reply(plain, 0, loop[1:])
    bad = message.opt_record(1232, extendedCode=1)
    yield "SERVFAIL where a peer wants a cookie", Query(plain, "cookie", "udp", CHILD, TYPES["A"]), reply(plain, SERVFAIL, opt=opt), reply(plain, 7, opt=bad)
    yield "BADCOOKIE without a cookie", Query(plain, "owner, plain", "udp", CHILD, TYPES["A"]), reply(plain, 0, [address], opt), reply(plain, 7, opt=bad)
    yield "another address", Query(plain, "owner, plain", "udp", CHILD, TYPES["A"]), reply(plain, 0, [address]), reply(plain, 0, [address[:-1] + b"\1"])
    yield "no answer", Query(plain, "owner, plain", "udp", CHILD, TYPES["A"]), reply(plain), reply(plain, 0, [address])
    yield "NXDOMAIN", Query(plain, "owner, plain", "udp", CHILD, TYPES["A"]), reply(plain, 3), reply(plain, 0, [address])
    yield "a closed connection", Query(plain, "owner, plain", "tcp", CHILD, TYPES["A"]), exchange.CLOSED, reply(plain, 0, [address])


def excused():
    """The cases that the rules explain away, each with their names: none, if all is well."""
    found = []
    for text, query, ours, theirs in cases():
        for peer in ("nsd", "knot"):
            case = compare.Case(query, peer, compare.read(ours), compare.read(theirs), set(), served())
            case = dataclasses.replace(case, fields=compare.differences(case.ours, case.theirs))
            names, left = rules.explain(case)
            if not left:
                found.append(f"{text} ({peer}): excused by {', '.join(names) or 'nothing differs'}")
    return found
