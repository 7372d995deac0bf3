"""Heads that follow one another without a person: is another one needed, and how long may it run?

A job that continues itself and a line of cron start `headway resume EXP --if_needed` again and again.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from db.sql.engine import translated
from db.sql.reading import experiments
from db.sql.reading.heads import HeadEvent, first_act, story
from db.states import EventKind, ExperimentStatus
from orchestrator.app.runs import Run
from orchestrator.loop import Ending

_STARTS = (EventKind.SETUP, EventKind.RESUME)
_OVER = {
    ExperimentStatus.FINISHED: "it has finished",
    ExperimentStatus.STOPPED: "a person has stopped it",
    ExperimentStatus.STOPPING: "a person has stopped it",
    ExperimentStatus.FAILED: "it was ended",
}
# Whoever asked for one of these wants no other head to go on by itself.
_WANTED_ENDS = {
    Ending.STOPPED: "a person has stopped it",
    Ending.CANCELLED: "a person has cancelled it",
    Ending.TIME: "its time was over",
    Ending.FAILURES: "too much had failed",
    Ending.NEVER: "its trials can never start",
}


def why_over(run: Run) -> str | None:
    """Return why no head is needed any more, or None if the last one was cut off.

    To be asked when no head is alive. A search that a person wants to go on with all the same is
    resumed without `--if_needed`.
    """
    with translated(), run.engine.connect().execution_options(reading=True) as connection:
        row = experiments.find(connection, run.stored.id)
        if row is not None and row.status in _OVER:
            return _OVER[row.status] + (f": {row.stop_reason}" if row.stop_reason else "")
        events = story(connection, run.stored.id)
    asked = [e.payload.get("how") for e in _of_last_head(events) if e.kind == EventKind.STOP]
    return next((why for how, why in _WANTED_ENDS.items() if how in asked), None)


def _of_last_head(events: list[HeadEvent]) -> list[HeadEvent]:
    starts = [place for place, event in enumerate(events) if event.kind in _STARTS]
    return events[starts[-1] :] if starts else events


def as_automatic(run: Run) -> Run:
    """Let a run go on without a person: its time counts from when a person last started it.

    A search of 12 hours whose head is a job of 4 hours has three such jobs, not three times 12 hours.
    """
    limit = run.spec.time_limit_seconds
    left = None if limit is None else limit - _seconds_since_start(run)
    return replace(run, is_automatic=True, seconds_left=left)


def _seconds_since_start(run: Run) -> float:
    """Return how long ago a person had a head begin; a job's wait in the queue does not count."""
    with translated(), run.engine.connect().execution_options(reading=True) as connection:
        starts = [
            event.at
            for event in story(connection, run.stored.id)
            if event.kind == EventKind.RESUME and not event.payload.get("automatic")
        ]
        began = starts[-1] if starts else first_act(connection, run.stored.id)
    return 0.0 if began is None else (datetime.now(UTC) - began).total_seconds()
