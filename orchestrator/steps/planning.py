"""What is submitted next: which trials together, with what, and away from which hosts.

Part of `submit`. A submission and its attempts are committed here, before the scheduler hears of
them; the first trial that waits decides what they ask for.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from db.records import Assignment
from db.sql import attempts, trials
from db.sql.attempts import NewAttempt
from db.sql.store import Store, now
from db.states import AttemptState, SubmissionState, TrialStatus
from orchestrator.cluster.base import Order
from orchestrator.health.retries import Request
from orchestrator.spec.experiment import ExperimentSpec
from orchestrator.spec.resources import Resources
from orchestrator.steps.hosts import Hosts
from orchestrator.steps.ledger import Ledger, OpenAttempt, OpenSubmission, OpenTrial
from orchestrator.steps.parole import ONLY_ON

_STAGEABLE = (TrialStatus.CANDIDATE, TrialStatus.STAGED, TrialStatus.RUNNING)
# Trials that failed on different hosts go together as long as the hosts that all of them then avoid
# are at most this share of the partition: one call of sbatch for each would take far longer.
_AVOIDED_TOGETHER = 0.25


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A submission that is committed, and what is to be done about it.

    Attributes:
        submission: As the ledger has it.
        order: What the scheduler is to be told.
        offers: What each of its workers gets, by array index.
    """

    submission: OpenSubmission
    order: Order
    offers: dict[int, Assignment]


class Planner:
    """Turns waiting trials into submissions."""

    def __init__(
        self, *, store: Store, ledger: Ledger, spec: ExperimentSpec, run_dir: Path, hosts: Hosts
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._spec = spec
        self._run_dir = run_dir
        self._hosts = hosts

    def plan(self, most: int) -> Plan:
        """Commit a submission of some of the trials that wait, `most` at most."""
        ledger = self._ledger
        first = ledger.trials[ledger.waiting[0]]
        request = self._hosts.retries.request(first.failures)
        canary = self._hosts.canary(request)
        request, chosen = self._choose(request, most) if canary is None else (request, [first])
        resources = self._spec.resources.model_copy(
            update={
                "memory_mb": request.memory_mb,
                "minutes": request.minutes,
                "exclude": self._hosts.to_avoid(request, canary=canary),
            }
        )
        token = secrets.token_hex(8)
        pattern = f"logs/{token[:2]}/{token}_{{index}}.log"
        asked = _asked(resources, request, canary)
        submission, planned = self._write(chosen, token, pattern, asked)
        order = Order(
            token=token,
            name=submission.job_name,
            size=len(chosen),
            resources=resources,
            run_dir=self._run_dir,
            log_pattern=pattern,
            only_on=canary,
        )
        return Plan(
            submission=submission, order=order, offers=self._offers(chosen, planned, request)
        )

    def _choose(self, first: Request, most: int) -> tuple[Request, list[OpenTrial]]:
        """Return trials that ask like the first one, for one array, and what it asks for."""
        ledger, retries = self._ledger, self._hosts.retries
        room = int(_AVOIDED_TOGETHER * (retries.ceiling.hosts or 0))
        avoid, chosen = first.avoid, []
        for key in ledger.waiting:
            trial = ledger.trials[key]
            request = retries.request(trial.failures)
            together = avoid | request.avoid
            fits = request.avoid == first.avoid or len(together) <= room
            if not (fits and request.asks_like(first)):
                continue
            avoid = together
            chosen.append(trial)
            if len(chosen) == most:
                break
        return replace(first, avoid=avoid), chosen

    def _write(
        self, chosen: list[OpenTrial], token: str, pattern: str, asked: dict[str, Any]
    ) -> tuple[OpenSubmission, list[tuple[int, NewAttempt]]]:
        """Commit a submission with its attempts, and follow it in the ledger."""
        new = [
            NewAttempt(
                trial_id=trial.id,
                array_index=index,
                number=trial.attempts + 1,
                token=secrets.token_hex(12),
                log_path=pattern.format(index=index),
            )
            for index, trial in enumerate(chosen)
        ]
        with self._store.write() as connection:
            submission_id, keys = attempts.plan(
                connection,
                self._store.experiment_id,
                token=token,
                resources=asked,
                attempts=new,
            )
            ids = [trial.id for trial in chosen]
            trials.move(connection, ids, TrialStatus.STAGED, expected=_STAGEABLE)
        planned = list(zip(keys, new, strict=True))
        return self._enter(submission_id, token, planned, asked), planned

    def _enter(
        self,
        submission_id: int,
        token: str,
        planned: list[tuple[int, NewAttempt]],
        asked: dict[str, Any],
    ) -> OpenSubmission:
        ledger, moment = self._ledger, now()
        submission = OpenSubmission(
            id=submission_id,
            token=token,
            job_name=ledger.job_name(token),
            state=SubmissionState.PREPARED,
            attempt_ids=[key for key, _ in planned],
        )
        ledger.submissions[submission_id] = submission
        for key, attempt in planned:
            ledger.waiting.remove(attempt.trial_id)
            trial = ledger.trials[attempt.trial_id]
            trial.attempts = attempt.number
            ledger.set_status(trial, TrialStatus.STAGED)
            ledger.attempts[key] = OpenAttempt(
                id=key,
                trial_id=trial.id,
                token=attempt.token,
                state=AttemptState.PLANNED,
                submission_id=submission_id,
                job_name=submission.job_name,
                array_index=attempt.array_index,
                submitted_after=moment,
                log_path=attempt.log_path,
                requested=asked,
            )
        return submission

    def _offers(
        self,
        chosen: list[OpenTrial],
        planned: list[tuple[int, NewAttempt]],
        request: Request,
    ) -> dict[int, Assignment]:
        offers = {
            attempt.array_index: Assignment(
                attempt_id=key,
                attempt_token=attempt.token,
                number=attempt.number,
                trial_index=trial.index,
                parameters=trial.point,
                log_path=attempt.log_path,
                checkpoint_dir=str(self._run_dir / "checkpoints" / str(trial.index)),
            )
            for trial, (key, attempt) in zip(chosen, planned, strict=True)
        }
        if request.timeout_seconds is not None:
            for offer in offers.values():
                offer["timeout_seconds"] = request.timeout_seconds
        return offers


def _asked(resources: Resources, request: Request, canary: str | None) -> dict[str, Any]:
    """Return what is stored as asked for."""
    asked = resources.model_dump(mode="json", exclude_none=True)
    if request.timeout_seconds is not None:
        asked["timeout_seconds"] = request.timeout_seconds
    if canary is not None:
        asked[ONLY_ON] = canary
    return asked
