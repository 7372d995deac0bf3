"""The tables of Headway, typed. The only store; what other systems read are views over them.

Every table and column carries a comment that also ends up in the database where it keeps them.
Times are UTC. JSON columns hold what is open-ended; nothing in them is ever executed or unpickled.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from db.sql.columns import Code, UtcDateTime, word
from db.states import (
    AttemptState,
    ExperimentStatus,
    FailureClass,
    ReportKind,
    SubmissionState,
    TrialStatus,
)

# One naming rule, so that a migration can name what it changes on every database.
NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
Json = dict[str, Any]


class Base(DeclarativeBase):
    """The root of all tables; fixes how Python types become columns."""

    metadata = sa.MetaData(naming_convention=NAMES)
    type_annotation_map = {  # noqa: RUF012
        datetime: UtcDateTime(),
        Json: sa.JSON(),
        list[Any]: sa.JSON(),
        str: Text(),
        float: sa.Double(),
        ExperimentStatus: word(ExperimentStatus),
        AttemptState: word(AttemptState),
        SubmissionState: word(SubmissionState),
        ReportKind: word(ReportKind),
        FailureClass: word(FailureClass),
        TrialStatus: Code(TrialStatus),
    }


def table_of(model: type[Base]) -> sa.Table:
    """Return the table behind a typed class, for statements on columns."""
    table = model.__table__
    assert isinstance(table, sa.Table)
    return table


def _of(table: str, comment: str, *, index: bool = False) -> Mapped[int]:
    """A mandatory foreign key to `table`."""
    return mapped_column(
        ForeignKey(f"{table}.id", ondelete="CASCADE"), index=index, comment=comment
    )


class Experiment(Base):
    """One search: a space, objectives, a strategy, a program and resources."""

    __tablename__ = "experiment"
    __table_args__ = (UniqueConstraint("name", "run_number"), {"comment": __doc__})

    id: Mapped[int] = mapped_column(primary_key=True, comment="Key")
    uuid: Mapped[str] = mapped_column(String(36), unique=True, comment="The same in every database")
    name: Mapped[str] = mapped_column(String(100), comment="Name given by the user")
    run_number: Mapped[int] = mapped_column(comment="1 for the first run of this name, then 2 …")
    group: Mapped[str | None] = mapped_column(comment="Experiments that belong together")
    description: Mapped[str | None] = mapped_column(comment="Free text of the user")
    participant: Mapped[str | None] = mapped_column(comment="Whom or what was studied")
    user_metadata: Mapped[Json | None] = mapped_column(comment="The user's own keys and values")
    spec: Mapped[Json] = mapped_column(comment="What was asked for, frozen; holds no password")
    status: Mapped[ExperimentStatus] = mapped_column(comment="Where the experiment stands")
    stop_reason: Mapped[str | None] = mapped_column(comment="Why it ended, in a sentence")
    owner: Mapped[str] = mapped_column(comment="user@host that started it")
    run_dir: Mapped[str] = mapped_column(comment="The run folder, absolute")
    created_at: Mapped[datetime] = mapped_column(comment="When it was set up")
    ended_at: Mapped[datetime | None] = mapped_column(comment="When its last head ended")


class Parameter(Base):
    """One dimension of an experiment's space."""

    __tablename__ = "parameter"
    __table_args__ = (
        UniqueConstraint("experiment_id", "name"),
        CheckConstraint("kind IN ('range', 'choice', 'fixed')", name="kind"),
        CheckConstraint("value_type IN ('int', 'float', 'str', 'bool')", name="value_type"),
        {"comment": __doc__},
    )

    id: Mapped[int] = mapped_column(primary_key=True, comment="Key")
    experiment_id: Mapped[int] = _of("experiment", "Experiment")
    position: Mapped[int] = mapped_column(comment="Order in which it was given, from 0")
    name: Mapped[str] = mapped_column(String(100), comment="Name, as the program's text uses it")
    kind: Mapped[str] = mapped_column(String(10), comment="range, choice or fixed")
    value_type: Mapped[str] = mapped_column(String(10), comment="int, float, str or bool")
    lower: Mapped[float | None] = mapped_column(comment="Range: lowest value, included")
    upper: Mapped[float | None] = mapped_column(comment="Range: highest value, included")
    log_scale: Mapped[bool | None] = mapped_column(comment="Range: searched on a log scale")
    choices: Mapped[list[Any] | None] = mapped_column(comment="Choice: the values")
    is_ordered: Mapped[bool | None] = mapped_column(comment="Choice: the order has a meaning")
    fixed_value: Mapped[Json | None] = mapped_column(comment="Fixed: {value: …}")


