"""Queries about the attempts of jobs that Slurm has requeued and started again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from db.sql import leases
from db.sql.attempts import End
from db.sql.tables import Attempt, Report, Submission, Trial, table_of
from db.states import OPEN_ATTEMPTS, AttemptState, ReportKind, TrialStatus

_attempt = table_of(Attempt)
_other = _attempt.alias("other")
_report = table_of(Report)
_submission = table_of(Submission)
_trial = table_of(Trial)
_same_place = (_other.c.submission_id == _attempt.c.submission_id) & (
    _other.c.array_index == _attempt.c.array_index
)


@dataclass(frozen=True, kw_only=True)
class Run:
    """One attempt among those at one place of a submission."""

    id: int
    trial_id: int
    trial_index: int
    trial_status: TrialStatus
    submission_id: int
    submission_token: str
    array_index: int
    restart: int
    number: int
    token: str
    state: AttemptState
    claim: str | None
    slurm_job_id: str | None
    host: str | None
    log_path: str | None
    requested: dict[str, Any] | None

    @property
    def is_open(self) -> bool:
        """Whether it may still run or report."""
        return self.state in OPEN_ATTEMPTS


def runs(connection: sa.Connection, attempt_id: int) -> list[Run]:
    """Return all attempts at the place of this one, the first one first; none: it is unknown."""
    query = (
        sa.select(
            _other.c.id,
            _other.c.trial_id,
            _trial.c.index.label("trial_index"),
            _trial.c.status.label("trial_status"),
            _other.c.submission_id,
            _submission.c.token.label("submission_token"),
            _other.c.array_index,
            _other.c.restart,
            _other.c.number,
            _other.c.token,
            _other.c.state,
            _other.c.claim,
            _other.c.slurm_job_id,
            _other.c.host,
            _other.c.log_path,
            _other.c.requested,
        )
        .select_from(_attempt)
        .join(_other, _same_place)
        .join(_trial, _trial.c.id == _other.c.trial_id)
        .join(_submission, _submission.c.id == _other.c.submission_id)
        .where(_attempt.c.id == attempt_id)
        .order_by(_other.c.number)
    )
    return [Run(**row) for row in connection.execute(query).mappings()]


def get(connection: sa.Connection, attempt_id: int) -> Run:
    """Return one attempt, which exists."""
    return next(run for run in runs(connection, attempt_id) if run.id == attempt_id)


def end_payload(connection: sa.Connection, attempt_id: int) -> dict[str, Any] | None:
    """Return what the END report of an attempt says, if there is one that was not refused."""
    query = sa.select(_report.c.payload).where(
        _report.c.attempt_id == attempt_id,
        _report.c.kind == ReportKind.END,
        _report.c.refused_reason.is_(None),
    )
    found: dict[str, Any] | None = connection.execute(query).scalar()
    return found


def add(
    connection: sa.Connection,
    after: Run,
    *,
    token: str,
    restart: int,
    state: AttemptState,
    claim: dict[str, Any],
) -> int:
    """Open the attempt that follows `after` in the same job.

    Args:
        connection: The transaction.
        after: The last attempt at the place.
        token: Its token.
        restart: Which restart of the job it is.
        state: STARTED, or SUPERSEDED if its trial does not need it any more.
        claim: What is known of its worker: `claim`, `host` and `slurm_job_id` of its START report,
            or nothing.

    Returns:
        Its key.
    """
    copied = ("cluster", "requested", "log_path")
    query = sa.select(*(_attempt.c[name] for name in copied)).where(_attempt.c.id == after.id)
    known = connection.execute(query).mappings().one()
    # The trial may have tried elsewhere meanwhile.
    highest = sa.select(sa.func.max(_attempt.c.number)).where(_attempt.c.trial_id == after.trial_id)
    moment = leases.database_time(connection)
    values: dict[str, Any] = {
        "trial_id": after.trial_id,
        "submission_id": after.submission_id,
        "array_index": after.array_index,
        "restart": restart,
        "number": connection.execute(highest).scalar_one() + 1,
        "token": token,
        "claim": claim.get("claim"),
        "state": state,
        "slurm_job_id": after.slurm_job_id or claim.get("slurm_job_id"),
        "host": claim.get("host"),
        "created_at": moment,
        "submitted_at": moment,
        "started_at": moment,
        "heartbeat_at": moment,
        "ended_at": None if state in OPEN_ATTEMPTS else moment,
    }
    key = connection.execute(_attempt.insert().values(**values, **known)).inserted_primary_key
    assert key is not None
    return int(key[0])


def fill_claim(connection: sa.Connection, attempt_id: int, claim: dict[str, Any]) -> None:
    """Note who claimed an attempt that another of its messages had opened."""
    where = (_attempt.c.id == attempt_id) & _attempt.c.claim.is_(None)
    values = {"claim": claim["claim"], "host": claim["host"]}
    connection.execute(_attempt.update().where(where).values(**values))


def note_end(connection: sa.Connection, attempt_id: int, how: End) -> None:
    """Keep what a worker measured until it was told to stop; its attempt's state stays."""
    kept = ("exit_code", "signal", "host", "measured", "infos")
    values = {name: value for name in kept if (value := getattr(how, name)) is not None}
    if values:
        connection.execute(_attempt.update().where(_attempt.c.id == attempt_id).values(**values))


def has_follower(connection: sa.Connection, attempt_id: int) -> bool:
    """Whether a later attempt at the same place goes on with what this one had begun."""
    query = (
        sa.select(_other.c.id)
        .select_from(_attempt)
        .join(_other, _same_place & (_other.c.restart > _attempt.c.restart))
        .where(_attempt.c.id == attempt_id)
        .limit(1)
    )
    return connection.execute(query).first() is not None
