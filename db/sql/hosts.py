"""Queries about hosts: what is thought of each, which are kept out, how attempts ended there.

All heads of a database and persons who type commands write here, at the same time. Every change
therefore takes the row of its host first, which the others wait for until the transaction ends:
whoever changes several hosts in one transaction takes them in the order of their names. Times are
those of the database's clock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite

from db.sql.leases import database_time
from db.sql.tables import Attempt, Exclusion, Host, Trial, table_of
from db.states import (
    FINAL_TRIALS,
    AttemptState,
    ExclusionSource,
    FailureClass,
    HostState,
    TrialStatus,
)

_attempt = table_of(Attempt)
_exclusion = table_of(Exclusion)
_host = table_of(Host)
_trial = table_of(Trial)
_is_open = _exclusion.c.ended_at.is_(None)
# Hosts are told apart by name alone: a database serves one Slurm.
CLUSTER = ""
# The evidence of a host that a person let in: who it was.
LET_IN_BY = "let_in_by"
# More than any judgement looks at: the last twenty of each of a thousand hosts.
MOST_ENDINGS = 20_000


@dataclass(frozen=True, kw_only=True)
class ExclusionRow:
    """One exclusion that has not been ended; see the columns of `exclusion`.

    Attributes:
        host: Name of the host.
        experiment_id: The experiment that found it; None: no experiment did, or it was removed.
        expires_at: None: it lasts until somebody includes the host.
        is_over: Whether it has expired, by the database's clock: the host waits for its parole.
    """

    id: int
    host: str
    source: ExclusionSource
    decided_by: str | None
    reason: str
    evidence: dict[str, Any] | None
    experiment_id: int | None
    created_at: datetime
    expires_at: datetime | None
    is_over: bool


@dataclass(frozen=True, kw_only=True)
class HostNote:
    """What is thought of a host; see the columns of `host`."""

    name: str
    state: HostState
    reason: str | None
    evidence: dict[str, Any] | None
    changed_at: datetime


@dataclass(frozen=True, kw_only=True)
class HostEnding:
    """How an attempt ended on a host.

    Attributes:
        failure_class: None: well, and its result was taken.
        evidence: What the class rests on; None where that was not stored.
        is_closed: Whether its trial has ended without an outcome, so that no other host will tell.
    """

    experiment_id: int
    trial_id: int
    host: str
    failure_class: FailureClass | None
    evidence: dict[str, Any] | None
    ended_at: datetime
    is_closed: bool


def current(
    connection: sa.Connection, cluster: str
) -> tuple[dict[str, ExclusionRow], dict[str, HostNote]]:
    """Return the exclusions that have not been ended, and the hosts that are not GOOD, by name.

    An exclusion that has expired is among them until somebody ends it with `include`.
    """
    moment = database_time(connection)
    query = (
        sa.select(_exclusion, _host.c.name)
        .join(_host, _host.c.id == _exclusion.c.host_id)
        .where(_host.c.cluster == cluster, _is_open)
        .order_by(_exclusion.c.id)
    )
    rows = connection.execute(query).mappings()
    noted = connection.execute(
        sa.select(*(_host.c[name] for name in HostNote.__annotations__)).where(
            _host.c.cluster == cluster, _host.c.state != HostState.GOOD
        )
    ).mappings()
    return (
        {row["name"]: exclusion_row(row, moment) for row in rows},
        {row["name"]: HostNote(**row) for row in noted},
    )


def exclusion_row(row: sa.RowMapping, moment: datetime) -> ExclusionRow:
    """Make an exclusion of its columns and the `name` of its host.

    Args:
        row: The columns.
        moment: The time, by the database's clock.
    """
    own = {name: row[name] for name in ExclusionRow.__annotations__ if name in row}
    expires: datetime | None = row["expires_at"]
    return ExclusionRow(**own, host=row["name"], is_over=expires is not None and expires <= moment)


def note_state(
    connection: sa.Connection,
    cluster: str,
    name: str,
    state: HostState,
    *,
    reason: str | None = None,
    evidence: dict[str, Any] | None = None,
) -> bool:
    """Write down what is thought of a host, which need not have been heard of before.

    A host that is kept out gets no parole so: a person may have excluded it a moment ago.

    Returns:
        Whether the state is another one than before: of several heads that see the same, one gets
        True. Reason and evidence are brought up to date either way.
    """
    host = _take(connection, cluster, name, is_new=state != HostState.GOOD)
    if host is None or (state == HostState.PAROLE and _open_exclusions(connection, host)):
        return False
    _set_state(connection, host, state, reason=reason, evidence=evidence)
    return bool(host["state"] != state)


def exclude(
    connection: sa.Connection,
    cluster: str,
    name: str,
    *,
    source: ExclusionSource,
    reason: str,
    evidence: dict[str, Any] | None = None,
    experiment_id: int | None = None,
    decided_by: str | None = None,
    seconds: float | None = None,
) -> bool:
    """Keep a host out of the new jobs of all experiments of this database.

    A person's exclusion takes the place of one that the evidence decided, also a longer one; any
    other exclusion that has not expired stays as it is. What the evidence keeps out is SUSPECT from
    then on, and no host that is kept out is on parole.

    Args:
        connection: The transaction.
        cluster: Its cluster, empty where there is only one.
        name: Its Slurm node name; it need not have been heard of before.
        source: Who decides.
        reason: Why, in a sentence.
        evidence: What that rests on.
        experiment_id: The experiment that found it.
        decided_by: user@host of a person.
        seconds: For how long, more than 0; None: until somebody includes it.

    Returns:
        False if it was excluded already.
    """
    host = _take(connection, cluster, name, is_new=True)
    assert host is not None
    moment = database_time(connection)
    for old in _open_exclusions(connection, host):
        is_over = old["expires_at"] is not None and old["expires_at"] <= moment
        is_weaker = source == ExclusionSource.USER and old["source"] == ExclusionSource.HEADWAY
        if not (is_over or is_weaker):
            return False
        why = "it expired" if is_over else f"a person's exclusion took its place: {reason}"
        _end(connection, old["id"], moment, why)
    connection.execute(
        _exclusion.insert().values(
            host_id=host["id"],
            experiment_id=experiment_id,
            source=source,
            decided_by=decided_by,
            reason=reason,
            evidence=evidence,
            created_at=moment,
            expires_at=None if seconds is None else moment + timedelta(seconds=seconds),
        )
    )
    if source == ExclusionSource.HEADWAY or host["state"] == HostState.PAROLE:
        _set_state(connection, host, HostState.SUSPECT, reason=reason, evidence=evidence)
    return True


def include(
    connection: sa.Connection,
    cluster: str,
    name: str,
    *,
    reason: str,
    state: HostState = HostState.PAROLE,
    evidence: dict[str, Any] | None = None,
    exclusion_id: int | None = None,
) -> bool:
    """Let a host in again: end its exclusion, or the suspicion against it.

    Args:
        connection: The transaction.
        cluster: Its cluster, empty where there is only one.
        name: Its name.
        reason: Why, in a sentence.
        state: What is thought of it from then on.
        evidence: What that rests on.
        exclusion_id: End this exclusion and nothing else, as when it has expired: if it has been
            ended meanwhile, perhaps for a new one, nothing happens.

    Returns:
        False if there was nothing to end: of several heads that do the same, one gets True.
    """
    host = _take(connection, cluster, name, is_new=False)
    if host is None:
        return False
    found = [
        old["id"] for old in _open_exclusions(connection, host) if exclusion_id in {None, old["id"]}
    ]
    if not found and (exclusion_id is not None or host["state"] != HostState.SUSPECT):
        return False
    moment = database_time(connection)
    for key in found:
        _end(connection, key, moment, reason)
    _set_state(connection, host, state, reason=reason, evidence=evidence)
    return True


def let_in_by_hand(connection: sa.Connection, cluster: str) -> dict[str, datetime]:
    """Return the hosts that a person let in, and that are GOOD since: from when on."""
    query = sa.select(_host.c.name, _host.c.evidence, _host.c.changed_at).where(
        _host.c.cluster == cluster, _host.c.state == HostState.GOOD
    )
    rows = connection.execute(query)
    return {name: moment for name, evidence, moment in rows if LET_IN_BY in (evidence or {})}


def endings(
    connection: sa.Connection, *, seconds: float, cluster: str, most: int = MOST_ENDINGS
) -> list[HostEnding]:
    """Return how attempts of all experiments ended on their hosts within so many seconds.

    What happened on a host before it was last let in again is left out: it has been judged. So are
    attempts that were superseded, as nobody knows how they would have ended.

    Args:
        connection: A reading transaction.
        seconds: How far back.
        cluster: Hosts of this cluster.
        most: At most so many, the newest.

    Returns:
        In the order in which they ended.
    """
    since = database_time(connection) - timedelta(seconds=seconds)
    has_succeeded = _attempt.c.state == AttemptState.SUCCEEDED
    closed = [status for status in FINAL_TRIALS if status != TrialStatus.COMPLETED]
    query = (
        sa.select(
            _trial.c.experiment_id,
            _attempt.c.trial_id,
            _attempt.c.host,
            # A late result was taken of an attempt that had been given up.
            sa.case((has_succeeded, None), else_=_attempt.c.failure_class).label("failure_class"),
            _attempt.c.failure_evidence.label("evidence"),
            _attempt.c.ended_at,
            _trial.c.status.in_(closed).label("is_closed"),
        )
        .join(_trial, _trial.c.id == _attempt.c.trial_id)
        .where(_attempt.c.ended_at > since, _attempt.c.host.is_not(None))
        .where(has_succeeded | _attempt.c.failure_class.is_not(None))
        # Spelled so that PostgreSQL, which counts NULLs, knows that this leaves nearly all of them.
        .where(_attempt.c.cluster.is_(None) | (_attempt.c.cluster == cluster))
        .order_by(_attempt.c.ended_at.desc(), _attempt.c.id.desc())
        .limit(most)
    )
    included = _last_included(connection, cluster, since)
    names = tuple(HostEnding.__annotations__)
    # As plain tuples: by name, rows take longer to read than the database takes to find them.
    rows = connection.execute(query)
    found = [HostEnding(**dict(zip(names, row, strict=True))) for row in rows]
    return [row for row in reversed(found) if row.ended_at > included.get(row.host, since)]


def _last_included(connection: sa.Connection, cluster: str, since: datetime) -> dict[str, datetime]:
    """Return when each host was last let in again, if that was after `since`."""
    query = (
        sa.select(_host.c.name, sa.func.max(_exclusion.c.ended_at))
        .join(_exclusion, _exclusion.c.host_id == _host.c.id)
        .where(_host.c.cluster == cluster, _exclusion.c.ended_at > since)
        .group_by(_host.c.name)
    )
    found = let_in_by_hand(connection, cluster)
    for name, ended in connection.execute(query):
        found[name] = max(ended, found.get(name, ended))
    return found


def _take(
    connection: sa.Connection, cluster: str, name: str, *, is_new: bool
) -> sa.RowMapping | None:
    """Return the row of a host, which nobody else changes until the transaction ends.

    Args:
        connection: The transaction.
        cluster: Its cluster.
        name: Its name.
        is_new: Make it if it is not there; else None.
    """
    query = sa.select(_host).where(_host.c.cluster == cluster, _host.c.name == name)
    query = query.with_for_update()
    found = connection.execute(query).mappings().one_or_none()
    if found is not None or not is_new:
        return found
    moment = database_time(connection)
    row = {"cluster": cluster, "name": name, "first_seen_at": moment, "changed_at": moment}
    insert = _INSERTS.get(connection.dialect.name, _insert_on_mysql)()
    # What is not there cannot be locked: another one may make it at the same moment.
    connection.execute(insert, [{**row, "state": HostState.GOOD}])
    return connection.execute(query).mappings().one()


def _insert_on_mysql() -> sa.Insert:
    return mysql.insert(_host).on_duplicate_key_update(name=_host.c.name)


_INSERTS: dict[str, Callable[[], sa.Insert]] = {
    "postgresql": lambda: postgresql.insert(_host).on_conflict_do_nothing(),
    "sqlite": lambda: sqlite.insert(_host).on_conflict_do_nothing(),
}


def _set_state(
    connection: sa.Connection,
    host: sa.RowMapping,
    state: HostState,
    *,
    reason: str | None,
    evidence: dict[str, Any] | None,
) -> None:
    new: dict[str, Any] = {"state": state, "reason": reason, "evidence": evidence}
    if all(host[column] == value for column, value in new.items()):
        return
    if host["state"] != state:
        new["changed_at"] = database_time(connection)
    connection.execute(_host.update().where(_host.c.id == host["id"]).values(**new))


def _open_exclusions(connection: sa.Connection, host: sa.RowMapping) -> list[sa.RowMapping]:
    query = sa.select(_exclusion).where(_exclusion.c.host_id == host["id"], _is_open)
    return list(connection.execute(query).mappings())


def _end(connection: sa.Connection, exclusion_id: int, moment: datetime, reason: str) -> None:
    ended = {"ended_at": moment, "end_reason": reason}
    where = _exclusion.c.id == exclusion_id
    connection.execute(_exclusion.update().where(where).values(**ended))
