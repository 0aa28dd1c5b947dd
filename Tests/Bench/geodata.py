"""Writes databases and lists of networks of any size, so that one thing can grow and nothing else.

A database here is a full binary tree: so many networks of one length, all IPv4 addresses in one of them, each with one of
so many places. Format: MaxMind DB File Format Specification 2.0.
"""
import array, math, random, struct, sys, time

RECORD_BITS = 32
SEPARATOR = 16  # octets between tree and data


def encoded(value):
    """A value as the data section has it."""
    def head(kind, size):
        assert size < 29, "longer sizes take more octets"
        return bytes([kind << 5 | size]) if kind < 8 else bytes([size, kind - 7])
    if isinstance(value, str): return head(2, len(value)) + value.encode()
    if isinstance(value, float): return head(3, 8) + struct.pack("!d", value)
    if isinstance(value, int): return head(9, 8) + struct.pack("!Q", value)
    if isinstance(value, list): return head(11, len(value)) + b"".join(map(encoded, value))
    return head(7, len(value)) + b"".join(encoded(key) + encoded(one) for key, one in value.items())


def sized(kind, value):
    """An integer of 16 (kind 5) or 32 bits (6), as the metadata have them."""
    return bytes([kind << 5 | (2 if kind == 5 else 4)]) + struct.pack("!H" if kind == 5 else "!I", value)


def place(chance):
    """Somewhere on the globe, all of it as likely."""
    latitude, longitude = math.degrees(math.asin(chance.uniform(-1, 1))), chance.uniform(-180, 180)
    return {"country": {"iso_code": "DE"}, "location": {"latitude": round(latitude, 4), "longitude": round(longitude, 4)}}


def write_database(path, bits, places):
    """2^bits networks at so many places."""
    chance, data, offsets = random.Random(5), bytearray(), []
    for _ in range(places):
        offsets.append(len(data))
        data += encoded(place(chance))
    nodes = (1 << bits) - 1
    # Node n has the nodes 2n + 1 and 2n + 2 below it; what would be a node behind the last one is a leaf.
    tree = array.array("I", range(1, nodes))
    tree.extend(nodes + SEPARATOR + chance.choice(offsets) for _ in range(nodes + 1))
    if sys.byteorder == "little": tree.byteswap()
    metadata = {"database_type": "Made-City", "description": {}, "languages": [], "build_epoch": int(time.time())}
    sizes = {"binary_format_major_version": (5, 2), "binary_format_minor_version": (5, 0), "ip_version": (5, 4),
             "node_count": (6, nodes), "record_size": (5, RECORD_BITS)}
    text = b"".join(encoded(key) + encoded(value) for key, value in metadata.items())
    text += b"".join(encoded(key) + sized(*value) for key, value in sizes.items())
    path.write_bytes(tree.tobytes() + bytes(SEPARATOR) + data + b"\xab\xcd\xefMaxMind.com" + bytes([7 << 5 | len(metadata) + len(sizes)]) + text)
    return path


def every_other(count):
    """So many networks of one length in 1.0.0.0 to 223.255.255.255, each with a free one before it; most of that space is theirs."""
    length = next(bits for bits in range(8, 33) if (223 << bits - 8) // 2 >= count)
    for number in range((1 << length - 8) + 1, (224 << length - 8), 2)[:count]:
        yield f"{number << 32 - length >> 24}.{number << 32 - length >> 16 & 255}.{number << 32 - length >> 8 & 255}.{number << 32 - length & 255}/{length}"
