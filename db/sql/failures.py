"""What went wrong in an experiment as a whole: asked when it is to be told, not in each tick."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from db.sql.columns import PastIndex
from db.sql.tables import Attempt, Event, Trial, table_of
from db.states import EventKind, FailureClass, TrialStatus

_attempt = table_of(Attempt)
_event = table_of(Event)
_trial = table_of(Trial)
# Nothing went wrong with these.
_UNTOLD = (FailureClass.CANCELLED, FailureClass.PREEMPTED)


def messages(connection: sa.Connection, experiment_id: int, *, limit: int) -> list[tuple[str, int]]:
    """Return what was said of failed attempts, with how often, the most frequent ones first."""
    count = sa.func.count()
    query = (
        sa.select(_attempt.c.failure_message, count)
        .join(_trial, _trial.c.id == _attempt.c.trial_id)
        .where(_attempt.c.failure_class.is_not(None), _attempt.c.failure_class.not_in(_UNTOLD))
        .where(_attempt.c.failure_message.is_not(None))
        .where(PastIndex(_trial.c.experiment_id) == experiment_id)
        .group_by(_attempt.c.failure_message)
        .order_by(count.desc(), _attempt.c.failure_message)
        .limit(limit)
    )
    return [(str(message), int(times)) for message, times in connection.execute(query)]


def last_stop(connection: sa.Connection, experiment_id: int, how: str) -> datetime | None:
    """Return when an experiment was last brought to its end in this way; None: never."""
    query = (
        sa.select(_event.c.payload, _event.c.created_at)
        .where(_event.c.experiment_id == experiment_id)
        .where(_event.c.kind.in_([EventKind.STOP.value, EventKind.EXIT.value]))
        .order_by(_event.c.id.desc())
    )
    found = connection.execute(query)
    return next((moment for payload, moment in found if payload["how"] == how), None)


def ended_until(
    connection: sa.Connection, experiment_id: int, moment: datetime
) -> dict[TrialStatus, int]:
    """Return how many trials had each final status at a moment."""
    query = (
        sa.select(_trial.c.status, sa.func.count())
        .where(_trial.c.experiment_id == experiment_id, _trial.c.completed_at <= moment)
        .group_by(_trial.c.status)
    )
    return {TrialStatus(status): int(count) for status, count in connection.execute(query)}
