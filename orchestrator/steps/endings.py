"""Attempts that end without a result, and what their trials do then; part of `settle`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from db.sql import attempts, incoming, trials
from db.sql.attempts import End, FailedAttempt
from db.sql.incoming import Incoming
from db.sql.store import Transaction
from db.states import (
    CLAIMABLE_ATTEMPTS,
    OPEN_ATTEMPTS,
    AttemptState,
    EventKind,
    FailureClass,
    TrialStatus,
)
from orchestrator.health.failures import Failure
from orchestrator.health.retries import Decision, final_status
from orchestrator.steps.docket import Docket
from orchestrator.steps.judging import Judge
from orchestrator.steps.ledger import OpenAttempt, OpenTrial
from orchestrator.steps.outcomes import how
from orchestrator.steps.recalls import why_taken_back

_OPEN_TRIALS = (TrialStatus.CANDIDATE, TrialStatus.STAGED, TrialStatus.RUNNING)
_STATES = {
    FailureClass.LOST: AttemptState.LOST,
    FailureClass.CANCELLED: AttemptState.CANCELLED,
}


@dataclass(frozen=True)
class _Failed:
    """One failure: what it was, what is remembered of it, and what is done."""

    failure: Failure
    failed: FailedAttempt
    decision: Decision


class Endings:
    """Ends attempts, and lets their trials try again or end."""

    def __init__(self, docket: Docket, judge: Judge) -> None:
        self._docket = docket
        self._judge = judge

    def give_up(self, connection: Transaction, attempt: OpenAttempt) -> None:
        """End an attempt whose job ended without a report, unless its log has to be read first."""
        trial = self._docket.ledger.trials.get(attempt.trial_id)
        if trial is None or attempt.job is None or _has_just_begun(connection, attempt):
            return
        taken_back = why_taken_back(connection, attempt)
        if taken_back is not None:
            self._withdraw(connection, trial, attempt, taken_back)
            return
        failure = self._judge.of_job(connection, attempt, attempt.job)
        if failure is None:
            return
        failed = attempt.failed(failure.kind, name=failure.name, host=attempt.job.host)
        decision = self._docket.hosts.retries.decide([*trial.failures, failed])
        ended = End(
            state=_STATES.get(failure.kind, AttemptState.FAILED),
            failure_class=failure.kind,
            failure_name=failure.name,
            failure_message=failure.message,
            failure_action=decision.action,
            failure_evidence=failure.stored_evidence,
            host=attempt.job.host,
            slurm_state=attempt.job.word[:40] or None,
        )
        if attempts.end(connection, attempt.id, ended, expected=OPEN_ATTEMPTS):
            self._fail(connection, trial, attempt.id, _Failed(failure, failed, decision))
            if attempt.job.is_held and attempt.job_id is not None:
                # It would wait for a person for ever, also when the search is over.
                held = [attempt.job_id]
                self._docket.then(lambda: self._docket.cancel(held))

    def _withdraw(
        self, connection: Transaction, trial: OpenTrial, attempt: OpenAttempt, why: str
    ) -> None:
        """Let a trial whose job never began wait again, as if it had not been submitted."""
        ended = End(
            state=AttemptState.CANCELLED,
            failure_class=FailureClass.CANCELLED,
            failure_message=why,
        )
        if attempts.end(connection, attempt.id, ended, expected=OPEN_ATTEMPTS):
            expected = (TrialStatus.STAGED,)
            trials.move(connection, [trial.id], TrialStatus.CANDIDATE, expected=expected)
            self._docket.log(connection, EventKind.WITHDRAWN, trial, attempt.id, {})
            self._docket.then(lambda: self._has_been_withdrawn(trial, attempt))

    def _has_been_withdrawn(self, trial: OpenTrial, attempt: OpenAttempt) -> None:
        self._docket.drop(attempt.id)
        trial.failures.append(attempt.failed(FailureClass.CANCELLED))
        self._docket.ledger.set_status(trial, TrialStatus.CANDIDATE)
        self._docket.ledger.waiting.appendleft(trial.id)

    def end_badly(self, connection: Transaction, report: Incoming, failure: Failure) -> str | None:
        """End an attempt as its worker's report says; returns why not, if it must not end so."""
        is_holder = "submission_token" not in report.payload or _may_hold(connection, report)
        may_end = is_holder or self._docket.take_back(report.attempt_id)
        trial = self._docket.ledger.trials.get(report.trial_id)
        failed = self._remember(connection, report, failure)
        decision = self._docket.hosts.retries.decide([*(trial.failures if trial else []), failed])
        ended = replace(
            how(report, _STATES.get(failure.kind, AttemptState.FAILED), failure),
            failure_action=decision.action,
        )
        expected = OPEN_ATTEMPTS if is_holder else CLAIMABLE_ATTEMPTS
        has_ended = may_end and attempts.end(
            connection, report.attempt_id, ended, expected=expected
        )
        if not has_ended:
            if is_holder or report.attempt_state not in OPEN_ATTEMPTS:
                return "its attempt had already been given up"
            job = report.payload.get("slurm_job_id")
            who = f"job {job}" if job else "its worker"
            return f"{who} had not claimed its attempt, which another worker may run"
        if trial is not None:
            self._fail(connection, trial, report.attempt_id, _Failed(failure, failed, decision))
        return None

    def _remember(
        self, connection: Transaction, report: Incoming, failure: Failure
    ) -> FailedAttempt:
        attempt = self._docket.ledger.attempts.get(report.attempt_id)
        host = report.payload["host"]
        if attempt is not None:
            return attempt.failed(failure.kind, name=failure.name, host=host)
        # Of a requeued job: it is in the ledger after this transaction.
        requested = attempts.requested(connection, report.attempt_id)
        return FailedAttempt(
            failure=failure.kind, name=failure.name, host=host, requested=requested
        )

    def _fail(
        self, connection: Transaction, trial: OpenTrial, attempt_id: int, ending: _Failed
    ) -> None:
        """Follow the failure of an attempt: another try, or the trial's end."""
        docket, failure, again = self._docket, ending.failure, ending.decision.again
        status = final_status(failure.kind)
        if not again:
            trials.move(
                connection, [trial.id], status, expected=_OPEN_TRIALS, reason=failure.message
            )
        payload = {
            "failure": failure.kind,
            "name": failure.name,
            "message": failure.message,
            "evidence": failure.stored_evidence,
            "host": ending.failed.host,
            "again": again,
            "action": ending.decision.action,
        }
        docket.log(connection, EventKind.FAILURE, trial, attempt_id, payload)
        if not again and status == TrialStatus.FAILED:
            told: dict[str, Any] = {"means": None, "sems": {}}
            docket.log(connection, EventKind.TELL, trial, attempt_id, told)
        docket.then(lambda: self._has_failed(trial, attempt_id, ending))

    def _has_failed(self, trial: OpenTrial, attempt_id: int, ending: _Failed) -> None:
        docket, failure = self._docket, ending.failure
        docket.drop(attempt_id)
        docket.hosts.ended(trial.id, ending.failed.host, failure)
        trial.failures.append(ending.failed)
        fields = {"trial": trial.index, "failure": str(failure.kind), "why": failure.message}
        fields |= {"host": ending.failed.host or "-", "done": ending.decision.action}
        if ending.decision.again:
            docket.ledger.waiting.appendleft(trial.id)
            docket.note("attempt failed, trial tries again", level="warning", **fields)
            return
        docket.hosts.closed(trial.id)
        status = final_status(failure.kind)
        docket.ledger.close(trial, status)
        if status == TrialStatus.FAILED:
            docket.tell(trial.index, trial.point, None, {})
        docket.note(f"trial {status.name.lower()}", level="warning", **fields)


def _may_hold(connection: Transaction, report: Incoming) -> bool:
    """Whether an attempt may be its job's own, although the worker reports that it claimed nothing.

    The answer to its claim may have been lost, or an earlier run of its job had claimed. What the
    scheduler has said of the attempt's job tells nothing: there may be a ghost beside it.
    """
    start = incoming.start_payload(connection, report.attempt_id)
    if start is None:
        return False
    end = report.payload
    jobs = {job for job in (start.get("slurm_job_id"), end.get("slurm_job_id")) if job}
    return len(jobs) <= 1 and (start.get("restart") or 0) <= (end.get("restart") or 0)


def _has_just_begun(connection: Transaction, attempt: OpenAttempt) -> bool:
    """Whether its worker was heard only now: what the scheduler said was said without knowing that.

    Its next word counts. That the worker has begun is a fact and no decision, so that nothing is
    wrong should the transaction fail.
    """
    if attempt.state == AttemptState.STARTED or not attempts.running(connection, [attempt.id]):
        return False
    attempt.state, attempt.ended_since = AttemptState.STARTED, None
    return True
