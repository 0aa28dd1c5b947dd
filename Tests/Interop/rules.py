"""The differences that are tolerated: each one a rule with a name and a reason.

The same rules, with what each server does, are the last table of docs/protocol.md. A rule looks at one
case (a query, Rhumb's reply and a peer's) and returns the fields whose difference it accounts for.
"""
import exchange, message, zones
from message import COOKIE, ECS, EDE, KEEPALIVE, NSID, TC, TYPES, Malformed, lower

RULES = []
RECORDS = {"answer", "authority", "additional"}
# What follows from another response code.
OUTCOME = RECORDS | {"code", "aa", "tc", "edns", f"option {EDE}"}
NOERROR, FORMERR, NXDOMAIN, NOTIMP, REFUSED, YXDOMAIN, NOTAUTH, BADVERS, BADCOOKIE = 0, 1, 3, 4, 5, 6, 9, 16, 23
METATYPES = {0, 41, *range(128, 255)}
ADDRESSED = {TYPES[name] for name in ("MX", "SRV", "SVCB", "HTTPS", "AFSDB", "KX", "RT", "NAPTR", "PTR")}
ALIASES = {TYPES["CNAME"], TYPES["DNAME"]}
TRANSFERS = {TYPES["AXFR"], TYPES["IXFR"]}


def rule(name, *peers):
    """Registers a function as the rule of that name for these peers; its docstring is the reason."""

    def register(function):
        RULES.append((name, peers or ("nsd", "knot"), function))
        return function

    return register


def explain(case):
    """The names of the rules that apply, and the fields that none accounts for."""
    used, left = [], set(case.fields)
    for name, peers, function in RULES:
        if left and case.peer in peers and (explained := left & set(function(case) or ())):
            used.append(name)
            left -= explained
    return used, left


def rows():
    """The rules as rows of docs/protocol.md: name, peers, reason."""
    titles = {"nsd": "NSD", "knot": "Knot"}
    return [
        f"| {name} | {', '.join(titles[peer] for peer in peers)} | {' '.join(function.__doc__.split())} |"
        for name, peers, function in RULES]


def types_of(records):
    return {record.type for record in records}


def alias_targets(records):
    """The targets of CNAMEs, in order, in lower case."""
    return [lower(message.read_name(record.data, 0)[0]) for record in records if record.type == TYPES["CNAME"]]


def last_name(case):
    """The name that Rhumb's chain of aliases came to, else the question's."""
    targets = alias_targets(case.ours.answer)
    return targets[-1] if targets else lower(case.query.name or ())


def goes_on(case):
    """Whether Rhumb's answer begins with all that the peer's has."""
    theirs = folded(case.theirs.answer)
    return folded(case.ours.answer)[: len(theirs)] == theirs


def folded(records):
    return [zones.folded(record) for record in records]


# MARK: - Answers


@rule("case of names")
def case_of_names(case):
    """Names compare without case (RFC 4343). Rhumb keeps the zone file's; the peers write lower case."""
    # That the question's own name comes back exactly is checked of every answer.
    return {"answer case", "authority case", "additional case"}


@rule("ANY: which RRset")
def any_type(case):
    """RFC 8482, section 4.1, leaves open which RRset stands for all."""
    if case.both and case.query.type == TYPES["ANY"] and case.ours.answer and case.theirs.answer:
        return {"answer", "additional", "tc"}


@rule("truncated answers: what is left")
def truncated(case):
    """Nobody uses it: the client asks again over TCP (RFC 2181, section 9)."""
    if case.both and case.ours.has(TC) and case.theirs.has(TC):
        return RECORDS | {"code"}


@rule("required glue that does not fit sets TC", "nsd")
def glue_without_tc(case):
    """RFC 9471, section 3.1, is younger than NSD 4.6, which leaves glue out."""
    if case.both and case.ours.has(TC) and not case.ours.answer and TYPES["NS"] in types_of(case.ours.authority):
        return {"tc", "additional"}


@rule("an SOA that does not fit sets TC", "knot")
def soa_without_tc(case):
    """Without it a negative answer can't be cached (RFC 2308, section 5); Knot leaves it out after an alias."""
    if case.both and case.ours.has(TC) and not case.theirs.has(TC) and case.ours.answer and not case.theirs.authority:
        return {"tc", "authority"} if folded(case.ours.answer) == folded(case.theirs.answer) else ()


