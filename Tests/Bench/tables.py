"""Results as text: Markdown tables, their places in a document, and the curves that points follow."""
import dataclasses, math, re, time


@dataclasses.dataclass
class Result:
    """What came of one work."""
    text: str                            # Markdown
    is_well: bool = True                 # Rhumb lost nothing, and answered nothing wrong
    bars: tuple | None = None            # for the chart
    rounds: list = dataclasses.field(default_factory=list)
    faults: list = dataclasses.field(default_factory=list)  # what could not be measured


def table(heads, rows):
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def dated(text=""):
    """The line above a table: when it was made, and what else there is to say."""
    return f"Of {time.strftime('%-d %B %Y')}" + (f": {text}" if text else "") + ".\n\n"


class NoPlace(Exception):
    """A document without the marks of a table."""


def put(document, name, text):
    """The document with the text between `<!-- bench NAME -->` and `<!-- /bench -->` replaced.

    One that has no such place is an error: a table that nobody reads is worse than a failure.
    """
    start, end = place(document, name)
    return f"{document[:start]}\n{text.strip()}\n\n{document[end:]}"


def between(document, name):
    """What stands there."""
    start, end = place(document, name)
    return document[start:end]


def place(document, name):
    """Where that is."""
    found = re.search(rf"<!-- bench {re.escape(name)} -->\n(.*?)<!-- /bench -->", document, re.DOTALL)
    if not found: raise NoPlace(f"it has no line <!-- bench {name} --> with <!-- /bench --> below it")
    return found.span(1)


def size(text, servers):
    """How many rounds a table is of, by the line above it (0 if that tells none), and which of the servers it has."""
    rounds = re.search(r"of (\d+) rounds|rounds: (\d+)", text)
    cells = {cell.strip() for line in text.splitlines() if line.startswith("|") for cell in line.split("|")}
    return int(rounds[1] or rounds[2]) if rounds else 0, [server for server in servers if server in cells]


def less(text, before):
    """What a table has less than the one before, in words; none if nothing."""
    count = lambda table: sum(line.startswith("|") for line in table.splitlines())
    words = [(size(text, ())[0], size(before, ())[0], "rounds"), (count(text), count(before), "lines")]
    return ", ".join(f"{now} {what}, not {then}" for now, then, what in words if now < then)


def exponent(points):
    """The power of x with which y grows, by least squares over the logarithms: 0 is constant, 1 in proportion."""
    points = [(math.log(x), math.log(y)) for x, y in points if x > 0 and y > 0]
    if len(points) < 2: return 0.0
    x, y = [sum(values) / len(points) for values in zip(*points)]
    spread = sum((a - x) ** 2 for a, _ in points)
    return sum((a - x) * (b - y) for a, b in points) / spread if spread else 0.0
