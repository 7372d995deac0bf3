"""The two sides of a copy, and what is found when they do not fit together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from db.errors import DatabaseError
from db.sql.copying.plain import TABLES, Row
from db.states import FINAL_TRIALS, OPEN_ATTEMPTS


@dataclass(frozen=True, kw_only=True)
class Side:
    """One experiment in one database.

    Attributes:
        connection: A transaction there.
        experiment_id: The experiment's key there.
    """

    connection: sa.Connection
    experiment_id: int

    def trials(self, low: int, high: int) -> sa.Select[int]:
        """Select the keys of the trials with indexes from `low` to just below `high`."""
        trial = TABLES["trial"]
        return sa.select(trial.c.id).where(
            trial.c.experiment_id == self.experiment_id,
            trial.c.index >= low,
            trial.c.index < high,
        )

    def rows(self, query: sa.Select[*tuple[Any, ...]]) -> list[Row]:
        """Read rows."""
        return [dict(row) for row in self.connection.execute(query).mappings()]


@dataclass(frozen=True, kw_only=True)
class Copying:
    """One experiment on its way.

    Attributes:
        source: Where it comes from; only read.
        target: Where it goes.
        is_new: Whether the target did not know it.
        added: Number of new rows by table.
        changed: Number of rows brought up to date by table.
    """

    source: Side
    target: Side
    is_new: bool
    added: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)

    def read(self, query: sa.Select[*tuple[Any, ...]]) -> list[Row]:
        """Read rows of the source, as the target can hold them."""
        rows = self.source.rows(query)
        if self.target.connection.dialect.name == "postgresql":
            for row in rows:
                row.update({k: v.replace("\0", "\ufffd") for k, v in row.items() if _has_nul(v)})
        return rows

    def insert(self, name: str, rows: Sequence[Row]) -> None:
        """Store new rows; keys are the target's own."""
        if rows:
            new = [{k: v for k, v in row.items() if k != "id"} for row in rows]
            self.target.connection.execute(sa.insert(TABLES[name]), new)
            self.added[name] += len(new)

    def update(self, name: str, rows: Sequence[Row]) -> None:
        """Bring rows up to date; `id` is their key in the target."""
        if not rows:
            return
        table = TABLES[name]
        values: dict[str, Any] = {
            column: sa.bindparam(f"new_{column}") for column in rows[0] if column != "id"
        }
        statement = table.update().where(table.c.id == sa.bindparam("new_id")).values(**values)
        new = [{f"new_{column}": value for column, value in row.items()} for row in rows]
        self.target.connection.execute(statement, new)
        self.changed[name] += len(new)


def _has_nul(value: object) -> bool:
    """Whether a text holds the one character that PostgreSQL cannot."""
    return isinstance(value, str) and "\0" in value


def diverged(what: str) -> DatabaseError:
    """Make the error for two databases that tell different stories."""
    return DatabaseError(
        f"source and target tell different stories of {what}.",
        "One of them went on alone; nothing was copied. `headway db check` tells if one is broken.",
    )


def check_not_behind(copying: Copying) -> None:
    """Make sure that the target does not know more of the experiment than the source.

    Raises:
        DatabaseError: It does: the copy would take that away.
    """
    mine, theirs = _progress(copying.source), _progress(copying.target)
    for what, count in theirs.items():
        if count > mine[what]:
            raise DatabaseError(
                f"the target is further than the source: {count} {what} against {mine[what]}.",
                "Nothing was copied; copy the other way round.",
            )


def _progress(side: Side) -> dict[str, int]:
    """Count what only ever grows."""
    trial, attempt, report = (TABLES[name] for name in ("trial", "attempt", "report"))
    outcome, event = TABLES["outcome"], TABLES["event"]
    attempts = sa.join(attempt, trial, trial.c.id == attempt.c.trial_id)
    reports = attempts.join(report, report.c.attempt_id == attempt.c.id)
    outcomes = sa.join(outcome, trial, trial.c.id == outcome.c.trial_id)
    mine = trial.c.experiment_id == side.experiment_id
    is_final = trial.c.status.in_([int(status) for status in FINAL_TRIALS])
    is_open = attempt.c.state.in_([state.value for state in OPEN_ATTEMPTS])
    count = sa.select(sa.func.count())
    queries = {
        "trials": count.select_from(trial).where(mine),
        "ended trials": count.select_from(trial).where(mine, is_final),
        "attempts": count.select_from(attempts).where(mine),
        "ended attempts": count.select_from(attempts).where(mine, ~is_open),
        "reports": count.select_from(reports).where(mine),
        "consumed reports": count.select_from(reports).where(
            mine, report.c.consumed_at.is_not(None)
        ),
        "outcomes": count.select_from(outcomes).where(mine),
        "events": count.select_from(event).where(event.c.experiment_id == side.experiment_id),
    }
    return {
        what: int(side.connection.execute(query).scalar_one()) for what, query in queries.items()
    }
