"""Queries about reports of workers, and about what they carry: metrics and artifacts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.types import TypeDecorator

from db.sql.columns import PastIndex
from db.sql.store import now
from db.sql.tables import Artifact, Attempt, Metric, Report, Submission, Trial, table_of
from db.states import AttemptState, ReportKind, TrialStatus

_attempt = table_of(Attempt)
_report = table_of(Report)
_submission = table_of(Submission)
_trial = table_of(Trial)
# The head deals with this many at a time, so that one tick stays short after an outage.
BATCH = 500


@dataclass(frozen=True, kw_only=True)
class Incoming:
    """A report that waits to be dealt with, and the attempt and trial that it is about."""

    id: int
    kind: ReportKind
    sequence: int
    payload: dict[str, Any]
    attempt_id: int
    attempt_state: AttemptState
    trial_id: int
    trial_index: int
    trial_status: TrialStatus
    parameters: dict[str, Any]


class _AnyJson(TypeDecorator[Any]):
    """JSON; None where it is none, as one such row must not keep the others from being read."""

    impl = sa.JSON
    cache_ok = True

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Callable[[Any], Any] | None:
        """Read a value."""
        strict = super().result_processor(dialect, coltype)

        def read(value: Any) -> Any:
            try:
                return value if strict is None else strict(value)
            except ValueError:
                return None

        return read


def store(connection: sa.Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Store reports that came through the spool; those that are stored already stay as they are.

    Args:
        connection: The transaction.
        rows: `attempt_id`, `kind`, `sequence` and `payload` of each.
    """
    if not rows:
        return
    full = [{**row, "created_at": now()} for row in rows]
    connection.execute(_insert_or_ignore(connection.dialect.name), full)


def _insert_or_ignore(dialect: str) -> sa.Insert:
    if dialect == "postgresql":
        return postgresql.insert(_report).on_conflict_do_nothing()
    if dialect == "sqlite":
        return sqlite.insert(_report).on_conflict_do_nothing()
    # Not IGNORE, which also ignores values that do not fit and attempts that do not exist.
    return mysql.insert(_report).on_duplicate_key_update(sequence=_report.c.sequence)


def find_tokens(
    connection: sa.Connection, experiment_id: int, tokens: Collection[str]
) -> dict[str, int]:
    """Return the keys of the attempts of an experiment that have these tokens, by token."""
    if not tokens:
        return {}
    query = (
        sa.select(_attempt.c.token, _attempt.c.id)
        .join(_trial, _trial.c.id == _attempt.c.trial_id)
        .where(_attempt.c.token.in_(sorted(tokens)))
        .where(PastIndex(_trial.c.experiment_id) == experiment_id)
    )
    return {str(token): int(key) for token, key in connection.execute(query)}


def find_attempt(connection: sa.Connection, submission_token: str, array_index: int) -> int | None:
    """Return the key of the last attempt at one place of a submission."""
    query = (
        sa.select(_attempt.c.id)
        .join(_submission, _submission.c.id == _attempt.c.submission_id)
        .where(_submission.c.token == submission_token, _attempt.c.array_index == array_index)
        .order_by(_attempt.c.number.desc())
        .limit(1)
    )
    return connection.execute(query).scalar()


def start_payload(connection: sa.Connection, attempt_id: int) -> dict[str, Any] | None:
    """Return what the worker that claimed an attempt said then; None if nothing of it is known."""
    payload = sa.type_coerce(_report.c.payload, _AnyJson())
    query = sa.select(payload).where(
        _report.c.attempt_id == attempt_id,
        _report.c.kind == ReportKind.START,
        _report.c.refused_reason.is_(None),
    )
    found = connection.execute(query).scalar()
    return found if isinstance(found, dict) else None


def logs_of_unreported(connection: sa.Connection, attempt_ids: Sequence[int]) -> dict[int, str]:
    """Return the logs of those of these attempts that have reported no end, by key.

    A report that was refused is none: it may be of another job, which had not claimed.
    """
    is_reported = sa.exists().where(
        _report.c.attempt_id == _attempt.c.id,
        _report.c.kind == ReportKind.END,
        _report.c.refused_reason.is_(None),
    )
    query = sa.select(_attempt.c.id, _attempt.c.log_path).where(
        _attempt.c.id.in_(attempt_ids), _attempt.c.log_path.is_not(None), ~is_reported
    )
    return {int(key): str(path) for key, path in connection.execute(query)}


def waiting(
    connection: sa.Connection, experiment_id: int, *, limit: int | None = None, after: int = 0
) -> list[Incoming]:
    """Return reports that nobody has dealt with, oldest first, at most `limit` or `BATCH`.

    Asks by `consumed_at IS NULL` and not by the highest key seen: a transaction that took a lower
    key may commit later. `after` is for those who deal with a page and want the next one too: the
    last key of the page before.
    """
    query = (
        sa.select(
            _report.c.id,
            _report.c.kind,
            _report.c.sequence,
            sa.type_coerce(_report.c.payload, _AnyJson()).label("payload"),
            _attempt.c.id.label("attempt_id"),
            _attempt.c.state.label("attempt_state"),
            _trial.c.id.label("trial_id"),
            _trial.c.index.label("trial_index"),
            _trial.c.status.label("trial_status"),
            _trial.c.parameters,
        )
        .join(_attempt, _attempt.c.id == _report.c.attempt_id)
        .join(_trial, _trial.c.id == _attempt.c.trial_id)
        .where(_report.c.consumed_at.is_(None), PastIndex(_report.c.id) > after)
        .where(PastIndex(_trial.c.experiment_id) == experiment_id)
        .order_by(_report.c.id)
        .limit(limit or BATCH)
    )
    return [Incoming(**row) for row in connection.execute(query).mappings()]


def consume(connection: sa.Connection, report_ids: Sequence[int]) -> None:
    """Mark reports as dealt with."""
    if report_ids:
        where = _report.c.id.in_(report_ids)
        connection.execute(_report.update().where(where).values(consumed_at=now()))


def refuse(connection: sa.Connection, report_id: int, reason: str) -> None:
    """Keep a report but say why it was not used."""
    where = _report.c.id == report_id
    connection.execute(_report.update().where(where).values(refused_reason=reason))


def add_metrics(connection: sa.Connection, report: Incoming, metrics: list[dict[str, Any]]) -> None:
    """Store measurements; see `db.records.MetricRecord`."""
    rows = [
        {
            "trial_id": report.trial_id,
            "attempt_id": report.attempt_id,
            "name": metric["name"],
            "value": metric["value"],
            "split": metric["split"],
            "level": metric["level"],
            "step": metric["step"],
            "created_at": datetime.fromisoformat(metric["at"]),
        }
        for metric in metrics
    ]
    if rows:
        connection.execute(sa.insert(Metric), rows)


def add_artifacts(
    connection: sa.Connection, report: Incoming, artifacts: list[dict[str, Any]]
) -> None:
    """Store the files that an attempt named; see `db.records.ArtifactRecord`."""
    rows = [
        {
            "trial_id": report.trial_id,
            "attempt_id": report.attempt_id,
            "name": artifact["name"],
            "url": f"file://{artifact['path']}",
            "format": PurePath(artifact["path"]).suffix[1:21] or None,
            "bytes": artifact["bytes"],
        }
        for artifact in artifacts
    ]
    if rows:
        connection.execute(sa.insert(Artifact), rows)
