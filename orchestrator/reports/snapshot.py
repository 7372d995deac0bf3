"""What a live view shows of one moment, read from the database in one short transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from db.sql.reading import activity, experiments, outcomes, setbacks
from db.sql.reading.activity import Ending, GenerationRow, LeaseRow, RunningAttempt
from db.sql.reading.experiments import ExperimentRow
from db.sql.reading.reader import Reader, Transaction
from db.sql.reading.setbacks import Setback
from db.sql.reading.trials import TrialRow
from db.states import ONGOING_EXPERIMENTS, AttemptState, TrialStatus
from orchestrator.errors import HeadwayError
from orchestrator.reports.endings import Endings
from orchestrator.reports.history import Best, History
from orchestrator.reports.outs import Out, read_outs
from orchestrator.reports.vitals import Vitals, read_vitals

# More running trials or endings than that fit on no screen.
ROWS = 50
# The course of the search is kept this fine; a frame takes as many points as it has columns.
COURSE = 240


class HeadHealth(StrEnum):
    """What is known of the head of an experiment."""

    ALIVE = "ALIVE"  # its lease is valid
    DEAD = "DEAD"  # the experiment goes on by its status, but nobody renews the lease
    ENDED = "ENDED"  # the experiment has ended, and its head with it
    NEVER = "NEVER"  # no head has taken it yet


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """One moment of one experiment.

    Attributes:
        experiment: The experiment, with its trials by status.
        taken_at: When, by the database's clock.
        max_eval: How many trials are wanted.
        slots: How many may run at once.
        running: The attempts that run, the longest running first; at most `ROWS`.
        running_count: How many there are.
        queued_count: How many attempts the scheduler has that do not run yet.
        endings: The trials that ended last, the newest first.
        eta_seconds: Until all wanted trials have ended; None if that is not known.
        best: The best value of each objective so far.
        course: The best value so far of the first objective, over the search.
        front_size: Number of trials on the Pareto front; 0 with one objective.
        outs: Hosts that new jobs avoid.
        setbacks: What failed last of the trials that are not over, the newest first.
        generation: The last call of a generator.
        lease: Who owns it.
        lease_seconds: For how long a lease is given.
        vitals: What its head, alive or not, told of itself last.
        failures: The trials that failed last for good, the newest first.
    """

    experiment: ExperimentRow
    taken_at: datetime
    max_eval: int
    slots: int
    running: tuple[RunningAttempt, ...]
    running_count: int
    queued_count: int
    endings: tuple[TrialRow, ...]
    eta_seconds: float | None
    best: tuple[Best, ...]
    course: tuple[float, ...]
    front_size: int
    outs: tuple[Out, ...]
    setbacks: tuple[Setback, ...]
    generation: GenerationRow | None
    lease: LeaseRow | None
    lease_seconds: float
    vitals: Vitals | None = None
    failures: tuple[TrialRow, ...] = ()

    @property
    def name(self) -> str:
        """The experiment as one writes it in commands."""
        return f"{self.experiment.name}/{self.experiment.run_number}"

    @property
    def is_active(self) -> bool:
        """Whether the experiment goes on, by its status."""
        return self.experiment.status in ONGOING_EXPERIMENTS

    @property
    def done(self) -> int:
        """How many trials have ended that count towards `max_eval`."""
        return done(self.experiment)

    @property
    def health(self) -> HeadHealth:
        """How the head is."""
        if not self.is_active:
            return HeadHealth.ENDED
        if self.lease is None:
            return HeadHealth.NEVER
        is_held = self.lease.pid != 0 and self.lease.seconds_left > 0
        return HeadHealth.ALIVE if is_held else HeadHealth.DEAD

    @property
    def head_is_missing(self) -> bool:
        """Whether the experiment should go on, and no head is there to do it."""
        return self.health in {HeadHealth.DEAD, HeadHealth.NEVER}

    @property
    def sign_seconds(self) -> float | None:
        """How long ago the head last renewed its lease."""
        return None if self.lease is None else self.lease_seconds - self.lease.seconds_left


def done(experiment: ExperimentRow) -> int:
    """Return how many trials have ended that count; abandoned and stale ones were not evaluated."""
    counted = (TrialStatus.COMPLETED, TrialStatus.FAILED, TrialStatus.EARLY_STOPPED)
    return sum(experiment.trials.get(status, 0) for status in counted)


class SnapshotReader:
    """Reads one experiment again and again; only new outcomes are read each time.

    Not thread-safe; a thread takes one of its own.
    """

    def __init__(self, reader: Reader, experiment_id: int) -> None:
        self._reader = reader
        self._experiment_id = experiment_id
        self._history: History | None = None
        self._endings = Endings(experiment_id, keep=ROWS)

    def read(self) -> Snapshot:
        """Read the present moment.

        Raises:
            HeadwayError: The experiment is not there any more.
            DatabaseUnavailable: The database does not answer; the next call may work.
        """
        with self._reader.read() as connection:
            return self._read(connection)

    def _read(self, connection: Transaction) -> Snapshot:
        key = self._experiment_id
        experiment = experiments.find(connection, key)
        if experiment is None:
            raise HeadwayError(f"experiment {key} is not in this database any more.")
        history = self._follow(connection, experiment)
        spec = experiments.spec(connection, key)
        live = activity.live_attempts(connection, key)
        running = activity.running(connection, key, limit=ROWS)
        self._endings.follow(connection)
        endings, failures = self._endings.newest, self._endings.failed
        ended = self._endings.rows(connection)
        running_count = live.get(AttemptState.STARTED, 0)
        taken_at = activity.clock(connection)
        slots, max_eval = int(spec["num_parallel_jobs"]), int(spec["max_eval"])
        lease = activity.lease(connection, key)
        return Snapshot(
            experiment=experiment,
            taken_at=taken_at,
            max_eval=max_eval,
            slots=slots,
            running=tuple(running),
            running_count=running_count,
            queued_count=live.get(AttemptState.SUBMITTED, 0),
            endings=tuple(ended[e.id] for e in endings if e.id in ended),
            eta_seconds=_eta(
                max_eval - done(experiment),
                endings,
                elapsed=[
                    (taken_at - attempt.started_at).total_seconds()
                    for attempt in running
                    if attempt.started_at is not None
                ],
                slots=running_count or slots,
            ),
            best=history.best,
            course=tuple(history.course(COURSE)),
            front_size=len(history.front),
            outs=read_outs(connection),
            setbacks=tuple(setbacks.newest(connection, key, limit=ROWS)),
            generation=next(iter(activity.generations(connection, key, limit=1)), None),
            lease=lease,
            lease_seconds=float(spec.get("timing", {}).get("lease_expire_seconds", 30)),
            vitals=None if lease is None else read_vitals(lease.vitals),
            failures=tuple(ended[e.id] for e in failures if e.id in ended),
        )

    def _follow(self, connection: Transaction, experiment: ExperimentRow) -> History:
        history = self._history or History(experiment.objectives)
        if self._history is None and len(experiment.objectives) == 1:
            only = experiment.objectives[0]
            count = experiment.trials.get(TrialStatus.COMPLETED, 0)
            history.begin(outcomes.overview(connection, only, count=count, moments=COURSE))
        # What fails here leaves the history as it was, and the next look begins at the same place.
        history.add(outcomes.since(connection, experiment.objectives, history.last_id))
        self._history = history
        return history


def _eta(missing: int, endings: list[Ending], *, elapsed: list[float], slots: int) -> float | None:
    """Estimate how long the missing trials take, from how long the last ones took."""
    times = [
        (ending.completed_at - ending.run_started_at).total_seconds()
        for ending in endings
        if ending.run_started_at is not None
    ]
    if missing <= 0 or not times:
        return None
    usual = sum(times) / len(times)
    begun = sum(min(seconds, usual) for seconds in elapsed)
    return max(0.0, missing * usual - begun) / max(1, min(slots, missing))
