"""Snapshots one after the other, without a pause for keys while a database is slow."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from db.errors import DatabaseUnavailable
from orchestrator.reports.snapshot import Snapshot

ReadSnapshot = Callable[[], Snapshot]
# So much of a core may be spent on frames, and on lines that nobody may be looking at: a head that
# waits is to stay under one percent with all it does.
FRAMES_LOAD, LINES_LOAD = 0.04, 0.005
_LONGEST_SECONDS = 30.0
_REST = 4.0  # so many times as long as it works for a viewer, the database has peace


class Latest:
    """The newest snapshot, and why there is no newer one.

    Attributes:
        snapshot: It; None before the first.
        why: What the database has against a newer one; empty if this is new.
        work_seconds: How long this process was at work for it.
        took_seconds: How long it took, what the database did included.
    """

    def __init__(self, read_snapshot: ReadSnapshot) -> None:
        self._read = read_snapshot
        self._lock = threading.Lock()
        self._failing_since: float | None = None
        self.why = ""
        self.snapshot: Snapshot | None = None
        self.work_seconds = 0.0
        self.took_seconds = 0.0

    def refresh(self) -> None:
        """Read the present moment; what the database has against it is kept as the problem."""
        # A view that was closed may have left a refresh behind that is still under way.
        with self._lock:
            self._refresh()

    def _refresh(self) -> None:
        began, at_work = time.monotonic(), time.thread_time()
        try:
            self.snapshot = self._read()
        except DatabaseUnavailable as error:
            self._failing_since = self._failing_since or time.monotonic()
            # It was not at work: it is asked again soon.
            self.why, self.took_seconds = str(error), 0.0
        else:
            self._failing_since, self.why = None, ""
            self.took_seconds = time.monotonic() - began
        self.work_seconds = time.thread_time() - at_work

    @property
    def problem(self) -> str:
        """Since when there is nothing newer, and why; empty if this is new."""
        if self._failing_since is None:
            return ""
        seconds = round(time.monotonic() - self._failing_since)
        return f"not up to date for {seconds} s: {self.why}"


class Refreshing:
    """Refreshes a `Latest` in threads of its own, one at a time, when it is told to.

    A thread that a database keeps waiting does not keep the process from ending.
    """

    def __init__(self, latest: Latest, *, slow_seconds: float = 5.0) -> None:
        """Refresh `latest`; one that takes longer than `slow_seconds` is spoken of."""
        self._latest = latest
        self._slow_seconds = slow_seconds
        self._done = threading.Event()
        self._done.set()
        self._began = 0.0
        self._error: BaseException | None = None

    def begin(self) -> None:
        """Let it be refreshed, unless that goes on already."""
        if self._done.is_set():
            self._done.clear()
            self._began = time.monotonic()
            threading.Thread(target=self._refresh, name="view", daemon=True).start()

    def is_done(self, *, seconds: float = 0) -> bool:
        """Wait for the end of the last refresh, not longer than `seconds`.

        Raises:
            Exception: What it ended with, once.
        """
        is_done = self._done.wait(seconds) if seconds else self._done.is_set()
        if is_done and self._error is not None:
            error, self._error = self._error, None
            raise error
        return is_done

    @property
    def problem(self) -> str:
        """Why what is there is not new; empty if it is."""
        seconds = time.monotonic() - self._began
        if self._done.is_set() or seconds < self._slow_seconds:
            return self._latest.problem
        return self._latest.problem or f"the database has not answered for {seconds:.0f} s"

    def _refresh(self) -> None:
        try:
            self._latest.refresh()
        except Exception as error:  # noqa: BLE001 - raised again where it is waited for
            self._error = error
        finally:
            self._done.set()


def pause_after(work_seconds: float, took_seconds: float, *, least: float, load: float) -> float:
    """Return how long to wait after a refresh.

    Args:
        work_seconds: How long this process was at work for it.
        took_seconds: How long it took: a database that is slow is asked less often.
        least: Least pause in seconds.
        load: The share of a core that this process is to stay below.
    """
    wanted = max(work_seconds / load - work_seconds, took_seconds * _REST)
    return max(least, min(wanted, _LONGEST_SECONDS))
