"""The head's side of the spool: what workers left in the run folder."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from db.messages import BadMessageError, read_heartbeat, read_message
from db.records import Assignment, ReportMessage
from db.spool import assignments, inbox, layout, lines
from orchestrator.errors import HeadwayError
from orchestrator.steps.ledger import OpenAttempt

# Linux stamps files once a timer tick, 1 to 10 ms; a server of a network file system does the same.
CLOCK_STEP_NS = 50_000_000


@dataclass
class Mail:
    """What was found in the spool since the last time.

    Attributes:
        messages: Reports and metrics, oldest first.
        heartbeats: Tokens of attempts that gave a sign of life.
        files: The report files that messages are from; deleted when those have been committed.
        faults: What can never become a message, with the reason, by path; moved to `rejected/` when
            that has been committed. Of a file of lines that was read, only some are meant.
        offsets: How far each file of lines has been read.
        strangers: Files of lines that were read and are of no attempt at all.
    """

    messages: list[ReportMessage] = field(default_factory=list)
    heartbeats: set[str] = field(default_factory=set)
    files: dict[str, ReportMessage] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    offsets: dict[str, int] = field(default_factory=dict)
    strangers: set[str] = field(default_factory=set)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to settle."""
        return not (self.messages or self.heartbeats or self.faults)

    def put_aside(self, message: ReportMessage, reason: str) -> None:
        """Leave a message out, and with it the file that it was found in."""
        path = next((path for path, found in self.files.items() if found is message), None)
        if path is None:
            name = lines.lines_name(message["attempt_token"])
            path = next(path for path in self.offsets if Path(path).name == name)
            self.strangers.add(path)
        self.faults[path] = reason


class LineFiles:
    """Reads metrics and heartbeats: one file an attempt, which grows while it runs.

    Attributes:
        has_more: The last look was not enough; the next one should come at once.
    """

    def __init__(self, spool: str) -> None:
        self._spool = spool
        self._offsets: dict[str, int] = {}
        self._bad: set[str] = set()
        self.has_more = False

    def collect(self, mail: Mail, *, skip: Container[str]) -> None:
        """Read what is new, except in files that are not wanted, and say what is out of place."""
        total, self.has_more = 0, False
        sizes, strangers = lines.line_files(self._spool, skip=skip)
        mail.faults |= strangers
        for path, size in sizes.items():
            before = self._offsets.get(path, 0)
            if size <= before:
                continue
            if total > inbox.MAX_TOTAL:
                self.has_more = True
                break
            self._read(path, mail)
            after = mail.offsets.get(path, before)
            total += after - before
            self.has_more = self.has_more or before < after < size

    def has_all(self, token: str, mail: Mail) -> bool:
        """Read an attempt's lines; False if there are so many that the end has to wait."""
        path = lines.lines_path(self._spool, token)
        try:
            size = os.stat(path).st_size  # noqa: PTH116
            if path not in mail.offsets:
                self._read(path, mail)
        except OSError:
            return True
        # A line that was cut off is never read: it must not hold up the end for ever.
        before = self._offsets.get(path, 0)
        after = mail.offsets.get(path, before)
        return after >= size or after == before

    def _read(self, path: str, mail: Mail) -> None:
        try:
            found, offset = lines.read_lines(path, self._offsets.get(path, 0))
        except OSError as error:
            if error.errno in inbox.FOR_GOOD:
                mail.faults[path] = f"it cannot be opened: {error.strerror}"
            return
        mail.offsets[path] = offset
        for record in found:
            try:
                self._sort_in(record, path, mail)
            except BadMessageError as error:
                self._bad.add(path)
                mail.faults.setdefault(path, f"a line of it is no message: {error}")

    def _sort_in(self, record: dict[str, Any], path: str, mail: Mail) -> None:
        if path != lines.lines_path(self._spool, str(record.get("attempt_token"))):
            raise BadMessageError("its token is not that of its file")
        if record.get("kind") == "HEARTBEAT":
            mail.heartbeats.add(read_heartbeat(record))
        else:
            mail.messages.append(read_message(record))

    def discard(self, mail: Mail) -> None:
        """Forget lines that have been committed."""
        self._offsets |= mail.offsets

    def forget(self, path: str) -> bool:
        """Forget a file whose attempt has ended; whether some lines of it were no messages."""
        self._offsets.pop(path, None)
        was_bad = path in self._bad
        self._bad.discard(path)
        return was_bad


