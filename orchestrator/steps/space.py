"""Room on the disks that a run writes to: where there is none, nothing is submitted.

A job that starts on a full disk can write neither its log nor its report, so its trial would be
used up for nothing. A file is written and removed again instead of asking how much is free: nothing
else tells about quotas, used-up inodes and disks that have become read-only.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from db.errors import DatabaseFull, DatabaseUnavailable

PROBE_BYTES = 64 * 1024
AGAIN_SECONDS = 5.0
# Looking takes at most this share of the time, however slow the file system is.
_SHARE = 0.02
_HINTS = {
    errno.ENOSPC: "df -h {0}; df -i {0}",
    errno.EDQUOT: "quota -s; df -h {0}",
}


class Space:
    """Knows whether there is room; says once when there is none, and once when there is again.

    Attributes:
        is_full: Whether there was none when somebody looked last.
    """

    def __init__(self, folders: Iterable[Path], *, note: Callable[..., None]) -> None:
        """Look at nothing yet.

        Args:
            folders: The run folder, and the one that an SQLite file is in.
            note: Told when there is no room, and when there is again.
        """
        self._folders = tuple(dict.fromkeys(folders))
        self._note = note
        # Nothing that a file system could store in less.
        self._data = os.urandom(PROBE_BYTES)
        self._next = 0.0
        self._since = 0.0
        self.is_full = False

    def has_room(self, *, is_needed: bool = True) -> bool:
        """Whether jobs may be submitted; looks where it is time to.

        Args:
            is_needed: Whether some are about to be; else it is looked at now and then.
        """
        pause = 0.0 if is_needed or self.is_full else AGAIN_SECONDS
        if time.monotonic() >= self._next + pause:
            trouble = self._look()
            if trouble is not None:
                self._complain(*trouble)
            elif self.is_full:
                self.is_full = False
                waited = round(time.monotonic() - self._since)
                text = "there is room again: submission goes on"
                self._note(text, level="warning", after_seconds=waited)
        return not self.is_full

    def explains(self, error: DatabaseUnavailable) -> bool:
        """Whether it is for lack of room that a database in one of the folders could not write."""
        folder, found = self._look() or (self._folders[-1], None)
        if found is None and isinstance(error, DatabaseFull):
            found = OSError(errno.ENOSPC, str(error))
        if found is not None:
            self._complain(folder, found)
        return found is not None

    def require(self) -> None:
        """Make sure that there is room again, and say nothing.

        Raises:
            DatabaseUnavailable: There is none, or it is not yet time to look.
        """
        if time.monotonic() >= self._next:
            if self._look() is None:
                return
            self._next = time.monotonic() + AGAIN_SECONDS
        raise DatabaseUnavailable(f"there is no room in {self._folders[-1]}")

    def _complain(self, folder: Path, error: OSError) -> None:
        self._next = time.monotonic() + AGAIN_SECONDS
        if self.is_full:
            return
        self.is_full, self._since = True, time.monotonic()
        look = _HINTS.get(error.errno or 0, "ls -ld {0}").format(folder)
        self._note(
            "nothing is submitted until there is room again",
            level="error",
            folder=str(folder),
            why=error.strerror,
            look=look,
        )

    def _look(self) -> tuple[Path, OSError] | None:
        """Return the first folder that cannot be written to, and why."""
        began = time.monotonic()
        for folder in self._folders:
            try:
                self._write(folder / ".room")
            except OSError as error:
                return folder, error
        self._next = time.monotonic() + (time.monotonic() - began) / _SHARE
        return None

    def _write(self, probe: Path) -> None:
        """Write and remove a file; network file systems may say only at the close that it failed."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(probe, flags, 0o600)
            try:
                written = os.write(descriptor, self._data)
            finally:
                os.close(descriptor)
            if written < PROBE_BYTES:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            probe.unlink(missing_ok=True)
