"""What surrounds a head in the model: its world, and the truth about it.

What is real: every step of the head, its database, the worker's claims and reports on both ways.
What is scripted: the scheduler (it may lie, be silent, forget), the clock, and when processes die.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis.stateful import RuleBasedStateMachine

from db.records import Claim, ReportMessage
from db.restarts import nonce_of
from db.spool import assignments
from db.states import JobState
from orchestrator.cluster.base import Order
from tests.health.payloads import end
from tests.model.truth import Life, Truth
from tests.steps.scripted import Clock
from tests.steps.worker import Worker
from tests.steps.world import World

TRIALS, SLOTS = 4, 2


class Surroundings(RuleBasedStateMachine):
    """A world with what rules need; the subclasses have the rules.

    Attributes:
        transport: How workers report.
        template: An empty database of the newest schema.
    """

    transport = "direct"
    template: Path

    def __init__(self) -> None:
        super().__init__()
        self._patch = pytest.MonkeyPatch()
        self._folder = Path(tempfile.mkdtemp(prefix="headway-model-"))
        clock = Clock()
        self._patch.setattr(time, "monotonic", clock)
        (self._folder / "run").mkdir()
        shutil.copy(self.template, self._folder / "run" / "database.db")
        self.world = World(
            self._folder,
            clock,
            transport=self.transport,
            num_parallel_jobs=SLOTS,
            max_eval=TRIALS,
            resources={"requeue": True},
        )
        self._restarts: Counter[str] = Counter()
        self.truth = Truth()
        self._is_stopping = False
        self._watching = sqlite3.connect(self._folder / "run" / "database.db")
        self._checked = -1

    # The head

    def _look(self, times: int) -> None:
        """Let the head hear the scheduler, a minute each; in several minutes waiting jobs begin."""
        for _ in range(times):
            self.world.clock.now += self.world.spec.timing.poll_max_seconds
            self._tick()
            self._tick()
            if times > 1:
                for order, index in self._pending():
                    self._begin(order, index)

    def _tick(self) -> None:
        self.world.tick(accept_new=not self._is_stopping)
        missing = self.truth.delivered.keys() - self.world.outcomes().keys()
        assert not missing, f"results of trials {missing} were not accepted"

    def _take_over(self) -> None:
        """Let another head follow one that died."""
        self.world.start_head()
        self._is_stopping = False

    # Workers

    def _pending(self) -> list[tuple[Order, int]]:
        cluster = self.world.cluster
        return [
            (order, index)
            for order in cluster.orders
            for index, job in sorted(cluster.names.get(order.name, {}).items())
            if job in cluster.jobs and cluster.jobs[job].state == JobState.PENDING
        ]

    def _begin(self, order: Order, index: int) -> None:
        job = self.world.cluster.names[order.name][index]
        restart = self._restarts[job]
        claimed = self._claim_again(order.token, index, restart) if restart else None
        worker = claimed if restart else self.world.claim(order, index)
        if worker is None:
            self.world.cluster.set(job, JobState.COMPLETED)
            return
        self.world.cluster.set(job, JobState.RUNNING, host="node0")
        tokens = [life.worker.assignment["attempt_token"] for life in self.truth.lives]
        assert worker.assignment["attempt_token"] not in tokens, "an attempt was claimed twice"
        self.truth.lives.append(Life(worker, job, value=len(self.truth.lives) + 0.5))

    def _claim_again(self, token: str, index: int, restart: int) -> Worker | None:
        """Let the worker of a job that Slurm has requeued take over from the run before."""
        world = self.world
        claim: Claim = {
            "claim": nonce_of(f"{token}{index}", restart),
            "host": "node0",
            "slurm_job_id": None,
            "pid": 1,
            "started_at": "2030-01-02T03:05:05.000000+00:00",
            "restart": restart,
        }
        if self.transport == "direct":
            found = world._direct().claim(token, index, claim)
            return None if found is None else Worker(world, found)
        found = assignments.take_over(world._spool, token, index, claim["claim"])
        if found is None:
            return None
        worker = Worker(world, found)
        worker.send("START", claim)
        return worker

    def _choose(self, place: int) -> Life:
        running = self.truth.running()
        return running[place % len(running)]

    def _set(self, life: Life, state: JobState) -> None:
        if not life.is_zombie and life.job in self.world.cluster.jobs:
            self.world.cluster.set(life.job, state)

    def _succeed(self, life: Life, how: dict[str, Any], *, is_late: bool) -> None:
        names = self.world.names
        results = {names[0]: life.value, names[1]: -life.value}
        self._end(life, {**how, "results": results}, is_late=is_late)

    def _end(self, life: Life, how: dict[str, Any], *, is_late: bool) -> None:
        life.is_running = False
        message = life.worker.message("END", end(**how))
        if is_late:
            self.truth.late.append((life, message))
        else:
            self._deliver(life, message)
        self._set(life, JobState.COMPLETED)

    def _deliver(self, life: Life, message: ReportMessage) -> None:
        life.worker.messages.append(message)
        self.world.deliver(message)
        payload = message["payload"]
        results = payload["results"]
        assert isinstance(results, dict)
        is_good = payload["exit_code"] == 0 and payload["cause"] in {"EXIT", "TERMINATED"}
        if is_good and len(results) == len(self.world.names):
            value = results[self.world.names[0]]
            self.truth.delivered.setdefault(life.trial, set()).add(value)