class Mailbox:
    """Reads the spool of one run; forgets a thing only when `discard` says it was committed.

    Attributes:
        run_dir: The run folder.
    """

    def __init__(self, run_dir: Path, *, note: Callable[..., None] = lambda *_, **__: None) -> None:
        """Make the spool if it is not there.

        Args:
            run_dir: The run folder.
            note: Told when the spool cannot be read any more, and when it can be again.

        Raises:
            HeadwayError: It cannot be made, or somebody else may have put reports into it.
        """
        self.run_dir = run_dir
        self._spool = layout.spool_of(str(run_dir))
        try:
            layout.create(self._spool)
            danger = layout.find_danger(self._spool)
        except OSError as error:
            raise HeadwayError(f"{self._spool} cannot be used: {error.strerror}.") from error
        if danger:
            message = f"{danger}: reports there may be anybody's."
            raise HeadwayError(message, self._remedy(danger))
        self._note = note
        self._trouble = ""
        self._seen = -1
        self._is_dirty = True
        self._is_all = False
        self._stuck: set[str] = set()
        self._lines = LineFiles(self._spool)

    @property
    def is_in_trouble(self) -> bool:
        """Whether the spool cannot be read now, so that nothing is heard from workers."""
        return bool(self._trouble)

    @property
    def has_unread(self) -> bool:
        """Whether the last look has left something unread, or could not be made at all."""
        return self.is_in_trouble or not self._is_all

    def is_changed(self) -> bool:
        """Whether a report may have come since the last `collect`; costs one stat."""
        try:
            stamp = os.stat(layout.part(self._spool, layout.REPORTS)).st_mtime_ns  # noqa: PTH116
        except OSError:
            return False  # `collect` says what is wrong
        if stamp != self._seen:
            self._is_dirty = True
        # File systems keep this time in coarse steps: a second file may come within the same one.
        self._seen = stamp if time.time_ns() - stamp > CLOCK_STEP_NS else -1
        return self._is_dirty

    def collect(self, *, with_lines: bool) -> Mail:
        """Read what is there; nothing while the spool cannot be read or is not safe.

        Args:
            with_lines: Look for metrics and heartbeats too. An attempt's end always brings its
                metrics along, so that none is missing when its trial ends.
        """
        mail = Mail()
        self._is_dirty = False
        try:
            danger = layout.find_danger(self._spool)
            if not danger:
                self._collect(mail, with_lines=with_lines)
        except OSError as error:
            self._tell(f"the spool does not answer: {error.strerror or error}", "")
            return Mail()
        self._tell(danger and f"{danger}: the spool is not read", self._remedy(danger))
        return mail

    def _remedy(self, danger: str) -> str:
        if "may write" in danger:
            return f"Let nobody else write there: chmod -R go-w {self._spool}"
        return "It has to be a folder of the user who runs Headway."

    def _tell(self, trouble: str, remedy: str) -> None:
        """Say once what is wrong, and once that it is over."""
        if trouble and not self._trouble:
            self._note("reports of workers wait", level="error", why=trouble, remedy=remedy)
        elif self._trouble and not trouble:
            self._note("the spool is read again")
        self._trouble = trouble

    def _collect(self, mail: Mail, *, with_lines: bool) -> None:
        self._stuck = {path for path in self._stuck if os.path.lexists(path)}
        found = inbox.read_reports(self._spool, skip=self._stuck)
        mail.faults |= found.faults
        is_all = found.is_all
        if with_lines or self._lines.has_more:
            self._lines.collect(mail, skip=self._stuck)
            is_all = is_all and not self._lines.has_more
        for path, message in found.reports:
            token = message["attempt_token"]
            if message["kind"] == "END" and not self._lines.has_all(token, mail):
                is_all = False
                continue
            mail.files[path] = message
            mail.messages.append(message)
        # Another look is due at once if this one was not enough.
        self._is_dirty, self._is_all = self._is_dirty or not is_all, is_all
        # Metrics stand before the ends that they belong to.
        mail.messages.sort(key=lambda message: message["kind"] == "END")

    def discard(self, mail: Mail) -> None:
        """Forget mail that has been committed."""
        for path in mail.files.keys() - mail.faults.keys():
            self._delete(path)
        for path, reason in mail.faults.items():
            has_others = path in mail.offsets and path not in mail.strangers
            if not has_others and not inbox.set_aside(self._spool, path, reason):
                self._stuck.add(path)
        self._lines.discard(mail)

    def _delete(self, path: str) -> None:
        """Remove a file that was dealt with; one that stays is not read again."""
        try:
            layout.delete([path])
        except OSError:
            self._stuck.add(path)

    def clear(self, attempt: OpenAttempt) -> None:
        """Remove what is left in the spool of an attempt that has ended."""
        token = attempt.submission_token
        # What cannot be removed is in nobody's way: the attempt cannot be claimed any more.
        with contextlib.suppress(OSError):
            assignments.discard(self._spool, token, attempt.array_index, attempt.claim)
        path = lines.lines_path(self._spool, attempt.token)
        if self._lines.forget(path):
            inbox.set_aside(self._spool, path, "some lines of it are no messages")
        else:
            self._delete(path)

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
