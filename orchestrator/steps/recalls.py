"""Attempts that Headway ends itself so that their trials run elsewhere, at no cost to them.

The event is written before the scheduler is asked: whoever judges the end of such an attempt, also
a head that took over meanwhile, knows that nobody else wanted it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from db.sql import events
from db.sql.store import Store, Transaction
from db.states import AttemptState, EventKind, FailureClass, JobState
from orchestrator.health.failures import Blame, Failure
from orchestrator.steps.cancelling import Canceller
from orchestrator.steps.jobs import TOLD_TO_STOP
from orchestrator.steps.ledger import Ledger, OpenAttempt
from orchestrator.steps.notes import Note

# How a job looks that was cancelled while it waited.
_TAKEN_BACK = frozenset({JobState.CANCELLED, JobState.GONE})


@dataclass(frozen=True)
class Recall:
    """An attempt that is to end.

    Attributes:
        attempt: The attempt.
        host: Where it runs, or must not come to run: one name or several; empty: anywhere.
        why: In a sentence.
        is_pending: Only if it has not begun; its trial then waits as if it had not been submitted.
        text: What is told.
        level: How loudly.
    """

    attempt: OpenAttempt
    host: str
    why: str
    is_pending: bool
    text: str = "a job is taken back: its trial runs elsewhere"
    level: str = "warning"


class Recalls:
    """Ends attempts for reasons of Headway's own, each once."""

    def __init__(self, *, store: Store, ledger: Ledger, canceller: Canceller, note: Note) -> None:
        self._store = store
        self._ledger = ledger
        self._canceller = canceller
        self._note = note
        self._recalled: set[int] = set()

    def make(self, recalls: Iterable[Recall]) -> None:
        """Write down that attempts are to end, then ask the scheduler for it.

        Raises:
            DatabaseUnavailable: Nobody was asked for anything.
        """
        self._recalled &= self._ledger.attempts.keys()
        new = [each for each in recalls if self._may_recall(each.attempt)]
        if not new:
            return
        with self._store.write() as connection:
            key = self._store.experiment_id
            rows = [
                events.row(
                    key, EventKind.STEERED, self._payload(each), trial_id=each.attempt.trial_id
                )
                for each in new
            ]
            events.append(connection, rows)
        for each in new:
            self._recalled.add(each.attempt.id)
            each.attempt.is_withdrawn |= each.is_pending
            fields = {"host": each.host or "-", "job": each.attempt.job_id, "why": each.why}
            self._note(each.text, level=each.level, **fields)
        for is_pending in (True, False):
            jobs = [r.attempt.job_id for r in new if r.is_pending is is_pending]
            self._canceller.cancel([job for job in jobs if job], pending_only=is_pending)

    def _may_recall(self, attempt: OpenAttempt) -> bool:
        is_ending = attempt.is_cancelled or attempt.is_withdrawn or attempt.id in self._recalled
        return (
            not is_ending and attempt.job_id is not None and attempt.trial_id in self._ledger.trials
        )

    def _payload(self, recall: Recall) -> dict[str, object]:
        attempt = recall.attempt
        return {
            "trial_index": self._ledger.trials[attempt.trial_id].index,
            "attempt": attempt.id,
            "job": attempt.job_id,
            "host": recall.host,
            "reason": recall.why,
        }


def recalled(connection: Transaction, attempt: OpenAttempt, failure: Failure) -> Failure:
    """Tell a job that Headway took from its host from one that somebody else ended."""
    # A job that had been requeued and waited looks as if it was taken back for a stop.
    waited = attempt.is_withdrawn and failure.kind == FailureClass.PREEMPTED
    is_riddle = waited or failure.kind in {FailureClass.CANCELLED, FailureClass.LOST}
    asked = None if attempt.is_cancelled or not is_riddle else _asked(connection, attempt)
    if asked is None:
        return failure
    from_where = "back" if waited or not asked["host"] else f"from {asked['host']}"
    message = f"Headway took it {from_where}: {asked['reason']}"
    return Failure(kind=FailureClass.PREEMPTED, message=message, own_blame=Blame.NONE)


def why_taken_back(connection: Transaction, attempt: OpenAttempt) -> str | None:
    """Return why a job was taken back before it began, to run elsewhere or for a stop.

    None: it had begun, ended for another reason, or nobody took it back.
    """
    if attempt.state == AttemptState.STARTED or attempt.is_cancelled:
        return None
    if attempt.job is None or attempt.job.state not in _TAKEN_BACK:
        return None
    asked = _asked(connection, attempt)
    if asked is not None:
        return f"Headway took it back: {asked['reason']}"
    return TOLD_TO_STOP if attempt.is_withdrawn else None


def _asked(connection: Transaction, attempt: OpenAttempt) -> dict[str, Any] | None:
    return events.find_payload(
        connection, EventKind.STEERED, trial_id=attempt.trial_id, attempt_id=attempt.id
    )
