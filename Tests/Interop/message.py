"""DNS messages: building queries octet by octet, taking answers apart without forgiving anything.

A name is a tuple of labels (bytes), the root's the empty one. Parsing keeps the case of every name
and every duplicate, and refuses what a strict reader would: pointers that lead forward, data that
ends early, octets after the end.
"""
import dataclasses, ipaddress, struct, typing

TYPES = dict(
    A=1, NS=2, MD=3, MF=4, CNAME=5, SOA=6, MB=7, MG=8, MR=9, NULL=10, WKS=11, PTR=12, HINFO=13, MINFO=14,
    MX=15, TXT=16, RP=17, AFSDB=18, X25=19, ISDN=20, RT=21, NSAP=22, SIG=24, KEY=25, PX=26, AAAA=28,
    LOC=29, NXT=30, SRV=33, NAPTR=35, KX=36, CERT=37, DNAME=39, OPT=41, APL=42, DS=43, SSHFP=44,
    IPSECKEY=45, RRSIG=46, NSEC=47, DNSKEY=48, DHCID=49, NSEC3=50, NSEC3PARAM=51, TLSA=52, SMIMEA=53,
    HIP=55, CDS=59, CDNSKEY=60, OPENPGPKEY=61, CSYNC=62, ZONEMD=63, SVCB=64, HTTPS=65, SPF=99, NID=104,
    L32=105, L64=106, LP=107, EUI48=108, EUI64=109, NXNAME=128, TKEY=249, TSIG=250, IXFR=251, AXFR=252,
    MAILB=253, MAILA=254, ANY=255, URI=256, CAA=257, TA=32768, DLV=32769)
TYPE_NAMES = {code: name for name, code in TYPES.items()}
CLASSES = dict(IN=1, CH=3, HS=4, NONE=254, ANY=255)
CLASS_NAMES = {code: name for name, code in CLASSES.items()}
OPCODES = {0: "QUERY", 1: "IQUERY", 2: "STATUS", 4: "NOTIFY", 5: "UPDATE", 6: "DSO"}
RCODES = {
    0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED", 6: "YXDOMAIN",
    9: "NOTAUTH", 16: "BADVERS", 23: "BADCOOKIE"}
QR, AA, TC, RD, RA, Z, AD, CD = 0x8000, 0x0400, 0x0200, 0x0100, 0x0080, 0x0040, 0x0020, 0x0010
FLAG_NAMES = {AA: "aa", TC: "tc", RD: "rd", RA: "ra", Z: "z", AD: "ad", CD: "cd"}
DO = 0x8000
NSID, ECS, COOKIE, KEEPALIVE, PADDING, EDE = 3, 8, 10, 11, 12, 15
OPTION_NAMES = {NSID: "NSID", ECS: "ECS", COOKIE: "COOKIE", KEEPALIVE: "KEEPALIVE", PADDING: "PADDING", EDE: "EDE"}

# Where names stand in record data: n a name, s a character-string, a digit as many octets.
NAMES_IN_DATA = {
    "NS": "n", "MD": "n", "MF": "n", "CNAME": "n", "SOA": "nn", "MB": "n", "MG": "n", "MR": "n", "PTR": "n",
    "MINFO": "nn", "MX": "2n", "RP": "nn", "AFSDB": "2n", "RT": "2n", "PX": "2nn", "SRV": "6n",
    "NAPTR": "4sssn", "KX": "2n", "DNAME": "n", "SIG": "99n", "RRSIG": "99n", "NSEC": "n", "NXT": "n",
    "LP": "2n", "SVCB": "2n", "HTTPS": "2n"}
LAYOUTS = {TYPES[name]: layout for name, layout in NAMES_IN_DATA.items()}
# Only names in the data of RFC 1035's types may be compressed (RFC 3597, section 4).
COMPRESSIBLE = {TYPES[name] for name in ("NS", "MD", "MF", "CNAME", "SOA", "MB", "MG", "MR", "PTR", "MINFO", "MX")}


class Malformed(Exception):
    """Why octets are no message."""


class Record(typing.NamedTuple):
    owner: tuple
    type: int
    recordClass: int
    ttl: int
    data: bytes  # with its names written out


@dataclasses.dataclass(slots=True)
class Message:
    id: int
    flags: int
    question: bytes  # as it stands there, of all questions
    counts: tuple
    answer: list
    authority: list
    additional: list  # without OPT
    options: list = None  # (code, octets) of EDNS; None without OPT
    size: int = 0
    version: int = 0
    ednsFlags: int = 0
    extendedCode: int = 0
    length: int = 0
    fault: str = ""  # what is wrong although it could be read

    @property
    def code(self):
        return self.extendedCode << 4 | self.flags & 0xF

    @property
    def opcode(self):
        return self.flags >> 11 & 0xF

    def has(self, flag):
        return bool(self.flags & flag)


# MARK: - Reading


def read_name(wire, at):
    """The name at an offset, where it ends, and whether it was compressed."""
    labels, end, limit, length = [], None, at, 1
    while True:
        if at >= len(wire):
            raise Malformed("a name runs over the end")
        octet = wire[at]
        if octet >= 0xC0:
            if at + 1 >= len(wire):
                raise Malformed("a pointer runs over the end")
            end = at + 2 if end is None else end
            target = (octet & 0x3F) << 8 | wire[at + 1]
            if target >= limit or target < 12:
                raise Malformed(f"a pointer at {at} leads to {target}")
            limit = at = target
            continue
        if octet > 63:
            raise Malformed("a label of an unknown kind")
        if octet == 0:
            return tuple(labels), (at + 1 if end is None else end), end is not None
        length += octet + 1
        if length > 255 or at + 1 + octet > len(wire):
            raise Malformed("a name is too long")
        labels.append(wire[at + 1 : at + 1 + octet])
        at += octet + 1


