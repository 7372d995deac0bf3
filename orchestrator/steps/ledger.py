"""What the head keeps in mind of its open trials; always rebuilt from the database, never saved.

The database is the truth. A step writes there first and changes the ledger when the transaction
has been committed; when a transaction's fate is unknown, the ledger is loaded anew.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from db.sql import attempts, generations, trials
from db.sql.attempts import FailedAttempt
from db.sql.generations import LastState
from db.sql.store import Store
from db.states import AttemptState, FailureClass, JobState, SubmissionState, TrialStatus
from orchestrator.cluster.base import JobStatus
from orchestrator.generators.base import Observation, Point

# Trials of these kinds do not count towards --max_eval: their points were never evaluated.
UNCOUNTED = (TrialStatus.ABANDONED, TrialStatus.STALE)
# Trials of these kinds have ended, and count.
ENDED = (TrialStatus.COMPLETED, TrialStatus.FAILED, TrialStatus.EARLY_STOPPED)
# So many polls have to say that the job of a running attempt waits: then it was requeued.
RETURNS = 2


@dataclass
class OpenTrial:
    """A trial without a final status."""

    id: int
    index: int
    point: Point
    status: TrialStatus
    attempts: int = 0
    failures: list[FailedAttempt] = field(default_factory=list)


@dataclass
class OpenAttempt:
    """An attempt that may still run or report.

    Attributes:
        job_id: The scheduler's id, when it is known.
        claim: Nonce of the worker that claimed it.
        job: The scheduler's last word on it.
        denials: How many polls in a row did not know the job.
        ended_since: When (monotonic) its job was first seen to have ended.
        returns: How many polls in a row said that its job waits although its worker had begun.
        is_cancelled: Whether this head asked the scheduler to end it.
        is_withdrawn: Whether this head asked the scheduler to end it if it has not begun; its
            trial then waits for a resume.
        is_taken: Whether a worker took its assignment from the spool and was not heard of since.
        submitted_after: Its job was not submitted before this moment; None if nothing is known.
        log_path: Its log, relative to the run folder.
        host: Where it runs, as its worker told.
        requested: What was asked of the scheduler for it.
    """

    id: int
    trial_id: int
    token: str
    state: AttemptState
    submission_id: int
    job_name: str
    array_index: int
    job_id: str | None = None
    claim: str | None = None
    job: JobStatus | None = None
    denials: int = 0
    ended_since: float | None = None
    returns: int = 0
    is_cancelled: bool = False
    is_withdrawn: bool = False
    is_taken: bool = False
    submitted_after: datetime | None = None
    log_path: str | None = None
    host: str | None = None
    requested: Mapping[str, Any] = field(default_factory=dict)

    def failed(
        self, failure: FailureClass, *, name: str | None = None, host: str | None = None
    ) -> FailedAttempt:
        """Return what is remembered of it when it has ended like this."""
        where = host or self.host
        return FailedAttempt(failure=failure, name=name, host=where, requested=self.requested)

    def begin(self, claim: Mapping[str, Any]) -> None:
        """Follow a worker's claim that has been committed."""
        self.state = AttemptState.STARTED
        self.job_id = self.job_id or claim.get("slurm_job_id")
        self.claim, self.host = claim["claim"], claim["host"]
        if self.job is not None and self.job.is_held:
            # Its host could start it after all: the scheduler's next word counts.
            self.ended_since = None

    @property
    def waits_again(self) -> bool:
        """Whether its program ran and Slurm has requeued its job: it will run again.

        Told twice, as the first answer may have been on its way when the program began.
        """
        return self.returns >= RETURNS

    @property
    def runs_on(self) -> str | None:
        """The host where it runs now; None: nowhere, or nobody knows."""
        if self.job is not None and self.job.state == JobState.RUNNING:
            return self.job.host or self.host
        return self.host if self.state == AttemptState.STARTED else None

    @property
    def submission_token(self) -> str:
        """The token that its job's name ends with."""
        return self.job_name.rpartition("-")[2]


@dataclass
class OpenSubmission:
    """A submission whose fate is not known yet.

    Attributes:
        is_in_flight: Whether a submitter thread of this head is at work on it.
        denials: How many searches by name found nothing.
        since: When (monotonic) it was first unclear.
    """

    id: int
    token: str
    job_name: str
    state: SubmissionState
    attempt_ids: list[int]
    is_in_flight: bool = False
    denials: int = 0
    since: float = 0.0


