"""What was found: one line each, and what can be done about it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

T = TypeVar("T")


class Status(StrEnum):
    """How a finding is to be taken."""

    OK = "ok"
    WARNING = "warning"  # a search works, but not as well as it could, or nobody knows
    FAILED = "FAILED"  # a search would fail, or the site has a fault


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        check: Which one; a stable name.
        status: How it is.
        says: What was found, a sentence without a full stop.
        remedy: What can be done, a sentence; empty if nothing has to be.
        host: The node that it is about; None: no single one.
    """

    check: str
    status: Status
    says: str
    remedy: str = ""
    host: str | None = None


def ok(check: str, says: str, *, host: str | None = None) -> Finding:
    """Make a finding that all is well."""
    return Finding(check=check, status=Status.OK, says=says, host=host)


def warning(check: str, says: str, remedy: str, *, host: str | None = None) -> Finding:
    """Make a finding that one should know."""
    return Finding(check=check, status=Status.WARNING, says=says, remedy=remedy, host=host)


def failed(check: str, says: str, remedy: str, *, host: str | None = None) -> Finding:
    """Make a finding that something is broken."""
    return Finding(check=check, status=Status.FAILED, says=says, remedy=remedy, host=host)


def within(seconds: float, action: Callable[[], T]) -> T:
    """Do something that may hang, such as a look at a file system whose server is gone.

    Whatever it raises is raised here.

    Raises:
        TimeoutError: It did not come back in time; its thread is left alone, and ends with this
            process.
    """
    answers: list[T] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            answers.append(action())
        except BaseException as error:  # noqa: BLE001 - it is raised in the main thread
            errors.append(error)

    thread = threading.Thread(target=work, name="doctor", daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not answers:
        raise TimeoutError(f"no answer in {seconds:g} s")
    return answers[0]
