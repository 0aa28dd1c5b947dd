"""Packets that are no plain queries: odd headers, counts, questions, records, and every kind of cut."""
import struct

from message import (
    AA, AD, CD, COOKIE, QR, RA, RD, TC, TYPES, Malformed, Z, opt_record, option, query, question, read_name, record)
from queries import Query

A, SOA, TSIG = TYPES["A"], TYPES["SOA"], TYPES["TSIG"]


def header(flags=0, counts=(1, 0, 0, 0)):
    return struct.pack("!6H", 0, flags, *counts)


def packets(name, apex):
    """Odd packets about a name of a zone, each with what is odd."""
    plain = query(name, A)
    edns = query(name, A, opt=opt_record(1232))
    ask = question(name, A)
    address = record(name, A, 1, 60, b"\xc0\0\2\1")
    tsig = record((b"key",), TSIG, 255, 0, b"\x08hmac-md5\7sig-alg\3reg\3int\0" + bytes(6) + b"\1\x2c\0\x10" + bytes(16) + bytes(6))
    opt = opt_record(1232)
    yield from headers(name, apex, plain, edns)
    yield from counts(ask, address, opt)
    yield from questions(name, apex)
    # Records where a query has none.
    for text, sections, body in (
        ("a record in answer", (1, 1, 0, 0), address), ("a record in authority", (1, 0, 1, 0), address),
        ("a record in additional", (1, 0, 0, 1), address), ("SOA in authority", (1, 0, 1, 0), record(apex, SOA, 1, 0, bytes(22))),
        ("OPT in answer", (1, 1, 0, 0), opt), ("OPT in authority", (1, 0, 1, 0), opt),
        ("OPT twice", (1, 0, 0, 2), opt + opt), ("OPT before a record", (1, 0, 0, 2), opt + address),
        ("OPT after a record", (1, 0, 0, 2), address + opt), ("OPT with a name", (1, 0, 0, 1), opt_record(owner=b"\1x\0")),
        ("OPT with a pointer for a name", (1, 0, 0, 1), opt_record(owner=b"\xc0\x0c")),
        ("OPT after three records", (1, 0, 0, 4), address * 3 + opt),
        ("twenty records in additional", (1, 0, 0, 20), address * 20),
        ("TSIG", (1, 0, 0, 1), tsig), ("OPT and TSIG", (1, 0, 0, 2), opt + tsig), ("TSIG and OPT", (1, 0, 0, 2), tsig + opt),
        ("a record whose name points at itself", (1, 0, 0, 1), struct.pack("!H", 0xC000 | 12 + len(ask)) + address[-14:]),
        ("a record of class CH", (1, 0, 0, 1), record(name, A, 3, 0, bytes(4))),
        ("a record with data beyond the end", (1, 0, 0, 1), address[:-4] + b"\xc0"),
        ("an option beyond the end", (1, 0, 0, 1), opt_record(options=b"\0\3\0\x09ab")),
        ("half an option", (1, 0, 0, 1), opt_record(options=b"\0\3\0")),
    ):
        yield text, header(counts=sections) + ask + body
    for length in (1, 2, 11, 12, 300, 5000):
        yield f"{length} octets after the end", plain + bytes(length)
        yield f"{length} octets after OPT", edns + b"\xff" * length
    for length in range(len(edns)):
        yield f"cut after {length} octets", edns[:length]


def headers(name, apex, plain, edns):
    for opcode in range(1, 16):
        yield f"opcode {opcode}", query(name, A, opcode=opcode)
        yield f"opcode {opcode}, edns", query(name, A, opcode=opcode, opt=opt_record(), flags=RD | CD)
    yield "opcode 4, SOA of a zone", query(apex, SOA, opcode=4, flags=AA)
    yield "opcode 5, SOA of a zone", query(apex, SOA, opcode=5)
    yield "opcode 2, header alone", header(2 << 11, (0, 0, 0, 0))
    yield "opcode 9, header alone", header(9 << 11, (0, 0, 0, 0))
    for text, flags in (
        ("AA", AA), ("TC", TC), ("RA", RA), ("Z", Z), ("AD", AD), ("CD", CD), ("RD", RD), ("rcode 15", 15), ("rcode 3", 3),
        ("all flags", 0x07F0), ("all flags and rcode", 0x07FF), ("QR", QR), ("QR and all else", 0xFFFF)):
        yield f"header {text}", query(name, A, flags=flags)
        yield f"header {text}, edns", query(name, A, flags=flags, opt=opt_record())


