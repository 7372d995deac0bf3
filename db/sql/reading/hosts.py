"""Hosts as `headway hosts` shows them: how attempts ended there, and what keeps them out or did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from db.sql.leases import database_time
from db.sql.tables import Attempt, Exclusion, Experiment, Host, Trial, table_of
from db.states import AttemptState, ExclusionSource, FailureClass, HostState

_attempt = table_of(Attempt)
_exclusion = table_of(Exclusion)
_experiment = table_of(Experiment)
_host = table_of(Host)
_trial = table_of(Trial)
# Cluster, empty where there is only one, and name.
Key = tuple[str, str]
_KEY = (sa.func.coalesce(_attempt.c.cluster, "").label("cluster"), _attempt.c.host)
_has_failed = _attempt.c.failure_class.is_not(None) & (_attempt.c.state != AttemptState.SUCCEEDED)
EXCLUDED = "EXCLUDED"


@dataclass(frozen=True, kw_only=True)
class LastFailure:
    """The newest failure on a host.

    Attributes:
        experiment: NAME/N.
        trial: Index of the trial.
        attempt: Number of the attempt.
        name: The rule or the log pattern that gave it its class.
    """

    experiment: str
    trial: int
    attempt: int
    failure_class: FailureClass
    name: str | None
    message: str | None
    ended_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class HostExclusion:
    """One exclusion of a host, now or earlier; see the columns of `exclusion`.

    Attributes:
        experiment: NAME/N of the experiment that found it, if one did and it is still there.
        is_over: Whether it has expired or was ended, by the database's clock.
    """

    id: int
    source: ExclusionSource
    decided_by: str | None
    reason: str
    evidence: dict[str, Any] | None
    experiment: str | None
    created_at: datetime
    expires_at: datetime | None
    ended_at: datetime | None
    end_reason: str | None
    is_over: bool


@dataclass(frozen=True, kw_only=True)
class HostRow:
    """One host.

    Attributes:
        cluster: Empty where there is only one.
        tried: How many attempts a worker began there, or ended there before one did.
        running: How many of them go on.
        succeeded: How many gave the result of their trial.
        failed: How many failed, by class, the most frequent one first.
        state: What is thought of it; whether it is kept out, `standing` tells.
        reason: Why, in a sentence.
        evidence: What that rests on.
        changed_at: When the state changed last; None: it never did.
        history: Its exclusions, the oldest first; one that has not been ended is the last.
    """

    cluster: str
    name: str
    tried: int = 0
    running: int = 0
    succeeded: int = 0
    failed: Mapping[FailureClass, int] = field(default_factory=dict)
    last_failure: LastFailure | None = None
    state: HostState = HostState.GOOD
    reason: str | None = None
    evidence: dict[str, Any] | None = None
    changed_at: datetime | None = None
    history: tuple[HostExclusion, ...] = ()

    @property
    def exclusion(self) -> HostExclusion | None:
        """What keeps it out now, or has expired and waits for the host's parole."""
        return next((each for each in self.history if each.ended_at is None), None)

    @property
    def standing(self) -> str:
        """EXCLUDED, or what is thought of it; PAROLE also for one whose exclusion has expired."""
        if self.exclusion is None:
            return self.state.value
        return HostState.PAROLE.value if self.exclusion.is_over else EXCLUDED


def rows(connection: sa.Connection, experiment_id: int | None = None) -> list[HostRow]:
    """Return hosts by cluster and name.

    It reads all attempts of one experiment or of the database: it is for a person who asks, not
    for every second.

    Args:
        connection: A reading transaction.
        experiment_id: Count the attempts of this experiment only, and leave out hosts that it has
            not used, unless one is kept out or suspect: that holds for all. None: all there are.
    """
    found: dict[Key, dict[str, Any]] = {}
    for state, failure, cluster, name, count in connection.execute(_counts(experiment_id)):
        _add(found.setdefault((cluster, name), _empty()), state, failure, count)
    for key, failure in _last_failures(connection, experiment_id).items():
        found[key]["last_failure"] = failure
    history = _histories(connection)
    for row in connection.execute(sa.select(_host)).mappings():
        key = (row["cluster"], row["name"])
        kept_out = any(each.ended_at is None for each in history.get(key, ()))
        if experiment_id is None or kept_out or row["state"] != HostState.GOOD:
            found.setdefault(key, _empty())
        if key in found:
            known = {name: row[name] for name in ("state", "reason", "evidence", "changed_at")}
            found[key] |= known | {"history": history.get(key, ())}
    return [HostRow(cluster=key[0], name=key[1], **found[key]) for key in sorted(found)]


