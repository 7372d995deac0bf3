"""Tells whether a trial tries again, where, and with what (DESIGN section 5 and 10, "Numbers").

Everything is derived from the failures on record, so that a head that takes over decides the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from db.sql.attempts import FailedAttempt
from db.states import FailureClass, TrialStatus
from orchestrator.health.patterns import TABLE
from orchestrator.spec.experiment import ExperimentSpec
from orchestrator.spec.rules import Behavior, Rule

# How many further tries each class allows. PREEMPTED is nobody's fault: no limit.
BUDGETS: dict[FailureClass, int | None] = {
    FailureClass.TIMEOUT: 1,
    FailureClass.OUT_OF_MEMORY: 2,
    FailureClass.PREEMPTED: None,
    FailureClass.NODE: 10,
    FailureClass.LOST: 5,
    FailureClass.NO_DATABASE: 5,
    FailureClass.SUBMIT: 5,
    FailureClass.CANCELLED: 0,
}
# A text in a log says less than Slurm does: a program that prints such a text wherever it runs must
# not be tried ten times.
NODE_BY_TEXT = 2
# A local search has no other host, and what keeps a trial from running seldom passes in a second.
NODE_OF_LOCAL = 1
# More memory of the host does not help a GPU that was too full; other programs may have used it.
GPU_AGAIN = 1
MORE_MEMORY = 1.5
MORE_TIME = 2.0
# These share one budget, which the user sets with --retries.
_PROGRAM = frozenset({FailureClass.PROGRAM, FailureClass.NO_RESULT})
# No host had a part in these.
_ANYWHERE = frozenset({FailureClass.PREEMPTED, FailureClass.SUBMIT, FailureClass.CANCELLED})
_TEXTS = frozenset(pattern.name for pattern in TABLE)
_GPU_MEMORY = "gpu-memory"


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What there is to get; None: nobody knows, or there is no limit.

    Attributes:
        memory_mb: Of the largest host of the partition.
        minutes: The partition's time limit.
        default_minutes: What a job gets there that asks for no time.
        hosts: How many hosts of the partition take jobs, without those that a person keeps out.
    """

    memory_mb: int | None = None
    minutes: int | None = None
    default_minutes: int | None = None
    hosts: int | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """What the next attempt of a trial asks for.

    Attributes:
        memory_mb: Memory of a node; None: the site's default.
        minutes: Slurm's time limit; None: the site's default.
        timeout_seconds: The worker's limit; None: only Slurm's.
        avoid: Hosts where this trial failed.
    """

    memory_mb: int | None
    minutes: int | None
    timeout_seconds: float | None
    avoid: frozenset[str] = frozenset()

    def asks_like(self, other: Request) -> bool:
        """Whether both ask for the same; what they avoid may differ."""
        return replace(self, avoid=frozenset()) == replace(other, avoid=frozenset())


@dataclass(frozen=True, slots=True)
class Decision:
    """What is done about a failure.

    Attributes:
        again: Whether the trial tries again.
        action: The same in a sentence for the user.
    """

    again: bool
    action: str


