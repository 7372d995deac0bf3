"""What can go wrong, as one tree; each error says what the user can do.

HeadwayError            exit 1
├── UsageError          exit 2: bad input, nothing was created
├── NoSuccessError      exit 3: finished without one successful trial
├── FailureLimitError   exit 4: stopped because too much failed
├── HeadAliveError      exit 5: another head owns the experiment
└── ClusterError        exit 1: the scheduler said no or nothing
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class HeadwayError(Exception):
    """The root: an error whose text is meant for the user.

    Attributes:
        message: What is wrong, one line.
        hint: What the user can do about it, one line, or empty.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class UsageError(HeadwayError):
    """Bad input: names the option, what was given and what is allowed."""

    exit_code = 2


class NoSuccessError(HeadwayError):
    """The experiment finished and not one trial succeeded."""

    exit_code = 3


class FailureLimitError(HeadwayError):
    """Too many trials failed."""

    exit_code = 4


class HeadAliveError(HeadwayError):
    """Another head owns the experiment and is alive."""

    exit_code = 5


class ClusterError(HeadwayError):
    """A command of the scheduler failed, hung, or gave an answer that makes no sense."""


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """Return "Did you mean X?" for the closest known word, or an empty text."""
    table = {word.lower(): word for word in known}
    close = difflib.get_close_matches(given.lower(), table, n=1, cutoff=0.6)
    return f"Did you mean {table[close[0]]}?" if close else ""
