"""`live.json`: the head's last snapshot, for followers who must not open its database.

An SQLite file on a network file system belongs to the host of its head alone while that lives
(`db.sql.head_lock`). What a live view shows of it goes through this file in the run folder.
"""

from __future__ import annotations

import functools
import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from db.errors import DatabaseError, DatabaseUnavailable
from db.spool.layout import write_whole
from db.sql import head_lock
from db.sql.head_lock import Held
from orchestrator.errors import HeadwayError
from orchestrator.reports.snapshot import Snapshot
from orchestrator.reports.texts import duration

if TYPE_CHECKING:
    from pydantic import TypeAdapter

FILE_NAME = "live.json"
# Another one when a reader of this Headway could not read what an older one wrote.
FORMAT = 1
PAUSE_SECONDS = 2.0
# Reading and writing take at most this share of the time, however large the search is.
_SHARE = 0.05


def write(run_dir: Path, snapshot: Snapshot) -> None:
    """Put a snapshot in place at once, readable by its owner only.

    Raises:
        OSError: It could not be written; an older one is still there.
    """
    text = json.dumps({"format": FORMAT, "snapshot": _adapter().dump_python(snapshot, mode="json")})
    write_whole(str(run_dir / FILE_NAME), text, durable=False)


class LiveFile:
    """Keeps `live.json` current; called from one thread, always the same."""

    def __init__(
        self, run_dir: Path, read_snapshot: Callable[[], Snapshot], *, note: Callable[..., None]
    ) -> None:
        """Write nothing yet.

        Args:
            run_dir: The run folder.
            read_snapshot: Reads the present moment.
            note: Told when the file could not be written, and when it could be again.
        """
        self._folder = run_dir
        self._read = read_snapshot
        self._note = note
        self._next = 0.0
        self._is_behind = False

    def update(self, *, force: bool = False) -> bool:
        """Write the file if it is due.

        A full disk or a database that does not answer is noted once, and the old file stays.

        Args:
            force: Write now, for example at the end.

        Returns:
            Whether the file was written.
        """
        began = time.monotonic()
        if began < self._next and not force:
            return False
        try:
            write(self._folder, self._read())
        except (OSError, DatabaseError, HeadwayError) as error:
            if not self._is_behind:
                self._note(f"{FILE_NAME} could not be written", level="warning", why=str(error))
            self._is_behind = True
            return False
        finally:
            spent = time.monotonic() - began
            self._next = began + max(PAUSE_SECONDS, spent / _SHARE)
        if self._is_behind:
            self._note(f"{FILE_NAME} is current again")
        self._is_behind = False
        return True


def read(run_dir: Path) -> Snapshot:
    """Read the last snapshot; its lease is as old as the file.

    Raises:
        DatabaseUnavailable: As `LiveFileReader.read`.
    """
    return LiveFileReader(run_dir).read()


class LiveFileReader:
    """Reads `live.json` again and again, as `SnapshotReader` reads a database."""

    def __init__(self, run_dir: Path) -> None:
        self._folder = run_dir
        self._offset: float | None = None

    def read(self) -> Snapshot:
        """Read the last snapshot; its lease is as old as the file.

        Raises:
            DatabaseUnavailable: There is none, it cannot be read, another version wrote it, or a
                living head writes it no more; the next call may work.
        """
        path = self._folder / FILE_NAME
        try:
            # Opened, not only looked at: that asks a file server for the newest state (nfs(5)).
            with path.open("rb") as file:
                text, written = file.read(), os.fstat(file.fileno()).st_mtime
            snapshot, moment = _understood(path, text), self._time()
            # After so long without the file, the head may be dead, or have no room to write it.
            is_late = moment - written > snapshot.lease_seconds
            held = head_lock.find(self._folder, moment=moment) if is_late else None
        except OSError as error:
            message = f"{path} cannot be read: {error.strerror}"
            raise DatabaseUnavailable(message, "Its head writes it while it lives.") from error
        if held is not None and _is_alive(held, written + snapshot.lease_seconds):
            ago = f"{path} was last written {duration(moment - written)} ago"
            host = held.holder.host
            message = f"{ago}, though its head on {host} is alive (is there room on the disk?)"
            raise DatabaseUnavailable(message, f"Look from {host}.")
        return _aged(snapshot, moment - written)

    def _time(self) -> float:
        """Return the time by the clock that stamps the files of the folder.

        It is asked once: to ask means to make a file.
        """
        if self._offset is None:
            self._offset = head_lock.time_of(self._folder) - time.monotonic()
        return time.monotonic() + self._offset


def _is_alive(held: Held, latest: float) -> bool:
    """Whether a head keeps its lock, and has renewed it later than this."""
    return held.seconds_left > 0 and held.renewed > latest


def _understood(path: Path, text: bytes) -> Snapshot:
    try:
        found: Any = json.loads(text)
        if found["format"] == FORMAT:
            return _adapter().validate_python(found["snapshot"], strict=False)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        why = f"{path} is not as this Headway writes it: {type(error).__name__}"
        raise DatabaseUnavailable(why, "Look from the host of the head.") from error
    why = f"{path} was written by another version of Headway (format {found['format']!r})"
    raise DatabaseUnavailable(why, "Look with the version of the head.")


def _aged(snapshot: Snapshot, seconds: float) -> Snapshot:
    """Return a snapshot whose lease has run on since it was taken.

    Its other times stay: they are those of the moment that it shows.
    """
    if snapshot.lease is None:
        return snapshot
    left = snapshot.lease.seconds_left - max(0.0, seconds)
    return replace(snapshot, lease=replace(snapshot.lease, seconds_left=left))


@functools.cache
def _adapter() -> TypeAdapter[Snapshot]:
    from pydantic import TypeAdapter

    return TypeAdapter(Snapshot)
