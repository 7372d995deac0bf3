"""Reads the ends of logs, and does not wait for a file system that does not answer."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from threading import Thread

# What a rule or a pattern looks at; a worker sends the last 4 KB with its report anyway.
END_BYTES = 64 * 1024
# The head does nothing else meanwhile: its lease and all other trials wait.
LIMIT_SECONDS = 2.0


class LogEnds:
    """Reads one log at a time."""

    def __init__(self) -> None:
        self._hung: Thread | None = None

    def read(self, path: Path | None) -> str | None:
        """Return the end of a log; empty if there is none, None if nobody knows.

        A file system that has not answered once is not asked again before it has.
        """
        if path is None:
            return ""
        if self._hung is not None and self._hung.is_alive():
            return None
        found: list[str] = []
        thread = Thread(target=lambda: found.append(_end_of(path)), name="log", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            return None  # the login node allows no further thread
        thread.join(LIMIT_SECONDS)
        self._hung = thread if thread.is_alive() else None
        return found[0] if found else None


def read_end(path: Path) -> str:
    """Return the end of a log; raises OSError if that is no file, or cannot be read."""
    # A program may have exchanged its log for a pipe, which nobody writes to.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no file")
    with os.fdopen(descriptor, "rb") as file:
        file.seek(max(0, status.st_size - END_BYTES))
        text = file.read(END_BYTES).decode("utf-8", "replace")
        # A part of it may be stored, and no database takes a NUL.
        return text.replace("\0", "\ufffd")


def _end_of(path: Path) -> str:
    try:
        return read_end(path)
    except OSError:
        return ""
