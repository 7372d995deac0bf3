"""Invariants of the store: what holds in every database at any instant, and how to find breaches.

One module a noun; each check is one query over all rows. They hold while a head is at work and
after it was killed, since every step of a head is one transaction.
"""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

from db.sql.checks import attempts, experiments, hosts, outcomes, reports, trials
from db.sql.checks.base import MOST, Check, Finding, clock, find, labels
from db.sql.checks.integrity import find_damage, find_orphans
from db.sql.checks.points import StoredPoint, stored_points, stored_space

__all__ = [
    "CHECKS",
    "MOST",
    "Finding",
    "StoredPoint",
    "find_all",
    "labels",
    "stored_points",
    "stored_space",
]
CHECKS: tuple[Check, ...] = (
    *experiments.CHECKS,
    *trials.CHECKS,
    *attempts.CHECKS,
    *hosts.CHECKS,
    *outcomes.CHECKS,
    *reports.CHECKS,
)


def find_all(connection: sa.Connection, experiment_id: int | None) -> Iterator[Finding]:
    """Look for everything that contradicts an invariant.

    Args:
        connection: One reading transaction, so that all queries see the same state.
        experiment_id: Only this experiment; None: all of the database.
    """
    damage = list(find_damage(connection))
    yield from damage
    try:
        names = labels(connection)
        yield from find_orphans(connection, experiment_id, names)
        times = clock(connection)
        for check in CHECKS:
            yield from find(
                connection, check, experiment_id=experiment_id, names=names, times=times
            )
    except sa.exc.DatabaseError:
        # Of a damaged file not every query gets an answer; what is known is told.
        if not damage:
            raise
