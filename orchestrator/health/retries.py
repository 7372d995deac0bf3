"""Tells whether a trial may try again (DESIGN section 5 and 10, "Numbers")."""

from __future__ import annotations

from collections.abc import Sequence

from db.states import FailureClass, TrialStatus

# How many further tries each class allows. A time-out or a kill for memory would only repeat with
# the same limits, so it waits for limits that can grow. PREEMPTED is nobody's fault: no limit.
BUDGETS: dict[FailureClass, int | None] = {
    FailureClass.TIMEOUT: 0,
    FailureClass.OUT_OF_MEMORY: 0,
    FailureClass.PREEMPTED: None,
    FailureClass.NODE: 10,
    FailureClass.LOST: 5,
    FailureClass.NO_DATABASE: 5,
    FailureClass.SUBMIT: 5,
    FailureClass.CANCELLED: 0,
}
# These share one budget, which the user sets with --retries.
_PROGRAM = frozenset({FailureClass.PROGRAM, FailureClass.NO_RESULT})


def may_retry(failures: Sequence[FailureClass], *, program_retries: int) -> bool:
    """Whether a trial with these failures, the newest last, may try again."""
    newest = failures[-1]
    if newest in _PROGRAM:
        return sum(failure in _PROGRAM for failure in failures) <= program_retries
    budget = BUDGETS[newest]
    return budget is None or failures.count(newest) <= budget


def final_status(failure: FailureClass) -> TrialStatus:
    """Return the status of a trial whose last attempt ended like this and that tries no more."""
    return TrialStatus.ABANDONED if failure == FailureClass.CANCELLED else TrialStatus.FAILED
