"""What may happen to a head, to its scheduler, and to the calls between them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from db.sql.store import Store, Transaction
from db.states import JobState
from orchestrator.cluster.base import Answer
from tests.model.promises import Promises
from tests.model.surroundings import SLOTS
from tests.model.truth import REFUSED, UNCLEAR


class HeadDiedError(Exception):
    """A head was killed beside a commit."""


class HeadRules(Promises):
    """Heads die, people stop them, sbatch and squeue do not answer."""

    # Mostly none: while there are no jobs, nothing else can happen.
    @initialize(
        answer=st.sampled_from([None, None, None, REFUSED, UNCLEAR]),
        begun=st.integers(0, SLOTS),
    )
    def first_jobs(self, answer: Answer | None, begun: int) -> None:
        """Begin where something may happen: jobs are in the queue, some workers have begun."""
        self.world.cluster.answers += [answer] if answer else []
        self.world.ticks(3)
        for order, index in self._pending()[:begun]:
            self._begin(order, index)

    @rule(seconds=st.sampled_from([0.0, 0.5, 3.0, 30.0]))
    def tick(self, seconds: float) -> None:
        """Let the head do its four steps."""
        self.world.clock.now += seconds
        self._tick()

    @rule(times=st.integers(1, 4), is_silent=st.booleans())
    def time_passes(self, times: int, is_silent: bool) -> None:
        """Let the head ask the scheduler, which may not answer."""
        self.world.cluster.is_silent = is_silent
        self._look(times)
        self.world.cluster.is_silent = False

    @rule()
    def head_dies(self) -> None:
        """Kill the head between two ticks; the next one takes over."""
        self._take_over()

    @rule(commit=st.integers(1, 3), is_after=st.booleans())
    def head_dies_at_a_commit(self, commit: int, is_after: bool) -> None:
        """Kill the head right before or right after one of the commits of its next tick."""
        dies = killed_at(self.world.store, commit, is_after=is_after)
        with contextlib.suppress(HeadDiedError), dies:
            self._tick()
        self._take_over()

    @rule()
    def stop_is_asked_for(self) -> None:
        """Take back what has not begun, as the first Ctrl-C does; a later head goes on."""
        self._is_stopping = True
        pending = [a for a in self.world.ledger.attempts.values() if a.job_id]
        pending = [a for a in pending if a.state.value != "STARTED"]
        for attempt in pending:
            attempt.is_withdrawn = True
        self.world.cluster.cancel([str(a.job_id) for a in pending], pending_only=True)

    @rule(answer=st.sampled_from([REFUSED, UNCLEAR]))
    def sbatch_makes_no_job(self, answer: Answer) -> None:
        """Let the next call be refused, or be lost on its way."""
        self.world.cluster.answers.append(answer)

    @rule()
    def a_job_appears(self) -> None:
        """Let a job of a call that seemed lost turn up after all."""
        refused = self._refused()
        for order in self.world.cluster.orders:
            if order.name not in self.world.cluster.names and order.token not in refused:
                self.world.cluster.start(order)

    def _refused(self) -> set[str]:
        """Return the submissions that the scheduler itself has refused: they have no job."""
        rows = self.world.rows("submission", message=REFUSED.message)
        return {row["token"] for row in rows}

    @rule()
    def scheduler_forgets_what_has_ended(self) -> None:
        """Let MinJobAge pass without any accounting."""
        cluster = self.world.cluster
        over = {JobState.PENDING, JobState.RUNNING}
        for job in [job for job, status in cluster.jobs.items() if status.state not in over]:
            del cluster.jobs[job]


@contextlib.contextmanager
def killed_at(store: Store, commit: int, *, is_after: bool) -> Iterator[None]:
    """Raise HeadDiedError at the n-th transaction from now on, before or after its commit."""
    count = 0
    real: Callable[[], contextlib.AbstractContextManager[Transaction]] = store.write

    @contextlib.contextmanager
    def write() -> Iterator[Transaction]:
        nonlocal count
        count += 1
        with real() as connection:
            yield connection
            if count == commit and not is_after:
                raise HeadDiedError
        if count == commit:
            raise HeadDiedError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "write", write)
        yield
