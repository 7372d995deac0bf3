"""Orders for the tests of clusters, and a run folder that tells what its jobs do."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from db.states import JobState
from orchestrator.cluster.base import Answer, AnswerKind, Cluster, JobStatus, KnownJob, Order
from orchestrator.spec.experiment import Timing
from orchestrator.spec.resources import Resources

ENTRY = Path(__file__).with_name("entry.py")
# Short limits, so that a hanging command costs a test little.
TIMING = Timing(slurm_limit_seconds=20, sacct_limit_seconds=20, calls_burst=1000)


def new_order(run_dir: Path, *, size: int = 1, resources: Resources | None = None) -> Order:
    """An order with a token of its own; `run_dir` exists afterwards."""
    run_dir.mkdir(parents=True, exist_ok=True)
    token = secrets.token_hex(8)
    return Order(
        token=token,
        name=f"hw-test-{token}",
        size=size,
        resources=resources or Resources(),
        run_dir=run_dir,
        log_pattern=f"logs/{token}_{{index}}.log",
    )


def statuses(cluster: Cluster, jobs: Mapping[str, str]) -> dict[str, JobStatus]:
    """What is known of jobs, by id; given are their names by id."""
    known = {job_id: KnownJob(name=name) for job_id, name in jobs.items()}
    return cluster.survey(known).statuses


def find(cluster: Cluster, names: Iterable[str]) -> dict[str, dict[int, str]] | None:
    """Look for jobs by their names."""
    return cluster.survey({}, names=list(names)).found


@dataclass
class Jobs:
    """Orders in one run folder, on one cluster."""

    cluster: Cluster
    make: Callable[[], Cluster]
    run_dir: Path
    submitted: dict[str, str] = field(default_factory=dict)

    def submit(self, size: int = 1, resources: Resources | None = None) -> tuple[Order, Answer]:
        """Submit an order that is taken."""
        order = new_order(self.run_dir, size=size, resources=resources)
        answer = self.cluster.submit(order)
        assert answer.kind == AnswerKind.ACCEPTED, answer
        self.submitted |= dict.fromkeys(answer.job_ids, order.name)
        return order, answer

    def end(self, index: int, code: int = 0) -> None:
        """Let the task with this index end."""
        (self.run_dir / f"end-{index}").write_text(str(code))

    def has_begun(self, order: Order, index: int = 0) -> bool:
        """Whether a task's entry was started."""
        return (self.run_dir / f"began-{order.token}-{index}").exists()

    def wait_for(self, states: Mapping[str, JobState], seconds: float = 30) -> dict[str, JobStatus]:
        """Ask until the jobs have these states."""
        names = {job_id: self.submitted[job_id] for job_id in states}
        end = time.monotonic() + seconds
        while True:
            found = statuses(self.cluster, names)
            if {key: status.state for key, status in found.items()} == states:
                return found
            assert time.monotonic() < end, f"{found} instead of {states}"
            time.sleep(0.1)

    def clean_up(self) -> None:
        """Leave nothing behind, so that the next test has all nodes."""
        self.cluster.cancel(self.submitted)
        waiting = {JobState.PENDING, JobState.RUNNING}
        while waiting & {
            status.state for status in statuses(self.cluster, self.submitted).values()
        }:
            time.sleep(0.05)