@rule("aliases are followed into other zones", "knot")
def alias_across_zones(case):
    """RFC 1034, section 4.3.2, step 3a, starts over with step 2; Knot stays within the zone."""
    if not case.both or not case.theirs.answer:
        return ()
    start = apex_of(lower(case.theirs.answer[0].owner), case.zones)
    targets = alias_targets(case.theirs.answer)
    # The DS of an apex is in the zone above.
    ends_at_cut = case.query.type == TYPES["DS"] and targets and targets[-1] in case.zones
    if not ends_at_cut and not any(apex_of(target, case.zones) not in (None, start) for target in targets):
        return ()
    # As far as the zone goes, both have the same aliases.
    within = [record for record in case.theirs.answer
              if record.type in ALIASES and apex_of(lower(record.owner), case.zones) == start]
    return RECORDS | {"code", "tc"} if set(folded(within)) <= set(folded(case.ours.answer)) else ()


@rule("aliases are followed twelve times")
def alias_limit(case):
    """Knot stops after five, NSD when it comes to a DNAME again; the client goes on where an answer ends."""
    if not case.both:
        return ()
    ours, theirs = folded(case.ours.answer), folded(case.theirs.answer)
    knot = case.peer == "knot" and len(alias_targets(case.theirs.answer)) >= 5 and goes_on(case)
    if knot or case.peer == "nsd" and TYPES["DNAME"] in types_of(case.theirs.answer) and set(theirs) < set(ours):
        return RECORDS | {"code", "tc"}


@rule("alias loops are written once")
def alias_loop(case):
    """And nothing after them. NSD adds an SOA where a wildcard closes the loop, Knot the first record again."""
    if not case.both:
        return ()
    owners = {lower(record.owner) for record in case.ours.answer if record.type == TYPES["CNAME"]}
    ours, theirs = set(folded(case.ours.answer)), set(folded(case.theirs.answer))
    same = ours == theirs or case.theirs.has(TC) and theirs < ours
    return {"answer", "authority", "tc"} if owners & set(alias_targets(case.ours.answer)) and same else ()


@rule("RRSIG and NSEC at an alias", "knot")
def denial_types_at_alias(case):
    """They may stand beside a CNAME; where they don't, RFC 1034, section 4.3.2, step 3a, follows it."""
    if case.both and case.query.type in (TYPES["RRSIG"], TYPES["NSEC"]) and TYPES["CNAME"] in types_of(case.ours.answer):
        return RECORDS | {"code", "aa", "tc"}


@rule("NSEC3 at an alias", "nsd")
def nsec3_at_alias(case):
    """A type as any other, so the alias is followed; NSD has no data for it."""
    if case.both and case.query.type == TYPES["NSEC3"] and TYPES["CNAME"] in types_of(case.ours.answer):
        return RECORDS | {"code", "aa", "tc"}


@rule("TTL of RRSIG", "knot")
def signature_ttl(case):
    """Rhumb serves the zone file's; Knot takes that of the signed RRset."""
    def untimed(records):
        return sorted(record._replace(ttl=0) if record.type == TYPES["RRSIG"] else record for record in records)

    if case.both and TYPES["RRSIG"] in types_of(case.ours.answer) and untimed(case.ours.answer) == untimed(case.theirs.answer):
        return {"answer"}


@rule("YXDOMAIN without SOA", "knot")
def yxdomain(case):
    """RFC 6672, section 3.2, ends there; Knot goes on and adds the SOA, or a wildcard at the DNAME's target."""
    if case.both and case.ours.code == case.theirs.code == YXDOMAIN:
        return {"answer", "authority", "tc"}


@rule("DS at an apex that no zone here delegates")
def apex_ds(case):
    """RFC 4035, section 3.1.4.1: no data, from the child; its names exist. The peers ask the next zone above,
    whether it is the parent or not, which may say that the name does not exist."""
    if not case.both or case.query.type != TYPES["DS"] or (name := last_name(case)) not in case.zones:
        return ()
    parent = case.zones.get(apex_of(name[1:], case.zones)) if name else None
    # A cut above it makes another zone the parent; none at it, none.
    foreign = parent is None or TYPES["NS"] not in parent.types.get(name, ()) or any(
        TYPES["NS"] in parent.types.get(name[start:], ()) for start in range(1, len(name) - len(parent.apex)))
    if case.ours.code != NOERROR or not types_of(case.ours.answer) <= ALIASES:
        return ()
    ours, theirs = ([lower(record.owner) for record in reply.authority if record.type == TYPES["SOA"]]
                    for reply in (case.ours, case.theirs))
    # Or the parent knows the name, and the peer asks a zone above that.
    above = parent is not None and ours == [parent.apex] and theirs and len(theirs[0]) < len(parent.apex)
    return OUTCOME if foreign and (ours == [name] or above) else ()


