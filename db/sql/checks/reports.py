"""Invariants of reports, and of the metrics, files and events that came of them."""

from __future__ import annotations

import sqlalchemy as sa

from db.sql.checks.base import A_WHILE_AGO, NOW, Check, is_not_finite
from db.sql.tables import Artifact, Attempt, Event, HeadLease, Metric, Report, Trial, table_of
from db.states import AttemptState, ReportKind

_trial = table_of(Trial)
_attempt = table_of(Attempt)
_report = table_of(Report)
_used = _report.alias("used")
_metric = table_of(Metric)
_artifact = table_of(Artifact)
_event = table_of(Event)
_lease = table_of(HeadLease)
_index = _trial.c.index.label("trial")
_number = _attempt.c.number.label("attempt")

_of_attempt = sa.join(_report, _attempt, _attempt.c.id == _report.c.attempt_id).join(
    _trial, _trial.c.id == _attempt.c.trial_id
)
_end_was_used = (
    sa.exists()
    .where(
        _used.c.attempt_id == _attempt.c.id,
        _used.c.kind == ReportKind.END,
        _used.c.consumed_at.is_not(None),
    )
    .correlate(_attempt)
)
_head_is_alive = (
    sa.exists()
    .where(_lease.c.experiment_id == _trial.c.experiment_id, _lease.c.expires_at > NOW)
    .correlate(_trial)
)


def _elsewhere(table: sa.Table, what: str) -> Check:
    """What an attempt left belongs to the attempt's own trial."""
    joined = sa.join(table, _attempt, _attempt.c.id == table.c.attempt_id).join(
        _trial, _trial.c.id == table.c.trial_id
    )
    return Check(
        name=f"{table.name}-of-another-trial",
        says=f"has {what} {{name}} of an attempt of another trial",
        query=sa.select(_index, table.c.name)
        .select_from(joined)
        .where(_attempt.c.trial_id != table.c.trial_id),
        experiment=_trial.c.experiment_id,
    )


CHECKS = (
    Check(
        name="accepted-report-not-consumed",
        says="SUCCEEDED, but the report of its end is not marked as consumed",
        query=sa.select(_index, _number)
        .select_from(_of_attempt)
        .where(
            _report.c.consumed_at.is_(None),
            _report.c.refused_reason.is_(None),
            _report.c.kind == ReportKind.END,
            _attempt.c.state == AttemptState.SUCCEEDED,
            ~_end_was_used,
        ),
        experiment=_trial.c.experiment_id,
    ),
    Check(
        name="refused-report-not-consumed",
        says="has a report that was refused ({refused_reason}) but is not marked as consumed",
        query=sa.select(_index, _number, _report.c.refused_reason)
        .select_from(_of_attempt)
        .where(_report.c.consumed_at.is_(None), _report.c.refused_reason.is_not(None)),
        experiment=_trial.c.experiment_id,
    ),
    Check(
        name="reports-wait",
        says="{count} reports wait and no head is alive; `headway resume` takes them",
        query=sa.select(sa.func.count().label("count"))
        .select_from(_of_attempt)
        .where(
            _report.c.consumed_at.is_(None),
            _report.c.refused_reason.is_(None),
            _report.c.created_at < A_WHILE_AGO,
            (_report.c.kind != ReportKind.END) | (_attempt.c.state != AttemptState.SUCCEEDED),
            ~_head_is_alive,
        )
        .group_by(_trial.c.experiment_id),
        experiment=_trial.c.experiment_id,
        is_warning=True,
    ),
    _elsewhere(_metric, "the metric"),
    _elsewhere(_artifact, "the file"),
    Check(
        name="metric-not-finite",
        says="has the metric {name} = {value}; NULL stands for what is not a finite number",
        query=sa.select(_index, _metric.c.name, _metric.c.value)
        .join_from(_metric, _trial, _trial.c.id == _metric.c.trial_id)
        .where(is_not_finite(_metric.c.value)),
        experiment=_trial.c.experiment_id,
    ),
    Check(
        name="event-of-another-experiment",
        says="has the event {kind} of another experiment",
        query=sa.select(_index, _event.c.kind)
        .join_from(_event, _trial, _trial.c.id == _event.c.trial_id)
        .where(_event.c.experiment_id != _trial.c.experiment_id),
        experiment=_trial.c.experiment_id,
    ),
)