class ParameterConstraint(Base):
    """One comparison that every point has to meet."""

    __tablename__ = "parameter_constraint"
    __table_args__ = (UniqueConstraint("experiment_id", "position"), {"comment": __doc__})

    id: Mapped[int] = mapped_column(primary_key=True, comment="Key")
    experiment_id: Mapped[int] = _of("experiment", "Experiment")
    position: Mapped[int] = mapped_column(comment="Order in which it was given, from 0")
    text: Mapped[str] = mapped_column(comment="As the user wrote it")
    coefficients: Mapped[Json | None] = mapped_column(
        comment="Linear ones: sum(coefficient * parameter) <= bound"
    )
    bound: Mapped[float | None] = mapped_column(comment="Linear ones: the right-hand side")


class Objective(Base):
    """One value that trials report and the search makes small or large."""

    __tablename__ = "objective"
    __table_args__ = (UniqueConstraint("experiment_id", "name"), {"comment": __doc__})

    id: Mapped[int] = mapped_column(primary_key=True, comment="Key")
    experiment_id: Mapped[int] = _of("experiment", "Experiment")
    position: Mapped[int] = mapped_column(comment="Order in which it was given, from 0")
    name: Mapped[str] = mapped_column(String(100), comment="Name, as in the line NAME: VALUE")
    minimize: Mapped[bool] = mapped_column(comment="True: smaller is better")


class GenerationNode(Base):
    """One step of an experiment's strategy."""

    __tablename__ = "generation_node"
    __table_args__ = (UniqueConstraint("experiment_id", "position"), {"comment": __doc__})

    id: Mapped[int] = mapped_column(primary_key=True, comment="Key")
    experiment_id: Mapped[int] = _of("experiment", "Experiment")
    position: Mapped[int] = mapped_column(comment="Order of the steps, from 0")
    generator: Mapped[str] = mapped_column(String(100), comment="Generator, e.g. SOBOL or TPE")
    num_trials: Mapped[int | None] = mapped_column(comment="Trials it gives; NULL: all the rest")
    min_observed: Mapped[int] = mapped_column(
        comment="Finished trials of earlier steps that it needs before it starts"
    )


class Generation(Base):
    """One call of a generator: what it was asked, what it gave, how long it took."""

    __tablename__ = "generation"
    __table_args__ = (UniqueConstraint("experiment_id", "number"), {"comment": __doc__})

    id: Mapped[int] = mapped_column(primary_key=True, comment="Key")
    experiment_id: Mapped[int] = _of("experiment", "Experiment")
    number: Mapped[int] = mapped_column(comment="Order of the calls, from 0; seeds the call")
    node: Mapped[int] = mapped_column(comment="Position of the strategy's step it counts for")
    generator: Mapped[str] = mapped_column(String(100), comment="The generator that answered")
    requested: Mapped[int] = mapped_column(comment="Points asked for")
    produced: Mapped[int] = mapped_column(comment="Points given")
    fit_time: Mapped[float | None] = mapped_column(comment="Seconds spent on fitting a model")
    gen_time: Mapped[float | None] = mapped_column(comment="Seconds spent on making the points")
    seed: Mapped[int] = mapped_column(sa.BigInteger, comment="Seed of this call")
    state: Mapped[Json | None] = mapped_column(comment="What the generator needs to go on")
    predictions: Mapped[Json | None] = mapped_column(comment="What the model expected")
    fallback_reason: Mapped[str | None] = mapped_column(
        comment="Why another generator than the step's own answered"
    )
    created_at: Mapped[datetime] = mapped_column(comment="When the answer came")


