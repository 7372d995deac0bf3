"""Signs of life, and the metrics that go with them.

Both are sent in a thread: while a database that does not answer is waited for, the program's output
is still relayed and its signals and time limits still come at their time.
"""

from __future__ import annotations

import time

from worker.aside import aside, start
from worker.clock import now as time_of_day
from worker.output import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from db.records import Assignment, MetricRecord, ReportMessage
    from worker.gpus import GpuWatch
    from worker.protocol import Protocol
    from worker.reporting import SpoolTransport, Transport
    from worker.stopping import Stopping

# Metrics wait this long for company; a program may print thousands a second.
_METRICS_SECONDS = 2.0
_BATCH = 1000
# So many batches are kept in memory while the database does not answer.
_MAX_WAITING = 100
# How soon to see again whether the thread has come back.
_LOOK_SECONDS = 1.0


class Heartbeat:
    """Tells that an attempt is alive, and what it measured since.

    A heartbeat that does not get through is no error: it goes to the spool, where the head finds it
    when it is back in touch itself, and the next one is tried at its own time.
    """

    def __init__(
        self,
        transport: Transport,
        assignment: Assignment,
        protocol: Protocol,
        *,
        spool: SpoolTransport,
        seconds: float,
        gpus: GpuWatch | None,
    ) -> None:
        self._transport = transport
        self._spool = spool
        self._assignment = assignment
        self._protocol = protocol
        self._seconds = seconds
        self._gpus = gpus
        self._beat_at = time.monotonic() + seconds
        self._metrics_at = 0.0
        self._sequence = 0
        self._waiting: list[ReportMessage] = []
        self._sent: set[int] = set()  # written by the thread, read by the loop
        self._is_busy = False
        self._trouble = ""

    def due_at(self) -> float:
        """Return when `tick` has something to do next, by the monotonic clock."""
        if self._is_busy:
            return time.monotonic() + min(_LOOK_SECONDS, self._seconds)
        if self._protocol.metrics or self._waiting:
            return min(self._beat_at, self._metrics_at)
        return self._beat_at

    def tick(self, now: float) -> None:
        """Begin what is due; never waits."""
        if len(self._protocol.metrics) >= _BATCH:
            self._pack()
        if self._is_busy:
            return
        batches: list[ReportMessage] = []
        if (self._protocol.metrics or self._waiting) and now >= self._metrics_at:
            self._metrics_at = now + min(_METRICS_SECONDS, self._seconds)
            self._pack()
            batches = list(self._waiting)
        is_beat = now >= self._beat_at
        if is_beat:
            self._beat_at = now + self._seconds
        if batches or is_beat:
            self._is_busy = True
            start(lambda: self._work(batches, is_beat=is_beat))

    def send_metrics(self, stopping: Stopping) -> list[ReportMessage]:
        """Send the metrics that still wait, in batches.

        Returns:
            The batches that did not get through. If this process was told to stop, all of them.
        """
        self._pack()
        if self._waiting and not stopping.is_requested():
            batches = list(self._waiting)
            try:
                aside(lambda: self._send(batches), stopping)
            except Exception as error:  # noqa: BLE001 - the result is still to be told
                self._note(str(error))
            self._forget_sent()
        return self._waiting

    def _work(self, batches: list[ReportMessage], *, is_beat: bool) -> None:
        """Send one sign of life and some metrics; in a thread."""
        try:
            if is_beat:
                self._beat()
            self._send(batches)
        except Exception as error:  # noqa: BLE001 - no trial ends for want of a heartbeat
            self._note(str(error))
        finally:
            self._is_busy = False

    def _send(self, batches: list[ReportMessage]) -> None:
        """Send batches in their order until one does not get through."""
        for message in batches:
            self._transport.send(message)
            self._sent.add(message["sequence"])

    def _pack(self) -> None:
        """Make reports of the new metrics.

        A batch never changes once it has its number: if only the answer to its commit was lost, it
        is sent again, and the database already has all of it.
        """
        metrics = self._protocol.metrics
        self._forget_sent()
        while metrics:
            self._waiting.append(self._message(metrics[:_BATCH]))
            self._sequence += 1
            del metrics[:_BATCH]
        if len(self._waiting) > _MAX_WAITING:
            self._note("too many metrics wait for the database; the oldest are dropped")
            del self._waiting[:-_MAX_WAITING]

    def _forget_sent(self) -> None:
        """Let go of what the thread has sent."""
        self._waiting = [each for each in self._waiting if each["sequence"] not in self._sent]

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
        """Send one sign of life, by the database or by the spool."""
        if self._gpus is not None:
            self._gpus.sample()
        try:
            is_ours = self._transport.beat(self._assignment)
        except Exception as error:  # noqa: BLE001 - whatever it is, the other way may be open
            self._note(str(error))
            if self._transport is not self._spool:
                self._spool.beat(self._assignment)
            return
        self._note("" if is_ours else "this attempt was superseded; its program runs on")

    def _note(self, trouble: str) -> None:
        """Log a trouble once, not at every heartbeat."""
        if trouble and trouble != self._trouble:
            say(f"heartbeat: {trouble}")
        self._trouble = trouble