@rule("NS at a wildcard does not delegate")
def wildcard_cut(case):
    """RFC 4592, section 4.2, leaves it undefined; `rhumb check` warns of it, BIND refuses the zone."""
    if case.both and any(
            record.type == TYPES["NS"] and record.owner[0] == b"*" for record in case.theirs.authority if record.owner):
        return OUTCOME


@rule("DNAME at a wildcard is plain data", "knot")
def wildcard_dname(case):
    """RFC 4592, section 4.4, leaves it undefined; `rhumb check` warns of it. Knot makes up a DNAME's owner."""
    if case.both and any(record.type == TYPES["DNAME"] and not exists(record.owner, case.zones) for record in case.theirs.answer):
        return OUTCOME


@rule("additional data from wildcards")
def wildcard_additional(case):
    """RFC 4592, section 2.2, is about queries; nobody asked for the server's name."""
    if case.both:
        more = set(folded(case.theirs.additional)) - set(folded(case.ours.additional))
        made = all(record not in zone.records for record in more for zone in case.zones.values())
        return {"additional"} if len(more) + len(case.ours.additional) == len(case.theirs.additional) and made else ()


@rule("additional data of MX, SRV, SVCB and HTTPS", "nsd")
def additional_types(case):
    """Saves a query; NSD's minimal-responses gives it for NS alone."""
    if case.both and types_of(case.ours.answer) & ADDRESSED and more_additional(case):
        return {"additional"}


@rule("additional data of the target .", "knot")
def additional_owner(case):
    """RFC 9460, section 2.5: it is the owner itself. Knot does not look there."""
    if case.both and types_of(case.ours.answer) & {TYPES["SVCB"], TYPES["HTTPS"]}:
        owners = {lower(record.owner) for record in case.ours.answer}
        return {"additional"} if {lower(record.owner) for record in more_additional(case)} & owners else ()


@rule("additional data from other zones")
def additional_zones(case):
    """All that is served here may be given (RFC 1034, section 4.3.2, step 6); a resolver need not take it."""
    answers = [record for record in case.ours.answer if record.type not in ALIASES] if case.both else []
    starts = {apex_of(lower(record.owner), case.zones) for record in answers}
    if case.both and starts and all(
            apex_of(lower(record.owner), case.zones) not in starts for record in more_additional(case)):
        return {"additional"}


def more_additional(case):
    """The additional records that Rhumb alone gives, all of which are in a zone; none if the peer has others."""
    theirs = set(folded(case.theirs.additional))
    more = [record for record in case.ours.additional if folded([record])[0] not in theirs]
    if len(more) + len(theirs) != len(case.ours.additional):
        return []
    known = all(folded([record])[0] in zone.records for record in more for zone in case.zones.values()
                if zone.apex == apex_of(lower(record.owner), case.zones))
    return more if known else []


@rule("what other zones hold does not make a name exist", "nsd")
def foreign_names(case):
    """Each zone is a tree of its own (RFC 1034, section 4.2); NSD has one for all."""
    if not case.both:
        return ()
    names = [lower(case.query.name or ()), *alias_targets(case.ours.answer)]
    for name in names:
        apex = apex_of(name, case.zones)
        for start in range(len(name) - len(apex or name)):
            for place in (name[start:], (b"*",) + name[start + 1 :]):
                if not case.zones[apex].holds(place) and any(zone.knows(place) for zone in case.zones.values()):
                    return OUTCOME
    return ()


@rule("a record stands once", "knot")
def once(case):
    """RFC 2181, section 5.5. Knot writes a DNAME again that the chain comes back to."""
    if case.both and len(set(case.theirs.answer)) < len(case.theirs.answer):
        return {"answer"} if set(folded(case.ours.answer)) == set(folded(case.theirs.answer)) else ()


def apex_of(name, zones):
    """The closest apex at or above a name."""
    return next((name[start:] for start in range(len(name) + 1) if name[start:] in zones), None)


def exists(name, zones):
    """Whether a name owns records in any zone."""
    return any(lower(name) in zone.types for zone in zones.values())


# MARK: - Questions that no zone answers