class Trial(Base):
    """One point of the space that is to be evaluated; has one final outcome."""

    __tablename__ = "trial"
    __table_args__ = (
        UniqueConstraint("experiment_id", "index"),
        Index("ix_trial_experiment_id_status", "experiment_id", "status"),
        CheckConstraint("status IN (0, 1, 2, 3, 4, 5, 7, 8)", name="status"),
        {"comment": __doc__},
    )

    id: Mapped[int] = mapped_column(primary_key=True, comment="Key")
    experiment_id: Mapped[int] = _of("experiment", "Experiment")
    index: Mapped[int] = mapped_column(comment="Number within the experiment, from 0")
    generation_id: Mapped[int | None] = mapped_column(
        ForeignKey("generation.id"), index=True, comment="The call that proposed it"
    )
    parameters: Mapped[Json] = mapped_column(comment="Parameter values, by name")
    parameter_hash: Mapped[str] = mapped_column(String(64), comment="SHA-256 of the parameters")
    status: Mapped[TrialStatus] = mapped_column(comment="Ax's trial status number")
    status_reason: Mapped[str | None] = mapped_column(comment="Why it failed or was abandoned")
    created_at: Mapped[datetime] = mapped_column(comment="When it was proposed")
    staged_at: Mapped[datetime | None] = mapped_column(comment="When its first attempt was planned")
    run_started_at: Mapped[datetime | None] = mapped_column(
        comment="When a worker first claimed it"
    )
    completed_at: Mapped[datetime | None] = mapped_column(comment="When its status became final")


class Submission(Base):
    """One call of sbatch: one job or one array, carrying one or more attempts."""

    __tablename__ = "submission"
    __table_args__ = ({"comment": __doc__},)

    id: Mapped[int] = mapped_column(primary_key=True, comment="Key")
    experiment_id: Mapped[int] = _of("experiment", "Experiment", index=True)
    token: Mapped[str] = mapped_column(
        String(32), unique=True, comment="Part of the job's name; identifies the submission"
    )
    size: Mapped[int] = mapped_column(comment="Number of attempts it carries")
    resources: Mapped[Json] = mapped_column(comment="What was requested of the scheduler")
    state: Mapped[SubmissionState] = mapped_column(comment="What became of the call")
    slurm_job_id: Mapped[str | None] = mapped_column(String(40), comment="Job id, when known")
    message: Mapped[str | None] = mapped_column(comment="What sbatch said when it did not accept")
    created_at: Mapped[datetime] = mapped_column(comment="When it was prepared")
    answered_at: Mapped[datetime | None] = mapped_column(comment="When its state became known")


