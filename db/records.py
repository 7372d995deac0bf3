"""The shapes of what the head and its workers tell each other.

Types only: a worker never imports this at run time, since `typing` costs it milliseconds.
All of it is JSON. Times are ISO 8601 in UTC with microseconds and `+00:00`; durations are seconds;
sizes are bytes.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

Value = int | float | str | bool
# What was measured on a node, by its name; names carry their units. None: it could not be told.
Checks = dict[str, int | float | str | bool | None]


class CodeVersion(TypedDict):
    """What a file that the program names holds."""

    sha256: str  # empty: there is no such regular file
    bytes: int


class SeenFile(CodeVersion):
    """The same with the time that tells whether it may have changed since."""

    mtime_ns: int


class Preflight(TypedDict):
    """What a worker looks at before it claims an attempt."""

    gpus: int  # that were asked for, a node; 0: nobody looks for any
    memory_mb: int | None  # the same of memory, unless Slurm's own word says more
    command: str | None  # --preflight, run by bash in the working folder
    seconds: float  # time limit of each look


class WorkerJob(TypedDict):
    """`job.json` in the run folder (mode 0600): what all attempts of an experiment share."""

    experiment_id: int
    experiment_name: str
    run_dir: str
    transport: Literal["direct", "spool"]  # direct: `db_url` is opened by the worker
    db_url: str | None  # holds the password; None with the spool transport
    import_folders: list[str]  # where the head found its libraries; appended to sys.path
    program: str  # text with placeholders, run by bash
    working_folder: str  # where programs start: where the user typed the command, or its mirror
    code: NotRequired[dict[str, SeenFile]]  # files that the program names, as the head saw them
    snapshot: NotRequired[str]  # folder with the copies of --snapshot
    preflight: NotRequired[Preflight]  # missing: of a Headway that did not look
    objectives: list[str]  # names that the program has to print
    worker_timeout_seconds: float | None  # for one trial; an assignment may allow more
    grace_seconds: float  # between SIGTERM and SIGKILL for the program
    heartbeat_seconds: float
    claim_patience_seconds: float  # how long to try to reach the database for the claim
    report_patience_seconds: float  # the same for a report, before it goes to the spool
    protocol: int  # `worker.fitness.PROTOCOL` of the head's Headway
    python: str  # of the head, e.g. 3.11: what the libraries in `import_folders` are made for


class Assignment(TypedDict):
    """One attempt, as the worker gets it when it has claimed it.

    With the spool transport this is `spool/assignments/TOKEN_INDEX.json`.
    """

    attempt_id: int
    attempt_token: str
    number: int  # 1 for a trial's first attempt
    trial_index: int
    parameters: dict[str, Value]
    log_path: str  # relative to the run folder
    checkpoint_dir: str  # absolute; the same for all attempts of a trial
    timeout_seconds: NotRequired[float]  # the worker's limit for this attempt, if there is one


class Claim(TypedDict):
    """Who claims an attempt; the payload of its START report."""

    claim: str  # nonce of this worker process
    host: str
    slurm_job_id: str | None
    pid: int
    started_at: str
    code: NotRequired[dict[str, CodeVersion]]  # files that have changed since the head looked
    restart: NotRequired[int]  # SLURM_RESTART_COUNT, if Slurm has started the job again
    memory_mb: NotRequired[int]  # of a node, as Slurm has given it to the job
    previous: NotRequired[int]  # key of the attempt that this worker ended itself, as it goes on


class ReportMessage(TypedDict):
    """One report on its way; a file in `spool/reports/` or a row of `report`."""

    attempt_id: int
    attempt_token: str
    kind: Literal["START", "METRIC", "END"]
    sequence: int
    created_at: str
    payload: dict[str, Any]


class MetricRecord(TypedDict):
    """One METRIC line; the payload of a METRIC report is `{"metrics": [MetricRecord, …]}`."""

    name: str
    value: float | None  # None: the program printed nan or inf
    split: Literal["TRAIN", "VALIDATION", "TEST"]
    level: Literal["LAST", "STEP", "BATCH", "TRIAL"]
    step: int | None
    at: str


class ArtifactRecord(TypedDict):
    """One ARTIFACT line that names an existing file."""

    name: str
    path: str  # absolute
    bytes: int


class Measured(TypedDict):
    """Resources that an attempt used. The program and all its children."""

    wall_seconds: float
    user_seconds: float
    system_seconds: float
    peak_memory_bytes: int
    gpu_memory_bytes: NotRequired[int]
    gpu_utilization_percent: NotRequired[float]


class EndPayload(TypedDict):
    """The payload of an END report: what the worker saw, without judgement."""

    results: dict[str, float]  # the last valid value of each objective; complete or not
    sems: dict[str, float]
    infos: dict[str, str]
    artifacts: list[ArtifactRecord]
    problems: list[str]  # e.g. "RESULT: nan is not a finite number"; empty if all is well
    cause: Literal["EXIT", "TIMEOUT", "TERMINATED", "NOT_STARTED"]  # TERMINATED: told to stop
    exit_code: int | None
    signal: int | None
    host: str
    slurm_job_id: str | None
    started_at: str
    ended_at: str
    measured: Measured
    tail: str  # the last lines of the program's output, at most 4 KB
    told_by: NotRequired[int]  # the signal by which the worker was first told to stop
    # Only from a worker that has not claimed. It does not know its attempt: the message's
    # attempt_id is 0, and these two tell which one it was.
    submission_token: NotRequired[str]
    array_index: NotRequired[int]
    restart: NotRequired[int]  # as in the claim that it did not make
    is_unfit: NotRequired[bool]  # not for the database (NO_DATABASE) but for its node (NODE)
    # Only with `is_unfit`, and only if the fault is the node's own: what was measured there until a
    # look failed, whose name stands under "failed".
    checks: NotRequired[Checks]
