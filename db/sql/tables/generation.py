"""The steps of a strategy, the calls of its generators, and snapshots of where it stood."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from db.sql.tables.base import Base, Json, part_of
from db.states import SnapshotReason


class GenerationNode(Base):
    """One step of an experiment's strategy."""

    __tablename__ = "generation_node"
    __table_args__ = (UniqueConstraint("experiment_id", "position"), {"comment": __doc__})

    id: Mapped[int] = mapped_column(primary_key=True, comment="Key")
    experiment_id: Mapped[int] = part_of("experiment", "Experiment")
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
    experiment_id: Mapped[int] = part_of("experiment", "Experiment")
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


class StrategySnapshot(Base):
    """Where the strategy of an experiment stood; enough to go on from there."""

    __tablename__ = "strategy_snapshot"
    __table_args__ = (
        Index("ix_strategy_snapshot_experiment_id_id", "experiment_id", "id"),
        {"comment": __doc__},
    )

    id: Mapped[int] = mapped_column(primary_key=True, comment="Key")
    experiment_id: Mapped[int] = part_of("experiment", "Experiment")
    reason: Mapped[SnapshotReason] = mapped_column(comment="What made it worth keeping")
    node: Mapped[int] = mapped_column(comment="Position of the step that is filled now")
    generator: Mapped[str] = mapped_column(String(100), comment="The generator of that step")
    document: Mapped[Json] = mapped_column(
        comment="Steps with their counts, state of each generator, number of the next call"
    )
    created_at: Mapped[datetime] = mapped_column(comment="When")
