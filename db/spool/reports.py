"""Reports: one file each, written once by a worker, read and deleted by the head."""

from __future__ import annotations

import os

from db.light_json import dumps, loads
from db.spool.layout import REJECTED, REPORTS, part, write_whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from db.records import ReportMessage

# A report holds at most 4 KB of output and a bounded number of small texts; more is no report.
MAX_BYTES = 16 * 1024 * 1024
# The words of db.states.ReportKind, which would cost a worker the import of `enum`.
KINDS = ("START", "METRIC", "END")
_REGULAR_FILE = 0o100000
_FILE_TYPE = 0o170000


class _BadReportError(Exception):
    """The file can never become a report."""


def write_report(spool: str, message: ReportMessage) -> str:
    """Store a report; when this returns, the disk has it.

    The name sorts by time and is the same for the same report, so that writing it again replaces
    it. Raises OSError if it could not be stored; then nothing of it is there.

    Returns:
        The path of the file.
    """
    stamp = "".join(sign for sign in message["created_at"][:26] if sign not in "-:")
    name = f"{stamp}-{message['attempt_token']}-{message['kind']}-{message['sequence']}.json"
    path = os.path.join(part(spool, REPORTS), name)
    write_whole(path, dumps(message), durable=True)
    return path


def read_reports(spool: str, limit: int = 10_000) -> list[tuple[str, ReportMessage]]:
    """Read the reports that wait, oldest first, each with its path.

    Whatever can never become a report (not JSON, no report, of another owner, a link, a pipe, too
    big) is moved to `rejected/` with a `.reason` file beside it. A file that just cannot be read
    now stays and is tried again at the next call. Reports stay until `layout.delete`.

    Args:
        spool: The spool's folder.
        limit: At most so many files are looked at.
    """
    folder = part(spool, REPORTS)
    found = []
    for name in sorted(name for name in os.listdir(folder) if name[0] != ".")[:limit]:
        path = os.path.join(folder, name)
        try:
            found.append((path, _read(path)))
        except _BadReportError as error:
            reject(spool, path, str(error))
        except OSError:
            continue  # gone, or the file system does not answer: unknown is not bad
    return found


def _read(path: str) -> ReportMessage:
    """Read one file without trusting it."""
    if os.lstat(path).st_mode & _FILE_TYPE != _REGULAR_FILE:
        message = "not a regular file"
        raise _BadReportError(message)
    # NOFOLLOW and NONBLOCK: it may have been exchanged for a link or a pipe since lstat.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if status.st_uid != os.geteuid():
            message = f"written by user {status.st_uid}"
            raise _BadReportError(message)
        if status.st_size > MAX_BYTES:
            message = f"{status.st_size} bytes; at most {MAX_BYTES} are read"
            raise _BadReportError(message)
        data = file.read(MAX_BYTES)
    try:
        content = loads(data.decode())
    except ValueError as error:
        raise _BadReportError(str(error)) from error
    problem = find_fault(content)
    if problem:
        raise _BadReportError(problem)
    message_: ReportMessage = content
    return message_


def find_fault(content: object) -> str:
    """Say what keeps a JSON value from being a ReportMessage; empty if nothing does."""
    if not isinstance(content, dict):
        return "not an object"
    kinds: dict[str, type] = {
        "attempt_id": int,
        "attempt_token": str,
        "kind": str,
        "sequence": int,
        "created_at": str,
        "payload": dict,
    }
    for key, kind in kinds.items():
        if not isinstance(content.get(key), kind) or isinstance(content[key], bool):
            return f"{key} is missing or not {kind.__name__}"
    if content["kind"] not in KINDS:
        return f"unknown kind {content['kind']!r}"
    return "sequence is negative" if content["sequence"] < 0 else ""


def reject(spool: str, path: str, reason: str) -> None:
    """Move a file out of the way and say why; what cannot be moved stays."""
    target = os.path.join(part(spool, REJECTED), os.path.basename(path))
    try:
        # The reason first: if the process dies between the two, the file is rejected again.
        write_whole(f"{target}.reason", f"{reason}\n", durable=False)
        os.rename(path, target)
    except OSError:
        return