def _counts(experiment_id: int | None) -> sa.Select[Any]:
    columns = (_attempt.c.state, _attempt.c.failure_class, *_KEY)
    query = sa.select(*columns, sa.func.count()).where(_attempt.c.host.is_not(None))
    return _of(query, experiment_id).group_by(*columns)


def _of(query: sa.Select[Any], experiment_id: int | None) -> sa.Select[Any]:
    if experiment_id is None:
        return query
    on = _trial.c.id == _attempt.c.trial_id
    return query.join(_trial, on).where(_trial.c.experiment_id == experiment_id)


def _empty() -> dict[str, Any]:
    return {"tried": 0, "running": 0, "succeeded": 0, "failed": {}}


def _add(
    row: dict[str, Any], state: AttemptState, failure: FailureClass | None, count: int
) -> None:
    row["tried"] += count
    if state == AttemptState.STARTED:
        row["running"] += count
    elif state == AttemptState.SUCCEEDED:
        row["succeeded"] += count
    elif failure is not None:
        failed = {**row["failed"], failure: row["failed"].get(failure, 0) + count}
        row["failed"] = dict(sorted(failed.items(), key=lambda each: (-each[1], each[0])))


def _last_failures(connection: sa.Connection, experiment_id: int | None) -> dict[Key, LastFailure]:
    newest = (_attempt.c.ended_at.desc(), _attempt.c.id.desc())
    place = sa.func.row_number().over(partition_by=_KEY, order_by=newest).label("place")
    ranked = _of(
        sa.select(_attempt.c.id, place).where(_has_failed, _attempt.c.host.is_not(None)),
        experiment_id,
    ).subquery()
    query = (
        sa.select(
            *_KEY,
            _experiment.c.name.label("experiment"),
            _experiment.c.run_number,
            _trial.c.index.label("trial"),
            _attempt.c.number.label("attempt"),
            _attempt.c.failure_class,
            _attempt.c.failure_name.label("name"),
            _attempt.c.failure_message.label("message"),
            _attempt.c.ended_at,
        )
        .join_from(ranked, _attempt, _attempt.c.id == ranked.c.id)
        .join(_trial, _trial.c.id == _attempt.c.trial_id)
        .join(_experiment, _experiment.c.id == _trial.c.experiment_id)
        .where(ranked.c.place == 1)
    )
    found = {}
    for row in map(dict, connection.execute(query).mappings()):
        key = (row.pop("cluster"), row.pop("host"))
        row["experiment"] += f"/{row.pop('run_number')}"
        found[key] = LastFailure(**row)
    return found


def _histories(connection: sa.Connection) -> dict[Key, tuple[HostExclusion, ...]]:
    moment = database_time(connection)
    query = (
        sa.select(
            _exclusion,
            _host.c.cluster,
            _host.c.name.label("host"),
            _experiment.c.name.label("experiment"),
            _experiment.c.run_number,
        )
        .join(_host, _host.c.id == _exclusion.c.host_id)
        .outerjoin(_experiment, _experiment.c.id == _exclusion.c.experiment_id)
        .order_by(_exclusion.c.ended_at.is_(None), _exclusion.c.created_at, _exclusion.c.id)
    )
    found: dict[Key, tuple[HostExclusion, ...]] = {}
    for row in connection.execute(query).mappings():
        key = (row["cluster"], row["host"])
        found[key] = (*found.get(key, ()), _exclusion_of(row, moment))
    return found


def _exclusion_of(row: sa.RowMapping, moment: datetime) -> HostExclusion:
    own = {name: row[name] for name in HostExclusion.__annotations__ if name in row}
    label = None if row["experiment"] is None else f"{row['experiment']}/{row['run_number']}"
    ends = row["ended_at"] or row["expires_at"]
    return HostExclusion(**own | {"experiment": label}, is_over=ends is not None and ends <= moment)
