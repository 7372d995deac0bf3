"""The points on record, page by page: whether they are what their hash says, and fit their space.

What a space allows is not known here: whoever asks brings it along.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from db.sql.tables import Parameter, ParameterConstraint, Trial, table_of
from db.sql.trials import parameter_hash

PAGE = 5000
_trial = table_of(Trial)
_parameter = table_of(Parameter)
_constraint = table_of(ParameterConstraint)


@dataclass(frozen=True)
class StoredPoint:
    """The point of one trial.

    Attributes:
        index: The trial's number within its experiment.
        parameters: Its values by name; None if what is stored is no JSON object.
        fits_hash: Whether `parameter_hash` is the hash of these parameters.
    """

    index: int
    parameters: dict[str, Any] | None
    fits_hash: bool


def stored_points(connection: sa.Connection, experiment_id: int) -> Iterator[StoredPoint]:
    """Go through the points of an experiment in the order of its trials."""
    # As it is stored: a text that is no JSON must not end the search for it.
    text = sa.cast(_trial.c.parameters, sa.Text)
    page = (
        sa.select(_trial.c.index, text, _trial.c.parameter_hash)
        .where(_trial.c.experiment_id == experiment_id)
        .order_by(_trial.c.index)
        .limit(PAGE)
    )
    rows = connection.execute(page).all()
    while rows:
        for index, parameters, digest in rows:
            yield _read(index, parameters, digest)
        rows = connection.execute(page.where(_trial.c.index > rows[-1][0])).all()


def _read(index: int, text: str, digest: str) -> StoredPoint:
    try:
        parameters = json.loads(text)
    except (TypeError, ValueError):
        parameters = None
    if not isinstance(parameters, dict):
        return StoredPoint(index, None, fits_hash=False)
    return StoredPoint(index, parameters, fits_hash=parameter_hash(parameters) == digest)


def stored_space(connection: sa.Connection, experiment_id: int) -> dict[str, list[dict[str, Any]]]:
    """Return the parameters and constraints of an experiment as they are in the tables.

    Raises:
        ValueError: A row holds what its column must not.
    """
    found = {}
    for name, table in (("parameters", _parameter), ("constraints", _constraint)):
        query = sa.select(table).where(table.c.experiment_id == experiment_id)
        rows = connection.execute(query.order_by(table.c.position)).mappings()
        found[name] = [dict(row) for row in rows]
    return found
