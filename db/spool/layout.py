"""Where the parts of a spool lie, who may write them, and how a file gets its name at once."""

from __future__ import annotations

import os

ASSIGNMENTS = "assignments"
REPORTS = "reports"
METRICS = "metrics"
COMMANDS = "commands"
REJECTED = "rejected"
PARTS = (ASSIGNMENTS, REPORTS, METRICS, COMMANDS, REJECTED)
_PRIVATE = 0o700
_OTHERS_MAY_WRITE = 0o022
_FILE_TYPE, _FOLDER, _REGULAR_FILE = 0o170000, 0o040000, 0o100000


def spool_of(run_dir: str) -> str:
    """Return the spool of a run folder."""
    return os.path.join(run_dir, "spool")


def part(spool: str, name: str) -> str:
    """Return the folder of one part of a spool."""
    return os.path.join(spool, name)


def create(spool: str) -> None:
    """Make a spool and its parts, open to nobody else; what exists stays as it is."""
    for folder in (spool, *(part(spool, name) for name in PARTS)):
        os.makedirs(folder, mode=_PRIVATE, exist_ok=True)


def find_danger(spool: str) -> str:
    """Say why somebody else may have put files into the spool; empty if nobody can have.

    A folder that is a link, of another owner, or that others may write makes it unsafe: a report
    there may be anybody's. A folder that is missing is made. Raises OSError if nothing is known.
    """
    for folder in (spool, *(part(spool, name) for name in PARTS)):
        try:
            found = os.lstat(folder)
        except FileNotFoundError:
            os.makedirs(folder, mode=_PRIVATE, exist_ok=True)
            found = os.lstat(folder)
        if found.st_mode & _FILE_TYPE != _FOLDER:
            return f"{folder} is not a folder"
        if found.st_uid != os.geteuid():
            return f"{folder} belongs to user {found.st_uid}"
        if found.st_mode & _OTHERS_MAY_WRITE:
            return f"others may write {folder} (mode {found.st_mode & 0o777:o})"
    return ""


def find_stranger(status: os.stat_result) -> str:
    """Say why a file is none that a worker of this user wrote; empty if it may be one."""
    if status.st_mode & _FILE_TYPE != _REGULAR_FILE:
        return "it is not a regular file"
    if status.st_uid != os.geteuid():
        return f"it was written by user {status.st_uid}"
    return ""


def write_whole(path: str, text: str, *, durable: bool) -> None:
    """Put a file in place at once, replacing an older one of the same name.

    Readers see the whole text or nothing. Raises OSError; nothing but the old file is there then.

    Args:
        path: Where it goes.
        text: What it holds.
        durable: Wait until the disk has it.
    """
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.{os.getpid()}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(temporary, flags, 0o600)
        try:
            data = memoryview(text.encode())
            while data:
                data = data[os.write(descriptor, data) :]
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)  # NFS and quotas may say "no space" only here
        os.rename(temporary, path)
    except OSError:
        _remove(temporary)
        raise


def _remove(path: str) -> None:
    """Remove a file of which nobody knows whether it exists."""
    try:
        os.unlink(path)
    except OSError:
        return


def delete(paths: list[str]) -> None:
    """Remove files that were dealt with; those that are gone already are no error."""
    for path in paths:
        try:
            os.unlink(path)
        except FileNotFoundError:
            continue
