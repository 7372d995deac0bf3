"""What is tried and what comes back: submissions, attempts, reports."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from db.sql.tables.base import Base, Json, part_of
from db.states import AttemptState, FailureClass, ReportKind, SubmissionState


class Submission(Base):
    """One call of sbatch: one job or one array, carrying one or more attempts."""

    __tablename__ = "submission"
    __table_args__ = ({"comment": __doc__},)

    id: Mapped[int] = mapped_column(primary_key=True, comment="Key")
    experiment_id: Mapped[int] = part_of("experiment", "Experiment", index=True)
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
        UniqueConstraint("submission_id", "array_index", "restart"),
        UniqueConstraint("trial_id", "number"),
        Index(
            "ix_attempt_open",
            "trial_id",
            sqlite_where=sa.text("state IN ('PLANNED', 'SUBMITTED', 'STARTED')"),
            postgresql_where=sa.text("state IN ('PLANNED', 'SUBMITTED', 'STARTED')"),
        ),
        Index(
            "ix_attempt_failed",
            "failure_class",
            "trial_id",
            sqlite_where=sa.text("failure_class IS NOT NULL"),
            postgresql_where=sa.text("failure_class IS NOT NULL"),
        ),
        Index(
            "ix_attempt_ended_at",
            "ended_at",
            sqlite_where=sa.text("ended_at IS NOT NULL"),
            postgresql_where=sa.text("ended_at IS NOT NULL"),
        ),
        {"comment": __doc__},
    )

    id: Mapped[int] = mapped_column(primary_key=True, comment="Key")
    trial_id: Mapped[int] = part_of("trial", "The trial it tries to run")
    submission_id: Mapped[int | None] = mapped_column(
        ForeignKey("submission.id"), comment="The submission that carries it"
    )
    array_index: Mapped[int] = mapped_column(comment="SLURM_ARRAY_TASK_ID, 0 without an array")
    restart: Mapped[int] = mapped_column(
        default=0, server_default="0", comment="SLURM_RESTART_COUNT: 0, or more after a requeue"
    )
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
    failure_name: Mapped[str | None] = mapped_column(
        String(80), comment="The rule or the log pattern that gave it its class"
    )
    failure_message: Mapped[str | None] = mapped_column(comment="The same in a sentence")
    failure_action: Mapped[str | None] = mapped_column(comment="What was done about it")
    failure_evidence: Mapped[Json | None] = mapped_column(comment="What the class rests on")
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
    attempt_id: Mapped[int] = part_of("attempt", "The attempt it is about")
    kind: Mapped[ReportKind] = mapped_column(comment="START, METRIC or END")
    sequence: Mapped[int] = mapped_column(comment="Counts the reports of a kind, from 0")
    payload: Mapped[Json] = mapped_column(comment="What it says")
    created_at: Mapped[datetime] = mapped_column(comment="When the database took it")
    consumed_at: Mapped[datetime | None] = mapped_column(comment="When the head had dealt with it")
    refused_reason: Mapped[str | None] = mapped_column(comment="Why it was kept but not used")
