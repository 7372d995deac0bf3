"""Fewer slots or fewer trials while jobs wait: never more run than are wanted now.

What runs goes on. Jobs that wait beyond the slots keep their place in the queue where the throttle
of their array can hold them (`ArrayTaskThrottle`, which ordinary users may change; it cannot be 0,
which means no limit). The others are taken back, and their trials wait as if they had not been
submitted. With more slots the throttles are opened again. Points beyond the number of trials that
is wanted are given up (STALE).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field

from db.sql import experiments, trials
from db.sql.store import Store
from db.states import AttemptState, FailureClass, JobState, TrialStatus
from orchestrator.cluster.base import Amendment, Cluster
from orchestrator.steps.cancelling import Canceller
from orchestrator.steps.goal import Goal
from orchestrator.steps.ledger import Ledger, OpenAttempt, OpenTrial
from orchestrator.steps.notes import Note
from orchestrator.steps.observe import Poll
from orchestrator.steps.recalls import Recall, Recalls

OPEN = 0  # no limit, in Slurm's words
_FEWER_SLOTS = "fewer trials are to run at once"
_FEWER_TRIALS = "fewer trials are wanted"
_SAYS = "a job that waits is taken back"
_UNRUN = (TrialStatus.CANDIDATE, TrialStatus.STAGED)
_NEVER_BEGAN = frozenset({FailureClass.CANCELLED, FailureClass.SUBMIT})


@dataclass
class _Unit:
    """The jobs of one submission.

    Attributes:
        array: Id of the array; None: a single job.
        running: How many of them run.
        pending: Those that wait.
    """

    array: str | None
    running: int = 0
    pending: list[OpenAttempt] = field(default_factory=list)


@dataclass(frozen=True)
class _Call:
    arrays: list[str]
    most: int
    done: Future[Amendment]


class Throttle:
    """Keeps what runs within the slots and the trials within the goal."""

    def __init__(
        self,
        *,
        store: Store,
        ledger: Ledger,
        goal: Goal,
        cluster: Cluster,
        canceller: Canceller,
        threads: Executor,
        wake: Callable[[], None],
        note: Note,
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._goal = goal
        self._cluster = cluster
        self._threads = threads
        self._wake = wake
        self._note = note
        self._recalls = Recalls(store=store, ledger=ledger, canceller=canceller, note=note)
        self._is_local = cluster.name == "local"  # its processes run at once, and none waits
        self._slots = goal.slots
        self._has_looked = False
        self._told: dict[str, int | None] = {}
        self._unchangeable: set[str] = set()
        self._call: _Call | None = None

    @property
    def is_due(self) -> bool:
        """Whether the scheduler's word about the queue is needed soon: the slots have changed."""
        return not self._is_local and self._goal.slots != self._slots

    def follow(self, poll: Poll | None) -> None:
        """Give up points that are too many, and hold or take back jobs that are.

        Args:
            poll: What the scheduler said: what waits and what runs is only known then.

        Raises:
            DatabaseUnavailable: It is not known what was written.
        """
        self._take_answer()
        self._drop_points()
        if self._is_local or poll is None or poll.found is None:
            return
        if not self._has_looked:
            self._has_looked = True
            self._doubt()
        self._slots = self._goal.slots
        units = list(self._units())
        self._keep_goal(units)
        self._keep_slots(units)

    def _doubt(self) -> None:
        """Take note that an earlier head may have set the throttles of arrays that wait."""
        with self._store.read() as connection:
            if experiments.last_version(connection, self._store.experiment_id) <= 1:
                return  # nobody has ever changed the slots
        self._told = {unit.array: None for unit in self._units() if unit.array}

    # Trials

    def _drop_points(self) -> None:
        """Give up the newest points that have not been tried, as far as they are too many."""
        excess = self._ledger.created - self._goal.max_eval
        if excess <= 0:
            return
        waiting = (self._ledger.trials[key] for key in self._ledger.waiting)
        untried = [t for t in waiting if t.status in _UNRUN and _is_untried(t)]
        untried.sort(key=lambda trial: trial.index)
        given_up = untried[-excess:]
        if not given_up:
            return
        keys = [trial.id for trial in given_up]
        with self._store.write() as connection:
            trials.move(
                connection,
                keys,
                TrialStatus.STALE,
                expected=_UNRUN,
                reason=_FEWER_TRIALS,
            )
        for trial in given_up:
            self._ledger.close(trial, TrialStatus.STALE)
        self._note("points are given up: fewer trials are wanted", points=len(keys))

    def _keep_goal(self, units: Iterable[_Unit]) -> None:
        """Take back jobs that wait for trials beyond the goal, the newest ones first."""
        # Those that were taken back in time become points, which are given up then.
        going = sum(1 for a in self._ledger.attempts.values() if a.is_withdrawn and not _runs(a))
        excess = self._ledger.created - self._goal.max_eval - going
        if excess <= 0:
            return
        open_trials = self._ledger.trials
        pending = [a for unit in units for a in unit.pending if a.state != AttemptState.STARTED]
        untried = [a for a in pending if _is_untried(open_trials[a.trial_id])]
        untried.sort(key=lambda attempt: open_trials[attempt.trial_id].index)
        self._take_back(untried[-excess:], _FEWER_TRIALS)

    # Slots

    def _units(self) -> Iterator[_Unit]:
        """Yield the submissions whose jobs are known, the oldest first."""
        found: dict[int, _Unit] = {}
        for attempt in sorted(self._ledger.attempts.values(), key=lambda a: a.submission_id):
            if attempt.job_id is None or attempt.trial_id not in self._ledger.trials:
                continue
            array, is_task, _ = attempt.job_id.partition("_")
            unit = found.setdefault(attempt.submission_id, _Unit(array if is_task else None))
            if _runs(attempt):
                unit.running += 1
            elif _waits(attempt):
                unit.pending.append(attempt)
        yield from found.values()

    def _keep_slots(self, units: list[_Unit]) -> None:
        """Decide for each submission what may still begin.

        `slack` is how many more may begin; below 0, as many have to end before any may. The sum of
        what runs and of what may begin is then never above the slots, but for what runs already.
        """
        unknown = sum(1 for a in self._ledger.attempts.values() if a.job_id is None)
        slack = self._goal.slots - sum(unit.running for unit in units) - unknown
        wanted: dict[int, list[str]] = {}
        too_many: list[OpenAttempt] = []
        for unit in units:
            count = len(unit.pending)
            may_hold = unit.array is not None and unit.array not in self._unchangeable
            if count <= max(0, slack):
                most, slack = OPEN, slack - count
            elif may_hold and unit.running + slack >= 1:
                most, slack = unit.running + slack, 0
            else:
                # A throttle stays: opened now, it would let begin what is being taken back.
                keep = 0 if may_hold else max(0, slack)
                too_many += unit.pending[keep:]
                slack -= keep
                continue
            if unit.array and count and may_hold and self._told.get(unit.array, OPEN) != most:
                wanted.setdefault(most, []).append(unit.array)
        self._take_back(too_many, _FEWER_SLOTS)
        # What holds back comes first.
        for most in sorted(wanted, key=lambda most: most == OPEN):
            self._tell(wanted[most], most)

    def _take_back(self, attempts: list[OpenAttempt], why: str) -> None:
        if not attempts:
            return
        self._note("jobs that wait are taken back", jobs=len(attempts), why=why)
        self._recalls.make(
            Recall(attempt, "", why, is_pending=True, text=_SAYS, level="debug")
            for attempt in attempts
        )

    def _tell(self, arrays: list[str], most: int) -> None:
        if self._call is not None:
            return  # with the next look
        done = self._threads.submit(self._cluster.throttle, arrays, most=most)
        self._call = _Call(arrays, most, done)
        done.add_done_callback(lambda _: self._wake())

    def _take_answer(self) -> None:
        if self._call is None or not self._call.done.done():
            return
        call, self._call = self._call, None
        answer = call.done.result()
        self._unchangeable |= answer.refused
        for array in call.arrays:
            if array not in answer.unclear | answer.refused:
                self._told[array] = call.most
        if answer.message:
            text = "the throttle of arrays could not be changed"
            self._note(text, level="warning" if answer.refused else "debug", why=answer.message)
        elif call.most:
            self._note("arrays are throttled", arrays=" ".join(call.arrays), at_once=call.most)


def _runs(attempt: OpenAttempt) -> bool:
    if attempt.state == AttemptState.STARTED and not attempt.waits_again:
        return True
    return attempt.job is not None and attempt.job.state == JobState.RUNNING


def _is_untried(trial: OpenTrial) -> bool:
    """Whether no job of a trial has begun: all that it had were taken back or refused."""
    return all(failed.failure in _NEVER_BEGAN for failed in trial.failures)


def _waits(attempt: OpenAttempt) -> bool:
    """Whether a job may still begin."""
    is_ending = attempt.is_cancelled or attempt.is_withdrawn
    return not is_ending and (attempt.job is None or attempt.job.state == JobState.PENDING)
