"""What people ask of a living head: one file a request in `spool/commands/` of the run folder.

The run folder is on the shared file system whatever the database is, so that a request reaches the
head from any login node. The head trusts no file: it checks each like a message of a worker. It
does what is asked, commits the event of it, and only then deletes the file: that is the answer. If
it will not, it puts the reason into a file beside it first.

    20301224T181500.123456-STOP-1f2e3d4c5b6a.json           asked
    20301224T181500.123456-STOP-1f2e3d4c5b6a.json.refused   the head says no, and why
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Container
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from db.light_json import dumps
from db.messages import BadMessageError
from db.person import this_person
from db.spool.inbox import read_json
from db.spool.layout import COMMANDS, REJECTED, delete, part, write_whole

REFUSED = ".refused"
# Nobody asks for more than this; and names of hosts are at most as long as DNS allows.
MOST_SLOTS, MOST_TRIALS, MOST_HOSTS = 100_000, 2**31 - 1, 10_000
_LONGEST_NAME, _LONGEST_TEXT = 255, 1000
_LONGEST_SECONDS = 100 * 366 * 86400


class RequestKind(StrEnum):
    """What can be asked of a head."""

    STOP = "STOP"  # end the search: gently, or at once
    TUNE = "TUNE"  # another number of slots, or another goal
    EXCLUDE = "EXCLUDE"  # keep hosts out
    INCLUDE = "INCLUDE"  # let hosts in again


@dataclass(frozen=True, kw_only=True)
class Request:
    """One wish of a person.

    Attributes:
        kind: What is asked for.
        by: Who asks: user@host.
        asked_at: When, by the clock of that host; with its zone.
        now: Of a STOP: whether running trials are cancelled.
        num_parallel_jobs: Of a TUNE: the slots; None: as they are.
        max_eval: Of a TUNE: the number of trials in all; None: as it is.
        hosts: Of the other two: names of hosts.
        reason: Why, for others.
        seconds: Of an EXCLUDE: for how long; None: until they are included.
    """

    kind: RequestKind
    by: str
    asked_at: str
    now: bool = False
    num_parallel_jobs: int | None = None
    max_eval: int | None = None
    hosts: tuple[str, ...] = ()
    reason: str = ""
    seconds: float | None = None


@dataclass
class Wishes:
    """What one look found.

    Attributes:
        requests: The requests, the oldest first, each with its path.
        faults: Why a file can never become one, by path.
    """

    requests: list[tuple[str, Request]] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)


def new_request(kind: RequestKind, **values: Any) -> Request:
    """Make a request of the user of this process."""
    asked_at = datetime.now(UTC).isoformat(timespec="microseconds")
    return Request(kind=kind, by=this_person(), asked_at=asked_at, **values)


def ask(spool: str, request: Request) -> str:
    """Leave a request for the head; when this returns, the disk has it.

    Raises:
        BadMessageError: No head would take it; the text says why.
        OSError: It could not be stored; nothing of it is there. A folder that is missing belongs to
            a Headway that takes no requests.

    Returns:
        The path of the file: see `answer_to`.
    """
    read_request(asdict(request))
    stamp = "".join(sign for sign in request.asked_at[:26] if sign not in "-:")
    name = f"{stamp}-{request.kind}-{secrets.token_hex(6)}.json"
    path = os.path.join(part(spool, COMMANDS), name)
    write_whole(path, dumps(asdict(request)), durable=True)
    return path


def answer_to(path: str) -> str | None:
    """Return what became of a request: empty, it was done; else why not. None: no answer yet.

    Raises OSError if the folder does not answer.
    """
    # Opened, not only looked for: that asks a file server for the newest state (nfs(5)).
    with contextlib.suppress(FileNotFoundError):
        os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        return None
    # A head of another version may not understand it, and puts it aside.
    spool, name = os.path.dirname(os.path.dirname(path)), os.path.basename(path)
    aside = os.path.join(part(spool, REJECTED), name)
    for reason in (path + REFUSED, f"{aside}.reason"):
        with (
            contextlib.suppress(FileNotFoundError),
            open(reason, encoding="utf-8", errors="replace") as file,
        ):
            return file.read().strip() or "no reason is given"
    try:
        os.lstat(aside)
    except FileNotFoundError:
        return ""
    return "the head could not read the request"


def forget_answer(path: str) -> None:
    """Remove what is left of a refused request whose asker has read the reason."""
    with contextlib.suppress(OSError):
        delete([path + REFUSED])


def withdraw(path: str) -> bool:
    """Take a request back that the head has not dealt with; False if it has, or nobody knows."""
    try:
        os.unlink(path)
    except OSError:
        return False
    return True


def find(spool: str, *, skip: Container[str] = frozenset()) -> Wishes:
    """Read the requests that wait; raises OSError if the folder cannot be read.

    A file that just cannot be read now is left for the next look.

    Args:
        spool: The spool's folder.
        skip: Paths that are not wanted.
    """
    folder, found = part(spool, COMMANDS), Wishes()
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if name.startswith(".") or name.endswith(REFUSED) or path in skip:
            continue
        try:
            found.requests.append((path, read_request(read_json(path)[0])))
        except BadMessageError as error:
            found.faults[path] = str(error)
        except OSError:
            continue
    return found


def done(path: str) -> None:
    """Tell the asker that it was done, when that is committed; raises OSError."""
    delete([path])


def refuse(path: str, why: str) -> None:
    """Tell the asker that it will not be done; raises OSError."""
    write_whole(path + REFUSED, f"{why}\n", durable=False)
    delete([path])


def read_request(content: object) -> Request:
    """Return a JSON value as the request that it is; keys that nobody knows are left out.

    Raises:
        BadMessageError: It is none.
    """
    if not isinstance(content, dict):
        raise BadMessageError("the request is not an object")
    return Request(
        kind=RequestKind(_one_of(content, "kind", tuple(RequestKind))),
        by=_text(content, "by", _LONGEST_NAME),
        asked_at=_text(content, "asked_at", _LONGEST_NAME),
        now=_flag(content, "now"),
        num_parallel_jobs=_whole(content, "num_parallel_jobs", MOST_SLOTS),
        max_eval=_whole(content, "max_eval", MOST_TRIALS),
        hosts=_names(content, "hosts"),
        reason=_text(content, "reason", _LONGEST_TEXT),
        seconds=_seconds(content, "seconds"),
    )


def _one_of(content: dict[str, Any], key: str, words: tuple[str, ...]) -> str:
    value = content.get(key)
    if not isinstance(value, str) or value not in words:
        raise BadMessageError(f"{key} is not one of {', '.join(words)}")
    return value


def _text(content: dict[str, Any], key: str, most: int) -> str:
    value = content.get(key, "")
    if not isinstance(value, str) or len(value) > most or not value.isprintable():
        raise BadMessageError(f"{key} is not a line of at most {most} characters")
    return value


def _flag(content: dict[str, Any], key: str) -> bool:
    value = content.get(key, False)
    if not isinstance(value, bool):
        raise BadMessageError(f"{key} is neither true nor false")
    return value


def _whole(content: dict[str, Any], key: str, most: int) -> int | None:
    value = content.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise BadMessageError(f"{key} is not a whole number from 1 to {most}")
    return value


def _seconds(content: dict[str, Any], key: str) -> float | None:
    value = content.get(key)
    if value is None:
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 < value <= _LONGEST_SECONDS:
        raise BadMessageError(f"{key} is not a number of seconds")
    return float(value)


def _names(content: dict[str, Any], key: str) -> tuple[str, ...]:
    value = content.get(key, [])
    if not isinstance(value, list | tuple) or len(value) > MOST_HOSTS:
        raise BadMessageError(f"{key} is not a list of at most {MOST_HOSTS} names")
    for name in value:
        is_name = isinstance(name, str) and 0 < len(name) <= _LONGEST_NAME and name.isprintable()
        if not is_name:
            raise BadMessageError(f"{key} holds something that is no name of a host")
    return tuple(value)
