"""The folder of all runs as it is seen from here: room, locks, and what kind of file system."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from db.filesystems import filesystem_type, is_shared
from orchestrator.app.doctor.findings import Finding, failed, ok, warning, within

# No call to a file system that works takes so long.
LIMIT_SECONDS = 20.0
SLOW_SECONDS = 2.0
_MORE_TRIES = 2
_PROBE_BYTES = 2**20
# Logs and results of a search of thousands of trials.
LEAST_FREE_BYTES = 2**30
LEAST_FREE_FILES = 10_000
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
_QUOTA_SECONDS = 10


def look_at_folder(folder: Path) -> Iterator[Finding]:
    """Say what is wrong with the folder of a search, which is there already.

    Leaves nothing in it.
    """
    kind = filesystem_type(folder)
    try:
        yield _speed(folder, kind, _fastest(folder))
        yield within(LIMIT_SECONDS, lambda: _room(folder))
        yield from within(LIMIT_SECONDS, lambda: list(_locks(folder, kind)))
    except OSError as error:
        yield unusable(folder, error)
    yield from _quota()


def unusable(folder: Path, error: OSError) -> Finding:
    """Say why nothing can be written into a folder."""
    why = error.strerror or str(error)
    if error.errno in _NO_ROOM:
        says = f"nothing more can be written to {folder}: {why}"
        remedy = (
            "Remove what you no longer need, or ask for more quota (`df -h`, `df -i` and `quota "
            "-s` show what is used), or keep runs elsewhere: --run_dir."
        )
    elif isinstance(error, TimeoutError):
        says = f"{folder} does not answer: {error}"
        remedy = "Its file server hangs. Keep runs elsewhere (--run_dir), or tell the support."
    else:
        says = f"{folder} cannot be written: {why}"
        remedy = "Keep runs where you may write: --run_dir."
    return failed("run folder", says, remedy)


def _fastest(folder: Path) -> float:
    """Return how long it takes to write a file there, unless it is busy just now."""
    seconds = within(LIMIT_SECONDS, lambda: _write(folder))
    for _ in range(_MORE_TRIES):
        if seconds <= SLOW_SECONDS:
            break
        seconds = min(seconds, within(LIMIT_SECONDS, lambda: _write(folder)))
    return seconds


def _write(folder: Path) -> float:
    """Write a file as Headway does, read it again, and return how long that took."""
    began = time.monotonic()
    path = folder / "written"
    temporary = folder / ".written.tmp"
    text = os.urandom(_PROBE_BYTES)
    try:
        with temporary.open("wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
        if path.read_bytes() != text:
            raise OSError(errno.EIO, "what was written is not what is read again")
    finally:
        temporary.unlink(missing_ok=True)
        path.unlink(missing_ok=True)
    return time.monotonic() - began


def _speed(folder: Path, kind: str, seconds: float) -> Finding:
    says = f"{folder.parent} ({kind}) can be written: 1 MiB in {seconds:.2f} s"
    if seconds > SLOW_SECONDS:
        return warning("run folder", says, "It is slow; a faster one: --run_dir.")
    return ok("run folder", says)


def _room(folder: Path) -> Finding:
    room = os.statvfs(folder)
    free = room.f_bavail * room.f_frsize
    says = f"{free / 2**30:.1f} GiB are free in {folder.parent}"
    # Some file systems have no fixed number of files, and say 0.
    if room.f_files and room.f_favail < LEAST_FREE_FILES:
        says = f"only {room.f_favail} more files can be made in {folder.parent}"
    elif free >= LEAST_FREE_BYTES:
        return ok("free space", says)
    return warning("free space", says, "Remove what you no longer need, or give another --run_dir.")


def _locks(folder: Path, kind: str) -> Iterator[Finding]:
    """Say whether SQLite can lock a file there."""
    path = folder / "locked"
    try:
        with path.open("wb") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.lockf(file, fcntl.LOCK_UN)
    except OSError as error:
        says = f"files cannot be locked on this file system ({kind}): {error.strerror}"
        remedy = "SQLite needs that: name a server (--db_url postgresql://…) or another --run_dir."
        yield failed("file locks", says, remedy)
    else:
        where = "; only this host will open a run's SQLite file" if is_shared(kind) else ""
        yield ok("file locks", f"files can be locked{where}")
    finally:
        path.unlink(missing_ok=True)


def _quota() -> Iterator[Finding]:
    """Say what `quota` says of this user, where there is such a command.

    quota(1): with --quiet it prints only the file systems where a limit is exceeded, and exits with
    another code than 0 then.
    """
    if shutil.which("quota") is None:
        return
    try:
        told = subprocess.run(
            ["quota", "--quiet"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_QUOTA_SECONDS,
            text=True,
            errors="replace",
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return  # nobody knows; what counts is whether a file could be written
    lines = [line.strip() for line in told.stdout.splitlines() if line.strip()]
    if told.returncode and lines:
        says = f"a quota is exceeded: {' '.join(' '.join(lines).split())}"
        yield warning("quota", says, "Remove what you no longer need, or ask for more quota.")
