"""Attempts that end without a result, and what their trials do then; part of `settle`."""

from __future__ import annotations

from typing import Any

from db.sql import attempts, trials
from db.sql.attempts import End
from db.sql.incoming import Incoming
from db.sql.store import Transaction
from db.states import OPEN_ATTEMPTS, AttemptState, EventKind, FailureClass, TrialStatus
from orchestrator.health.failures import Failure
from orchestrator.health.retries import final_status, may_retry
from orchestrator.steps.docket import Docket
from orchestrator.steps.jobs import TOLD_TO_STOP, why_ended
from orchestrator.steps.ledger import OpenAttempt, OpenTrial
from orchestrator.steps.outcomes import how
from orchestrator.steps.silence import Silence

_OPEN_TRIALS = (TrialStatus.CANDIDATE, TrialStatus.STAGED, TrialStatus.RUNNING)
_STATES = {
    FailureClass.LOST: AttemptState.LOST,
    FailureClass.CANCELLED: AttemptState.CANCELLED,
}


class Endings:
    """Ends attempts, and lets their trials try again or end."""

    def __init__(self, docket: Docket, silence: Silence) -> None:
        self._docket = docket
        self._silence = silence

    def give_up(self, connection: Transaction, attempt: OpenAttempt) -> None:
        """End an attempt whose job ended without a report."""
        trial = self._docket.ledger.trials.get(attempt.trial_id)
        if trial is None or attempt.job is None:
            return
        if attempt.is_withdrawn and attempt.state != AttemptState.STARTED:
            self._withdraw(connection, trial, attempt)
            return
        failure = self._silence.own_doing(
            connection, attempt, why_ended(attempt, attempt.job, log=self._docket.log_of(attempt))
        )
        ended = End(
            state=_STATES.get(failure.kind, AttemptState.FAILED),
            failure_class=failure.kind,
            failure_message=failure.message,
            host=attempt.job.host,
            slurm_state=attempt.job.word[:40] or None,
        )
        if attempts.end(connection, attempt.id, ended, expected=OPEN_ATTEMPTS):
            self._fail(connection, trial, attempt.id, failure)

    def _withdraw(self, connection: Transaction, trial: OpenTrial, attempt: OpenAttempt) -> None:
        """Let a trial whose job never began wait for a resume, as if it had not been submitted."""
        ended = End(
            state=AttemptState.CANCELLED,
            failure_class=FailureClass.CANCELLED,
            failure_message=TOLD_TO_STOP,
        )
        if attempts.end(connection, attempt.id, ended, expected=OPEN_ATTEMPTS):
            expected = (TrialStatus.STAGED,)
            trials.move(connection, [trial.id], TrialStatus.CANDIDATE, expected=expected)
            self._docket.log(connection, EventKind.WITHDRAWN, trial, attempt.id, {})
            self._docket.then(lambda: self._has_been_withdrawn(trial, attempt))

    def _has_been_withdrawn(self, trial: OpenTrial, attempt: OpenAttempt) -> None:
        self._docket.drop(attempt.id)
        trial.failures.append(FailureClass.CANCELLED)
        self._docket.ledger.set_status(trial, TrialStatus.CANDIDATE)
        self._docket.ledger.waiting.appendleft(trial.id)

    def end_badly(self, connection: Transaction, report: Incoming, failure: Failure) -> bool:
        """End an attempt as its worker's report says; False if it had been given up before."""
        state = _STATES.get(failure.kind, AttemptState.FAILED)
        ended = how(report, state, failure)
        trial = self._docket.ledger.trials.get(report.trial_id)
        if not attempts.end(connection, report.attempt_id, ended, expected=OPEN_ATTEMPTS):
            return False
        if trial is not None:
            self._fail(connection, trial, report.attempt_id, failure)
        return True

    def _fail(
        self, connection: Transaction, trial: OpenTrial, attempt_id: int, failure: Failure
    ) -> None:
        """Follow the failure of an attempt: another try, or the trial's end."""
        docket = self._docket
        failures = [*trial.failures, failure.kind]
        again = may_retry(failures, program_retries=docket.spec.retries)
        status = final_status(failure.kind)
        if not again:
            trials.move(
                connection, [trial.id], status, expected=_OPEN_TRIALS, reason=failure.message
            )
        payload = {"failure": failure.kind, "message": failure.message, "again": again}
        docket.log(connection, EventKind.FAILURE, trial, attempt_id, payload)
        if not again and status == TrialStatus.FAILED:
            told: dict[str, Any] = {"means": None, "sems": {}}
            docket.log(connection, EventKind.TELL, trial, attempt_id, told)
        docket.then(lambda: self._has_failed(trial, attempt_id, failure, again=again))

    def _has_failed(
        self, trial: OpenTrial, attempt_id: int, failure: Failure, *, again: bool
    ) -> None:
        docket = self._docket
        docket.drop(attempt_id)
        trial.failures.append(failure.kind)
        fields = {"trial": trial.index, "failure": str(failure.kind), "why": failure.message}
        if again:
            docket.ledger.waiting.appendleft(trial.id)
            docket.note("attempt failed, trial tries again", level="warning", **fields)
            return
        status = final_status(failure.kind)
        docket.ledger.close(trial, status)
        if status == TrialStatus.FAILED:
            docket.tell(trial.index, trial.point, None, {})
        docket.note(f"trial {status.name.lower()}", level="warning", **fields)
