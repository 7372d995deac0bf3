"""What attempts have asked for, where more is known of it than when they were planned."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from db.sql import attempts
from db.sql.tables import Attempt, table_of

_attempt = table_of(Attempt)


def note_memory(
    connection: sa.Connection, attempt_id: int, memory_mb: int
) -> dict[str, Any] | None:
    """Note what memory the scheduler gave to an attempt for which none was asked.

    Returns:
        What is now on record as asked for; None if memory was asked for, and nothing is changed.
    """
    before = attempts.requested(connection, attempt_id)
    if before.get("memory_mb") is not None:
        return None
    after = {**before, "memory_mb": memory_mb}
    where = _attempt.c.id == attempt_id
    connection.execute(_attempt.update().where(where).values(requested=after))
    return after
