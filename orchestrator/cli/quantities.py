"""Words of the command line as numbers with units; argparse calls these, so they import little.

Each raises `argparse.ArgumentTypeError` with a text that says what was given and what is allowed.
"""

from __future__ import annotations

import math
import re
from argparse import ArgumentTypeError
from collections.abc import Callable

from orchestrator.errors import did_you_mean

MOST_GIB = 1_000_000  # no node has a petabyte of memory; such a number is a slip
MOST_MINUTES = 366 * 24 * 60  # the same for a year


def whole(minimum: int, maximum: int | None = None) -> Callable[[str], int]:
    """Make a reader of whole numbers from `minimum` to `maximum`, both included."""
    allowed = f"{minimum} or more" if maximum is None else f"from {minimum} to {maximum}"

    def read(text: str) -> int:
        if not re.fullmatch(r"[+-]?[0-9]{1,18}", text.strip()):
            raise ArgumentTypeError(f"{text!r} is not a whole number; give one, {allowed}")
        number = int(text)
        if number < minimum or (maximum is not None and number > maximum):
            raise ArgumentTypeError(f"{text!r} is out of range; give a whole number, {allowed}")
        return number

    return read


def mebibytes(text: str) -> int:
    """Read GiB, maybe a fraction, as MiB, rounded up."""
    gib = _number(text, "a number of GiB; give for example 4 or 0.5")
    if not 0 < gib <= MOST_GIB:
        raise ArgumentTypeError(f"{text!r} GiB makes no sense; give for example 4 or 0.5")
    return math.ceil(gib * 1024)


def minutes(text: str) -> float:
    """Read minutes, maybe a fraction, as seconds."""
    number = _number(text, "a number of minutes; give for example 30 or 0.5")
    return _in_reason(60 * number, text, "give minutes above 0, for example 30 or 0.5")


def span(text: str) -> float:
    """Read minutes, HH:MM, HH:MM:SS, D-HH or D-HH:MM as seconds."""
    allowed = "give minutes, HH:MM or D-HH:MM, for example 90, 1:30 or 2-12:00"
    if re.fullmatch(r"[+-]?[0-9.]+", text.strip()):
        return _in_reason(60 * _number(text, f"a time; {allowed}"), text, allowed)
    clock = re.fullmatch(r"(?:(\d+)-)?(\d{1,4})(?::([0-5]?\d))?(?::([0-5]?\d))?", text.strip())
    if clock is None:
        raise ArgumentTypeError(f"{text!r} is not a time; {allowed}")
    days, hours, mins, seconds = (int(part or 0) for part in clock.groups())
    return _in_reason(((days * 24 + hours) * 60 + mins) * 60.0 + seconds, text, allowed)


def hours(text: str) -> float:
    """Read hours, maybe a fraction, as seconds."""
    number = _number(text, "a number of hours; give for example 24 or 0.5")
    return _in_reason(3600 * number, text, "give hours above 0, for example 24 or 0.5")


def share(text: str) -> float:
    """Read a share, such as 0.25 or 25%, as a number from 0 to below 1."""
    allowed = "give one from 0 to below 1, for example 0.5 or 50%"
    word = text.strip()
    number = _number(word.removesuffix("%"), f"a share; {allowed}")
    number = number / 100 if word.endswith("%") else number
    if not 0 <= number < 1:
        raise ArgumentTypeError(f"{text!r} is out of range; {allowed}")
    return number


def one_of(*allowed: str) -> Callable[[str], str]:
    """Make a reader of one of a few words."""

    def read(text: str) -> str:
        word = text.strip().lower()
        if word not in allowed:
            hint = did_you_mean(word, allowed)
            raise ArgumentTypeError(f"{text!r} is none of {', '.join(allowed)}. {hint}".strip())
        return word

    return read


def text(word: str) -> str:
    """Read a word that must not be empty."""
    if not word.strip():
        raise ArgumentTypeError("it is empty")
    return word


def line(word: str) -> str:
    """Read a text of one line, without the blanks around it."""
    found = text(word).strip()
    if not found.isprintable():
        raise ArgumentTypeError(f"{word!r} is not one line of printable text")
    return found


def _number(text: str, what: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ArgumentTypeError(f"{text!r} is not {what}")
    return number


def _in_reason(seconds: float, text: str, allowed: str) -> float:
    if not 0 < seconds <= 60 * MOST_MINUTES:
        raise ArgumentTypeError(f"{text!r} is out of range; {allowed}")
    return seconds
