"""What the scheduler's word means for attempts; part of `settle`.

Unknown is kept apart from yes and no: a job that nobody could be asked about neither runs nor has
ended, and a job that is gone is believed to be gone only when it was denied twice.
"""

from __future__ import annotations

import time
from signal import SIGINT, SIGQUIT, SIGUSR2

from db.records import EndPayload
from db.states import ENDED_JOBS, AttemptState, FailureClass, JobState
from orchestrator.cluster.base import JobStatus
from orchestrator.health.failures import Blame, Failure, judge_job
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
# What squeue says of a cancelled job; sacct adds who it was.
_BY_SOMEBODY = "CANCELLED"
# A job that had a node and no worker yet, and that nobody but root or nobody known has cancelled:
# its launch failed, and slurmd ended it in the only way that --no-requeue leaves (tried: 22.05.8, a
# slurmd that was away for longer than MessageTimeout; the node is in use again a moment later).
_BY_ITS_NODE = frozenset({_BY_SOMEBODY, "CANCELLED by root"})


def follow(ledger: Ledger, poll: Poll) -> None:
    """Take note of what the scheduler says of each job."""
    moment = time.monotonic()
    for attempt in ledger.attempts.values():
        status = poll.statuses.get(attempt.job_id) if attempt.job_id else _by_name(attempt, poll)
        if status is None or status.state == JobState.UNKNOWN:
            continue
        attempt.job = status
        attempt.denials = attempt.denials + 1 if status.state == JobState.GONE else 0
        is_back = status.state == JobState.PENDING and attempt.state == AttemptState.STARTED
        attempt.returns = attempt.returns + 1 if is_back else 0
        if status.state in {JobState.PENDING, JobState.RUNNING}:
            attempt.ended_since = None
        elif attempt.ended_since is None:
            attempt.ended_since = moment


def _by_name(attempt: OpenAttempt, poll: Poll) -> JobStatus | None:
    """Return GONE if a worker once had an attempt, nobody heard its job id, and no job has its name.

    None says nothing: it may still wait for its worker.
    """
    tasks = None if poll.found is None else poll.found.get(attempt.job_name)
    is_claimed = attempt.is_taken or attempt.state == AttemptState.STARTED
    is_denied = is_claimed and tasks is not None and attempt.array_index not in tasks
    return JobStatus(state=JobState.GONE) if is_denied else None


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
    """Return why an attempt whose job ended left no report, as far as the scheduler says it."""
    if attempt.is_cancelled:
        return Failure(kind=FailureClass.CANCELLED, message=TOLD_TO_STOP)
    was_claimed = attempt.state == AttemptState.STARTED
    evidence = {"slurm": job.word} if job.word else {}
    if attempt.is_withdrawn and was_claimed and job.state == JobState.CANCELLED:
        # Its job had been requeued and waited: no fault of its trial, which a resume tries again.
        return Failure(kind=FailureClass.PREEMPTED, message=TOLD_TO_STOP, evidence=evidence)
    if job.host_fault and job.state == JobState.CANCELLED and not was_claimed:
        message = f"Slurm took {job.host} out before its job could begin ({job.host_fault})"
        evidence["host_fault"] = job.host_fault
        return Failure(kind=FailureClass.NODE, message=message, evidence=evidence)
    if job.word in _BY_ITS_NODE and job.host and not was_claimed:
        # Slurm still uses it, and a person may have done it in just that second.
        message = f"{job.host} could not start its job, which was cancelled then ({job.word})"
        return Failure(
            kind=FailureClass.NODE, message=message, own_blame=Blame.PAIRED, evidence=evidence
        )
    return judge_job(job.state, job.word, was_claimed=was_claimed, was_told=False)


def has_final_word(attempt: OpenAttempt) -> bool:
    """Whether the scheduler has said how the job of an attempt ended, and will say no more."""
    if attempt.job is None or attempt.ended_since is None:
        return False
    if attempt.job.state not in ENDED_JOBS and attempt.denials < DENIALS:
        return False
    is_young = time.monotonic() - attempt.ended_since < CLEAR_GRACE_SECONDS
    # The accounting may still tell who it was.
    return not (attempt.job.word == _BY_SOMEBODY and is_young)


def why_told(attempt: OpenAttempt | None, end: EndPayload) -> Failure | None:
    """Return why a worker was told to stop; None while the scheduler has not said it.

    Args:
        attempt: Its attempt; None if it had already been given up.
        end: What the worker reported.
    """
    if attempt is None or attempt.is_cancelled:
        return Failure(kind=FailureClass.CANCELLED, message=TOLD_TO_STOP)
    if attempt.job is None or not has_final_word(attempt):
        return None
    told_by = end.get("told_by")
    return judge_job(
        attempt.job.state,
        attempt.job.word,
        was_claimed=True,
        was_told=True,
        was_warned=told_by == SIGUSR2,
        was_interrupted=told_by in {SIGINT, SIGQUIT},
    )
