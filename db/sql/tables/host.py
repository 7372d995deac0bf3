"""Hosts, what is thought of them, and which are kept out."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from db.sql.tables.base import Base, Json, part_of
from db.states import ExclusionSource, HostState


class Host(Base):
    """A compute node, by its Slurm node name."""

    __tablename__ = "host"
    __table_args__ = (UniqueConstraint("cluster", "name"), {"comment": __doc__})

    id: Mapped[int] = mapped_column(primary_key=True, comment="Key")
    cluster: Mapped[str] = mapped_column(
        String(60), comment="Cluster, empty where there is only one"
    )
    name: Mapped[str] = mapped_column(String(255), comment="Slurm node name, else hostname")
    state: Mapped[HostState] = mapped_column(comment="What is thought of it")
    reason: Mapped[str | None] = mapped_column(comment="Why, in a sentence")
    evidence: Mapped[Json | None] = mapped_column(comment="What that rests on")
    first_seen_at: Mapped[datetime] = mapped_column(comment="When it was first judged")
    changed_at: Mapped[datetime] = mapped_column(comment="When its state changed last")


class Exclusion(Base):
    """A host kept out of new jobs, with reason, evidence and expiry."""

    __tablename__ = "exclusion"
    __table_args__ = (
        Index("ix_exclusion_host_id_ended_at", "host_id", "ended_at"),
        CheckConstraint("expires_at > created_at", name="expires_at"),
        {"comment": __doc__},
    )

    id: Mapped[int] = mapped_column(primary_key=True, comment="Key")
    host_id: Mapped[int] = part_of("host", "The host")
    experiment_id: Mapped[int | None] = mapped_column(
        ForeignKey("experiment.id", ondelete="SET NULL"),
        index=True,
        comment="The experiment that found it; the exclusion holds for all",
    )
    source: Mapped[ExclusionSource] = mapped_column(comment="Who decided")
    decided_by: Mapped[str | None] = mapped_column(comment="user@host, where a person decided")
    reason: Mapped[str] = mapped_column(comment="Why, in a sentence")
    evidence: Mapped[Json | None] = mapped_column(comment="What that rests on")
    created_at: Mapped[datetime] = mapped_column(comment="From when on")
    expires_at: Mapped[datetime | None] = mapped_column(comment="Until when; NULL: until included")
    ended_at: Mapped[datetime | None] = mapped_column(comment="When it really ended")
    end_reason: Mapped[str | None] = mapped_column(comment="Why it ended")
