"""What may happen to workers, their programs, their jobs and their reports."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from db.states import JobState
from tests.model.promises import Promises
from tests.model.surroundings import SLOTS
from tests.model.truth import BAD_ENDS, GOOD_ENDS, TOLD

# A place among those that are there; small, so that examples shrink to something readable.
PLACES = st.integers(0, 7)
# How often the head hears the scheduler after something happened.
LOOKS = st.integers(0, 3)
# What a job is called whose processes have been killed with it.
KILLS = (JobState.FAILED, JobState.NODE_FAIL, JobState.PREEMPTED, JobState.TIMEOUT)


class WorkerRules(Promises):
    """Workers begin, end, are killed, requeued, forgotten, and come back."""

    @precondition(lambda self: self._pending())
    @rule(count=st.integers(1, SLOTS), looks=LOOKS)
    def workers_begin(self, count: int, looks: int) -> None:
        """Let jobs begin that have not begun, the newest first."""
        for order, index in self._pending()[-count:]:
            self._begin(order, index)
        self._look(looks)

    @precondition(lambda self: self.truth.lives)
    @rule(place=PLACES)
    def worker_begins_in_a_job_that_begins_again(self, place: int) -> None:
        """Let a second worker come for a place that had one (a lost answer, a requeue by hand)."""
        job = self.truth.lives[place % len(self.truth.lives)].job
        for order in self.world.cluster.orders:
            for index, name in self.world.cluster.names.get(order.name, {}).items():
                if name == job:
                    assert self.world.claim(order, index) is None, "an attempt was claimed twice"

    @precondition(lambda self: self.truth.running())
    @rule(place=PLACES, is_told=st.booleans(), seen=LOOKS, looks=LOOKS)
    def job_is_requeued(self, place: int, is_told: bool, seen: int, looks: int) -> None:
        """End a job with everything in it, and put it back into the queue.

        The head may see its end before, and go on without it.
        """
        life = self._choose(place)
        if life.is_zombie:
            return
        if is_told:
            self._end(life, TOLD, is_late=False)
        life.is_running = False
        job = life.job
        self._set(life, JobState.NODE_FAIL)
        self._look(seen)
        self._restarts[job] += 1
        self.world.cluster.set(job, JobState.PENDING, reason="BeginTime")
        self._look(looks)

    @precondition(lambda self: self.truth.running())
    @rule(place=PLACES, how=st.sampled_from(GOOD_ENDS), is_late=st.booleans(), looks=LOOKS)
    def program_succeeds(self, place: int, how: dict[str, Any], is_late: bool, looks: int) -> None:
        """Let a program come to its end; its report may need a while."""
        self._succeed(self._choose(place), how, is_late=is_late)
        self._look(looks)

    @precondition(lambda self: self.truth.running())
    @rule(place=PLACES, how=st.sampled_from(BAD_ENDS), is_late=st.booleans(), looks=LOOKS)
    def program_fails(self, place: int, how: dict[str, Any], is_late: bool, looks: int) -> None:
        """Let a program fail."""
        self._end(self._choose(place), how, is_late=is_late)
        self._look(looks)

    @precondition(lambda self: self.truth.running())
    @rule(place=PLACES, state=st.sampled_from(KILLS), is_told=st.booleans(), looks=LOOKS)
    def job_is_killed(self, place: int, state: JobState, is_told: bool, looks: int) -> None:
        """End a job with everything in it; its worker may get the time to say so."""
        life = self._choose(place)
        if is_told:
            self._end(life, TOLD, is_late=False)
        life.is_running = False
        self._set(life, state)
        self._look(looks)

    @precondition(lambda self: self.truth.running())
    @rule(place=PLACES, is_forgotten=st.booleans(), looks=LOOKS)
    def scheduler_loses_a_job(self, place: int, is_forgotten: bool, looks: int) -> None:
        """Let the scheduler believe a node dead (or know nothing) whose program runs on."""
        life = self._choose(place)
        life.is_zombie = True
        if is_forgotten:
            self.world.cluster.jobs.pop(life.job, None)
        else:
            self.world.cluster.set(life.job, JobState.NODE_FAIL)
        self._look(looks)

    @precondition(lambda self: self.truth.late)
    @rule(place=PLACES, looks=LOOKS)
    def report_arrives_late(self, place: int, looks: int) -> None:
        """Let a report arrive that had been on its way."""
        self._deliver(*self.truth.late.pop(place % len(self.truth.late)))
        self._look(looks)

    @precondition(lambda self: self.truth.lives)
    @rule(place=PLACES)
    def report_comes_again(self, place: int) -> None:
        """Let everything that a worker has said arrive once more."""
        life = self.truth.lives[place % len(self.truth.lives)]
        for message in life.worker.messages:
            self.world.deliver(message)
