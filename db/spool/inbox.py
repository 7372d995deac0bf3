"""The head's look into the spool, which trusts nothing that it finds there.

A file is a message, or not yet readable, or can never become a message: then it has a fault, and
`set_aside` moves it to `rejected/` with the reason beside it. Nothing is deleted here.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Container
from dataclasses import dataclass, field

from db.light_json import loads
from db.messages import BadMessageError, read_message
from db.records import ReportMessage
from db.spool.layout import REJECTED, REPORTS, find_stranger, part, write_whole

# A report holds at most 4 KB of output and a bounded number of small texts; more is no report.
MAX_BYTES = 16 * 1024 * 1024
# So much is taken in at once; the rest comes at the next look.
MAX_FILES, MAX_TOTAL = 1000, 16 * 1024 * 1024
# What will not pass: it was exchanged for a link, or its permissions forbid it.
FOR_GOOD = (errno.ELOOP, errno.EACCES, errno.EPERM)


@dataclass
class Inbox:
    """What one look at the reports found.

    Attributes:
        reports: The messages, oldest first, each with its path.
        faults: Why a file can never become a report, by path.
        is_all: Whether nothing was left for the next look.
    """

    reports: list[tuple[str, ReportMessage]] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)
    is_all: bool = True


def read_reports(spool: str, *, skip: Container[str] = frozenset()) -> Inbox:
    """Read the reports that wait.

    A file that just cannot be read now is left for the next look: unknown is not bad. Raises
    OSError if the folder cannot be read.

    Args:
        spool: The spool's folder.
        skip: Paths that are not wanted.
    """
    folder = part(spool, REPORTS)
    found = Inbox()
    names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
    paths = [path for path in (os.path.join(folder, name) for name in names) if path not in skip]
    total = 0
    for path in paths[:MAX_FILES]:
        if total > MAX_TOTAL:
            found.is_all = False
            break
        try:
            content, size = read_json(path)
            message = read_message(content)
        except BadMessageError as error:
            found.faults[path] = str(error)
        except OSError:
            continue  # gone, or the file system does not answer
        else:
            found.reports.append((path, message))
            total += size
    found.is_all = found.is_all and len(paths) <= MAX_FILES
    return found


def read_json(path: str) -> tuple[object, int]:
    """Return what a file of this user holds, and its size in bytes; whoever wrote it is not trusted.

    Raises:
        BadMessageError: It can never be read; the text says why.
        OSError: It cannot be read now, or is gone.
    """
    fault = _find_fault(os.lstat(path))
    if fault:
        raise BadMessageError(fault)
    if not path.endswith(".json"):
        raise BadMessageError("its name does not end with .json")
    try:
        # NOFOLLOW and NONBLOCK: it may have been exchanged for a link or a pipe since lstat.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(path, flags)
    except OSError as error:
        if error.errno in FOR_GOOD:
            raise BadMessageError(f"it cannot be opened: {error.strerror}") from error
        raise
    with open(descriptor, "rb") as file:
        fault = _find_fault(os.fstat(descriptor))
        if fault:
            raise BadMessageError(fault)
        data = file.read(MAX_BYTES)
    try:
        return loads(data.decode()), len(data)
    except (ValueError, RecursionError) as error:
        raise BadMessageError(f"it is not JSON: {error}") from error


def _find_fault(status: os.stat_result) -> str:
    """Say what keeps a file from being read; empty if nothing does."""
    stranger = find_stranger(status)
    if stranger:
        return stranger
    if status.st_size > MAX_BYTES:
        return f"it has {status.st_size} bytes; at most {MAX_BYTES} are read"
    return ""


def set_aside(spool: str, path: str, reason: str) -> bool:
    """Move a file out of the way and say why; what was moved earlier is never replaced.

    Returns:
        False if it is still where it was.
    """
    folder = part(spool, REJECTED)
    name = os.path.basename(path)[:200]
    target, number = os.path.join(folder, name), 1
    while os.path.lexists(target):
        number += 1
        target = os.path.join(folder, f"{name}.{number}")
    try:
        os.rename(path, target)
    except OSError:
        return not os.path.lexists(path)
    # On a full disk; the event log has the reason too.
    with contextlib.suppress(OSError):
        write_whole(f"{target}.reason", f"{reason}\n", durable=False)
    return True
