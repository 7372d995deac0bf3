"""Signs of life, and the metrics that go with them."""

from __future__ import annotations

import time

from db.errors import DatabaseError
from worker.clock import now as time_of_day
from worker.output import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from db.records import Assignment, MetricRecord, ReportMessage
    from worker.gpus import GpuWatch
    from worker.protocol import Protocol
    from worker.reporting import Transport

# Metrics wait this long for company; a program may print thousands a second.
_METRICS_SECONDS = 2.0
_BATCH = 1000
# So many batches are kept in memory while the database does not answer.
_MAX_WAITING = 100


class Heartbeat:
    """Tells that an attempt is alive, and what it measured since.

    A heartbeat that does not get through is no error: the next one is tried at its own time.
    """

    def __init__(
        self,
        transport: Transport,
        assignment: Assignment,
        protocol: Protocol,
        *,
        seconds: float,
        gpus: GpuWatch | None,
    ) -> None:
        self._transport = transport
        self._assignment = assignment
        self._protocol = protocol
        self._seconds = seconds
        self._gpus = gpus
        self._beat_at = time.monotonic() + seconds
        self._metrics_at = 0.0
        self._sequence = 0
        self._waiting: list[ReportMessage] = []
        self._trouble = ""

    def due_at(self) -> float:
        """Return when `tick` has something to do next, by the monotonic clock."""
        if self._protocol.metrics or self._waiting:
            return min(self._beat_at, self._metrics_at)
        return self._beat_at

    def tick(self, now: float) -> None:
        """Do what is due."""
        if (self._protocol.metrics or self._waiting) and now >= self._metrics_at:
            self._metrics_at = now + min(_METRICS_SECONDS, self._seconds)
            self.send_metrics()
        if now >= self._beat_at:
            self._beat_at = now + self._seconds
            self._beat()

    def send_metrics(self) -> list[ReportMessage]:
        """Send the metrics that wait, in batches.

        Returns:
            The batches that did not get through and wait on.
        """
        self._pack()
        while self._waiting:
            try:
                self._transport.send(self._waiting[0])
            except (OSError, DatabaseError) as error:
                self._note(str(error))
                break
            del self._waiting[0]
        return self._waiting

    def _pack(self) -> None:
        """Make reports of the new metrics.

        A batch never changes once it has its number: if only the answer to its commit was lost, it
        is sent again, and the database already has all of it.
        """
        metrics = self._protocol.metrics
        while metrics:
            self._waiting.append(self._message(metrics[:_BATCH]))
            self._sequence += 1
            del metrics[:_BATCH]
        if len(self._waiting) > _MAX_WAITING:
            self._note("too many metrics wait for the database; the oldest are dropped")
            del self._waiting[:-_MAX_WAITING]

    def _message(self, metrics: list[MetricRecord]) -> ReportMessage:
        """Make one report of metrics."""
        return {
            "attempt_id": self._assignment["attempt_id"],
            "attempt_token": self._assignment["attempt_token"],
            "kind": "METRIC",
            "sequence": self._sequence,
            "created_at": time_of_day(),
            "payload": {"metrics": metrics},
        }

    def _beat(self) -> None:
        """Send one sign of life."""
        if self._gpus is not None:
            self._gpus.sample()
        try:
            is_ours = self._transport.beat(self._assignment)
        except (OSError, DatabaseError) as error:
            self._note(str(error))
            return
        self._note("" if is_ours else "this attempt was superseded; its program runs on")

    def _note(self, trouble: str) -> None:
        """Log a trouble once, not at every heartbeat."""
        if trouble and trouble != self._trouble:
            say(f"heartbeat: {trouble}")
        self._trouble = trouble