@rule("metatypes are turned down")
def metatypes(case):
    """No zone holds them (RFC 6895, section 3.1): FORMERR or NOTIMP; the peers look for data, as at any type."""
    if case.both and case.query.type in METATYPES - TRANSFERS and case.ours.code in (FORMERR, NOTIMP):
        return OUTCOME


@rule("transfers: which refusal")
def transfers(case):
    """RFC 5936, section 2.2.1: NOTAUTH away from an apex, REFUSED at it. Knot says NOTAUTH, and over UDP
    both NOTIMP to AXFR."""
    if case.both and case.query.type in TRANSFERS and {case.ours.code, case.theirs.code} <= {REFUSED, NOTAUTH, NOTIMP}:
        return {"code", f"option {EDE}"}


@rule("class ANY is refused")
def class_any(case):
    """No resolver asks for it; it would be answered from class IN alone."""
    if case.both and "class 255" in case.query.text and case.ours.code == REFUSED:
        return OUTCOME


@rule("CH answers have AA")
def chaos_authority(case):
    """The server is the authority on itself; BIND sets AA too."""
    if case.both and "chaos" in case.query.text and case.ours.answer and case.theirs.answer:
        return {"aa"}


@rule("CH: ANY is answered", "knot")
def chaos_any(case):
    """As TXT is; Knot refuses it."""
    if case.both and "chaos" in case.query.text and case.query.type == TYPES["ANY"]:
        return OUTCOME


@rule("cookie alone, without a question", "knot")
def cookie_alone(case):
    """RFC 7873, section 5.4, as NSD has it."""
    if case.both and case.query.text == "QDCOUNT 0, OPT with cookie":
        return OUTCOME | {f"option {COOKIE}"}


@rule("TSIG: the original id", "knot")
def signature_id(case):
    """RFC 8945, section 5.3.2: what the query's TSIG said. Knot takes the header's."""
    if case.both and case.ours.code == case.theirs.code == NOTAUTH and "TSIG" in case.query.text:
        return {"additional"}


@rule("NOTIFY and UPDATE are not implemented")
def other_opcodes(case):
    """Rhumb has no transfers and no updates yet; the peers have, and refuse these."""
    if case.both and case.ours.code == NOTIMP and case.ours.opcode in (4, 5):
        return {"code", "aa", f"option {EDE}"}


# MARK: - EDNS


@rule("ECS is answered")
def ecs(case):
    """NSD has no ECS and Knot's is off: both pass over the option, as RFC 7871, section 7.2.1, lets them."""
    if case.both and not any(code == ECS for code, _ in case.theirs.options or ()):
        return {f"option {ECS}"}


@rule("ECS is checked")
def malformed_ecs(case):
    """RFC 7871, sections 6 and 7.2.1: FORMERR; the peers don't look at it."""
    malformed = ("ecs scope set", "ecs too short", "ecs family 9", "ecs nonzero rest")
    if case.both and case.query.text in malformed and case.ours.code == FORMERR:
        return OUTCOME


@rule("extended errors")
def extended_errors(case):
    """Advice for people (RFC 8914, section 2): each server has its own, NSD's with texts."""
    return {f"option {EDE}"}


@rule("BADVERS: DO comes back", "nsd")
def badvers_flags(case):
    """RFC 3225, section 3, copies DO in all answers."""
    if case.both and case.ours.code == BADVERS:
        return {"edns flags"}


@rule("BADVERS: NSID is answered", "nsd")
def badvers_options(case):
    """It names the server that does not know the version, as Knot does it."""
    if case.both and case.ours.code == BADVERS:
        return {f"option {NSID}"}


@rule("cookies: the time")
def cookie_time(case):
    """Made in another second, so the hash differs too. Cookies of one server are good at the others, which
    is tested apart."""
    if not case.both:
        return ()
    ours, theirs = (dict(reply.options or ()).get(COOKIE, b"") for reply in (case.ours, case.theirs))
    if len(ours) == len(theirs) == 24 and ours[:12] == theirs[:12] and ours[12:16] != theirs[12:16]:
        return {f"option {COOKIE}"}


@rule("TCP keepalive is answered")
def keepalive(case):
    """RFC 7828; the peers don't have it. With a timeout in a query it is malformed (section 3.2.1)."""
    if not case.both or "keepalive" not in case.query.text:
        return ()
    malformed = "with timeout" in case.query.text and case.ours.code == FORMERR
    return {f"option {KEEPALIVE}"} | (OUTCOME if malformed else set())