def counts(ask, address, opt):
    yield "QDCOUNT 0", header(counts=(0, 0, 0, 0))
    yield "QDCOUNT 0, OPT", header(counts=(0, 0, 0, 1)) + opt
    yield "QDCOUNT 0, OPT with cookie", header(counts=(0, 0, 0, 1)) + opt_record(options=option(COOKIE, b"12345678"))
    yield "QDCOUNT 0, but a question", header(counts=(0, 0, 0, 0)) + ask
    yield "QDCOUNT 2", header(counts=(2, 0, 0, 0)) + ask + ask
    yield "QDCOUNT 2, OPT", header(counts=(2, 0, 0, 1)) + ask + ask + opt
    yield "QDCOUNT 2, one question", header(counts=(2, 0, 0, 0)) + ask
    yield "QDCOUNT 65535", header(counts=(65_535, 0, 0, 0)) + ask
    yield "ANCOUNT 1, nothing there", header(counts=(1, 1, 0, 0)) + ask
    yield "NSCOUNT 1, nothing there", header(counts=(1, 0, 1, 0)) + ask
    yield "ARCOUNT 1, nothing there", header(counts=(1, 0, 0, 1)) + ask
    yield "ARCOUNT 65535, OPT", header(counts=(1, 0, 0, 65_535)) + ask + opt
    yield "ARCOUNT 0, OPT", header() + ask + opt
    yield "all counts 65535", header(counts=(65_535,) * 4) + ask


def questions(name, apex):
    for recordClass in (0, 2, 3, 4, 254, 255, 65_280):
        yield f"class {recordClass}", query(name, A, recordClass)
        yield f"class {recordClass}, edns", query(name, A, recordClass, opt=opt_record())
        yield f"class {recordClass}, ANY", query(apex, TYPES["ANY"], recordClass)
    for host in (b"id.server", b"hostname.bind", b"version.bind", b"version.server", b"authors.bind", b"bind", b"ID.Server"):
        labels = tuple(host.split(b"."))
        for type in (TYPES["TXT"], TYPES["ANY"], A):
            yield f"chaos {host.decode()}", query(labels, type, 3)
            yield f"chaos {host.decode()}, edns", query(labels, type, 3, opt=opt_record())
        yield f"{host.decode()} of class IN", query(labels, TYPES["TXT"])
    tail = struct.pack("!HH", A, 1)
    label = bytes([len(name[0])]) + name[0] if name else b"\1x"
    for text, octets in (
        ("a pointer to the header", b"\xc0\x00"), ("a pointer to itself", b"\xc0\x0c"), ("a pointer forward", b"\xc0\x20"),
        ("a label and a pointer to it", label + b"\xc0\x0c"), ("a label and a pointer forward", label + b"\xff\xff"),
        ("a label of kind 01", b"\x41" + b"x" * 65 + b"\0"), ("a label of kind 10", b"\x80" + b"x" * 20 + b"\0"),
        ("a name of 256 octets", (b"\x3f" + b"x" * 63) * 3 + b"\x3e" + b"x" * 62 + b"\0"),
        ("a name of 300 octets", (b"\x3f" + b"x" * 63) * 4 + b"\x2a" + b"x" * 42 + b"\0"),
        ("a name without an end", label * 3)):
        yield f"question: {text}", header() + octets + tail
    yield "question without class", header() + question(name, A)[:-2]


def question_type(packet):
    """The type of the first question; 0 where it can't be read."""
    try:
        return struct.unpack_from("!H", packet, read_name(packet, 12)[1])[0]
    except (Malformed, struct.error):
        return 0


def derive(names):
    """All oddities for each (name, apex), over UDP; for the first one over TCP as well."""
    for number, (name, apex) in enumerate(names):
        for text, packet in packets(name, apex):
            yield Query(packet, text, type=question_type(packet))
            if number == 0:
                yield Query(packet, text, "tcp", type=question_type(packet))
