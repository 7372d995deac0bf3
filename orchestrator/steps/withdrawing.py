"""Which jobs are to end because the search ends; each is asked for once."""

from __future__ import annotations

from db.states import AttemptState
from orchestrator.steps.ledger import Ledger, OpenAttempt


def withdraw_pending(ledger: Ledger) -> list[str]:
    """Mark the attempts that have not begun as taken back, and return their jobs.

    Those of submissions whose answer is not known yet have no job: they are found at a later call.
    """
    pending = [
        attempt
        for attempt in ledger.attempts.values()
        if attempt.job_id
        and (attempt.state != AttemptState.STARTED or attempt.waits_again)
        and not attempt.is_withdrawn
    ]
    for attempt in pending:
        attempt.is_withdrawn = True
    return _jobs(pending)


def cancel_all(ledger: Ledger) -> list[str]:
    """Mark all attempts that have a job as cancelled, and return their jobs."""
    running = [a for a in ledger.attempts.values() if a.job_id and not a.is_cancelled]
    for attempt in running:
        attempt.is_cancelled = True
    return _jobs(running)


def _jobs(attempts: list[OpenAttempt]) -> list[str]:
    return [attempt.job_id for attempt in attempts if attempt.job_id]
