"""Snapshots for a head's own view and files: read anew only as often as things change.

A head that waits for long trials has nothing new to show for minutes; reading it once a second
would take more than all its other work.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from orchestrator.reports.snapshot import Snapshot

LEAST_SECONDS = 1.0
MOST_SECONDS = 5.0
# Where nothing has changed for so long, it is looked at half as often as at first.
_CALM_SECONDS = 10.0


class SparingReader:
    """Reads one experiment for all threads of this process that look at it."""

    def __init__(
        self, read_snapshot: Callable[[], Snapshot], *, is_ending: Callable[[], bool]
    ) -> None:
        """Read nothing yet.

        Args:
            read_snapshot: Reads the present moment; called in one thread at a time.
            is_ending: Whether the search is about to end: then every look is a new one.
        """
        self._read = read_snapshot
        self._is_ending = is_ending
        self._lock = threading.Lock()
        self._last: Snapshot | None = None
        self._read_at = 0.0
        self._changed_at = 0.0

    def read(self) -> Snapshot:
        """Return the present moment, or one of a few seconds ago with its clock put on.

        Raises:
            HeadwayError: As `SnapshotReader.read`.
            DatabaseUnavailable: As there.
        """
        with self._lock:
            moment = time.monotonic()
            if self._last is None or self._is_ending() or moment - self._read_at >= self._pause():
                return self._anew()
            return _later(self._last, moment - self._read_at)

    def _pause(self) -> float:
        calm = self._read_at - self._changed_at
        return min(MOST_SECONDS, LEAST_SECONDS * (1 + calm / _CALM_SECONDS))

    def _anew(self) -> Snapshot:
        found = self._read()
        self._read_at = time.monotonic()
        if self._last is None or _matter(found) != _matter(self._last):
            self._changed_at = self._read_at
        self._last = found
        return found


def _matter(snapshot: Snapshot) -> tuple[object, ...]:
    """Return what changes when anything happens to a trial or a host."""
    return (
        snapshot.experiment,
        snapshot.running_count,
        snapshot.queued_count,
        snapshot.setbacks[:1],
        snapshot.outs,
        snapshot.slots,
        snapshot.max_eval,
    )


def _later(snapshot: Snapshot, seconds: float) -> Snapshot:
    """Return the same so much later: running trials run on, and the lease runs out."""
    lease = snapshot.lease
    if lease is not None:
        lease = replace(lease, seconds_left=lease.seconds_left - seconds)
    taken_at = snapshot.taken_at + timedelta(seconds=seconds)
    return replace(snapshot, taken_at=taken_at, lease=lease)
