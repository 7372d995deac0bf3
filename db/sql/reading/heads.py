"""The heads that an experiment has had: how each began, who asked for its end, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from db.sql.tables import Event, table_of
from db.states import EventKind

_event = table_of(Event)
_OF_HEADS = (EventKind.SETUP, EventKind.RESUME, EventKind.STOP, EventKind.EXIT)


@dataclass(frozen=True, kw_only=True)
class HeadEvent:
    """A head began, was asked to end, or ended."""

    kind: EventKind
    payload: dict[str, Any]
    at: datetime


def story(connection: sa.Connection, experiment_id: int) -> list[HeadEvent]:
    """Return what happened to the heads of an experiment, oldest first."""
    query = (
        sa.select(_event.c.kind, _event.c.payload, _event.c.created_at)
        .where(_event.c.experiment_id == experiment_id, _event.c.kind.in_(_OF_HEADS))
        .order_by(_event.c.id)
    )
    return [
        HeadEvent(kind=EventKind(row.kind), payload=row.payload, at=row.created_at)
        for row in connection.execute(query)
    ]


def first_act(connection: sa.Connection, experiment_id: int) -> datetime | None:
    """Return when a head first did anything; None: none has yet."""
    query = (
        sa.select(_event.c.created_at)
        .where(_event.c.experiment_id == experiment_id, _event.c.kind != EventKind.SETUP)
        .order_by(_event.c.id)
        .limit(1)
    )
    return connection.execute(query).scalar()
