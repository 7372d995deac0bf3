"""Asks the living head of a search for something, and waits until it has taken note."""

from __future__ import annotations

import os
import time

from db.errors import DatabaseError
from db.messages import BadMessageError
from db.spool import commands
from db.spool.commands import Request
from db.spool.layout import spool_of
from orchestrator.cli.places import Place, open_place
from orchestrator.errors import HeadwayError, UsageError

_LOOK_SECONDS = 0.1
# Whether the head still lives is asked of the database.
_DOUBT_SECONDS = 3.0


class HeadGoneError(HeadwayError):
    """The head died before it took note; the request was taken back."""


class RefusedByHeadError(UsageError):
    """The head will not do what it was asked for."""


def living_head(place: Place) -> str | None:
    """Return the host of the head of a search; None: no head is alive.

    Raises:
        UsageError: The database cannot be opened.
    """
    from orchestrator.lease import find_hold

    if place.other_host is not None:
        return place.other_host
    with open_place(place) as reader, reader.read() as connection:
        hold = find_hold(connection, place.experiment_id)
    return None if hold is None else hold.holder.host


def ask(place: Place, request: Request, *, command: str, wait_seconds: float) -> None:
    """Leave a request for the head, and return when it has been done.

    Args:
        place: The search; its head is alive.
        request: What is asked for.
        command: What the user typed, for messages.
        wait_seconds: How long to wait for the head.

    Raises:
        RefusedByHeadError: The head says no.
        HeadGoneError: It died meanwhile; nothing was done.
        HeadwayError: It has not taken note in time: the request waits on.
        UsageError: The run folder is not here or not this user's, or no head takes such a request.
    """
    path = _leave(place, request, command)
    try:
        answer = _wait(place, path, wait_seconds)
    except KeyboardInterrupt:
        print(f"{command}: the request stays; the head deals with it when it looks again.")
        raise
    if answer is None:
        raise HeadwayError(
            f"{command}: the head of {place.label} has not taken note within {wait_seconds:g} s.",
            "The request stays: it is dealt with as soon as the head looks again.",
        )
    if answer:
        commands.forget_answer(path)
        raise RefusedByHeadError(f"{answer}.")


def _leave(place: Place, request: Request, command: str) -> str:
    try:
        return commands.ask(spool_of(str(place.run_dir)), request)
    except BadMessageError as error:
        raise UsageError(f"{command}: {error}.") from None
    except FileNotFoundError:
        if not os.path.isdir(place.run_dir):  # noqa: PTH112 - says no where Path raises
            raise UsageError(
                f"{command}: the run folder of {place.label}, {place.run_dir}, is not here.",
                "Type this where it is.",
            ) from None
        raise UsageError(
            f"{command}: the head of {place.label} is of an older Headway, which takes no requests.",
            "Press Ctrl-C in its terminal, and `headway resume` with this one.",
        ) from None
    except OSError as error:
        raise UsageError(
            f"{command}: {place.run_dir} cannot be written: {error.strerror}.",
            "Only who owns the search can ask its head.",
        ) from None


def _wait(place: Place, path: str, wait_seconds: float) -> str | None:
    """Return the answer; None: there was none in time."""
    began = time.monotonic()
    doubt = began + _DOUBT_SECONDS
    while True:
        try:
            answer = commands.answer_to(path)
        except OSError:
            answer = None  # the folder does not answer for the moment
        moment = time.monotonic()
        if answer is not None or moment - began >= wait_seconds:
            return answer
        if moment >= doubt:
            doubt = moment + _DOUBT_SECONDS
            if _is_gone(place) and commands.withdraw(path):
                raise HeadGoneError(f"the head of {place.label} has died.")
        time.sleep(_LOOK_SECONDS)


def _is_gone(place: Place) -> bool:
    """Whether a head is known not to be alive any more."""
    try:
        return living_head(place) is None
    except (HeadwayError, DatabaseError):
        return False  # the database does not answer for the moment
