"""Which versions of the files that the program names there were."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from db.sql.tables import Attempt, CodeFile, Report, Trial, table_of
from db.states import ReportKind

_attempt = table_of(Attempt)
_code_file = table_of(CodeFile)
_report = table_of(Report)
_trial = table_of(Trial)


@dataclass(frozen=True, kw_only=True)
class CodeFileRow:
    """A version of a file.

    Attributes:
        path: The file.
        sha256: What it held; empty: it was gone.
        bytes: Its size.
        trial: Index of the trial that met it first; None: it was so when a head started.
        created_at: When it was met first.
    """

    path: str
    sha256: str
    bytes: int
    trial: int | None
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class ChangedFile:
    """A file that had changed since the head looked when an attempt started.

    Attributes:
        attempt: Number of the attempt.
        path: The file.
        sha256: What it held; empty: it was gone.
        bytes: Its size.
    """

    attempt: int
    path: str
    sha256: str
    bytes: int


def files(connection: sa.Connection, experiment_id: int) -> tuple[CodeFileRow, ...]:
    """Return all versions of all files, those of one file together, the first one first."""
    query = (
        sa.select(
            _code_file.c.path,
            _code_file.c.sha256,
            _code_file.c.bytes,
            _trial.c.index.label("trial"),
            _code_file.c.created_at,
        )
        .outerjoin_from(_code_file, _attempt, _attempt.c.id == _code_file.c.attempt_id)
        .outerjoin(_trial, _trial.c.id == _attempt.c.trial_id)
        .where(_code_file.c.experiment_id == experiment_id)
        .order_by(_code_file.c.path, _code_file.c.id)
    )
    return tuple(CodeFileRow(**row) for row in connection.execute(query).mappings())


def changed(connection: sa.Connection, trial_id: int) -> tuple[ChangedFile, ...]:
    """Return the files that were not as the head knew them when attempts of a trial started."""
    query = (
        sa.select(_attempt.c.number, _report.c.payload)
        .join_from(_report, _attempt, _attempt.c.id == _report.c.attempt_id)
        .where(_attempt.c.trial_id == trial_id, _report.c.kind == ReportKind.START)
        # Read by the head, and found to be what a worker writes.
        .where(_report.c.consumed_at.is_not(None), _report.c.refused_reason.is_(None))
        .order_by(_attempt.c.number)
    )
    found: list[ChangedFile] = []
    for number, payload in connection.execute(query):
        said: dict[str, Any] = payload.get("code") or {}
        for path, version in sorted(said.items()):
            sha256, size = version["sha256"], version["bytes"]
            found.append(ChangedFile(attempt=number, path=path, sha256=sha256, bytes=size))
    return tuple(found)
