"""An experiment: what it asks for, the versions of its spec and its files, analyses of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from db.sql.columns import word
from db.sql.tables.base import Base, Json, part_of
from db.states import CardKind, ExperimentStatus, ParameterKind, ValueType


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
        {"comment": __doc__},
    )

    id: Mapped[int] = mapped_column(primary_key=True, comment="Key")
    experiment_id: Mapped[int] = part_of("experiment", "Experiment")
    position: Mapped[int] = mapped_column(comment="Order in which it was given, from 0")
    name: Mapped[str] = mapped_column(String(100), comment="Name, as the program's text uses it")
    kind: Mapped[ParameterKind] = mapped_column(
        word(ParameterKind, name="kind", length=10), comment="range, choice or fixed"
    )
    value_type: Mapped[ValueType] = mapped_column(
        word(ValueType, name="value_type", length=10), comment="int, float, str or bool"
    )
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
    experiment_id: Mapped[int] = part_of("experiment", "Experiment")
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
    experiment_id: Mapped[int] = part_of("experiment", "Experiment")
    position: Mapped[int] = mapped_column(comment="Order in which it was given, from 0")
    name: Mapped[str] = mapped_column(String(100), comment="Name, as in the line NAME: VALUE")
    minimize: Mapped[bool] = mapped_column(comment="True: smaller is better")


class SpecVersion(Base):
    """What was asked for at one time: a new version for each change, e.g. at a resume."""

    __tablename__ = "spec_version"
    __table_args__ = (
        UniqueConstraint("experiment_id", "version"),
        CheckConstraint("version >= 1", name="version"),
        {"comment": __doc__},
    )

    id: Mapped[int] = mapped_column(primary_key=True, comment="Key")
    experiment_id: Mapped[int] = part_of("experiment", "Experiment")
    version: Mapped[int] = mapped_column(comment="1 for the spec of the start, then 2 …")
    spec: Mapped[Json] = mapped_column(comment="The whole spec; holds no password")
    reason: Mapped[str] = mapped_column(comment="What made it: setup, or what a resume changed")
    created_at: Mapped[datetime] = mapped_column(comment="From when on it was in force")


class CodeFile(Base):
    """A file that the program names, in one of the versions that were met."""

    __tablename__ = "code_file"
    __table_args__ = (UniqueConstraint("experiment_id", "path", "sha256"), {"comment": __doc__})

    id: Mapped[int] = mapped_column(primary_key=True, comment="Key")
    experiment_id: Mapped[int] = part_of("experiment", "Experiment")
    path: Mapped[str] = mapped_column(String(500), comment="Absolute path")
    sha256: Mapped[str] = mapped_column(String(64), comment="What it held; empty: it was gone")
    bytes: Mapped[int] = mapped_column(sa.BigInteger, comment="Its size")
    attempt_id: Mapped[int | None] = mapped_column(
        ForeignKey("attempt.id", ondelete="SET NULL"),
        index=True,
        comment="The attempt that met it first; NULL: it was so when the head started",
    )
    created_at: Mapped[datetime] = mapped_column(comment="When it was met first")


class Card(Base):
    """One analysis of an experiment: a table, a figure or a text."""

    __tablename__ = "card"
    __table_args__ = ({"comment": __doc__},)

    id: Mapped[int] = mapped_column(primary_key=True, comment="Key")
    experiment_id: Mapped[int] = part_of("experiment", "Experiment", index=True)
    parent_id: Mapped[int | None] = mapped_column(
        ForeignKey("card.id", ondelete="CASCADE"), comment="The card that this one is a part of"
    )
    position: Mapped[int | None] = mapped_column(comment="Order among the parts of its parent")
    name: Mapped[str] = mapped_column(String(100), comment="The analysis that made it")
    title: Mapped[str] = mapped_column(String(255), comment="Title")
    subtitle: Mapped[str | None] = mapped_column(comment="What it shows, in a sentence")
    category: Mapped[str | None] = mapped_column(String(100), comment="Cards that belong together")
    kind: Mapped[CardKind] = mapped_column(comment="What the blob is")
    data_frame: Mapped[Json | None] = mapped_column(comment="The numbers, column by column")
    blob: Mapped[str | None] = mapped_column(comment="Plotly's JSON, or Markdown")
    attributes: Mapped[Json | None] = mapped_column(comment="Anything else")
    created_at: Mapped[datetime] = mapped_column(comment="When it was made")