class Ledger:
    """The open trials, attempts and submissions of one experiment, and its counts.

    Attributes:
        trials: Trials without a final status, by key.
        attempts: Attempts that may still run, by key.
        submissions: Submissions that are PREPARED or UNCLEAR, by key.
        waiting: Keys of trials that want an attempt; retries stand before new points.
        counts: Number of trials by status.
        proposed: Number of trials that each step of the strategy has proposed.
        next_index: Index of the next trial.
        next_generation: Number of the next call of a generator.
        generator_states: What each generator said last that it needs to go on.
        news: Ended trials that the generators have not been told yet.
    """

    def __init__(self, job_name: str, nodes: int) -> None:
        self._job_name = job_name
        self.trials: dict[int, OpenTrial] = {}
        self.attempts: dict[int, OpenAttempt] = {}
        self.submissions: dict[int, OpenSubmission] = {}
        self.waiting: deque[int] = deque()
        self.counts: Counter[TrialStatus] = Counter()
        self.proposed = [0] * nodes
        self.next_index = 0
        self.next_generation = 0
        self.generator_states: dict[str, LastState] = {}
        self.news: list[Observation] = []

    def load(self, store: Store, *, in_flight: set[str]) -> None:
        """Read everything anew.

        Args:
            store: The database.
            in_flight: Tokens of submissions that a thread of this head is at work on. Any other
                that is PREPARED was left by a head that died between its commit and sbatch's
                answer: nobody knows whether its job exists.
        """
        with store.read() as connection:
            experiment_id = store.experiment_id
            rows = trials.open_trials(connection, experiment_id)
            opened = attempts.open_attempts(connection, experiment_id)
            keys = [row.id for row in rows]
            numbers = attempts.last_numbers(connection, keys)
            failures = attempts.failures(connection, keys)
            self.counts = Counter(trials.counts(connection, experiment_id))
            self.next_index = trials.next_index(connection, experiment_id)
            self.next_generation = generations.next_number(connection, experiment_id)
            self.generator_states = generations.last_states(connection, experiment_id)
            by_node = generations.proposed_by_node(connection, experiment_id)
        self.proposed = [by_node.get(node, 0) for node in range(len(self.proposed))]
        self.trials = {
            row.id: OpenTrial(
                id=row.id,
                index=row.index,
                point=row.parameters,
                status=row.status,
                attempts=numbers.get(row.id, 0),
                failures=failures.get(row.id, []),
            )
            for row in rows
        }
        self._load_attempts(opened, in_flight)
        busy = {attempt.trial_id for attempt in self.attempts.values()}
        idle = [trial for key, trial in self.trials.items() if key not in busy]
        # A trial that has tried before stands before points that have not.
        idle.sort(key=lambda trial: (trial.attempts == 0, trial.index))
        self.waiting = deque(trial.id for trial in idle)

    def _load_attempts(self, opened: list[attempts.AttemptRow], in_flight: set[str]) -> None:
        self.attempts, self.submissions = {}, {}
        for row in opened:
            self.attempts[row.id] = OpenAttempt(
                id=row.id,
                trial_id=row.trial_id,
                token=row.token,
                state=row.state,
                submission_id=row.submission_id,
                job_name=self.job_name(row.submission_token),
                array_index=row.array_index,
                job_id=row.slurm_job_id,
                claim=row.claim,
                submitted_after=row.submission_created_at,
                log_path=row.log_path,
                host=row.host,
                requested=row.requested or {},
            )
            if row.submission_state in {SubmissionState.PREPARED, SubmissionState.UNCLEAR}:
                submission = self.submissions.setdefault(
                    row.submission_id,
                    OpenSubmission(
                        id=row.submission_id,
                        token=row.submission_token,
                        job_name=self.job_name(row.submission_token),
                        state=row.submission_state,
                        attempt_ids=[],
                        is_in_flight=row.submission_token in in_flight,
                    ),
                )
                submission.attempt_ids.append(row.id)

    def job_name(self, token: str) -> str:
        """Return the name of a submission's job, which identifies it in the scheduler."""
        return f"{self.family}{token}"

    @property
    def family(self) -> str:
        """What the names of all jobs of the experiment begin with, and those of its other runs."""
        return f"hw-{self._job_name}-"

    @property
    def created(self) -> int:
        """How many trials count towards the number that was asked for."""
        return sum(self.counts.values()) - sum(self.counts[status] for status in UNCOUNTED)

    @property
    def observed(self) -> int:
        """How many trials have an outcome."""
        return self.counts[TrialStatus.COMPLETED]

    def set_status(self, trial: OpenTrial, status: TrialStatus) -> None:
        """Follow a change of status that has been committed."""
        self.counts[trial.status] -= 1
        self.counts[status] += 1
        trial.status = status

    def close(self, trial: OpenTrial, status: TrialStatus) -> None:
        """Follow a trial's end that has been committed."""
        self.set_status(trial, status)
        self.trials.pop(trial.id, None)
        if trial.id in self.waiting:
            # A late result came while it waited for its next try.
            self.waiting.remove(trial.id)
