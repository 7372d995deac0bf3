"""What the head leaves behind: its log of events, and which head owns an experiment."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from db.sql.tables.base import Base, Json, part_of


class Event(Base):
    """One thing that happened or was decided; append-only, the audit trail."""

    __tablename__ = "event"
    __table_args__ = (
        Index("ix_event_experiment_id_id", "experiment_id", "id"),
        {"comment": __doc__},
    )

    id: Mapped[int] = mapped_column(primary_key=True, comment="Key")
    experiment_id: Mapped[int] = part_of("experiment", "Experiment")
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
    vitals: Mapped[Json | None] = mapped_column(comment="What the head told of itself last")