@rule("NSID twice", "nsd")
def nsid_twice(case):
    """NSD writes a message that can't be read."""
    if "nsid twice" in case.query.text and isinstance(case.theirs, Malformed):
        return {"reply"}


@rule("a client cookie alone is answered", "knot")
def cookie_enforced(case):
    """RFC 7873, section 5.2.3: both are allowed; Knot's module asks for a server cookie first."""
    asked = case.both and case.theirs.code == BADCOOKIE and "cookie" in case.query.text
    return OUTCOME if asked and (is_answered(case.ours) or case.ours.code == REFUSED) else ()


# MARK: - Malformed packets


@rule("errors echo the question", "nsd")
def nsd_errors(case):
    """NSD writes the header alone, with the query's CD; it says FORMERR or NOTIMP all the same."""
    if case.both and not case.theirs.question and case.theirs.code in (FORMERR, NOTIMP, REFUSED, NOTAUTH, NXDOMAIN):
        return {"question", "edns", "cd", f"option {COOKIE}", f"option {NSID}", f"option {EDE}"}


@rule("errors keep the TCP connection open")
def closing(case):
    """The queries behind it are as good as before; closing is the client's (RFC 7766, section 6.2.4). NSD closes,
    and Knot where it drops over UDP."""
    if case.theirs is exchange.CLOSED and (case.ours is None or case.ours.code in (FORMERR, NOTIMP)):
        return {"reply"}


@rule("an unreadable question gets FORMERR")
def unreadable(case):
    """The header can be answered (RFC 1035, section 4.1.1); Knot drops it, NSD within OPT."""
    if case.theirs is None and isinstance(case.ours, message.Message) and case.ours.code == FORMERR and not is_readable(case):
        return {"reply"}


def is_readable(case):
    """Whether the query is a message of one question."""
    try:
        return message.parse(case.query.packet).counts[0] == 1 and not case.query.text.startswith("question")
    except Malformed:
        return False


@rule("a response code in a query is passed over", "nsd")
def code_in_query(case):
    """It means nothing there (RFC 1035, section 4.1.1)."""
    if "rcode" in case.query.text and is_refused(case.theirs) and is_answered(case.ours):
        return OUTCOME | {"reply"}


@rule("records beside OPT are passed over")
def additional_records(case):
    """Up to four, unread but for their lengths; NSD wants none, and Knot reads their names."""
    if "record" in case.query.text and is_refused(case.theirs) and is_answered(case.ours):
        return OUTCOME | {"reply"}


def is_answered(reply):
    """Whether a query was taken as any other."""
    return isinstance(reply, message.Message) and reply.code in (NOERROR, NXDOMAIN, YXDOMAIN)


def is_refused(reply):
    """Whether a packet was too odd for a server."""
    return reply is exchange.CLOSED or isinstance(reply, message.Message) and reply.code == FORMERR


@rule("records in answer and authority get FORMERR", "knot")
def records_before(case):
    """A query has none (RFC 1035, section 4.1); Knot passes over them."""
    if case.both and case.query.text.endswith(("in answer", "in authority")) and case.ours.code == FORMERR:
        return OUTCOME


@rule("more than four additional records get FORMERR", "knot")
def many_records(case):
    """A packet full of records must not cost more than a short one (CVE-2016-7068)."""
    if case.both and "twenty records" in case.query.text and case.ours.code == FORMERR:
        return OUTCOME


@rule("octets after the end get FORMERR", "nsd")
def trailing(case):
    """As in Knot: whoever counted wrongly may mean something else. NSD passes over them."""
    if case.both and ("octets after" in case.query.text or "ARCOUNT 0, OPT" in case.query.text) and case.ours.code == FORMERR:
        return OUTCOME | {"question"}


@rule("queries over 4,096 octets are dropped over UDP")
def long_datagrams(case):
    """No client sends them; there is no room for them in the batch."""
    if len(case.query.packet) > 4096 and case.query.over == "udp" and case.ours is None:
        return {"reply"}


@rule("OPT with a name gets FORMERR", "knot")
def named_opt(case):
    """RFC 6891, section 6.1.2: it must be the root; Knot does not look."""
    if case.both and case.query.text.startswith("OPT with a") and case.ours.code == FORMERR:
        return OUTCOME


@rule("FORMERR about EDNS carries OPT", "knot")
def opt_in_error(case):
    """RFC 6891, section 7: where the query has one that can be seen."""
    if case.both and case.ours.code == case.theirs.code == FORMERR and case.ours.options is not None:
        return {"edns"}
