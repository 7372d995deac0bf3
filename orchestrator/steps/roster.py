"""Which hosts there are and what they take, as the scheduler said last; asked in a thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from concurrent.futures import wait as wait_for

from orchestrator.cluster.base import Cluster, Limits

# Hosts are added and drained by hand: rarely, and nobody tells.
ASK_SECONDS = 600.0
# Somebody who needs to know it now; the scheduler answers the same for all jobs that ask.
SOON_SECONDS = 15.0
# Somebody waits until a host is free.
WATCH_SECONDS = 60.0
# So long a head that starts waits for the first answer; it has just had others.
FIRST_SECONDS = 10.0


class Roster:
    """Keeps what the scheduler says of its hosts.

    Attributes:
        limits: Its last answer; without any host: nobody knows.
        answered_at: When (monotonic) that was asked; None: there was no answer yet.
    """

    def __init__(
        self,
        *,
        cluster: Cluster,
        partition: str | None,
        threads: Executor,
        wake: Callable[[], None],
    ) -> None:
        self._cluster = cluster
        self._partition = partition
        self._threads = threads
        self._wake = wake
        self._call: Future[Limits | None] | None = None
        self._asked_at = 0.0
        self._next = 0.0
        self.limits = Limits()
        self.answered_at: float | None = None

    def begin(self) -> None:
        """Ask for the first time, and wait a little for the answer."""
        self._ask()
        assert self._call is not None
        wait_for([self._call], FIRST_SECONDS)
        self.follow()

    def ask_soon(self) -> None:
        """Let the scheduler be asked anew, as what is known may be wrong by now."""
        self._next = min(self._next, self._asked_at + SOON_SECONDS)

    def watch(self) -> None:
        """Let what is known be hardly older than a minute: somebody waits for a host."""
        self._next = min(self._next, self._asked_at + WATCH_SECONDS)

    def is_fresh(self) -> bool:
        """Whether what is known is as young as it is for somebody who watches."""
        at = self.answered_at
        return at is not None and time.monotonic() - at < 2 * WATCH_SECONDS

    def follow(self) -> bool:
        """Take an answer that came, and ask when it is time to; whether something is different."""
        if self._call is not None:
            return self._call.done() and self._take(self._call)
        if time.monotonic() >= self._next:
            self._ask()
        return False

    def _ask(self) -> None:
        self._asked_at = time.monotonic()
        self._next = self._asked_at + ASK_SECONDS
        self._call = self._threads.submit(self._cluster.limits, self._partition)
        self._call.add_done_callback(lambda _: self._wake())

    def _take(self, call: Future[Limits | None]) -> bool:
        self._call, answer = None, call.result()
        if answer is None:
            self.ask_soon()
            return False
        self.answered_at = self._asked_at
        is_other, self.limits = answer != self.limits, answer
        return is_other
