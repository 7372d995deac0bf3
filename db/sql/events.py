"""The append-only log of what happened and was decided; its kinds are `db.states.EventKind`.

An event is written in the same transaction as what it reports: no crash leaves one without the
other.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from db.sql.store import now
from db.sql.tables import Event
from db.states import EventKind


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
