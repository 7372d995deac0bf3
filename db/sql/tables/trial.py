"""A trial and what is known of its result."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from db.sql.columns import word
from db.sql.tables.base import Base, Json, part_of
from db.states import Level, OutcomeSource, Split, TrialStatus


class Trial(Base):
    """One point of the space that is to be evaluated; has one final outcome."""

    __tablename__ = "trial"
    __table_args__ = (
        UniqueConstraint("experiment_id", "index"),
        Index("ix_trial_experiment_id_status", "experiment_id", "status"),
        Index("ix_trial_experiment_id_completed_at", "experiment_id", "completed_at"),
        CheckConstraint("status IN (0, 1, 2, 3, 4, 5, 7, 8)", name="status"),
        {"comment": __doc__},
    )

    id: Mapped[int] = mapped_column(primary_key=True, comment="Key")
    experiment_id: Mapped[int] = part_of("experiment", "Experiment")
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


class Outcome(Base):
    """The accepted value of one objective of one trial."""

    __tablename__ = "outcome"
    __table_args__ = (
        UniqueConstraint("trial_id", "objective_id"),
        Index("ix_outcome_objective_id_mean", "objective_id", "mean"),
        {"comment": __doc__},
    )

    id: Mapped[int] = mapped_column(primary_key=True, comment="Key")
    trial_id: Mapped[int] = part_of("trial", "Trial")
    objective_id: Mapped[int] = part_of("objective", "Objective")
    mean: Mapped[float] = mapped_column(comment="The value")
    sem: Mapped[float | None] = mapped_column(comment="Its standard error, if the program gave it")
    source: Mapped[OutcomeSource] = mapped_column(
        word(OutcomeSource, name="source", length=10), comment="Where it came from"
    )
    attempt_id: Mapped[int | None] = mapped_column(
        ForeignKey("attempt.id"), index=True, comment="The attempt that gave it"
    )
    reused_trial_id: Mapped[int | None] = mapped_column(
        ForeignKey("trial.id"), comment="The trial it was taken from"
    )


class Metric(Base):
    """One measurement along the way of an attempt."""

    __tablename__ = "metric"
    __table_args__ = ({"comment": __doc__},)

    id: Mapped[int] = mapped_column(primary_key=True, comment="Key")
    trial_id: Mapped[int] = part_of("trial", "Trial", index=True)
    attempt_id: Mapped[int] = part_of("attempt", "The attempt that measured it", index=True)
    name: Mapped[str] = mapped_column(String(100), comment="Name")
    value: Mapped[float | None] = mapped_column(comment="Value; NULL if it was not a finite number")
    split: Mapped[Split] = mapped_column(
        word(Split, name="split", length=10), comment="Part of the data it was measured on"
    )
    level: Mapped[Level] = mapped_column(
        word(Level, name="level", length=10), comment="What one value stands for"
    )
    step: Mapped[int | None] = mapped_column(sa.BigInteger, comment="Step, batch or epoch")
    created_at: Mapped[datetime] = mapped_column(comment="When the program printed it")


class Artifact(Base):
    """A file that a trial made and named in an ARTIFACT line."""

    __tablename__ = "artifact"
    __table_args__ = ({"comment": __doc__},)

    id: Mapped[int] = mapped_column(primary_key=True, comment="Key")
    trial_id: Mapped[int] = part_of("trial", "Trial", index=True)
    attempt_id: Mapped[int] = part_of("attempt", "The attempt that made it", index=True)
    name: Mapped[str] = mapped_column(comment="Name; the file's own unless the line gave another")
    url: Mapped[str] = mapped_column(comment="Where it is, as file:// URL")
    format: Mapped[str | None] = mapped_column(String(20), comment="Ending of the file's name")
    bytes: Mapped[int | None] = mapped_column(sa.BigInteger, comment="Size when it was reported")
    sha256: Mapped[str | None] = mapped_column(String(64), comment="Digest when it was reported")
