"""The head's side of the spool: what workers left in the run folder."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from db.records import Assignment, ReportMessage
from db.spool import assignments, layout, lines, reports
from orchestrator.steps.ledger import OpenAttempt

# Linux stamps files once a timer tick, 1 to 10 ms; a server of a network file system does the same.
CLOCK_STEP_NS = 50_000_000


@dataclass
class Mail:
    """What was found in the spool since the last time.

    Attributes:
        messages: Reports and metrics, oldest first.
        heartbeats: The newest sign of life of each attempt, by key.
        files: Report files to delete when the messages have been committed.
        offsets: How far each file of lines has been read.
    """

    messages: list[ReportMessage] = field(default_factory=list)
    heartbeats: dict[int, datetime] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    offsets: dict[str, int] = field(default_factory=dict)


class Mailbox:
    """Reads the spool of one run; forgets a thing only when `discard` says it was committed."""

    def __init__(self, run_dir: Path) -> None:
        self._spool = layout.spool_of(str(run_dir))
        layout.create(self._spool)
        self._seen = -1
        self._is_dirty = True
        self._offsets: dict[str, int] = {}

    def is_changed(self) -> bool:
        """Whether a report may have come since the last `collect`; costs one stat."""
        stamp = os.stat(layout.part(self._spool, layout.REPORTS)).st_mtime_ns  # noqa: PTH116
        if stamp != self._seen:
            self._is_dirty = True
        # File systems keep this time in coarse steps: a second file may come within the same one.
        self._seen = stamp if time.time_ns() - stamp > CLOCK_STEP_NS else -1
        return self._is_dirty

    def collect(self, *, with_lines: bool) -> Mail:
        """Read what is there.

        Args:
            with_lines: Look for metrics and heartbeats too. An attempt's end always brings its
                metrics along, so that none is missing when its trial ends.
        """
        mail = Mail()
        self._is_dirty = False
        for path, message in reports.read_reports(self._spool):
            if message["kind"] == "END" and not with_lines:
                token = message["attempt_token"]
                self._read_lines(lines.lines_path(self._spool, token), mail)
            mail.files.append(path)
            mail.messages.append(message)
        if with_lines:
            for path, size in lines.line_files(self._spool).items():
                if size > self._offsets.get(path, 0):
                    self._read_lines(path, mail)
        # Metrics stand before the ends that they belong to.
        mail.messages.sort(key=lambda message: message["kind"] == "END")
        return mail

    def _read_lines(self, path: str, mail: Mail) -> None:
        found, offset = lines.read_lines(path, self._offsets.get(path, 0))
        mail.offsets[path] = offset
        for record in found:
            if record.get("kind") == "HEARTBEAT":
                mail.heartbeats[int(record["attempt_id"])] = datetime.fromisoformat(record["at"])
            elif not reports.find_fault(record):
                message: ReportMessage = record  # type: ignore[assignment]
                mail.messages.append(message)

    def discard(self, mail: Mail) -> None:
        """Forget mail that has been committed."""
        layout.delete(mail.files)
        self._offsets |= mail.offsets

    def clear(self, attempt: OpenAttempt) -> None:
        """Remove what is left in the spool of an attempt that has ended."""
        token = attempt.submission_token
        assignments.discard(self._spool, token, attempt.array_index, attempt.claim)
        path = lines.lines_path(self._spool, attempt.token)
        layout.delete([path])
        self._offsets.pop(path, None)

    def withdraw(self, attempt: OpenAttempt) -> bool:
        """Take an attempt's assignment back, so that no worker can claim it any more.

        False if a worker has it already, or if nothing is known. An assignment that was never
        written, as its head died before, cannot be claimed either.
        """
        place = self._spool, attempt.submission_token, attempt.array_index
        try:
            return assignments.withdraw(*place) or not assignments.is_taken(*place)
        except OSError:
            return False

    def offer(self, token: str, offers: Mapping[int, Assignment]) -> None:
        """Put the assignments of a submission where their workers look for them."""
        assignments.write_assignments(self._spool, token, offers)
