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

    PROGRAM = "PROGRAM"  # its exit code was not 0, or a signal ended it
    NO_RESULT = "NO_RESULT"  # exit code 0, but no valid result line
    TIMEOUT = "TIMEOUT"  # it ran into the worker's or Slurm's time limit
    OUT_OF_MEMORY = "OUT_OF_MEMORY"  # it was killed for its memory
    PREEMPTED = "PREEMPTED"  # it had to make room
    NODE = "NODE"  # its node failed or could not start it
    LOST = "LOST"  # its job is gone, or its heartbeat ended, and no report came
    NO_DATABASE = "NO_DATABASE"  # its worker could not reach the database to claim it
    SUBMIT = "SUBMIT"  # sbatch refused it
    RULE = "RULE"  # a rule of the user's own fits its log; the rule's name stands beside it
    CANCELLED = "CANCELLED"  # ended on request, ours or a person's


class ParameterKind(StrEnum):
    """How a parameter takes its values."""

    RANGE = "range"  # between two bounds
    CHOICE = "choice"  # one of a list
    FIXED = "fixed"  # always the same


class ValueType(StrEnum):
    """Type of a parameter's values."""

    INT = "int"  # whole numbers
    FLOAT = "float"  # numbers
    STR = "str"  # texts
    BOOL = "bool"  # true and false


class OutcomeSource(StrEnum):
    """Where the accepted value of a trial came from."""

    ATTEMPT = "ATTEMPT"  # a worker reported it
    IMPORT = "IMPORT"  # it was brought in from elsewhere
    REUSED = "REUSED"  # another trial with the same parameters had it


class Split(StrEnum):
    """Part of the data that a metric was measured on."""

    TRAIN = "TRAIN"  # what the model learns from
    VALIDATION = "VALIDATION"  # what its settings are chosen by
    TEST = "TEST"  # what it is judged by in the end


class Level(StrEnum):
    """What one value of a metric stands for."""

    LAST = "LAST"  # the final value
    STEP = "STEP"  # one step or epoch
    BATCH = "BATCH"  # one batch
    TRIAL = "TRIAL"  # the whole trial


class HostState(StrEnum):
    """What is thought of a host; whether it is kept out is told by its exclusions."""

    GOOD = "GOOD"  # nothing speaks against it
    SUSPECT = "SUSPECT"  # a failure there is not explained yet: new jobs avoid it meanwhile
    PAROLE = "PAROLE"  # its exclusion has ended and one trial tries it


class ExclusionSource(StrEnum):
    """Who decided to keep a host out."""

    HEADWAY = "HEADWAY"  # the evidence did
    USER = "USER"  # a person did


class SnapshotReason(StrEnum):
    """Why the state of a strategy was kept."""

    NODE_CHANGE = "NODE_CHANGE"  # the next step of the strategy began
    HEAD_END = "HEAD_END"  # the head ended


class EventKind(StrEnum):
    """What an event of the log says; `setup`, `ask`, `tell` and `exit` are AEPsych's words too.

    docs/replay.md lists the payload of each.
    """

    SETUP = "setup"  # the experiment was made: its spec, the versions of the libraries
    RESUME = "resume"  # another head goes on: what it changed, whom it replaced, versions
    ASK = "ask"  # a generator was asked and gave points: all that a replay needs
    ASK_FAILED = "ask_failed"  # a generator was asked and could not answer
    TELL = "tell"  # a trial has its outcome, or has failed for good
    FAILURE = "failure"  # an attempt failed or was cancelled; whether its trial tries again
    WITHDRAWN = "withdrawn"  # an attempt that had not begun was taken back for a stop
    SUPERSEDED = "superseded"  # an attempt was ended because another one answered first
    RESTARTED = "restarted"  # a requeued job runs again, as the next attempt of its trial
    SILENT = "silent"  # a worker gave no sign of life for too long: its job is cancelled
    HEARD = "heard"  # a silent worker gave a sign of life before its job was gone: it stays
    LATE = "late"  # a result was taken although its attempt had been given up
    CODE = "code"  # a file that the program names has changed
    REFUSED = "refused"  # a report came too late, and was kept but not used
    FOREIGN = "foreign"  # something in the spool is no message of a worker of this experiment
    SALVAGED = "salvaged"  # a report was found in the log of an attempt: it had no other way
    GHOST = "ghost"  # a job of ours that nobody waits for was found, and is cancelled
    SUBMISSION = "submission"  # a call of sbatch was refused, is unclear, or was adopted
    SUSPECT = "suspect"  # new jobs avoid a host until another one has told, or no longer
    EXCLUDED = "excluded"  # a host is kept out: by whom, why, until when, on what evidence
    INCLUDED = "included"  # a host is let in again: by whom or by what
    STEERED = "steered"  # jobs that wait avoid other hosts now, or one was taken from its host
    TUNED = "tuned"  # a person changed the goal or the slots of a search that runs
    STOP = "stop"  # a person, a signal, the clock or the failure limit asked for the end
    EXIT = "exit"  # the head ended, and how


class CardKind(StrEnum):
    """What an analysis card holds beside its numbers."""

    TABLE = "TABLE"  # nothing: the numbers are the card
    PLOTLY = "PLOTLY"  # a figure, as Plotly's JSON
    MARKDOWN = "MARKDOWN"  # a text


ONGOING_EXPERIMENTS = frozenset({ExperimentStatus.RUNNING, ExperimentStatus.STOPPING})
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
    # Given up on the scheduler's word alone; one that failed by its own report sends no other.
    AttemptState.FAILED: frozenset({AttemptState.SUCCEEDED}),
    AttemptState.SUCCEEDED: frozenset(),
}


def may_move(old: AttemptState, new: AttemptState) -> bool:
    """Whether an attempt in state `old` may become `new`."""
    return new in ATTEMPT_MOVES[old]
