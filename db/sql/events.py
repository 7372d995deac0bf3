"""The append-only log of what happened and was decided."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from db.sql.store import now
from db.sql.tables import Event


def row(
    experiment_id: int, kind: str, payload: dict[str, Any], *, trial_id: int | None = None
) -> dict[str, Any]:
    """Make the row of one event that happens now."""
    return {
        "experiment_id": experiment_id,
        "kind": kind,
        "payload": payload,
        "trial_id": trial_id,
        "created_at": now(),
    }


def append(connection: sa.Connection, rows: list[dict[str, Any]]) -> None:
    """Store events in the order given."""
    if rows:
        connection.execute(sa.insert(Event), rows)