class Retries:
    """The policy of one experiment.

    Attributes:
        ceiling: What there is to get; changes when Slurm is asked.
    """

    def __init__(self, spec: ExperimentSpec) -> None:
        self._spec = spec
        self._rules: dict[str, Rule] = {rule.name: rule for rule in spec.rules}
        self.ceiling = Ceiling()

    # What is asked for

    def request(self, failures: Sequence[FailedAttempt]) -> Request:
        """Return what the next attempt of a trial with these failures asks for, oldest first."""
        base = self._spec.resources
        asked = Request(base.memory_mb, base.minutes, self._spec.worker_timeout_seconds)
        for failed in failures:
            if failed.failure == FailureClass.OUT_OF_MEMORY and failed.name != _GPU_MEMORY:
                asked = self._more_memory(failed, asked)
            elif failed.failure == FailureClass.TIMEOUT:
                asked = self._more_time(failed, asked)
        avoid = frozenset(f.host for f in failures if f.host and self._avoids(f))
        return replace(asked, avoid=avoid)

    def _more_memory(self, failed: FailedAttempt, asked: Request) -> Request:
        had = failed.requested.get("memory_mb") or asked.memory_mb
        if had is None:
            return asked  # nobody knows how much it had
        wanted = _up_to(math.ceil(had * MORE_MEMORY), self.ceiling.memory_mb)
        # Not less than before, should the large hosts have gone meanwhile.
        return replace(asked, memory_mb=max(had, wanted, asked.memory_mb or 0))

    def _more_time(self, failed: FailedAttempt, asked: Request) -> Request:
        had_seconds, had_minutes = self._time_of(failed, asked)
        if had_seconds is None:
            if had_minutes is None:
                return asked  # nobody knows how much it had
            wanted = _up_to(math.ceil(had_minutes * MORE_TIME), self.ceiling.minutes)
            return replace(asked, minutes=max(had_minutes, wanted))
        seconds = had_seconds * MORE_TIME
        minutes = self._spec.timing.slurm_minutes(seconds)
        if had_minutes is None or minutes is None:
            return replace(asked, timeout_seconds=seconds)  # only the worker looks at the clock
        limit = max(had_minutes, _up_to(minutes, self.ceiling.minutes))
        # The worker's limit stays as far ahead of Slurm's as it was.
        seconds = max(had_seconds, seconds - max(0, minutes - limit) * 60)
        return replace(asked, minutes=limit, timeout_seconds=seconds)

    def _time_of(self, failed: FailedAttempt, asked: Request) -> tuple[float | None, int | None]:
        """Return the worker's limit (seconds) and Slurm's (minutes) that an attempt had."""
        seconds = failed.requested.get("timeout_seconds") or asked.timeout_seconds
        minutes = failed.requested.get("minutes") or asked.minutes or self.ceiling.default_minutes
        return seconds, minutes

    def _avoids(self, failed: FailedAttempt) -> bool:
        rule = self._rules.get(failed.name or "")
        if failed.failure == FailureClass.RULE and rule is not None:
            return rule.behavior != Behavior.RESTART
        return failed.failure not in _ANYWHERE

    # Whether there is another try

    def decide(self, failures: Sequence[FailedAttempt]) -> Decision:
        """Decide about a trial with these failures, the newest last."""
        newest = failures[-1]
        if newest.failure == FailureClass.CANCELLED:
            return Decision(again=False, action="not tried again")
        limit = self._limit(newest)
        used = sum(self._is_alike(failed, newest) for failed in failures)
        if limit is not None and used > limit:
            return Decision(again=False, action=_given_up(limit))
        if newest.failure == FailureClass.OUT_OF_MEMORY:
            is_gpu = newest.name == _GPU_MEMORY
            return self._with_full_gpu(failures) if is_gpu else self._with_more_memory(failures)
        if newest.failure == FailureClass.TIMEOUT:
            return self._with_more_time(failures)
        where = "again on another host" if self._goes_elsewhere(failures) else "again"
        return Decision(again=True, action=f"tried {where}{_left(limit, used)}")

    def _limit(self, newest: FailedAttempt) -> int | None:
        """How many further tries the failure allows in all; None: no limit."""
        if newest.failure == FailureClass.RULE:
            rule = self._rules.get(newest.name or "")
            if rule is None or rule.behavior == Behavior.EXCLUDE_NODE:
                return 0
            return rule.max_restarts
        if newest.failure == FailureClass.NODE and self._spec.executor == "local":
            return NODE_OF_LOCAL
        if _is_node_by_text(newest):
            return NODE_BY_TEXT
        return self._spec.retries if newest.failure in _PROGRAM else BUDGETS[newest.failure]

    @staticmethod
    def _is_alike(failed: FailedAttempt, newest: FailedAttempt) -> bool:
        """Whether two failures use up the same budget."""
        if newest.failure in _PROGRAM:
            return failed.failure in _PROGRAM
        if newest.failure == FailureClass.RULE:
            return failed.failure == FailureClass.RULE and failed.name == newest.name
        if _is_node_by_text(newest):
            return _is_node_by_text(failed)
        return failed.failure == newest.failure

    def _with_more_memory(self, failures: Sequence[FailedAttempt]) -> Decision:
        newest, after = failures[-1], self.request(failures).memory_mb
        had = newest.requested.get("memory_mb") or self.request(failures[:-1]).memory_mb
        if had is None or after is None:
            action = "given up: nobody knows how much memory it had; --mem_gb sets it"
            return Decision(again=False, action=action)
        if after <= had:
            return Decision(again=False, action=f"given up: no host gives more than {had} MiB")
        where = " on another host" if self._goes_elsewhere(failures) else ""
        return Decision(again=True, action=f"tried again with {after} instead of {had} MiB{where}")

    def _with_full_gpu(self, failures: Sequence[FailedAttempt]) -> Decision:
        if sum(failed.name == _GPU_MEMORY for failed in failures) > GPU_AGAIN:
            return Decision(again=False, action="given up: a GPU cannot be asked for more")
        where = " on another host" if self._goes_elsewhere(failures) else ""
        return Decision(again=True, action=f"tried again{where}: the GPU may have been shared")

    def _with_more_time(self, failures: Sequence[FailedAttempt]) -> Decision:
        before, after = self.request(failures[:-1]), self.request(failures)
        had_seconds, had_minutes = self._time_of(failures[-1], before)
        if had_seconds is None and had_minutes is None:
            action = "given up: nobody knows how much time it had; --worker_timeout sets it"
            return Decision(again=False, action=action)
        # What Slurm gives more is of no use to a program that its worker ends before.
        seconds, minutes = after.timeout_seconds or 0.0, after.minutes or 0
        is_more = minutes > (had_minutes or 0) if had_seconds is None else seconds > had_seconds
        if not is_more:
            return Decision(again=False, action="given up: the partition gives no more time")
        where = " on another host" if self._goes_elsewhere(failures) else ""
        return Decision(again=True, action=f"tried again with {_time(after)}{where}")

    def _goes_elsewhere(self, failures: Sequence[FailedAttempt]) -> bool:
        """Whether the next try avoids the host of the last one: there have to be others."""
        avoid = self.request(failures).avoid
        return failures[-1].host in avoid and len(avoid) < (self.ceiling.hosts or 0)


def final_status(failure: FailureClass) -> TrialStatus:
    """Return the status of a trial whose last attempt ended like this and that tries no more."""
    return TrialStatus.ABANDONED if failure == FailureClass.CANCELLED else TrialStatus.FAILED


def _is_node_by_text(failed: FailedAttempt) -> bool:
    return failed.failure == FailureClass.NODE and failed.name in _TEXTS


def _up_to(wanted: int, limit: int | None) -> int:
    return wanted if limit is None else min(wanted, limit)


def _left(limit: int | None, used: int) -> str:
    if limit is None:
        return ""
    return " for the last time" if used == limit else f" ({limit - used} more allowed)"


def _given_up(limit: int) -> str:
    if limit == 0:
        return "given up: such a failure is not tried again"
    used_up = "its one further try was" if limit == 1 else f"its {limit} further tries were"
    return f"given up: {used_up} used up"


def _time(asked: Request) -> str:
    if asked.timeout_seconds is not None:
        return f"{asked.timeout_seconds / 60:g} min for the program"
    return f"{asked.minutes} min"
