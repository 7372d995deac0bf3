"""Copies an experiment into another database, or brings an earlier copy of it up to date.

An experiment is known by its uuid, so that a second copy adds what is new and changes what has
changed, and never makes anything twice. Keys of the target that are there stay as they are; the
lease of a head is not copied. Everything is read and written in pages, in one transaction on each
side: the target gets all or nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from db.errors import DatabaseError
from db.sql import leases
from db.sql.copying.keyed import copy_named_rows
from db.sql.copying.ordered import copy_ordered_rows
from db.sql.copying.plain import TABLES, Row
from db.sql.copying.shared import copy_cards, copy_exclusions, copy_hosts
from db.sql.copying.sides import Copying, Side, check_not_behind

__all__ = ["Copied", "copy_experiment", "identity"]
_experiment = TABLES["experiment"]
# The target's own: a run whose number was taken has another one there.
_KEPT = ("name", "run_number")


@dataclass(frozen=True, kw_only=True)
class Copied:
    """What became of one experiment.

    Attributes:
        uuid: The same in both databases.
        label: NAME/N in the source.
        target_label: NAME/N in the target; another number if that one was taken.
        is_new: Whether the target did not know it before.
        added: Number of new rows by table.
        changed: Number of rows brought up to date by table.
    """

    uuid: str
    label: str
    target_label: str
    is_new: bool
    added: dict[str, int]
    changed: dict[str, int]


def copy_experiment(source: sa.Connection, target: sa.Connection, experiment_id: int) -> Copied:
    """Copy one experiment.

    Args:
        source: A reading transaction that sees one state throughout.
        target: A writing transaction; commit it, and all is there.
        experiment_id: The experiment's key in the source.

    Raises:
        DatabaseError: The target is further than the source, has gone its own way, or a head owns
            the experiment there; roll the transaction back.
    """
    row = _one(source, _experiment.c.id == experiment_id)
    assert row is not None
    _check_reuse(source, experiment_id)
    query = _experiment.c.uuid == row["uuid"]
    old = _one(target, query)
    key = _insert(target, row) if old is None else int(old["id"])
    copying = Copying(
        source=Side(connection=source, experiment_id=experiment_id),
        target=Side(connection=target, experiment_id=key),
        is_new=old is None,
    )
    if old is None:
        copying.added["experiment"] += 1
    else:
        _check_idle(target, key, old)
        check_not_behind(copying)
        new = {**row, "id": key} | {column: old[column] for column in _KEPT}
        copying.update("experiment", [new] if new != old else [])
    copy_named_rows(copying)
    copy_ordered_rows(copying)
    copy_hosts(copying)
    copy_exclusions(copying)
    copy_cards(copying)
    now = _one(target, _experiment.c.id == key)
    assert now is not None
    return Copied(
        uuid=row["uuid"],
        label=_label(row),
        target_label=_label(now),
        is_new=old is None,
        added=dict(copying.added),
        changed=dict(copying.changed),
    )


def _one(connection: sa.Connection, where: sa.ColumnElement[bool]) -> Row | None:
    query = sa.select(_experiment).where(where)
    if not connection.get_execution_options().get("reading", False):
        query = query.with_for_update()  # two copies of one experiment follow each other
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else dict(row)


def _insert(target: sa.Connection, row: Row) -> int:
    """Store the experiment itself, under the next free run number if its own is taken."""
    taken = sa.select(_experiment.c.run_number).where(_experiment.c.name == row["name"])
    numbers = {int(number) for number in target.execute(taken).scalars()}
    new = {name: value for name, value in row.items() if name != "id"}
    if new["run_number"] in numbers:
        new["run_number"] = max(numbers) + 1
    key = target.execute(sa.insert(_experiment), new).inserted_primary_key
    assert key is not None
    return int(key[0])


def _check_idle(target: sa.Connection, experiment_id: int, row: Row) -> None:
    """Make sure that no head owns the experiment in the target."""
    lease = leases.find(target, experiment_id)
    if lease is not None and lease.holder.pid and lease.seconds_left > 0:
        raise DatabaseError(
            f"a head on {lease.holder.host} owns {_label(row)} in the target.",
            "Nothing was copied; the target is where this experiment goes on.",
        )


def _check_reuse(source: sa.Connection, experiment_id: int) -> None:
    """Make sure that no outcome is taken from a trial of another experiment."""
    outcome, trial = TABLES["outcome"], TABLES["trial"]
    other = trial.alias("other")
    query = (
        sa.select(other.c.experiment_id)
        .join_from(outcome, trial, trial.c.id == outcome.c.trial_id)
        .join(other, other.c.id == outcome.c.reused_trial_id)
        .where(trial.c.experiment_id == experiment_id, other.c.experiment_id != experiment_id)
        .limit(1)
    )
    found = source.execute(query).scalar()
    if found is not None:
        raise DatabaseError(f"it has an outcome of another experiment, whose key is {found}.")


def _label(row: Row) -> str:
    return f"{row['name']}/{row['run_number']}"


def identity(connection: sa.Connection) -> tuple[object, ...]:
    """Return what tells a database from every other one, whatever URL led to it."""
    system = connection.dialect.name
    if system == "sqlite":
        path = connection.exec_driver_sql("PRAGMA database_list").all()[0][2]
        place = Path(path).stat()
        return (system, place.st_dev, place.st_ino)
    if system == "postgresql":
        query = (
            "SELECT pg_postmaster_start_time(), oid FROM pg_database "
            "WHERE datname = current_database()"
        )
    else:
        query = "SELECT @@hostname, @@port, @@datadir, DATABASE()"
    return (system, *connection.exec_driver_sql(query).one())
