"""The append-only log of what happened and was decided; its kinds are `db.states.EventKind`.

An event is written in the same transaction as what it reports: no crash leaves one without the
other.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from db.sql.store import now
from db.sql.tables import Event, table_of
from db.states import EventKind

_event = table_of(Event)


def row(
    experiment_id: int, kind: EventKind, payload: dict[str, Any], *, trial_id: int | None = None
) -> dict[str, Any]:
    """Make the row of one event that happens now."""
    return {
        "experiment_id": experiment_id,
        "kind": kind.value,
        "payload": payload,
        "trial_id": trial_id,
        "created_at": now(),
    }


def append(connection: sa.Connection, rows: list[dict[str, Any]]) -> None:
    """Store events in the order given."""
    if rows:
        connection.execute(sa.insert(Event), rows)


def find_payload(
    connection: sa.Connection, kind: EventKind, *, trial_id: int, attempt_id: int
) -> dict[str, Any] | None:
    """Return the payload of the newest event of a kind about an attempt, or None."""
    query = (
        sa.select(_event.c.payload)
        .where(_event.c.trial_id == trial_id, _event.c.kind == kind.value)
        .order_by(_event.c.id.desc())
    )
    found: list[dict[str, Any]] = list(connection.execute(query).scalars())
    return next((payload for payload in found if payload["attempt"] == attempt_id), None)
