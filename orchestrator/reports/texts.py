"""How single values read on a terminal: numbers, times, durations, text of others."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum, IntEnum

NOTHING = "-"
_MINUTE = 60
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
_SPARKS = "▁▂▃▄▅▆▇█"
_SPARKS_ASCII = "_.:-=+*#"


def printable(text: str) -> str:
    """Return text that cannot move the cursor: reasons and names come from users' programs."""
    if text.isprintable():
        return text
    return "".join(" " if unicodedata.category(c) in {"Cc", "Cf", "Zl", "Zp"} else c for c in text)


def number(value: float) -> str:
    """Return a number with at most six digits; whole numbers as they are."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def duration(seconds: float) -> str:
    """Return a time span: 0.31 s, 12.3 s, 0:12:31, 2d 03:04:05."""
    if seconds < 1:
        return f"{max(0.0, seconds):.2f} s"
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    clock = f"{whole % _HOUR // _MINUTE:02}:{whole % _MINUTE:02}"
    if whole < _DAY:
        return f"{whole // _HOUR}:{clock}"
    return f"{whole // _DAY}d {whole % _DAY // _HOUR:02}:{clock}"


def local_time(moment: datetime) -> str:
    """Return a time in the zone of the person who looks."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def clock(moment: datetime) -> str:
    """Return a time to the minute in that zone, without its day if that is today."""
    local = moment.astimezone()
    is_today = local.date() == datetime.now().astimezone().date()
    return local.strftime("%H:%M" if is_today else "%m-%d %H:%M")


def size(count: int) -> str:
    """Return a number of bytes in a unit that keeps it short."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:  # noqa: PLR2004 - the step between binary units
            return f"{value:.3g} {unit}"
        value /= 1024
    return f"{value:.3g} TiB"


def values(pairs: Mapping[str, object]) -> str:
    """Return `name=value` pairs in one line."""
    return " ".join(f"{name}={text(value)}" for name, value in pairs.items())


def text(value: object) -> str:
    """Return any value of a row as a person reads it."""
    match value:
        case None:
            said = NOTHING
        case bool():
            said = "yes" if value else "no"
        case IntEnum():
            said = value.name
        case Enum():
            said = str(value.value)
        case int() | float():
            said = number(value)
        case datetime():
            said = local_time(value)
        case dict():
            said = values(value) or NOTHING
        case list() | tuple():
            said = ", ".join(text(item) for item in value) or NOTHING
        case _:
            said = str(value)
    return printable(said)


def sparkline(heights: Sequence[float], *, ascii_only: bool = False) -> str:
    """Draw values from the lowest to the highest, one character each."""
    marks = _SPARKS_ASCII if ascii_only else _SPARKS
    if not heights:
        return ""
    low, high = min(heights), max(heights)
    if not high > low:
        return marks[0] * len(heights)
    # Divided first: the difference of two large numbers may overflow.
    span = high / 2 - low / 2
    steps = [(height / 2 - low / 2) / span for height in heights]
    return "".join(marks[round(step * (len(marks) - 1))] for step in steps)
