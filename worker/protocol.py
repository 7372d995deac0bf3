"""The lines by which a program tells its results, read from its standard output as it comes.

    RESULT: 1.5e-3
    SEM-RESULT: 0.1
    METRIC: loss=0.31 step=5 split=VALIDATION level=STEP
    OO-Info: name: value
    ARTIFACT: path/to/file [name]

Each keyword stands at the start of a line, in exactly this case. A gigabyte of other output costs
little: whole chunks are searched for "newline, keyword" in C, and only lines that begin with one
are looked at.
"""

from __future__ import annotations

from worker.clock import now

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Literal

    from db.records import MetricRecord

# Longer than any line that means something; also bounds what is kept of a line without an end.
MAX_LINE = 64 * 1024
# Bounds on what a program can make the head store.
MAX_NAMES = 1000
MAX_TEXT = 10_000
MAX_TEXTS = 500_000  # of all texts together: a report too big to be read would be a result lost
MAX_PROBLEMS = 20
MAX_PROBLEM = 300
_SPLITS: dict[str, Literal["TRAIN", "VALIDATION", "TEST"]] = {
    "TRAIN": "TRAIN",
    "VALIDATION": "VALIDATION",
    "TEST": "TEST",
}
_LEVELS: dict[str, Literal["LAST", "STEP", "BATCH", "TRIAL"]] = {
    "LAST": "LAST",
    "STEP": "STEP",
    "BATCH": "BATCH",
    "TRIAL": "TRIAL",
}
_STEP_DIGITS = 19  # a step has to fit into 64 bits
_INFINITY = float("inf")