def name_wire(labels):
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def expand(wire, type, start, end):
    """Record data with its names written out, and whether one was compressed that must not be."""
    layout = LAYOUTS.get(type)
    if layout is None:
        return wire[start:end], False
    at, parts, compressed = start, [], False
    for field in layout:
        if field == "n":
            labels, at, pointed = read_name(wire, at)
            compressed |= pointed
            parts.append(name_wire(labels))
        else:
            count = wire[at] + 1 if field == "s" else int(field)
            parts.append(wire[at : at + count])
            at += count
    if at > end:
        raise Malformed(f"{type_name(type)} data is too short")
    parts.append(wire[at:end])
    return b"".join(parts), compressed and type not in COMPRESSIBLE


def parse(wire):
    """Takes a message apart."""
    if len(wire) < 12:
        raise Malformed(f"{len(wire)} octets are no header")
    id, flags, *counts = struct.unpack_from("!6H", wire)
    at = 12
    for _ in range(counts[0]):
        _, at, _ = read_name(wire, at)
        at += 4
        if at > len(wire):
            raise Malformed("the question ends early")
    message = Message(id, flags, wire[12:at], tuple(counts), [], [], [], length=len(wire))
    for section, count in zip((message.answer, message.authority, message.additional), counts[1:]):
        for _ in range(count):
            start = at
            owner, at, _ = read_name(wire, at)
            if at + 10 > len(wire):
                raise Malformed("a record ends early")
            type, recordClass, ttl, length = struct.unpack_from("!HHIH", wire, at)
            at += 10
            if at + length > len(wire):
                raise Malformed("a record's data ends early")
            if type == 41:
                read_opt(message, wire[at : at + length], recordClass, ttl, wire[start], section)
            else:
                data, compressed = expand(wire, type, at, at + length)
                if compressed:
                    message.fault = f"a compressed name in {type_name(type)} data"
                section.append(Record(owner, type, recordClass, ttl, data))
            at += length
    if at != len(wire):
        message.fault = f"{len(wire) - at} octets after the end"
    return message


def read_opt(message, data, size, ttl, first, section):
    if message.options is not None or first != 0 or section is not message.additional:
        raise Malformed("an OPT record where none may be")
    message.size, message.extendedCode = size, ttl >> 24
    message.version, message.ednsFlags, message.options = ttl >> 16 & 0xFF, ttl & 0xFFFF, []
    at = 0
    while at < len(data):
        if at + 4 > len(data):
            raise Malformed("an option ends early")
        code, length = struct.unpack_from("!HH", data, at)
        at += 4
        if at + length > len(data):
            raise Malformed("an option's data ends early")
        message.options.append((code, data[at : at + length]))
        at += length


# MARK: - Building


def option(code, data=b""):
    return struct.pack("!HH", code, len(data)) + data


def opt_record(size=1232, flags=0, version=0, options=b"", extendedCode=0, owner=b"\0"):
    ttl = extendedCode << 24 | version << 16 | flags
    return owner + struct.pack("!HHIH", 41, size, ttl, len(options)) + options


def record(name, type, recordClass=1, ttl=0, data=b""):
    return name_wire(name) + struct.pack("!HHIH", type, recordClass, ttl, len(data)) + data


def question(name, type, recordClass=1):
    return name_wire(name) + struct.pack("!HH", type, recordClass)


def query(name, type, recordClass=1, flags=0, opt=None, opcode=0):
    """A query without an id; `opt` is an OPT record."""
    header = struct.pack("!6H", 0, flags | opcode << 11, 1, 0, 0, 1 if opt else 0)
    return header + question(name, type, recordClass) + (opt or b"")


# MARK: - Text


def type_name(code):
    return TYPE_NAMES.get(code, f"TYPE{code}")


def label_text(label):
    return "".join(
        f"\\{chr(o)}" if chr(o) in '.\\"();@$' else chr(o) if 0x21 <= o <= 0x7E else f"\\{o:03}" for o in label)


def name_text(labels):
    return "".join(label_text(label) + "." for label in labels) or "."


def name_from_text(text):
    """Labels of a name without escapes."""
    return tuple(label.encode() for label in text.split(".") if label)


def lower(labels):
    return tuple(label.lower() for label in labels)


def data_text(type, data):
    """Record data to look at: names and addresses as usual, other octets in hexadecimal."""
    if type == 1 and len(data) == 4 or type == 28 and len(data) == 16:
        return str(ipaddress.ip_address(data))
    layout, at, words = LAYOUTS.get(type, ""), 0, []
    for field in layout:
        if field == "n":
            labels, at, _ = read_name(data, at)
            words.append(name_text(labels))
        else:
            count = data[at] + 1 if field == "s" else int(field)
            words.append(data[at : at + count].hex())
            at += count
    if type == 16:
        return ascii(data)[1:]
    return " ".join(words + ([data[at:].hex()] if at < len(data) else [])) or "\\# 0"


def record_text(record):
    recordClass = CLASS_NAMES.get(record.recordClass, f"CLASS{record.recordClass}")
    return (
        f"{name_text(record.owner)} {record.ttl} {recordClass} {type_name(record.type)} "
        + data_text(record.type, record.data))


def question_text(packet):
    """NAME CLASS TYPE of a message's first question, as far as it can be read."""
    try:
        name, at, _ = read_name(packet, 12)
        type, recordClass = struct.unpack_from("!HH", packet, at)
    except (Malformed, struct.error):
        return "(no question)"
    return f"{name_text(name)} {CLASS_NAMES.get(recordClass, f'CLASS{recordClass}')} {type_name(type)}"
