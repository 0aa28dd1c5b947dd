"""Many queries to one server, answers matched to them; raw sockets, so that any octets can be sent."""
import collections, socket, struct, time

WINDOW = 64  # UDP queries under way: their answers, full size, fit the receive buffer
CHUNK = 50  # TCP queries sent before answers are read: what the socket buffers hold for sure
PROBE_ID = b"\xfe\xfe"  # above all ids in a chunk
CLOSED = b"closed"  # TCP: the server ended the connection in place of an answer


def with_id(packet, number):
    return struct.pack("!H", number)[: len(packet)] + packet[2:]


def ask_udp(address, packets, patience=0.25, tries=2):
    """The answer to each packet, None where nothing came within `patience` seconds, each time.

    Ids are put into the packets, and taken from the answers.
    """
    replies = [None] * len(packets)
    with socket.socket(type=socket.SOCK_DGRAM) as udp:
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        udp.connect(address)
        for attempt in range(tries):
            open_ = [index for index, reply in enumerate(replies) if reply is None]
            for start in range(0, len(open_), 60_000):
                ask_batch(udp, packets, replies, open_[start : start + 60_000], patience * (1 + attempt))
    return replies


def ask_batch(udp, packets, replies, indexes, patience):
    waiting = collections.deque()  # (sent at, number), oldest first
    under_way, next_ = 0, 0
    answered = [False] * len(indexes)
    while next_ < len(indexes) or waiting:
        while under_way < WINDOW and next_ < len(indexes):
            try:
                udp.send(with_id(packets[indexes[next_]], next_))
            except ConnectionRefusedError:
                pass
            waiting.append((time.monotonic(), next_))
            next_ += 1
            under_way += 1
        while waiting and (answered[waiting[0][1]] or waiting[0][0] + patience < time.monotonic()):
            if not answered[waiting.popleft()[1]]:
                under_way -= 1
        if not waiting:
            continue
        udp.settimeout(max(0.001, waiting[0][0] + patience - time.monotonic()) if under_way else 0.001)
        try:
            reply = udp.recv(65_535)
        except (TimeoutError, ConnectionRefusedError):
            continue
        number = reply[0] << 8 | reply[1] if len(reply) > 1 else len(indexes)
        if number < next_ and not answered[number]:
            answered[number] = True
            under_way -= 1
            replies[indexes[number]] = reply


class Stream:
    """A TCP connection that carries framed messages."""

    def __init__(self, address, patience):
        self.socket = socket.create_connection(address, timeout=patience)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, packets):
        self.socket.sendall(b"".join(struct.pack("!H", len(packet)) + packet for packet in packets))

    def receive(self):
        """The next message; None at the end of the connection. Raises TimeoutError."""
        while True:
            if len(self.buffer) >= 2:
                end = 2 + (self.buffer[0] << 8 | self.buffer[1])
                if len(self.buffer) >= end:
                    reply, self.buffer = self.buffer[2:end], self.buffer[end:]
                    return reply
            try:
                more = self.socket.recv(65_536)
            except ConnectionError:
                return None
            if not more:
                return None
            self.buffer += more


def ask_tcp(address, packets, probe, patience=3):
    """The answer to each packet over TCP, None where there is none, CLOSED where it ends the connection.

    Queries go together over one connection as far as that works; what stays unanswered goes alone,
    with `probe` behind it: an answer to the probe says that there will be none to the packet.
    """
    replies = [None] * len(packets)
    for start in range(0, len(packets), CHUNK):
        chunk = range(start, min(start + CHUNK, len(packets)))
        try:
            with Stream(address, patience) as stream:
                stream.send([with_id(packets[index], index - start) for index in chunk])
                for _ in chunk:
                    reply = stream.receive()
                    if reply is None:
                        break
                    number = reply[0] << 8 | reply[1]
                    if number < len(chunk) and replies[start + number] is None:
                        replies[start + number] = reply
        except (TimeoutError, ConnectionError):
            pass
    for index, reply in enumerate(replies):
        if reply is None:
            replies[index] = ask_alone(address, packets[index], probe, patience)
    return replies


def ask_alone(address, packet, probe, patience=3):
    """The answer over a connection of its own; None where only the probe behind it was answered."""
    try:
        with Stream(address, patience) as stream:
            stream.send([with_id(packet, 0)])
            stream.send([PROBE_ID + probe[2:]])
            reply = stream.receive()
    except TimeoutError:
        return None
    except ConnectionError:
        return CLOSED
    if reply is None:
        return CLOSED
    return None if reply[:2] == PROBE_ID else reply


def transfer(address, zone_query, source, patience=20):
    """The messages of a zone transfer, as they come, until the connection is idle or ends."""
    with socket.create_connection(address, timeout=patience, source_address=(source, 0)) as tcp:
        stream = Stream.__new__(Stream)
        stream.socket, stream.buffer = tcp, b""
        stream.send([zone_query])
        while (reply := stream.receive()) is not None:
            yield reply
