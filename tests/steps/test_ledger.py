"""Whatever happens in whatever order, nothing is lost, repeated or counted wrongly."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from db.states import JobState
from orchestrator.cluster.base import Answer, AnswerKind
from tests.steps.worker import Worker
from tests.steps.world import World

MakeWorld = Callable[..., World]
# Of a worker that was told to stop, and of others.
ENDS: list[dict[str, Any]] = [
    {},
    {},
    {},
    {"exit_code": 2},
    {"results": {}},
    {"cause": "TIMEOUT", "exit_code": None, "signal": 15},
    {"cause": "TERMINATED", "exit_code": None, "signal": 15, "results": {}},
    {"cause": "TERMINATED"},
]
JOB_ENDS = [
    JobState.COMPLETED,
    JobState.FAILED,
    JobState.NODE_FAIL,
    JobState.PREEMPTED,
    JobState.CANCELLED,
]
ANSWERS = [
    Answer(kind=AnswerKind.REFUSED, message="no"),
    Answer(kind=AnswerKind.UNCLEAR, message="?"),
]


class Chaos:
    """Does something at random that may happen on a cluster."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.random = random.Random(seed)
        self.workers: list[Worker] = []
        self.actions: list[Callable[[], object]] = [
            self.begin,
            self.begin,
            self.end,
            self.end,
            self.end_late,
            self.end_job,
            self.forget_job,
            self.answer_badly,
            self.appear,
            self.fall_silent,
            self.repeat_a_report,
            self.wait,
            self.die,
        ]

    def step(self) -> None:
        self.random.choice(self.actions)()
        self.world.clock.now += self.random.choice([0.0, 0.5, 3.0, 30.0])
        self.world.tick()

    def begin(self) -> None:
        if self.world.cluster.orders:
            order = self.random.choice(self.world.cluster.orders[-4:])
            if order.name not in self.world.cluster.names:
                self.world.cluster.start(order)  # a worker begins in a job, whatever sbatch said
            worker = self.world.claim(order, self.random.randrange(order.size))
            if worker is not None:
                self.workers.append(worker)

    def end(self, *, with_job: bool = True) -> None:
        if self.workers:
            place = self.random.randrange(len(self.workers))
            worker = self.workers.pop(place)
            worker.end(**self.random.choice(ENDS))
            if with_job and self.random.random() < 0.7:
                self._set(worker, JobState.COMPLETED)

    def end_late(self) -> None:
        if self.workers:
            worker = self.random.choice(self.workers)
            self._set(worker, None)

    def end_job(self) -> None:
        if self.workers:
            self._set(self.random.choice(self.workers), self.random.choice(JOB_ENDS))

    def forget_job(self) -> None:
        jobs = self.world.cluster.jobs
        if jobs:
            del jobs[self.random.choice(sorted(jobs))]

    def answer_badly(self) -> None:
        self.world.cluster.answers.append(self.random.choice(ANSWERS))

    def appear(self) -> None:
        """Let the job of an unclear submission turn up after all."""
        for order in self.world.cluster.orders[-2:]:
            if order.name not in self.world.cluster.names:
                self.world.cluster.start(order)

    def fall_silent(self) -> None:
        self.world.cluster.is_silent = not self.world.cluster.is_silent

    def repeat_a_report(self) -> None:
        for worker in self.workers[:1]:
            for message in worker.messages:
                self.world.deliver(message)

    def wait(self) -> None:
        self.world.look(2)

    def die(self) -> None:
        self.world.start_head()

    def _set(self, worker: Worker, state: JobState | None) -> None:
        job = self.world.job_of(worker)
        if state is None:
            self.world.cluster.jobs.pop(job, None)
        elif job in self.world.cluster.jobs:
            self.world.cluster.set(job, state)

    def come_to_rest(self) -> None:
        """Let everything run to its end without any more trouble."""
        world = self.world
        world.cluster.is_silent = False
        world.cluster.answers.clear()
        for worker in self.workers:
            worker.end()
        for job, status in world.cluster.jobs.items():
            if status.state == JobState.RUNNING:
                world.cluster.set(job, JobState.COMPLETED)
        for _ in range(60):
            for worker in world.claim_all():
                worker.end()
                world.finish_job(worker)
            world.look()
            if not world.ledger.trials and world.ledger.created >= world.spec.max_eval:
                return
        raise AssertionError(f"never at rest: {world.statuses()} {world.states()}")


@pytest.mark.parametrize("seed", range(5))
def test_the_ledger_that_was_kept_is_the_one_that_would_be_read(
    make_world: MakeWorld, seed: int
) -> None:
    world = make_world(num_parallel_jobs=3, max_eval=8)
    chaos = Chaos(world, seed)
    for _ in range(40):
        chaos.step()
    chaos.come_to_rest()
    finals = {"COMPLETED", "FAILED", "ABANDONED"}
    assert set(world.statuses()) <= finals
    assert all(row["consumed_at"] for row in world.rows("report"))
    assert not set(world.states()) & {"PLANNED", "SUBMITTED", "STARTED"}
    succeeded = [
        row["trial_id"] for row in world.rows("attempt") if row["state"].value == "SUCCEEDED"
    ]
    completed = [row["id"] for row in world.rows("trial") if row["status"].name == "COMPLETED"]
    assert sorted(succeeded) == completed
    assert world.ledger.counts.total() == len(world.rows("trial"))
