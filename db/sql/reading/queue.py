"""Jobs that wait in the scheduler, as far as the head has written it down."""

from __future__ import annotations

import sqlalchemy as sa

from db.sql.tables import Attempt, Trial, table_of
from db.states import FINAL_TRIALS, AttemptState, TrialStatus

_attempt = table_of(Attempt)
_trial = table_of(Trial)
_OPEN_TRIALS = tuple(status for status in TrialStatus if status not in FINAL_TRIALS)


def jobs(connection: sa.Connection, experiment_id: int, *, limit: int) -> list[str]:
    """Return the ids of jobs whose programs have not begun, as `squeue -r` prints them."""
    query = (
        sa.select(_attempt.c.slurm_job_id)
        .join(_trial, _trial.c.id == _attempt.c.trial_id)
        # Trials that are not over are few, and an index finds them among all others.
        .where(_trial.c.experiment_id == experiment_id, _trial.c.status.in_(_OPEN_TRIALS))
        .where(_attempt.c.state == AttemptState.SUBMITTED, _attempt.c.slurm_job_id.is_not(None))
        .order_by(_attempt.c.id)
        .limit(limit)
    )
    return [str(job) for job in connection.execute(query).scalars()]