class Protocol:
    """Collects what a program has told so far.

    Attributes:
        results: The value of each objective whose last line is valid, by name.
        sems: Their standard errors, the same way.
        infos: OO-Info lines, by name; the last one counts.
        artifacts: The text after each `ARTIFACT:`, in order.
        metrics: METRIC lines since somebody last took them away.
    """

    def __init__(self, objectives: Iterable[str]) -> None:
        self.results: dict[str, float] = {}
        self.sems: dict[str, float] = {}
        self.infos: dict[str, str] = {}
        self.artifacts: list[str] = []
        self.metrics: list[MetricRecord] = []
        self._faults: dict[str, str] = {}  # by the name whose next valid line heals it
        self._others: list[str] = []
        self._room = MAX_TEXTS
        self._rest = b""  # the last line, as long as its end has not come
        self._skipping = False  # in a line that is too long
        self._numbers = []
        self._names = tuple(objectives)
        for name in self._names:
            self._numbers.append((_needle(name), name, self.results))
            self._numbers.append((_needle(f"SEM-{name}"), name, self.sems))
        self._lines = (
            (b"\nMETRIC:", self._read_metric),
            (b"\nOO-Info:", self._read_info),
            (b"\nARTIFACT:", self._read_artifact),
        )

    @property
    def problems(self) -> list[str]:
        """What was wrong and was not put right by a later line."""
        return [*self._faults.values(), *self._others]

    def is_complete(self) -> bool:
        """Tell whether every objective has a value."""
        return all(name in self.results for name in self._names)

    def feed(self, chunk: bytes) -> None:
        """Take the next piece of output; pieces may end anywhere."""
        end = chunk.rfind(b"\n")
        if end < 0:
            self._keep(chunk)
            return
        if self._skipping:
            start = chunk.find(b"\n")
            self._skipping = False
            complete = chunk[start:end]
        else:
            complete = b"\n%b%b" % (self._rest, chunk[:end])
        self._rest = b""
        self._read(complete)
        self._keep(chunk[end + 1 :])

    def close(self) -> None:
        """Read the last line, though no newline ended it."""
        if self._rest:
            self._read(b"\n" + self._rest)
        self._rest = b""

    def _keep(self, piece: bytes) -> None:
        """Remember a piece of a line that goes on, unless the line is too long to mean anything."""
        if self._skipping:
            return
        self._rest += piece
        if len(self._rest) > MAX_LINE:
            beginning = b"\n" + self._rest[:200]
            needles = [row[0] for row in self._numbers] + [row[0] for row in self._lines]
            if beginning.startswith(tuple(needles)):
                self._complain(f"a line longer than {MAX_LINE} bytes: {_text(beginning)[:60]!r} …")
            self._rest = b""
            self._skipping = True

    def _read(self, lines: bytes) -> None:
        """Read complete lines; each begins with a newline."""
        for needle, name, values in self._numbers:
            at = lines.rfind(needle)  # only the last one counts
            if at >= 0:
                self._read_number(needle[1:-1], name, _line(lines, at + len(needle)), values)
        for needle, read in self._lines:
            at = lines.find(needle)
            while at >= 0:
                read(_line(lines, at + len(needle)))
                at = lines.find(needle, at + 1)

    def _read_number(self, word: bytes, name: str, line: bytes, values: dict[str, float]) -> None:
        """Read the value of an objective or of its standard error."""
        key = _text(word)
        value = _number(line)
        if value is None:
            fault = f"{key}: {_text(line)[:80]!r} is not a number"
        elif not -_INFINITY < value < _INFINITY:
            fault = f"{key}: {_text(line)[:80]} is not a finite number"
        elif values is self.sems and value < 0:
            fault = f"{key}: {_text(line)[:80]} is negative"
        else:
            values[name] = value
            self._faults.pop(key, None)
            return
        values.pop(name, None)
        self._faults[key] = fault

    def _read_metric(self, line: bytes) -> None:
        """Read `NAME=VALUE [step=N] [split=…] [level=…]`."""
        words = _text(line).split()
        name, equals, number = words[0].partition("=") if words else ("", "", "")
        value = _number(number.encode())
        if not (name and equals) or value is None:
            self._complain(f"METRIC: {_text(line)[:80]!r} does not begin with NAME=NUMBER")
            return
        finite = -_INFINITY < value < _INFINITY
        record: MetricRecord = {
            "name": name[:100],
            "value": value if finite else None,
            "split": "TRAIN",
            "level": "LAST",
            "step": None,
            "at": now(),
        }
        options = dict(word.partition("=")[::2] for word in words[1:])
        if "step" in options:
            record["level"] = "STEP"
        for key, given in options.items():
            if not _set_option(record, key, given):
                self._complain(f"METRIC: {key}={given} of {name} is not understood")
        self.metrics.append(record)

    def _read_info(self, line: bytes) -> None:
        """Read `name: value`."""
        name, colon, value = _text(line).partition(":")
        name = name.strip()[:100]
        if not name or not colon:
            self._complain(f"OO-Info: {_text(line)[:80]!r} is not NAME: VALUE")
        elif name in self.infos or len(self.infos) < MAX_NAMES:
            text = value.strip()[:MAX_TEXT]
            if self._make_room(len(text) - len(self.infos.get(name, ""))):
                self.infos[name] = text

    def _read_artifact(self, line: bytes) -> None:
        """Remember the line; whether its file exists is asked when the program has ended."""
        text = _text(line)[:MAX_TEXT]
        is_new = text and text not in self.artifacts and len(self.artifacts) < MAX_NAMES
        if is_new and self._make_room(len(text)):
            self.artifacts.append(text)

    def _make_room(self, length: int) -> bool:
        """Tell whether a report still has room for so much more text."""
        if length > self._room:
            self._complain(f"more than {MAX_TEXTS} characters of OO-Info and ARTIFACT lines")
            return False
        self._room -= length
        return True

    def _complain(self, problem: str) -> None:
        """Remember a problem that no later line can heal; the first ones tell the most."""
        text = problem[:MAX_PROBLEM]
        if len(self._others) < MAX_PROBLEMS and text not in self._others:
            self._others.append(text)


def _needle(word: str) -> bytes:
    """Return what to search for: the word at the start of a line."""
    return b"\n%b:" % word.encode()


def _line(lines: bytes, start: int) -> bytes:
    """Return the rest of a line from `start` on."""
    end = lines.find(b"\n", start)
    return (lines[start:] if end < 0 else lines[start:end]).strip()


def _text(line: bytes) -> str:
    """Decode whatever a program printed; NUL is the one sign that PostgreSQL cannot store."""
    return line.decode("utf-8", "replace").replace("\0", "\ufffd").strip()


def _number(line: bytes) -> float | None:
    """Read a number in Python's float grammar, ASCII and without underscores; else None."""
    if not line or b"_" in line:
        return None
    try:
        return float(line)
    except ValueError:
        return None


def _set_option(record: MetricRecord, key: str, given: str) -> bool:
    """Set one option of a METRIC line; False if it means nothing."""
    digits = given[1:] if given.startswith(("+", "-")) else given
    if key == "step" and digits.isdecimal() and len(given) < _STEP_DIGITS:
        record["step"] = int(given)
    elif key == "split" and given.upper() in _SPLITS:
        record["split"] = _SPLITS[given.upper()]
    elif key == "level" and given.upper() in _LEVELS:
        record["level"] = _LEVELS[given.upper()]
    else:
        return False
    return True
