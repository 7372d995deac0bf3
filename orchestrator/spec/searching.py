"""Searches logs for regular expressions of the user's own, which may take for ever.

`(a+)+b` takes twice as long for each further `a`, and no thread can give such a search up, as it
holds the interpreter. But it looks for signals meanwhile: a timer of CPU time ends it.
"""

from __future__ import annotations

import re
import signal
import warnings
from types import FrameType

# Of CPU time, in one log: the head does nothing else meanwhile.
LIMIT_SECONDS = 1.0
# A line may be a whole log without a line break, and a search may take the cube of its length.
_LONGEST_LINE = 500


class TooSlowError(Exception):
    """The search took too long: whether the expression fits is not known."""


def compiled(expression: str) -> re.Pattern[str]:
    """Return an expression of a user's, ready to be searched for.

    Raises:
        ValueError: It is none; the text says why.
    """
    try:
        with warnings.catch_warnings():
            # `[[a]` may mean something else in a Python to come; nobody asked for that here.
            warnings.simplefilter("ignore", FutureWarning)
            return re.compile(expression)
    except (re.error, OverflowError) as error:
        raise ValueError(f"{expression!r} is no regular expression: {error}") from error
    except RecursionError:
        raise ValueError("a regular expression is nested too deeply") from None


def search(expression: str, log: str) -> str | None:
    """Return what of a log an expression fits, line by line, a long line in pieces; or None.

    To be called in the main thread, the only one that takes signals.

    Raises:
        TooSlowError: It took more than a second.
    """
    is_over = False

    def give_up(number: int, frame: FrameType | None) -> None:
        del number, frame
        if not is_over:
            raise TooSlowError(expression)

    before = signal.signal(signal.SIGVTALRM, give_up)
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, LIMIT_SECONDS)
        found = _find(compiled(expression), log)
        is_over = True
        return found
    finally:
        is_over = True
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _find(regex: re.Pattern[str], log: str) -> str | None:
    for line in log.splitlines():
        for at in range(0, len(line), _LONGEST_LINE):
            found = regex.search(line[at : at + _LONGEST_LINE])
            if found:
                return found.group()
    return None
