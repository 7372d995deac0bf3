"""Trials that wait for a try that the scheduler will never take.

A trial that ran out of memory or time asks for more. What the scheduler gives at most is not always
told beforehand (a QOS may limit it), so that a try may be refused for good. That ends this trial
and not the search: all others ask for less.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from db.sql import events, trials
from db.sql.store import Store
from db.states import EventKind, FailureClass, TrialStatus
from orchestrator.generators.base import Observation
from orchestrator.health.failures import Blame
from orchestrator.spec.resources import Resources
from orchestrator.steps.ledger import Ledger, OpenAttempt, OpenSubmission, OpenTrial
from orchestrator.steps.notes import Note

# What sbatch says of a job that is too large, whatever else it calls it; the last two where a QOS
# denies what passes its limits (sacctmgr(1), DenyOnLimit).
_TOO_LARGE = re.compile(
    r"memory specification can not be satisfied|requested time limit is invalid"
    r"|requested node configuration is not available"
    r"|(QOS|Assoc)Max\w*Mem|(QOS|Assoc)Max\w*Wall",
    re.IGNORECASE,
)
_OPEN = (TrialStatus.CANDIDATE, TrialStatus.STAGED, TrialStatus.RUNNING)


def is_too_large(message: str) -> bool:
    """Whether a refusal is for the memory or the time that a job asks for."""
    return _TOO_LARGE.search(message) is not None


def asks_for_more(
    submission: OpenSubmission, ledger: Ledger, base: Resources
) -> dict[int, OpenTrial]:
    """Return the trials of a submission that asks for more than the search began with.

    By the key of the attempt.
    """
    mine = [ledger.attempts[key] for key in submission.attempt_ids if key in ledger.attempts]
    return {
        attempt.id: ledger.trials[attempt.trial_id]
        for attempt in mine
        if attempt.trial_id in ledger.trials and has_grown(attempt, base)
    }


def has_grown(attempt: OpenAttempt, base: Resources) -> bool:
    """Whether an attempt asks for more than the search began with."""
    return any(
        (attempt.requested.get(name) or 0) > (getattr(base, name) or 0)
        for name in ("memory_mb", "minutes")
    )


def give_up(
    given_up: Mapping[int, OpenTrial], why: str, *, store: Store, ledger: Ledger, note: Note
) -> None:
    """End trials that wait, as their next try was refused for good; by the key of that attempt."""
    said = next((line for line in why.splitlines() if is_too_large(line)), why)
    message = f"its further try with more memory or time was refused: {said.strip()}"
    end_hopeless(given_up, message, store=store, ledger=ledger, note=note)


def end_hopeless(
    given_up: Mapping[int, OpenTrial], message: str, *, store: Store, ledger: Ledger, note: Note
) -> None:
    """End trials that wait, for a reason in words; by the key of the attempt that came to nothing.

    Raises:
        DatabaseUnavailable: It is not known whether they have ended.
    """
    with store.write() as connection:
        keys = [trial.id for trial in given_up.values()]
        trials.move(connection, keys, TrialStatus.FAILED, expected=_OPEN, reason=message)
        rows = [
            events.row(store.experiment_id, kind, payload, trial_id=trial.id)
            for attempt_id, trial in given_up.items()
            for kind, payload in _payloads(trial, attempt_id, message)
        ]
        events.append(connection, rows)
    for trial in given_up.values():
        ledger.close(trial, TrialStatus.FAILED)
        told = Observation(trial=trial.index, point=trial.point, means=None, sems={})
        ledger.news.append(told)
        note("trial failed", level="warning", trial=trial.index, why=message)


def _payloads(
    trial: OpenTrial, attempt_id: int, message: str
) -> tuple[tuple[EventKind, dict[str, Any]], ...]:
    about = {"trial_index": trial.index, "attempt": attempt_id}
    failure = {
        "failure": FailureClass.SUBMIT,
        "name": None,
        "message": message,
        "evidence": {"blame": Blame.NONE},
        "host": None,
        "again": False,
        "action": "given up: the scheduler will never take it",
    }
    told: dict[str, Any] = {"means": None, "sems": {}}
    return (EventKind.FAILURE, {**about, **failure}), (EventKind.TELL, {**about, **told})
