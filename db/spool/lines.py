"""Heartbeats and metrics: one append-only JSON-lines file an attempt.

A line is a ReportMessage of kind METRIC, or `{"attempt_id", "attempt_token", "kind": "HEARTBEAT",
"at"}`. One process writes a file, so a line is complete as soon as its newline is there.
"""

from __future__ import annotations

import os

from db.light_json import dumps, loads
from db.spool.layout import METRICS, part

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# So much is read of one file at once; the rest comes at the next call.
_MAX_READ = 4 * 1024 * 1024


def lines_path(spool: str, attempt_token: str) -> str:
    """Return the path of an attempt's file."""
    return os.path.join(part(spool, METRICS), lines_name(attempt_token))


def lines_name(attempt_token: str) -> str:
    """Return the name of an attempt's file."""
    return f"{attempt_token}.jsonl"


def append_line(spool: str, attempt_token: str, record: Any) -> None:
    """Add one line; raises OSError, and then a part of the line may be there."""
    # The leading newline ends whatever part an earlier failure left; readers skip empty lines.
    data = memoryview(f"\n{dumps(record)}\n".encode())
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(lines_path(spool, attempt_token), flags, 0o600)
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    finally:
        os.close(descriptor)


def line_files(spool: str) -> dict[str, int]:
    """Return the size in bytes of each attempt's file, by path; links and the like are left out."""
    found = {}
    with os.scandir(part(spool, METRICS)) as entries:
        for entry in entries:
            if entry.name.endswith(".jsonl") and entry.is_file(follow_symlinks=False):
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if status.st_uid == os.geteuid():
                    found[entry.path] = status.st_size
    return found


def read_lines(path: str, offset: int) -> tuple[list[dict[str, Any]], int]:
    """Read the complete lines of a file from `offset` on.

    A line that is not a JSON object is skipped; an incomplete last line is left for the next call.

    Returns:
        The lines, and the offset to go on from. A file that is gone gives nothing and 0.

    Raises:
        OSError: It cannot be read, or is a link.
    """
    try:
        # NONBLOCK: it may have been exchanged for a pipe.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return [], 0
    with open(descriptor, "rb") as file:
        file.seek(offset)
        data = file.read(_MAX_READ)
    end = data.rfind(b"\n") + 1
    if not end and len(data) == _MAX_READ:
        return [], offset + len(data)  # no writer of ours makes such a line
    found = [_record(line) for line in data[:end].split(b"\n")]
    return [record for record in found if record is not None], offset + end


def _record(line: bytes) -> dict[str, Any] | None:
    """Return the object that a line holds, if it holds one."""
    try:
        value = loads(line.decode()) if line else None
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
