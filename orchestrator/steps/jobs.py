"""What the scheduler's word means for attempts; part of `settle`.

Unknown is kept apart from yes and no: a job that nobody could be asked about neither runs nor has
ended, and a job that is gone is believed to be gone only when it was denied twice.
"""

from __future__ import annotations

import time

from db.states import ENDED_JOBS, AttemptState, FailureClass, JobState
from orchestrator.cluster.base import JobStatus
from orchestrator.health.failures import Failure, judge_job
from orchestrator.spec.experiment import ExperimentSpec
from orchestrator.steps.ledger import Ledger, OpenAttempt
from orchestrator.steps.observe import Poll

# A vanished job is believed when this many polls in a row did not know it (DESIGN section 9).
DENIALS = 2
# The scheduler's word is clear, only the report of a worker that was faster may still be on its
# way; a local process leaves none on the way.
CLEAR_GRACE_SECONDS = 5.0
LOCAL_GRACE_SECONDS = 1.0
TOLD_TO_STOP = "Headway was told to stop it"


def follow(ledger: Ledger, poll: Poll) -> None:
    """Take note of what the scheduler says of each job."""
    moment = time.monotonic()
    for attempt in ledger.attempts.values():
        status = poll.statuses.get(attempt.job_id or "")
        if status is None or status.state == JobState.UNKNOWN:
            continue
        attempt.job = status
        attempt.denials = attempt.denials + 1 if status.state == JobState.GONE else 0
        if status.state in {JobState.PENDING, JobState.RUNNING}:
            attempt.ended_since = None
        elif attempt.ended_since is None:
            attempt.ended_since = moment


def find_overdue(ledger: Ledger, spec: ExperimentSpec) -> list[OpenAttempt]:
    """Return attempts whose jobs have ended for so long that no report can come any more."""
    moment = time.monotonic()
    return [
        attempt
        for attempt in ledger.attempts.values()
        if attempt.job is not None
        and attempt.ended_since is not None
        and (attempt.job.state != JobState.GONE or attempt.denials >= DENIALS)
        and moment - attempt.ended_since >= _grace(attempt.job, spec)
    ]


def _grace(job: JobStatus, spec: ExperimentSpec) -> float:
    if spec.executor == "local":
        return LOCAL_GRACE_SECONDS
    # The worker of a job that ended by itself has reported, perhaps through a slow spool.
    by_itself = job.state in {JobState.GONE, JobState.COMPLETED}
    return spec.timing.spool_grace_seconds if by_itself else CLEAR_GRACE_SECONDS


def why_ended(attempt: OpenAttempt, job: JobStatus) -> Failure:
    """Return why an attempt whose job ended left no report."""
    if attempt.is_cancelled:
        return Failure(kind=FailureClass.CANCELLED, message=TOLD_TO_STOP)
    was_claimed = attempt.state == AttemptState.STARTED
    return judge_job(job.state, job.word, was_claimed=was_claimed, was_told=False)


def why_told(attempt: OpenAttempt | None) -> Failure | None:
    """Return why a worker was told to stop; None while the scheduler has not said it.

    Args:
        attempt: Its attempt; None if it had already been given up.
    """
    if attempt is None or attempt.is_cancelled:
        return Failure(kind=FailureClass.CANCELLED, message=TOLD_TO_STOP)
    if attempt.job is None or attempt.ended_since is None:
        return None
    if attempt.job.state not in ENDED_JOBS and attempt.denials < DENIALS:
        return None
    return judge_job(attempt.job.state, attempt.job.word, was_claimed=True, was_told=True)