class Attempt(Base):
    """One try to run a trial."""

    __tablename__ = "attempt"
    __table_args__ = (
        UniqueConstraint("submission_id", "array_index"),
        UniqueConstraint("trial_id", "number"),
        Index(
            "ix_attempt_open",
            "trial_id",
            sqlite_where=sa.text("state IN ('PLANNED', 'SUBMITTED', 'STARTED')"),
            postgresql_where=sa.text("state IN ('PLANNED', 'SUBMITTED', 'STARTED')"),
        ),
        {"comment": __doc__},
    )

    id: Mapped[int] = mapped_column(primary_key=True, comment="Key")
    trial_id: Mapped[int] = _of("trial", "The trial it tries to run")
    submission_id: Mapped[int | None] = mapped_column(
        ForeignKey("submission.id"), comment="The submission that carries it"
    )
    array_index: Mapped[int] = mapped_column(comment="SLURM_ARRAY_TASK_ID, 0 without an array")
    number: Mapped[int] = mapped_column(comment="1 for a trial's first attempt, then 2 …")
    token: Mapped[str] = mapped_column(String(40), unique=True, comment="Fences its writes")
    claim: Mapped[str | None] = mapped_column(
        String(40), comment="Nonce of the worker that claimed it, so that it knows its own claim"
    )
    state: Mapped[AttemptState] = mapped_column(comment="Where it stands")
    slurm_job_id: Mapped[str | None] = mapped_column(
        String(60), comment="As squeue -r prints it, e.g. 123_4"
    )
    cluster: Mapped[str | None] = mapped_column(String(60), comment="Cluster name, if several")
    host: Mapped[str | None] = mapped_column(String(255), comment="Slurm node name, else hostname")
    requested: Mapped[Json | None] = mapped_column(comment="Resources requested for it")
    measured: Mapped[Json | None] = mapped_column(comment="Resources it used")
    infos: Mapped[Json | None] = mapped_column(comment="Its OO-Info lines, by name")
    exit_code: Mapped[int | None] = mapped_column(comment="Exit code of the program")
    signal: Mapped[int | None] = mapped_column(comment="Signal that ended the program")
    slurm_state: Mapped[str | None] = mapped_column(String(40), comment="Slurm's last word on it")
    failure_class: Mapped[FailureClass | None] = mapped_column(comment="Why it gave no result")
    failure_message: Mapped[str | None] = mapped_column(comment="The same in a sentence")
    log_path: Mapped[str | None] = mapped_column(comment="Its log, relative to the run folder")
    created_at: Mapped[datetime] = mapped_column(comment="When it was planned")
    submitted_at: Mapped[datetime | None] = mapped_column(comment="When the scheduler took it")
    started_at: Mapped[datetime | None] = mapped_column(comment="When a worker claimed it")
    ended_at: Mapped[datetime | None] = mapped_column(comment="When it ended")
    heartbeat_at: Mapped[datetime | None] = mapped_column(comment="Last sign of life")


class Report(Base):
    """One append-only message from a worker about an attempt."""

    __tablename__ = "report"
    __table_args__ = (
        UniqueConstraint("attempt_id", "kind", "sequence"),
        Index(
            "ix_report_unconsumed",
            "id",
            sqlite_where=sa.text("consumed_at IS NULL"),
            postgresql_where=sa.text("consumed_at IS NULL"),
        ),
        {"comment": __doc__},
    )

    id: Mapped[int] = mapped_column(primary_key=True, comment="Key; says nothing about the order")
    attempt_id: Mapped[int] = _of("attempt", "The attempt it is about")
    kind: Mapped[ReportKind] = mapped_column(comment="START, METRIC or END")
    sequence: Mapped[int] = mapped_column(comment="Counts the reports of a kind, from 0")
    payload: Mapped[Json] = mapped_column(comment="What it says")
    created_at: Mapped[datetime] = mapped_column(comment="When the database took it")
    consumed_at: Mapped[datetime | None] = mapped_column(comment="When the head had dealt with it")
    refused_reason: Mapped[str | None] = mapped_column(comment="Why it was kept but not used")


class Outcome(Base):
    """The accepted value of one objective of one trial."""

    __tablename__ = "outcome"
    __table_args__ = (
        UniqueConstraint("trial_id", "objective_id"),
        CheckConstraint("source IN ('ATTEMPT', 'IMPORT', 'REUSED')", name="source"),
        {"comment": __doc__},
    )

    id: Mapped[int] = mapped_column(primary_key=True, comment="Key")
    trial_id: Mapped[int] = _of("trial", "Trial")
    objective_id: Mapped[int] = _of("objective", "Objective", index=True)
    mean: Mapped[float] = mapped_column(comment="The value")
    sem: Mapped[float | None] = mapped_column(comment="Its standard error, if the program gave it")
    source: Mapped[str] = mapped_column(String(10), comment="ATTEMPT, IMPORT or REUSED")
    attempt_id: Mapped[int | None] = mapped_column(
        ForeignKey("attempt.id"), index=True, comment="The attempt that gave it"
    )
    reused_trial_id: Mapped[int | None] = mapped_column(
        ForeignKey("trial.id"), comment="The trial it was taken from"
    )


