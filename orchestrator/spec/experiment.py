"""The whole specification of an experiment: frozen, JSON, and without any password."""

from __future__ import annotations

import re
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from orchestrator.spec.frozen import Frozen
from orchestrator.spec.limits import LARGEST_SEED, LONGEST_NAME
from orchestrator.spec.objectives import Objective
from orchestrator.spec.resources import Resources
from orchestrator.spec.rules import Rule
from orchestrator.spec.site import Site
from orchestrator.spec.space import Space
from orchestrator.spec.strategy import Strategy

SCHEMA_VERSION: Literal[1] = 1
START_SECONDS = 30  # for the start of a worker on a slow file system
Executor = Literal["slurm", "local"]


class Timing(Frozen):
    """The numbers of DESIGN section 10 that are times and rates; `--timing NAME=SECONDS` sets them.

    Attributes:
        lease_renew_seconds: How often the head renews its lease.
        lease_expire_seconds: When a lease that is not renewed ends.
        heartbeat_seconds: How often a worker says that it lives.
        dead_seconds: After so long without a heartbeat a worker counts as dead.
        spool_grace_seconds: How long a report may take to appear once the job is gone.
        claim_patience_seconds: How long a worker tries to reach the database for its claim.
        report_patience_seconds: The same for a report, before the report goes to the spool.
        grace_seconds: What a program gets between SIGTERM and SIGKILL; below Slurm's KillWait (30
            by default), so that the worker still reports.
        slurm_limit_seconds: Time limit of a Slurm command.
        sacct_limit_seconds: Time limit of sacct.
        connect_seconds: Time limit of connecting to the database at the start.
        calls_per_minute: Slurm commands of the head a minute, in the long run.
        calls_burst: Slurm commands that may come at once.
        poll_min_seconds: Shortest time between two looks at the jobs.
        poll_max_seconds: Longest one.
        exclusion_seconds: How long a defective host is kept out before one trial tries it again.
        preflight_seconds: Time limit of each look at a host before a trial, --preflight too.
        never_seconds: For how long Slurm has to say that a job can never start until it is believed.
    """

    lease_renew_seconds: float = Field(default=5, gt=0)
    lease_expire_seconds: float = Field(default=30, gt=0)
    heartbeat_seconds: float = Field(default=15, gt=0)
    dead_seconds: float = Field(default=120, gt=0)
    spool_grace_seconds: float = Field(default=60, ge=0)
    claim_patience_seconds: float = Field(default=600, ge=0)
    report_patience_seconds: float = Field(default=60, ge=0)
    grace_seconds: float = Field(default=20, ge=0)
    slurm_limit_seconds: float = Field(default=60, gt=0)
    sacct_limit_seconds: float = Field(default=30, gt=0)
    connect_seconds: float = Field(default=10, gt=0)
    calls_per_minute: float = Field(default=20, gt=0)
    calls_burst: int = Field(default=40, ge=1)
    poll_min_seconds: float = Field(default=2, gt=0)
    poll_max_seconds: float = Field(default=60, gt=0)
    exclusion_seconds: float = Field(default=6 * 3600, gt=0)
    preflight_seconds: float = Field(default=60, gt=0)
    never_seconds: float = Field(default=20, ge=0)

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        pairs = (
            ("lease_renew_seconds", "lease_expire_seconds"),
            ("heartbeat_seconds", "dead_seconds"),
        )
        for short, long in pairs:
            if 2 * getattr(self, short) > getattr(self, long):
                raise ValueError(f"{long} must be at least twice {short}")
        if self.poll_min_seconds > self.poll_max_seconds:
            raise ValueError("poll_max_seconds must not be below poll_min_seconds")
        return self

    def slurm_minutes(self, worker_timeout_seconds: float | None) -> int | None:
        """Return Slurm's limit for a trial whose worker has this one; None if it has none.

        Late enough that the worker's own one comes first and it can still report.
        """
        if worker_timeout_seconds is None:
            return None
        after = START_SECONDS + self.grace_seconds + self.report_patience_seconds
        return int(-(-(worker_timeout_seconds + after) // 60))


class ExperimentSpec(Frozen):
    """What was asked for.

    Attributes:
        schema_version: Of this form; an unknown one is refused.
        name: Name of the experiment; its run number is given when it is set up.
        program: Text with placeholders, run by bash.
        working_folder: Where the user typed the command, absolute; programs start there.
        snapshot: What is copied when the run is set up, so that all trials use the copies;
            absolute paths, none within another.
        space: Parameters and constraints.
        objectives: At least one.
        strategy: Which generator proposes what.
        resources: What each trial asks of the scheduler.
        site: What this cluster asks of every job.
        executor: Slurm, or processes on this machine.
        num_parallel_jobs: How many trials run at once at most.
        max_eval: How many trials in all, failed ones too.
        seed: Makes the search repeatable.
        worker_timeout_seconds: The worker's own limit for one trial; None: only Slurm's.
        time_limit_seconds: Limit for the whole search; None: none.
        max_failed_jobs: The search stops when more trials than this have failed; None: never.
        max_failure_rate: The search stops when a greater share of the trials that ended have
            failed, 0 to 1; None: never.
        retries: Further tries after a failure of the program itself.
        auto_exclude: Whether defective hosts are to be kept out.
        rules: The user's own rules about failures, in their order.
        preflight: Text that bash runs on the node before a trial is claimed; None: nothing.
        description: Free text.
        participant: Whom or what is studied.
        user_metadata: The user's own keys and values.
        group: Experiments that belong together.
        timing: Times and rates.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    name: str
    program: str = Field(min_length=1)
    working_folder: str
    snapshot: tuple[str, ...] = ()
    space: Space
    objectives: tuple[Objective, ...] = Field(min_length=1)
    strategy: Strategy
    resources: Resources = Resources()
    site: Site = Site()
    executor: Executor
    num_parallel_jobs: int = Field(ge=1)
    max_eval: int = Field(ge=1)
    seed: int = Field(ge=0, le=LARGEST_SEED)
    worker_timeout_seconds: float | None = Field(default=None, gt=0)
    time_limit_seconds: float | None = Field(default=None, gt=0)
    max_failed_jobs: int | None = Field(default=None, ge=0)
    max_failure_rate: float | None = Field(default=None, ge=0, lt=1)
    retries: int = Field(default=1, ge=0)
    auto_exclude: bool = True
    rules: tuple[Rule, ...] = ()
    preflight: str | None = Field(default=None, min_length=1)
    description: str | None = None
    participant: str | None = None
    user_metadata: dict[str, str] = Field(default_factory=dict)
    group: str | None = None
    timing: Timing = Timing()

    @field_validator("name")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        check_experiment_name(name)
        return name

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [objective.name for objective in self.objectives]
        for name in names:
            if name in self.space.names():
                raise ValueError(f"{name!r} is both a parameter and a result")
            if names.count(name) > 1:
                raise ValueError(f"the result {name!r} is there twice")
        return self

    def to_json(self) -> str:
        """Return it as JSON text, the form of `spec.json` and of the database."""
        return self.model_dump_json(indent=2)

    @classmethod
    def from_json(cls, text: str | bytes) -> ExperimentSpec:
        """Read what `to_json` wrote.

        Raises:
            ValueError: It is not a specification, or one of a later Headway.
        """
        return cls.model_validate_json(text)


def check_experiment_name(name: str) -> None:
    """Make sure that a name can be a folder, a part of a job's name, and `NAME/N` on the terminal.

    Raises:
        ValueError: It cannot; the text says what is allowed.
    """
    allowed = re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name)
    if not allowed or len(name) > LONGEST_NAME:
        raise ValueError(
            f"{name!r} is not a name: letters, digits, _ . and - only, no . or - first, "
            f"at most {LONGEST_NAME} characters"
        )
