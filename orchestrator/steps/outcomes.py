"""Results that workers report: each trial gets at most one; part of `settle`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast

from db.records import EndPayload
from db.sql import attempts, incoming, trials
from db.sql.attempts import End
from db.sql.incoming import Incoming
from db.sql.store import Transaction
from db.states import OPEN_ATTEMPTS, AttemptState, EventKind, TrialStatus, may_move
from orchestrator.health.failures import Failure
from orchestrator.steps.docket import Docket

# A late result is taken if its trial has none yet (DESIGN section 10). An attempt that failed by
# its own report cannot send a second one.
_MAY_SUCCEED = frozenset(state for state in AttemptState if may_move(state, AttemptState.SUCCEEDED))


class Outcomes:
    """Takes results, or refuses them.

    Args of the constructor:
        docket: The decisions of this tick.
        objective_ids: Keys of the objectives by name.
        measure: Takes how long each trial ran, in seconds.
    """

    def __init__(
        self,
        docket: Docket,
        *,
        objective_ids: Mapping[str, int],
        measure: Callable[[float], None],
    ) -> None:
        self._docket = docket
        self._objective_ids = objective_ids
        self._measure = measure

    def succeed(self, connection: Transaction, report: Incoming, end: EndPayload) -> None:
        """Take the result of an attempt, unless its trial has one."""
        if trials.has_outcome(connection, report.trial_id):
            self.refuse(connection, report, "its trial already had an outcome")
            superseded = how(report, AttemptState.SUPERSEDED)
            attempts.end(connection, report.attempt_id, superseded, expected=OPEN_ATTEMPTS)
            self._docket.then(lambda: self._docket.drop(report.attempt_id))
            return
        succeeded = how(report, AttemptState.SUCCEEDED)
        if not attempts.end(connection, report.attempt_id, succeeded, expected=_MAY_SUCCEED):
            self.refuse(connection, report, "its attempt had already ended")
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
        if report.attempt_state not in OPEN_ATTEMPTS:
            self._log_late(connection, report)
        told = {"means": end["results"], "sems": end["sems"]}
        self._docket.log(connection, EventKind.TELL, report, report.attempt_id, told)
        self._docket.then(lambda: self._has_succeeded(report, end))

    def _log_late(self, connection: Transaction, report: Incoming) -> None:
        """Write down that a result was taken whose attempt had been given up."""
        was = {"was": report.attempt_state, "trial_was": report.trial_status.name}
        self._docket.log(connection, EventKind.LATE, report, report.attempt_id, was)
        fields = {"trial": report.trial_index, "attempt_was": str(report.attempt_state)}
        text = "a late result was taken: its attempt had been given up"
        self._docket.then(lambda: self._docket.note(text, level="warning", **fields))

    def refuse(self, connection: Transaction, report: Incoming, reason: str) -> None:
        """Keep a report that comes too late, but do not use it."""
        incoming.refuse(connection, report.id, reason)
        payload = {"report": report.kind, "reason": reason}
        self._docket.log(connection, EventKind.REFUSED, report, report.attempt_id, payload)

    def _supersede(self, connection: Transaction, report: Incoming) -> None:
        """End other attempts of a trial whose late first one answered.

        The database is asked, not the ledger: a worker of a requeued job makes its own attempt.
        """
        for other, job in attempts.others(connection, report.trial_id, but=report.attempt_id):
            superseded = End(state=AttemptState.SUPERSEDED)
            if attempts.end(connection, other, superseded, expected=OPEN_ATTEMPTS):
                by = {"by": report.attempt_id}
                self._docket.log(connection, EventKind.SUPERSEDED, report, other, by)
            self._docket.then(partial(self._stop, other, job))

    def _stop(self, attempt_id: int, job: str | None) -> None:
        attempt = self._docket.ledger.attempts.get(attempt_id)
        job = attempt.job_id if attempt is not None and attempt.job_id else job
        if job:
            self._docket.cancel([job])
        self._docket.drop(attempt_id)

    def _has_succeeded(self, report: Incoming, end: EndPayload) -> None:
        docket = self._docket
        docket.drop(report.attempt_id)
        docket.hosts.ended(report.trial_id, end["host"], None)
        trial = docket.ledger.trials.get(report.trial_id)
        if trial is None:
            # It had its final status already; which one, only the database knows.
            docket.is_miscounted = True
        else:
            docket.ledger.close(trial, TrialStatus.COMPLETED)
        docket.tell(report.trial_index, report.parameters, end["results"], end["sems"])
        seconds = end["measured"]["wall_seconds"]
        self._measure(seconds)
        # A result may be called like one of ours.
        own: dict[str, Any] = {"level": "info", "trial": report.trial_index, "seconds": seconds}
        others = {name: value for name, value in end["results"].items() if name not in own}
        docket.note("trial completed", **own, **others)


def how(report: Incoming, state: AttemptState, failure: Failure | None = None) -> End:
    """Return the columns of an attempt that its END report fills."""
    end = cast("EndPayload", report.payload)
    times = {"program_started_at": end["started_at"], "program_ended_at": end["ended_at"]}
    return End(
        state=state,
        failure_class=failure.kind if failure else None,
        failure_name=failure.name if failure else None,
        failure_message=failure.message if failure else None,
        failure_evidence=failure.stored_evidence if failure else None,
        exit_code=end["exit_code"],
        signal=end["signal"],
        host=end["host"],
        measured={**end["measured"], **times},
        infos=end["infos"] or None,
    )
