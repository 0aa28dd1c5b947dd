"""Two answers side by side: which fields differ, and which of that is tolerated."""
import collections, dataclasses

import exchange, message
from message import FLAG_NAMES, Malformed, Message, lower, name_text, record_text

SECTIONS = ("answer", "authority", "additional")


@dataclasses.dataclass(slots=True)
class Case:
    """One query with Rhumb's reply and a peer's."""

    query: object
    peer: str
    ours: object  # Message, or None: dropped, or exchange.CLOSED, or Malformed
    theirs: object
    fields: set
    zones: dict  # all that are served, by apex

    @property
    def both(self):
        return isinstance(self.ours, Message) and isinstance(self.theirs, Message)


def read(reply):
    if reply is None or reply is exchange.CLOSED:
        return reply
    try:
        return message.parse(reply)
    except Malformed as fault:
        return fault


def folded(records):
    """Records with names in lower case."""
    return sorted(record._replace(owner=lower(record.owner), data=lower_data(record)) for record in records)


def lower_data(record):
    # Only names matter; strings beside them are told apart by `answer` and its like all the same.
    return record.data.lower() if record.type in message.LAYOUTS else record.data


def differences(ours, theirs):
    """The fields in which two replies differ."""
    if not isinstance(ours, Message) or not isinstance(theirs, Message):
        same = ours is theirs or isinstance(ours, Malformed) and isinstance(theirs, Malformed)
        return set() if same else {"reply"}
    found = set()
    if ours.code != theirs.code:
        found.add("code")
    if ours.opcode != theirs.opcode:
        found.add("opcode")
    for flag, name in FLAG_NAMES.items():
        if ours.has(flag) != theirs.has(flag):
            found.add(name)
    if ours.question != theirs.question or ours.counts[0] != theirs.counts[0]:
        found.add("question")
    for section in SECTIONS:
        a, b = getattr(ours, section), getattr(theirs, section)
        if a == b or sorted(a) == sorted(b):
            continue
        found.add(section if folded(a) != folded(b) else f"{section} case")
    if (ours.options is None) != (theirs.options is None):
        found.add("edns")
    elif ours.options is not None:
        if ours.size != theirs.size:
            found.add("edns size")
        if ours.version != theirs.version:
            found.add("edns version")
        if ours.ednsFlags != theirs.ednsFlags:
            found.add("edns flags")
        a, b = options(ours), options(theirs)
        found |= {f"option {code}" for code in a.keys() | b.keys() if a.get(code) != b.get(code)}
    return found


def options(reply):
    values = collections.defaultdict(list)
    for code, data in reply.options:
        values[code].append(data)
    return values


def faults(query, reply):
    """What is wrong with an answer, whatever others say."""
    if isinstance(reply, Malformed):
        return [f"malformed: {reply}"]
    if not isinstance(reply, Message):
        return []
    found = [reply.fault] if reply.fault else []
    if not reply.has(message.QR):
        found.append("not an answer (QR)")
    if reply.question and reply.question != query.packet[12 : 12 + len(reply.question)]:
        found.append("the question did not come back as it was")
    if query.over == "udp" and reply.length > 512 and reply.options is None or query.over == "udp" and reply.length > 1232:
        found.append(f"{reply.length} octets over UDP")
    keys = [record for section in SECTIONS for record in getattr(reply, section)]
    if len(set(keys)) != len(keys):
        found.append("a record twice")
    if query.name is not None and any(
            record.owner != query.name and lower(record.owner) == lower(query.name)
            for section in SECTIONS for record in getattr(reply, section)):
        found.append("the question's name came back in another case")
    return found + chain_faults(reply)


def chain_faults(reply):
    """An alias comes before what it leads to, unless the chain is a loop."""
    owners = [lower(record.owner) for record in reply.answer if record.type != message.TYPES["DNAME"]]
    aliases = {}
    for place, record in enumerate(record for record in reply.answer if record.type != message.TYPES["DNAME"]):
        if record.type == message.TYPES["CNAME"]:
            aliases[place] = lower(message.read_name(record.data, 0)[0])
    looped = set(owners[place] for place in aliases) & set(aliases.values()) if reply.question else set()
    return [
        f"{name_text(target)} stands before the alias that leads to it"
        for place, target in aliases.items() if target in owners[:place] and target not in looped]


# MARK: - Text


def text(reply):
    """A reply line by line, as dig would have it, sorted within sections."""
    if reply is None:
        return ["(no answer)"]
    if reply is exchange.CLOSED:
        return ["(connection closed)"]
    if isinstance(reply, Malformed):
        return [f"(malformed: {reply})"]
    flags = " ".join(name for flag, name in FLAG_NAMES.items() if reply.has(flag))
    code = message.RCODES.get(reply.code, f"RCODE{reply.code}")
    opcode = message.OPCODES.get(reply.opcode, f"OPCODE{reply.opcode}")
    question = message.question_text(bytes(12) + reply.question) if reply.question else "none"
    lines = [f"{opcode} {code}, flags: {flags or 'none'}", f"question: {question}"]
    if reply.options is not None:
        named = ", ".join(
            f"{message.OPTION_NAMES.get(code, code)}={data.hex() or 'empty'}" for code, data in sorted(reply.options))
        lines.append(f"EDNS version {reply.version}, flags {reply.ednsFlags:04x}, size {reply.size}; {named or 'no options'}")
    for section in SECTIONS:
        lines += sorted(f"{section}: {record_text(record)}" for record in getattr(reply, section))
    return lines


def side_by_side(case):
    """Both replies: what is the same once, what is not with its sender."""
    ours, theirs = text(case.ours), text(case.theirs)
    common = collections.Counter(ours) & collections.Counter(theirs)
    lines = []
    for sender, side in (("rhumb", ours), (case.peer, theirs)):
        left = common.copy()
        for line in side:
            if left[line] > 0:
                left[line] -= 1
                if sender == "rhumb":
                    lines.append(f"            {line}")
            else:
                lines.append(f"    {sender:6}  {line}")
    return lines