class Metric(Base):
    """One measurement along the way of an attempt."""

    __tablename__ = "metric"
    __table_args__ = (
        CheckConstraint("split IN ('TRAIN', 'VALIDATION', 'TEST')", name="split"),
        CheckConstraint("level IN ('LAST', 'STEP', 'BATCH', 'TRIAL')", name="level"),
        {"comment": __doc__},
    )

    id: Mapped[int] = mapped_column(primary_key=True, comment="Key")
    trial_id: Mapped[int] = _of("trial", "Trial", index=True)
    attempt_id: Mapped[int] = _of("attempt", "The attempt that measured it", index=True)
    name: Mapped[str] = mapped_column(String(100), comment="Name")
    value: Mapped[float | None] = mapped_column(comment="Value; NULL if it was not a finite number")
    split: Mapped[str] = mapped_column(String(10), comment="TRAIN, VALIDATION or TEST")
    level: Mapped[str] = mapped_column(String(10), comment="LAST, STEP, BATCH or TRIAL")
    step: Mapped[int | None] = mapped_column(sa.BigInteger, comment="Step, batch or epoch")
    created_at: Mapped[datetime] = mapped_column(comment="When the program printed it")


class Artifact(Base):
    """A file that a trial made and named in an ARTIFACT line."""

    __tablename__ = "artifact"
    __table_args__ = ({"comment": __doc__},)

    id: Mapped[int] = mapped_column(primary_key=True, comment="Key")
    trial_id: Mapped[int] = _of("trial", "Trial", index=True)
    attempt_id: Mapped[int] = _of("attempt", "The attempt that made it", index=True)
    name: Mapped[str] = mapped_column(comment="Name; the file's own unless the line gave another")
    url: Mapped[str] = mapped_column(comment="Where it is, as file:// URL")
    format: Mapped[str | None] = mapped_column(String(20), comment="Ending of the file's name")
    bytes: Mapped[int | None] = mapped_column(sa.BigInteger, comment="Size when it was reported")
    sha256: Mapped[str | None] = mapped_column(String(64), comment="Digest when it was reported")


class Event(Base):
    """One thing that happened or was decided; append-only, the audit trail."""

    __tablename__ = "event"
    __table_args__ = (
        Index("ix_event_experiment_id_id", "experiment_id", "id"),
        {"comment": __doc__},
    )

    id: Mapped[int] = mapped_column(primary_key=True, comment="Key")
    experiment_id: Mapped[int] = _of("experiment", "Experiment")
    kind: Mapped[str] = mapped_column(String(40), comment="What happened, e.g. setup, ask, tell")
    trial_id: Mapped[int | None] = mapped_column(
        ForeignKey("trial.id"), index=True, comment="The trial it is about"
    )
    payload: Mapped[Json] = mapped_column(comment="The details")
    created_at: Mapped[datetime] = mapped_column(comment="When")


class HeadLease(Base):
    """Which head owns an experiment, and until when."""

    __tablename__ = "head_lease"
    __table_args__ = ({"comment": __doc__},)

    experiment_id: Mapped[int] = mapped_column(
        ForeignKey("experiment.id", ondelete="CASCADE"), primary_key=True, comment="Experiment"
    )
    host: Mapped[str] = mapped_column(String(255), comment="Host of the head")
    boot_id: Mapped[str] = mapped_column(String(64), comment="Boot of that host")
    pid: Mapped[int] = mapped_column(comment="Process of the head")
    process_started: Mapped[int] = mapped_column(
        sa.BigInteger, comment="Start of the process in clock ticks after boot"
    )
    epoch: Mapped[int] = mapped_column(comment="Grows with every change of the owner")
    expires_at: Mapped[datetime] = mapped_column(comment="By the clock of the database")
