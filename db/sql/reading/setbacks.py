"""Attempts that failed and whose trials go on: what a live view has to tell of failures.

The trials that failed for good are among those that ended last.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from db.sql.tables import Attempt, Trial, table_of
from db.states import FINAL_TRIALS, FailureClass, TrialStatus

_attempt = table_of(Attempt)
_trial = table_of(Trial)
_OPEN_TRIALS = tuple(status for status in TrialStatus if status not in FINAL_TRIALS)


@dataclass(frozen=True, kw_only=True)
class Setback:
    """A failed attempt of a trial that is not over; see the columns of `attempt`."""

    trial_index: int
    number: int
    host: str | None
    failure_class: FailureClass
    failure_name: str | None
    failure_message: str | None
    failure_action: str | None
    ended_at: datetime


def newest(connection: sa.Connection, experiment_id: int, *, limit: int) -> list[Setback]:
    """Return the attempts that failed last, the newest first; none that was cancelled."""
    own = [_attempt.c[name] for name in Setback.__annotations__ if name != "trial_index"]
    query = (
        sa.select(_trial.c.index.label("trial_index"), *own)
        .join(_trial, _trial.c.id == _attempt.c.trial_id)
        # Trials that are not over are few, and an index finds them among all others.
        .where(_trial.c.experiment_id == experiment_id, _trial.c.status.in_(_OPEN_TRIALS))
        .where(_attempt.c.failure_class != FailureClass.CANCELLED, _attempt.c.ended_at.is_not(None))
        .order_by(_attempt.c.ended_at.desc(), _attempt.c.id.desc())
        .limit(limit)
    )
    return [Setback(**row) for row in connection.execute(query).mappings()]
