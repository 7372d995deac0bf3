"""The tables of an experiment by the names that users give them."""

from __future__ import annotations

import sqlalchemy as sa

from db.sql.reading import long, wide
from db.sql.reading.fields import Table

_LONG = {
    "outcomes": long.outcomes,
    "metrics": long.metrics,
    "attempts": long.attempts,
    "generations": long.generations,
    "events": long.events,
}
NAMES = ("trials", *_LONG)


def table(connection: sa.Connection, experiment_id: int, name: str) -> Table:
    """Return one table.

    Args:
        connection: A reading transaction, for the columns; rows are read later.
        experiment_id: An experiment that exists.
        name: One of `NAMES`.
    """
    if name == "trials":
        return wide.trials(connection, experiment_id)
    return _LONG[name](experiment_id)
