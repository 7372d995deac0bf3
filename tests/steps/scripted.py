"""What a head is surrounded by, as a test scripts it: clock, threads, scheduler, generator."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future
from typing import Any

from db.states import ENDED_JOBS, JobState
from orchestrator.cluster.base import (
    Amendment,
    Answer,
    AnswerKind,
    ClusterHost,
    JobStatus,
    KnownJob,
    Limits,
    LivingJob,
    Order,
    Quota,
    Survey,
)
from orchestrator.cluster.commands import CallBudget
from orchestrator.generators.base import (
    Ask,
    Batch,
    GeneratorDeathError,
    GeneratorError,
    Observation,
    Point,
)
from orchestrator.generators.process import Answer as Generated


class Clock:
    """A clock that goes on only when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Inline(Executor):
    """Does everything at once, unless it is held back."""

    def __init__(self) -> None:
        self.held: list[tuple[Future[Any], Any]] | None = None

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()

        def work() -> None:
            future.set_result(fn(*args, **kwargs))

        if self.held is None:
            work()
        else:
            self.held.append((future, work))
        return future

    def let_go(self) -> None:
        """Do what was held back."""
        held, self.held = self.held or [], None
        for _, work in held:
            work()


class ScriptedCluster:
    """A scheduler that does what a test says; implements `Cluster`."""

    name = "slurm"
    budget: CallBudget | None = None

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.orders: list[Order] = []
        self.jobs: dict[str, JobStatus] = {}
        self.names: dict[str, dict[int, str]] = {}
        self.cancelled: list[str] = []
        self.cancels: list[list[str]] = []
        self.asked: list[dict[str, KnownJob]] = []
        self.is_deaf = False  # nobody can be cancelled
        self.has_accounting = True  # else a job that the queue does not know may exist
        self.held: set[str] = set()  # jobs that wait although they look ended
        self.is_silent = False
        self.is_stubborn = False  # jobs that are cancelled run on
        self.pause = 0.0
        self.default_memory_mb: int | None = None  # what jobs get that ask for none; None: unsaid
        self.amended: list[tuple[list[str], list[str]]] = []
        self.unchangeable: set[str] = set()  # jobs that nobody can amend
        self.throttled: list[tuple[list[str], int]] = []
        self.allowed = Quota()
        self.others = 0  # jobs of this user that are none of ours
        self.begun: set[str] = set()  # jobs that have begun since they were looked at
        nodes = {f"node{i}": ClusterHost(name=f"node{i}", memory_mb=8000) for i in range(8)}
        self.hosts = Limits(known=frozenset(nodes), hosts=nodes)
        self._next = 1

    def start(self, order: Order) -> tuple[str, ...]:
        """Make a job of an order, whatever its answer was."""
        job, self._next = self._next, self._next + 1
        ids = tuple(f"{job}_{i}" if order.size > 1 else f"{job}" for i in range(order.size))
        self.jobs |= dict.fromkeys(ids, JobStatus(state=JobState.PENDING, word="PENDING"))
        self.names[order.name] = dict(enumerate(ids))
        return ids

    def submit(self, order: Order) -> Answer:
        self.orders.append(order)
        if self.answers:
            return self.answers.pop(0)
        return Answer(kind=AnswerKind.ACCEPTED, job_ids=self.start(order))

    def survey(
        self, jobs: Mapping[str, KnownJob], *, names: Collection[str] = (), family: str = ""
    ) -> Survey:
        self.asked.append(dict(jobs))
        if self.is_silent:
            unknown = JobStatus(state=JobState.UNKNOWN)
            return Survey(statuses=dict.fromkeys(jobs, unknown), found=None)
        gone = JobStatus(state=JobState.GONE)
        return Survey(
            statuses={job_id: self.jobs.get(job_id, gone) for job_id in jobs},
            found={
                name: self.names.get(name, {})
                for name in names
                if self.has_accounting or name in self.names
            },
            living=tuple(self._living(family)),
            others=self.others,
        )

    def _living(self, family: str) -> Iterator[LivingJob]:
        for name, tasks in self.names.items():
            for job_id in tasks.values() if name.startswith(family) else ():
                state = self.jobs[job_id].state if job_id in self.jobs else JobState.GONE
                if state in {JobState.PENDING, JobState.RUNNING} or job_id in self.held:
                    is_pending = state != JobState.RUNNING
                    yield LivingJob(job_id=job_id, name=name, is_pending=is_pending)

    def cancel(self, job_ids: Iterable[str], *, pending_only: bool = False) -> bool:
        job_ids = list(job_ids)
        self.cancels.append(job_ids)
        if self.is_deaf:
            return False
        for job_id in job_ids:
            state = self.jobs.get(job_id, JobStatus(state=JobState.GONE)).state
            if state == JobState.PENDING or job_id in self.held or not pending_only:
                self.cancelled.append(job_id)
                self.held.discard(job_id)
                if state not in ENDED_JOBS and not self.is_stubborn:
                    self.set(job_id, JobState.CANCELLED)
        return True

    def amend(self, job_ids: Iterable[str], *, exclude: Collection[str]) -> Amendment:
        jobs = frozenset(job_ids)
        self.amended.append((sorted(jobs), sorted(exclude)))
        if self.is_deaf:
            return Amendment(unclear=jobs, message="slurm_load_jobs error: Unable to contact")
        if not self.hosts.known.issuperset(exclude):
            return Amendment(unclear=jobs, has_unknown_host=True, message="Invalid node name")
        refused, left_alone = jobs & self.unchangeable, jobs & self.begun
        return Amendment(left_alone=left_alone, refused=refused, message="Access denied")

    def throttle(self, arrays: Iterable[str], *, most: int) -> Amendment:
        asked = frozenset(arrays)
        self.throttled.append((sorted(asked), most))
        return Amendment(refused=asked & self.unchangeable, message="Access denied")

    def quota(self) -> Quota:
        return self.allowed

    def limits(self, partition: str | None) -> Limits | None:
        del partition
        return None if self.is_silent else self.hosts

    def pause_seconds(self) -> float:
        return self.pause

    def script(self, order: Order) -> str:
        return order.name

    def set(self, job_id: str, state: JobState, **values: Any) -> None:
        """Give a job a state."""
        self.jobs[job_id] = JobStatus(state=state, word=state.value, **values)


class ScriptedGenerator:
    """A generator process that answers at once with new points, unless it is told otherwise."""

    incarnation = 1

    def __init__(self) -> None:
        self.told: list[Observation] = []
        self.asked: list[tuple[str, Ask]] = []
        self.error: str | None = None
        self.has_died = False
        self.is_slow = False
        self.fewer = 0
        self._count = 0
        self._out: tuple[str, Ask] | None = None

    @property
    def is_busy(self) -> bool:
        return self._out is not None

    def warm(self, generator: str) -> None:
        del generator

    def tell(self, observations: list[Observation]) -> None:
        self.told += observations

    def ask(self, generator: str, ask: Ask) -> None:
        assert self._out is None
        self.asked.append((generator, ask))
        self._out = generator, ask

    def poll(self) -> Generated | None:
        if self._out is None or self.is_slow:
            return None
        (generator, ask), self._out = self._out, None
        if self.error is not None:
            kind = GeneratorDeathError if self.has_died else GeneratorError
            result: Batch | GeneratorError = kind(self.error)
        else:
            count = max(1, ask.count - self.fewer)
            points: list[Point] = [{"x": (self._count + i) / 1024} for i in range(count)]
            self._count += count
            result = Batch(points=points, state={"drawn": self._count})
        return Generated(generator=generator, ask=ask, result=result)
