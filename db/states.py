"""The states of experiments, trials, attempts and submissions, and the moves between them.

One module, no imports of our own: every other place asks here. A member's comment is its one line
of documentation.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum


class ExperimentStatus(StrEnum):
    """Where an experiment as a whole stands."""

    RUNNING = "RUNNING"  # a head owns it, or owned it when it was last seen
    STOPPING = "STOPPING"  # no new trials; the running ones finish
    FINISHED = "FINISHED"  # it did what was asked
    STOPPED = "STOPPED"  # a person ended it
    FAILED = "FAILED"  # a failure limit or an error ended it
    INTERRUPTED = "INTERRUPTED"  # ended early by a signal or a time limit; `resume` goes on


class TrialStatus(IntEnum):
    """Ax's names and numbers (ax.core.trial_status), so that Ax's tables can be views over ours."""

    CANDIDATE = 0  # a point, not yet handed to a scheduler
    STAGED = 1  # an attempt is on its way
    FAILED = 2  # all tries are used up
    COMPLETED = 3  # has its outcome
    RUNNING = 4  # an attempt has started its program
    ABANDONED = 5  # will not be evaluated: a person or a stop ended it
    EARLY_STOPPED = 7  # ended by a rule on its metrics
    STALE = 8  # a point that is no longer wanted


class AttemptState(StrEnum):
    """The life of one try to run a trial."""

    PLANNED = "PLANNED"  # committed before sbatch is called
    SUBMITTED = "SUBMITTED"  # the scheduler has it
    STARTED = "STARTED"  # a worker has claimed it
    SUCCEEDED = "SUCCEEDED"  # its results are the trial's outcome
    FAILED = "FAILED"  # ended without a valid result
    LOST = "LOST"  # its job is gone and no report came
    CANCELLED = "CANCELLED"  # ended on request
    SUPERSEDED = "SUPERSEDED"  # another attempt answered first


class SubmissionState(StrEnum):
    """The three ends of a call of sbatch, and the time before."""

    PREPARED = "PREPARED"  # committed; sbatch may or may not have been called
    ACCEPTED = "ACCEPTED"  # sbatch gave a job id
    REFUSED = "REFUSED"  # sbatch said no: no job exists
    UNCLEAR = "UNCLEAR"  # sbatch may have said yes; look for the token before anything else


class ReportKind(StrEnum):
    """What a worker tells of an attempt."""

    START = "START"  # the attempt is claimed and its program is about to start
    METRIC = "METRIC"  # one or more measurements along the way
    END = "END"  # results, exit code, signal, resources


class JobState(StrEnum):
    """What a scheduler can say of a job, in our words."""

    PENDING = "PENDING"  # it waits
    RUNNING = "RUNNING"  # it runs, or is just starting or ending
    COMPLETED = "COMPLETED"  # the job script ended with exit code 0
    FAILED = "FAILED"  # it ended with another exit code
    TIMEOUT = "TIMEOUT"  # it ran into its time limit
    OUT_OF_MEMORY = "OUT_OF_MEMORY"  # it was killed for its memory
    PREEMPTED = "PREEMPTED"  # it had to make room
    NODE_FAIL = "NODE_FAIL"  # its node failed, or could not start it
    CANCELLED = "CANCELLED"  # somebody ended it
    GONE = "GONE"  # asked successfully, and no command knows it (any more)
    UNKNOWN = "UNKNOWN"  # no answer, or a word that we do not know: neither success nor end


class FailureClass(StrEnum):
    """Why an attempt ended without a result (DESIGN section 5)."""

    PROGRAM = "PROGRAM"
    NO_RESULT = "NO_RESULT"
    TIMEOUT = "TIMEOUT"
    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    PREEMPTED = "PREEMPTED"
    NODE = "NODE"
    LOST = "LOST"
    NO_DATABASE = "NO_DATABASE"
    SUBMIT = "SUBMIT"
    CANCELLED = "CANCELLED"


FINAL_TRIALS = frozenset(
    {
        TrialStatus.FAILED,
        TrialStatus.COMPLETED,
        TrialStatus.ABANDONED,
        TrialStatus.EARLY_STOPPED,
        TrialStatus.STALE,
    }
)
LIVE_ATTEMPTS = frozenset({AttemptState.SUBMITTED, AttemptState.STARTED})
OPEN_ATTEMPTS = LIVE_ATTEMPTS | {AttemptState.PLANNED}
CLAIMABLE_ATTEMPTS = frozenset({AttemptState.PLANNED, AttemptState.SUBMITTED})
ENDED_JOBS = frozenset(JobState) - {
    JobState.PENDING,
    JobState.RUNNING,
    JobState.GONE,
    JobState.UNKNOWN,
}
OPEN_SUBMISSIONS = frozenset({SubmissionState.PREPARED, SubmissionState.UNCLEAR})

_ENDS = frozenset(AttemptState) - OPEN_ATTEMPTS
ATTEMPT_MOVES: dict[AttemptState, frozenset[AttemptState]] = {
    AttemptState.PLANNED: frozenset({AttemptState.SUBMITTED, AttemptState.STARTED}) | _ENDS,
    AttemptState.SUBMITTED: frozenset({AttemptState.STARTED}) | _ENDS,
    AttemptState.STARTED: _ENDS,
    # A late result of an attempt that was given up is taken if the trial has none (DESIGN 10).
    AttemptState.LOST: frozenset({AttemptState.SUCCEEDED}),
    AttemptState.SUPERSEDED: frozenset({AttemptState.SUCCEEDED}),
    AttemptState.CANCELLED: frozenset({AttemptState.SUCCEEDED}),
    AttemptState.SUCCEEDED: frozenset(),
    AttemptState.FAILED: frozenset(),
}


def may_move(old: AttemptState, new: AttemptState) -> bool:
    """Whether an attempt in state `old` may become `new`."""
    return new in ATTEMPT_MOVES[old]


def is_final(status: TrialStatus) -> bool:
    """Whether a trial in this status stays as it is."""
    return status in FINAL_TRIALS
