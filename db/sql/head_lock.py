"""`head.lock`: a file in the run folder that says which head is at work there.

The lease in the database decides who owns an experiment. But where the file of SQLite lies on a
network file system, no second host may open it, not even to ask for the lease: SQLite's locks may
not hold between hosts (sqlite.org/howtocorrupt.html, section 2.1). There this file decides; anywhere
else it only tells people.

It is made at once with all that it holds, and its time is set anew with each renewal, by the clock
of whoever keeps the file. A head that ends removes it.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from db.errors import DatabaseInUse
from db.filesystems import is_network
from db.sql.leases import Holder

FILE_NAME = "head.lock"
# A lock is stale after so many times its lease: caches of a network file system may show a time
# that is a while behind, and a lock that is broken too early is worse than one that stays.
_PATIENCE = 2.0
# Of a file that is not (yet) whole; a head is assumed to write it at this moment.
_NOBODY = Holder(host="an unknown host", boot_id="", pid=-1, process_started=0)
_UNTOLD_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class Held:
    """What a lock says.

    Attributes:
        holder: The head that has it.
        epoch: Its lease in the database; 0: it has not got that far yet.
        since: When it took it, by its own clock, ISO 8601.
        expire_seconds: How long its lease lasts if it is not renewed.
        nonce: Different for every lock.
        renewed: Its last renewal, by the clock of the file system, in seconds since 1970.
        age_seconds: Since then, by the same clock.
    """

    holder: Holder
    epoch: int
    since: str
    expire_seconds: float
    nonce: str
    renewed: float = 0.0
    age_seconds: float = 0.0

    @property
    def seconds_left(self) -> float:
        """Until it is stale; negative if it is."""
        return _PATIENCE * self.expire_seconds - self.age_seconds


def new_nonce() -> str:
    """Return what tells one lock from every other."""
    return secrets.token_hex(8)


def find(folder: Path, *, moment: float | None = None) -> Held | None:
    """Read the lock of a run folder; None if nobody has it.

    Args:
        folder: The run folder.
        moment: The time by the clock that stamps its files; None: it is asked.

    Raises:
        OSError: It cannot be read, or nobody knows whether it is there.
    """
    try:
        # Opened, not only looked at: that asks a file server for the newest state (nfs(5)).
        with (folder / FILE_NAME).open("rb") as file:
            text, changed = file.read(), os.fstat(file.fileno()).st_mtime
    except FileNotFoundError:
        return None
    age = max(0.0, (time_of(folder) if moment is None else moment) - changed)
    return replace(_understood(text), renewed=changed, age_seconds=age)


def _understood(text: bytes) -> Held:
    try:
        found: dict[str, Any] = json.loads(text)
        holder = Holder(**{name: found.pop(name) for name in Holder.__annotations__})
        return Held(holder=holder, **found)
    except (ValueError, TypeError, KeyError, AttributeError):
        return Held(holder=_NOBODY, epoch=0, since="", expire_seconds=_UNTOLD_SECONDS, nonce="")


def time_of(folder: Path) -> float:
    """Return the time by the clock that stamps the files of a folder, else by that of this host."""
    probe = folder / f".{FILE_NAME}.{new_nonce()}.probe"
    try:
        with probe.open("xb") as file:
            return os.fstat(file.fileno()).st_mtime
    except OSError:
        return time.time()  # a viewer that may only read
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()


def create(folder: Path, lock: Held) -> bool:
    """Put a lock in place; False if there is one. It is there as a whole or not at all.

    Raises:
        OSError: The folder cannot be written.
    """
    draft = _draft(folder, lock)
    try:
        os.link(draft, folder / FILE_NAME)
    except FileExistsError:
        return _is_there(folder, lock)  # a file server may have done it and lost its answer
    except OSError:
        return _create_without_links(folder, lock)
    finally:
        draft.unlink(missing_ok=True)
    return True


def _create_without_links(folder: Path, lock: Held) -> bool:
    """The same where a file cannot have two names; a reader may meet it before it is whole."""
    path = folder / FILE_NAME
    try:
        file = path.open("xb")
    except FileExistsError:
        return False
    try:
        with file:
            file.write(_text(lock))
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return True


def overwrite(folder: Path, lock: Held) -> None:
    """Put a lock in place, whatever is there.

    Raises:
        OSError: The folder cannot be written; an older lock is still there.
    """
    _draft(folder, lock).rename(folder / FILE_NAME)


def _draft(folder: Path, lock: Held) -> Path:
    path = folder / f".{FILE_NAME}.{new_nonce()}.tmp"
    try:
        # Readable like the database beside it: whoever may open that has to see who uses it.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        with os.fdopen(descriptor, "wb") as file:
            file.write(_text(lock))
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return path


def _text(lock: Held) -> bytes:
    values = asdict(lock)
    del values["renewed"], values["age_seconds"]
    return (json.dumps(values.pop("holder") | values, indent=2) + "\n").encode()


def remove(folder: Path, lock: Held) -> bool:
    """Take a lock away, the one that was seen and no other; False if it is not there any more.

    Raises:
        OSError: The folder cannot be written.
    """
    aside = folder / f".{FILE_NAME}.{new_nonce()}.aside"
    if not _is_there(folder, lock):
        return False
    try:
        (folder / FILE_NAME).rename(aside)
    except FileNotFoundError:
        return False
    try:
        # Between the look and the rename somebody else may have been faster: his lock goes back.
        if _understood(aside.read_bytes()).nonce == lock.nonce:
            return True
        with contextlib.suppress(OSError):
            os.link(aside, folder / FILE_NAME)
        return False
    finally:
        aside.unlink(missing_ok=True)


def renew(folder: Path, lock: Held) -> bool:
    """Set the time of a lock anew; False if it is somebody else's or gone.

    Raises:
        OSError: Nobody knows.
    """
    if not _is_there(folder, lock):
        return False
    os.utime(folder / FILE_NAME)
    return True


def _is_there(folder: Path, lock: Held) -> bool:
    """Whether this lock is in place, and not another one."""
    try:
        text = (folder / FILE_NAME).read_bytes()
    except FileNotFoundError:
        return False
    return _understood(text).nonce == lock.nonce


def find_foreign(database: Path) -> Held | None:
    """Return the lock of a head on another host for which an SQLite file has to be left alone.

    None if it may be opened: it lies on a disk of this host, or no such head is alive.
    """
    if not is_network(database):
        return None
    try:
        held = find(database.absolute().parent)
    except OSError:
        return None  # no more can be known of the database than of the lock
    if held is None or held.holder.host == socket.gethostname() or held.seconds_left <= 0:
        return None
    return held


def check_host(database: Path) -> None:
    """Make sure that this host may open an SQLite file.

    Raises:
        DatabaseInUse: A head on another host uses it.
    """
    held = find_foreign(database)
    if held is not None:
        raise DatabaseInUse(
            f"the SQLite file {database} lies on a network file system, and the head on "
            f"{held.holder.host} (process {held.holder.pid}) uses it.",
            f"Look from {held.holder.host}; if that head is dead, the file is free in "
            f"{held.seconds_left:.0f} s.",
        )
