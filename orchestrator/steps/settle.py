"""Second step of a tick: decide what the news means, in one transaction.

Every decision is written with the states that it expects, together with the report that it rests
on; the ledger follows when the transaction has been committed. If the head dies before, the same
reports are found again; if it dies after, they are marked as dealt with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast

from db.records import EndPayload, ReportMessage
from db.sql import attempts, events, incoming, trials
from db.sql.attempts import End
from db.sql.incoming import Incoming
from db.sql.store import Store, Transaction
from db.states import (
    OPEN_ATTEMPTS,
    AttemptState,
    EventKind,
    FailureClass,
    ReportKind,
    TrialStatus,
)
from orchestrator.generators.base import Observation
from orchestrator.health.failures import Failure, judge_report
from orchestrator.health.retries import final_status, may_retry
from orchestrator.spec.experiment import ExperimentSpec
from orchestrator.steps.intake import take_in
from orchestrator.steps.jobs import TOLD_TO_STOP, find_overdue, follow, why_ended, why_told
from orchestrator.steps.ledger import Ledger, OpenAttempt, OpenTrial
from orchestrator.steps.mailbox import Mailbox
from orchestrator.steps.observe import News

# A late result is taken if its trial has none yet (DESIGN section 10).
_MAY_SUCCEED = OPEN_ATTEMPTS | {
    AttemptState.LOST,
    AttemptState.SUPERSEDED,
    AttemptState.CANCELLED,
}
_OPEN_TRIALS = (TrialStatus.CANDIDATE, TrialStatus.STAGED, TrialStatus.RUNNING)
_STATES = {
    FailureClass.LOST: AttemptState.LOST,
    FailureClass.CANCELLED: AttemptState.CANCELLED,
}

Note = Callable[..., None]
Effect = Callable[[], None]


class Settler:
    """Turns reports and ended jobs into outcomes, retries and final states."""

    def __init__(
        self,
        *,
        store: Store,
        ledger: Ledger,
        spec: ExperimentSpec,
        objective_ids: Mapping[str, int],
        mailbox: Mailbox,
        cancel: Callable[[list[str]], None],
        note: Note,
        measure: Callable[[float], None],
    ) -> None:
        self._measure = measure
        self._store = store
        self._ledger = ledger
        self._spec = spec
        self._objective_ids = objective_ids
        self._mailbox = mailbox
        self._cancel = cancel
        self._note = note
        self._effects: list[Effect] = []
        self._is_miscounted = False

    def settle(self, news: News, *, look: bool) -> None:
        """Deal with everything that is new.

        Args:
            news: What was observed.
            look: The database may hold reports that nobody has dealt with.
        """
        if news.poll is not None:
            follow(self._ledger, news.poll)
        overdue = find_overdue(self._ledger, self._spec)
        mail = news.mail
        if not (mail.messages or mail.heartbeats or overdue or (look and self._reports_wait())):
            self._mailbox.discard(mail)
            return
        self._effects = []
        with self._store.write() as connection:
            take_in(connection, mail, reject=partial(self._reject, connection))
            waiting = incoming.waiting(connection, self._store.experiment_id)
            dealt_with = [r.id for r in waiting if self._deal_with(connection, r)]
            incoming.consume(connection, dealt_with)
            for attempt in overdue:
                self._give_up(connection, attempt)
        self._mailbox.discard(mail)
        for effect in self._effects:
            effect()
        if self._is_miscounted:
            self._count_anew()

    def _count_anew(self) -> None:
        with self._store.read() as connection:
            counts = trials.counts(connection, self._store.experiment_id)
        self._ledger.counts = Counter(counts)
        self._is_miscounted = False

    def _reports_wait(self) -> bool:
        with self._store.read() as connection:
            return bool(incoming.waiting(connection, self._store.experiment_id, limit=1))

    def _reject(self, connection: Transaction, message: ReportMessage) -> None:
        payload = {name: message[name] for name in ("attempt_id", "kind", "sequence")}
        row = events.row(self._store.experiment_id, EventKind.FOREIGN, payload)
        events.append(connection, [row])
        self._note("foreign report left out", level="warning", message=dict(message))

    # What the scheduler says

    def _give_up(self, connection: Transaction, attempt: OpenAttempt) -> None:
        """End an attempt whose job ended without a report."""
        trial = self._ledger.trials.get(attempt.trial_id)
        if trial is None or attempt.job is None:
            return
        if attempt.is_withdrawn and attempt.state != AttemptState.STARTED:
            self._withdraw(connection, trial, attempt)
            return
        failure = why_ended(attempt, attempt.job)
        how = End(
            state=_STATES.get(failure.kind, AttemptState.FAILED),
            failure_class=failure.kind,
            failure_message=failure.message,
            host=attempt.job.host,
            slurm_state=attempt.job.word[:40] or None,
        )
        if attempts.end(connection, attempt.id, how, expected=OPEN_ATTEMPTS):
            self._fail(connection, trial, attempt.id, failure)

    def _withdraw(self, connection: Transaction, trial: OpenTrial, attempt: OpenAttempt) -> None:
        """Let a trial whose job never began wait for a resume, as if it had not been submitted."""
        how = End(
            state=AttemptState.CANCELLED,
            failure_class=FailureClass.CANCELLED,
            failure_message=TOLD_TO_STOP,
        )
        if attempts.end(connection, attempt.id, how, expected=OPEN_ATTEMPTS):
            expected = (TrialStatus.STAGED,)
            trials.move(connection, [trial.id], TrialStatus.CANDIDATE, expected=expected)
            self._log(connection, EventKind.WITHDRAWN, trial, attempt.id, {})
            self._effects.append(lambda: self._has_been_withdrawn(trial, attempt))

    def _has_been_withdrawn(self, trial: OpenTrial, attempt: OpenAttempt) -> None:
        self._drop(attempt.id)
        trial.failures.append(FailureClass.CANCELLED)
        self._ledger.set_status(trial, TrialStatus.CANDIDATE)
        self._ledger.waiting.appendleft(trial.id)

    # What workers say

    def _deal_with(self, connection: Transaction, report: Incoming) -> bool:
        """Act on one report; False if it has to wait."""
        if report.kind == ReportKind.START:
            self._start(connection, report)
        elif report.kind == ReportKind.METRIC:
            incoming.add_metrics(connection, report, report.payload["metrics"])
        else:
            return self._end(connection, report)
        return True

    def _start(self, connection: Transaction, report: Incoming) -> None:
        if report.attempt_state not in OPEN_ATTEMPTS:
            return
        claim = report.payload
        attempts.started(
            connection,
            report.attempt_id,
            host=claim["host"],
            job_id=claim.get("slurm_job_id"),
            claim=claim["claim"],
        )
        expected = (TrialStatus.CANDIDATE, TrialStatus.STAGED)
        trials.move(connection, [report.trial_id], TrialStatus.RUNNING, expected=expected)
        self._effects.append(lambda: self._has_started(report))

    def _has_started(self, report: Incoming) -> None:
        attempt = self._ledger.attempts.get(report.attempt_id)
        trial = self._ledger.trials.get(report.trial_id)
        if attempt is not None and trial is not None:
            attempt.state = AttemptState.STARTED
            attempt.job_id = attempt.job_id or report.payload.get("slurm_job_id")
            attempt.claim = report.payload["claim"]
            self._ledger.set_status(trial, TrialStatus.RUNNING)
            self._note("trial started", trial=trial.index, host=report.payload["host"])

    def _end(self, connection: Transaction, report: Incoming) -> bool:
        """Deal with the end of an attempt; False if the scheduler has to be heard first."""
        end = cast("EndPayload", report.payload)
        objectives = [objective.name for objective in self._spec.objectives]
        memory = self._spec.resources.memory_mb
        failure = judge_report(
            end, objectives=objectives, memory_bytes=None if memory is None else memory * 2**20
        )
        if failure is not None and end["cause"] == "TERMINATED":
            failure = why_told(self._ledger.attempts.get(report.attempt_id))
            if failure is None:
                return False
        if failure is None:
            self._succeed(connection, report, end)
        else:
            self._end_badly(connection, report, failure)
        return True

    def _succeed(self, connection: Transaction, report: Incoming, end: EndPayload) -> None:
        if trials.has_outcome(connection, report.trial_id):
            self._refuse(connection, report, "its trial already had an outcome")
            how = _how(report, AttemptState.SUPERSEDED)
            attempts.end(connection, report.attempt_id, how, expected=OPEN_ATTEMPTS)
            self._effects.append(lambda: self._drop(report.attempt_id))
            return
        how = _how(report, AttemptState.SUCCEEDED)
        if not attempts.end(connection, report.attempt_id, how, expected=_MAY_SUCCEED):
            self._refuse(connection, report, "its attempt had already ended")
            return
        by_id = self._objective_ids
        trials.add_outcomes(
            connection,
            report.trial_id,
            attempt_id=report.attempt_id,
            means={key: end["results"][name] for name, key in by_id.items()},
            sems={by_id[name]: value for name, value in end["sems"].items() if name in by_id},
        )
        incoming.add_artifacts(connection, report, [dict(a) for a in end["artifacts"]])
        expected = tuple(status for status in TrialStatus if status != TrialStatus.COMPLETED)
        trials.move(connection, [report.trial_id], TrialStatus.COMPLETED, expected=expected)
        self._supersede(connection, report)
        told = {"means": end["results"], "sems": end["sems"]}
        self._log(connection, EventKind.TELL, report, report.attempt_id, told)
        self._effects.append(lambda: self._has_succeeded(report, end))

    def _supersede(self, connection: Transaction, report: Incoming) -> None:
        """End other attempts of a trial whose late first one answered."""
        for other in list(self._ledger.attempts.values()):
            if other.trial_id == report.trial_id and other.id != report.attempt_id:
                how = End(state=AttemptState.SUPERSEDED)
                # It may have ended by itself: its report stood before this one.
                if attempts.end(connection, other.id, how, expected=OPEN_ATTEMPTS):
                    by = {"by": report.attempt_id}
                    self._log(connection, EventKind.SUPERSEDED, report, other.id, by)
                self._effects.append(lambda other=other: self._stop(other))  # type: ignore[misc]

    def _stop(self, attempt: OpenAttempt) -> None:
        self._drop(attempt.id)
        if attempt.job_id:
            self._cancel([attempt.job_id])

    def _has_succeeded(self, report: Incoming, end: EndPayload) -> None:
        self._drop(report.attempt_id)
        trial = self._ledger.trials.get(report.trial_id)
        if trial is None:
            # It had its final status already; which one, only the database knows.
            self._is_miscounted = True
        else:
            self._ledger.close(trial, TrialStatus.COMPLETED)
        self._tell(report.trial_index, report.parameters, end["results"], end["sems"])
        seconds = end["measured"]["wall_seconds"]
        self._measure(seconds)
        # A result may be called like one of ours.
        own = {"level": "info", "trial": report.trial_index, "seconds": seconds}
        others = {name: value for name, value in end["results"].items() if name not in own}
        self._note("trial completed", **own, **others)

    def _end_badly(self, connection: Transaction, report: Incoming, failure: Failure) -> None:
        state = _STATES.get(failure.kind, AttemptState.FAILED)
        how = _how(report, state, failure)
        trial = self._ledger.trials.get(report.trial_id)
        if not attempts.end(connection, report.attempt_id, how, expected=OPEN_ATTEMPTS):
            self._refuse(connection, report, "its attempt had already been given up")
        elif trial is not None:
            self._fail(connection, trial, report.attempt_id, failure)

    # What follows

    def _fail(
        self, connection: Transaction, trial: OpenTrial, attempt_id: int, failure: Failure
    ) -> None:
        """Follow the failure of an attempt: another try, or the trial's end."""
        failures = [*trial.failures, failure.kind]
        again = may_retry(failures, program_retries=self._spec.retries)
        status = final_status(failure.kind)
        if not again:
            trials.move(
                connection, [trial.id], status, expected=_OPEN_TRIALS, reason=failure.message
            )
        payload = {"failure": failure.kind, "message": failure.message, "again": again}
        self._log(connection, EventKind.FAILURE, trial, attempt_id, payload)
        if not again and status == TrialStatus.FAILED:
            told: dict[str, Any] = {"means": None, "sems": {}}
            self._log(connection, EventKind.TELL, trial, attempt_id, told)
        self._effects.append(lambda: self._has_failed(trial, attempt_id, failure, again=again))

    def _has_failed(
        self, trial: OpenTrial, attempt_id: int, failure: Failure, *, again: bool
    ) -> None:
        self._drop(attempt_id)
        trial.failures.append(failure.kind)
        fields = {"trial": trial.index, "failure": str(failure.kind), "why": failure.message}
        if again:
            self._ledger.waiting.appendleft(trial.id)
            self._note("attempt failed, trial tries again", level="warning", **fields)
            return
        status = final_status(failure.kind)
        self._ledger.close(trial, status)
        if status == TrialStatus.FAILED:
            self._tell(trial.index, trial.point, None, {})
        self._note(f"trial {status.name.lower()}", level="warning", **fields)

    def _drop(self, attempt_id: int) -> None:
        attempt = self._ledger.attempts.pop(attempt_id, None)
        if attempt is None:
            return
        self._mailbox.clear(attempt)
        submission = self._ledger.submissions.get(attempt.submission_id)
        if submission and attempt_id in submission.attempt_ids and not submission.is_in_flight:
            submission.attempt_ids.remove(attempt_id)
            if not submission.attempt_ids:
                del self._ledger.submissions[submission.id]

    def _tell(
        self,
        index: int,
        point: dict[str, Any],
        means: dict[str, float] | None,
        sems: dict[str, float],
    ) -> None:
        told = Observation(trial=index, point=point, means=means, sems=sems)
        self._ledger.news.append(told)

    def _refuse(self, connection: Transaction, report: Incoming, reason: str) -> None:
        incoming.refuse(connection, report.id, reason)
        payload = {"report": report.kind, "reason": reason}
        self._log(connection, EventKind.REFUSED, report, report.attempt_id, payload)

    def _log(
        self,
        connection: Transaction,
        kind: EventKind,
        about: Incoming | OpenTrial,
        attempt_id: int,
        payload: dict[str, Any],
    ) -> None:
        """Write down what was decided about an attempt, with the decision."""
        if isinstance(about, OpenTrial):
            key, index = about.id, about.index
        else:
            key, index = about.trial_id, about.trial_index
        full = {"trial_index": index, "attempt": attempt_id, **payload}
        row = events.row(self._store.experiment_id, kind, full, trial_id=key)
        events.append(connection, [row])


def _how(report: Incoming, state: AttemptState, failure: Failure | None = None) -> End:
    """Return the columns of an attempt that its END report fills."""
    end = cast("EndPayload", report.payload)
    times = {"program_started_at": end["started_at"], "program_ended_at": end["ended_at"]}
    return End(
        state=state,
        failure_class=failure.kind if failure else None,
        failure_message=failure.message if failure else None,
        exit_code=end["exit_code"],
        signal=end["signal"],
        host=end["host"],
        measured={**end["measured"], **times},
        infos=end["infos"] or None,
    )
