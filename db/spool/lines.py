"""Heartbeats and metrics: one append-only JSON-lines file an attempt.

A line is a ReportMessage of kind METRIC, or `{"attempt_id", "attempt_token", "kind": "HEARTBEAT",
"at"}`. One process writes a file, so a line is complete as soon as its newline is there.
"""

from __future__ import annotations

import os

from db.light_json import dumps, loads
from db.spool.layout import METRICS, find_stranger, part

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container
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


def line_files(
    spool: str, *, skip: Container[str] = frozenset()
) -> tuple[dict[str, int], dict[str, str]]:
    """Look at the files, once for all that is to be known of them.

    Args:
        spool: The spool's folder.
        skip: Paths that are not wanted.

    Returns:
        The size in bytes of each attempt's file, by path; and why what else lies there is none, by
        path.

    Raises:
        OSError: The folder cannot be read.
    """
    sizes: dict[str, int] = {}
    strangers: dict[str, str] = {}
    with os.scandir(part(spool, METRICS)) as entries:
        for entry in entries:
            path = entry.path
            if entry.name.startswith(".") or path in skip:
                continue
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            has_name = entry.name.endswith(".jsonl")
            why = find_stranger(status) if has_name else "its name does not end with .jsonl"
            if why:
                strangers[path] = why
            else:
                sizes[path] = status.st_size
    return sizes, strangers


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
    # A file object would ask for more: there may be a thousand files, a few of them a second.
    try:
        grown = os.fstat(descriptor).st_size - offset
        data = os.pread(descriptor, min(grown, _MAX_READ), offset) if grown > 0 else b""
    finally:
        os.close(descriptor)
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
