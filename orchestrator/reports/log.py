"""`head.log`: what the head did, as JSON lines; and the same as plain lines on a terminal."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from orchestrator.reports.tables import plain
from orchestrator.reports.texts import printable, values

FILE_NAME = "head.log"


class HeadLog:
    """Writes one line an event; usable from several threads.

    A line is `{"time": …, "level": …, "event": …, "fields": {…}}`. A log that cannot be written
    never ends the head: what is lost is counted and said in the next line that can be written.

    Attributes:
        lost: How many lines could not be written since the last one that could.
    """

    def __init__(self, run_dir: Path, *, echo: TextIO | None = None) -> None:
        """Open the log of a run folder; lines are added to what is there.

        Args:
            run_dir: The run folder.
            echo: Also print each event there as a plain line; None while a live view is shown.

        Raises:
            OSError: The file cannot be opened.
        """
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._file = os.open(run_dir / FILE_NAME, flags, 0o600)
        self._echo = echo
        self._lock = threading.Lock()
        self._is_torn = False
        self.lost = 0

    def note(self, event: str, /, *, level: str = "info", **fields: object) -> None:
        """Write one event.

        Args:
            event: What happened, in a few words.
            level: debug, info, warning or error; debug is not printed.
            **fields: The details; anything that JSON can hold, times and enums.
        """
        moment = datetime.now(UTC)
        record: dict[str, object] = {"time": moment, "level": level, "event": event}
        with self._lock:
            if self.lost:
                record["lost_lines"] = self.lost
            self._write(record | {"fields": fields})
            if self._echo is not None and level != "debug":
                self._print(moment, level, event, fields)

    def _write(self, record: dict[str, object]) -> None:
        line = json.dumps(plain(record), ensure_ascii=False, default=str) + "\n"
        # A disk that was nearly full took a part of a line: the next one must not stick to it.
        data = (b"\n" if self._is_torn else b"") + line.encode(errors="backslashreplace")
        try:
            written = os.write(self._file, data)
        except OSError:
            self.lost += 1
            return
        self._is_torn = written != len(data)
        self.lost = self.lost + 1 if self._is_torn else 0

    def _print(self, moment: datetime, level: str, event: str, fields: dict[str, object]) -> None:
        clock = moment.astimezone().strftime("%H:%M:%S")
        weight = "" if level == "info" else f"{level}: "
        details = f"  {values(fields)}" if fields else ""
        try:
            print(f"{clock} {weight}{printable(event + details)}", file=self._echo, flush=True)
        except (OSError, ValueError):
            # The terminal is gone (a lost ssh connection); the head goes on.
            self._echo = None

    def close(self) -> None:
        """Close the file; what a full disk did not take has been counted."""
        with self._lock, contextlib.suppress(OSError):
            os.close(self._file)
