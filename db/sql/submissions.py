"""Queries about submissions by what the scheduler knows of them: their tokens and their jobs."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa

from db.sql.tables import Attempt, Submission, table_of
from db.states import OPEN_ATTEMPTS

_attempt = table_of(Attempt)
_submission = table_of(Submission)


def open_places(
    connection: sa.Connection, experiment_id: int, tokens: Collection[str], *, since: datetime
) -> dict[str, set[int]]:
    """Return which of these submissions are the experiment's own, and what they still carry.

    Returns:
        By token, the array indices of attempts that may still run, or might have at `since`.
    """
    was_open = _attempt.c.state.in_(OPEN_ATTEMPTS) | (_attempt.c.ended_at >= since)
    is_open = (_attempt.c.submission_id == _submission.c.id) & was_open
    query = (
        sa.select(_submission.c.token, _attempt.c.array_index)
        .outerjoin(_attempt, is_open)
        .where(_submission.c.experiment_id == experiment_id, _submission.c.token.in_(tokens))
    )
    found: dict[str, set[int]] = {}
    for token, index in connection.execute(query):
        found.setdefault(token, set()).update(() if index is None else (index,))
    return found


def claimed_job(connection: sa.Connection, submission_id: int) -> str | None:
    """Return the job id of an attempt of a submission that a worker has claimed, if there is one."""
    query = (
        sa.select(_attempt.c.slurm_job_id)
        .where(_attempt.c.submission_id == submission_id)
        .where(_attempt.c.claim.is_not(None), _attempt.c.slurm_job_id.is_not(None))
        .limit(1)
    )
    return connection.execute(query).scalar()
