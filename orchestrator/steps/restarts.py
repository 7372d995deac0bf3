"""Jobs that Slurm requeues and starts again (`--requeue`); part of `settle`.

A requeued job keeps its id, so nothing is submitted: its next run is the next attempt of the same
trial. Where workers write to the database, that worker ends the old attempt and makes the new one
itself, and the head adopts it when it reads its START report. Where they leave files, the head
makes it when it sees the first message with a token `TOKEN.r`. Until the job runs again its old
attempt stays open, so that nobody submits its trial a second time beside it.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from db.records import ReportMessage
from db.restarts import is_interrupted, message_of, next_token, restart_of
from db.sql import attempts, events, restarts
from db.sql.attempts import End, FailedAttempt
from db.sql.incoming import Incoming
from db.sql.restarts import Run
from db.sql.store import Transaction
from db.states import (
    FINAL_TRIALS,
    OPEN_ATTEMPTS,
    AttemptState,
    EventKind,
    FailureClass,
    JobState,
    ReportKind,
)
from orchestrator.health.failures import judge_job
from orchestrator.steps.docket import Docket
from orchestrator.steps.ledger import OpenAttempt, OpenTrial
from orchestrator.steps.outcomes import how


class Restarts:
    """Follows jobs from one run to the next."""

    def __init__(self, docket: Docket) -> None:
        self._docket = docket
        self._told: set[int] = set()
        self._blamed: set[int] = set()

    def open(self, connection: Transaction, message: ReportMessage) -> int:
        """Return the attempt that a message of a restarted job is about.

        Made here if this is the first one with its token; 0: nobody of ours wrote it.
        """
        token, restart = message["attempt_token"], restart_of(message["attempt_token"])
        runs = restarts.runs(connection, message["attempt_id"]) if restart else []
        if not runs or next_token(runs[0].token, restart) != token:
            return 0
        known = next((run.id for run in runs if run.token == token), None)
        return known or self._make(connection, runs, message, restart)

    def _make(
        self, connection: Transaction, runs: list[Run], message: ReportMessage, restart: int
    ) -> int:
        """Open the attempt of a restart, as the successor of the last one if that was cut off."""
        last = runs[-1]
        claim = message["payload"] if message["kind"] == ReportKind.START else {}
        goes_on = self._was_cut_off(connection, last) and restart > last.restart
        if goes_on:
            ended = End(
                state=AttemptState.FAILED,
                failure_class=FailureClass.PREEMPTED,
                failure_message=message_of(restart),
            )
            goes_on = attempts.end(connection, last.id, ended, expected=OPEN_ATTEMPTS)
        key = restarts.add(
            connection,
            last,
            token=message["attempt_token"],
            restart=restart,
            state=AttemptState.STARTED if goes_on else AttemptState.SUPERSEDED,
            claim=claim,
        )
        new = restarts.get(connection, key)
        if goes_on:
            self._take(connection, new, previous=last.id)
        else:
            # A later run may be at work in the same job.
            self._turn_away(connection, new, is_alone=not last.is_open)
        return key

    def _was_cut_off(self, connection: Transaction, run: Run) -> bool:
        """Whether nothing is known of an attempt but that its job was ended."""
        end = restarts.end_payload(connection, run.id)
        is_wanted = run.is_open and run.trial_status not in FINAL_TRIALS
        return is_wanted and (end is None or is_interrupted(end))

    def adopt(self, connection: Transaction, report: Incoming) -> None:
        """Follow the START of a requeued job: its worker may have made its attempt itself."""
        if not report.payload.get("restart"):
            return
        previous = report.payload.get("previous")
        new = restarts.get(connection, report.attempt_id)
        if new.claim is None:
            # Another message of it was read first.
            restarts.fill_claim(connection, new.id, report.payload)
            self._docket.then(partial(self._has_claimed, new.id, report.payload["claim"]))
        if previous is None or not new.is_open:
            return
        if new.trial_status in FINAL_TRIALS:
            self._turn_away(connection, new, is_alone=True)
        else:
            self._take(connection, new, previous=previous)

    def _take(self, connection: Transaction, new: Run, *, previous: int) -> None:
        """Enter the next attempt of a trial in place of the one that was cut off."""
        trial = self._docket.ledger.trials.get(new.trial_id)
        if trial is None:
            return
        payload = {"previous": previous, "restart": new.restart, "host": new.host}
        self._docket.log(connection, EventKind.RESTARTED, trial, new.id, payload)
        failures = attempts.failures(connection, [trial.id]).get(trial.id, [])
        self._docket.then(partial(self._has_restarted, trial, new, failures))

    def _has_restarted(self, trial: OpenTrial, new: Run, failures: list[FailedAttempt]) -> None:
        ledger = self._docket.ledger
        if new.id not in ledger.attempts:
            self._enter(trial, new, failures)
        fields = {"trial": trial.index, "restart": new.restart, "host": new.host}
        self._docket.note("Slurm has started a requeued job again", **fields)

    def _enter(self, trial: OpenTrial, new: Run, failures: list[FailedAttempt]) -> None:
        ledger = self._docket.ledger
        place = new.submission_id, new.array_index
        before = [
            old for old in ledger.attempts.values() if (old.submission_id, old.array_index) == place
        ]
        ledger.attempts[new.id] = OpenAttempt(
            id=new.id,
            trial_id=trial.id,
            token=new.token,
            state=new.state,
            submission_id=new.submission_id,
            job_name=ledger.job_name(new.submission_token),
            array_index=new.array_index,
            job_id=new.slurm_job_id,
            claim=new.claim,
            submitted_after=before[-1].submitted_after if before else None,
            log_path=new.log_path,
            host=new.host,
            requested=new.requested or {},
        )
        submission = ledger.submissions.get(new.submission_id)
        if submission is not None:
            submission.attempt_ids.append(new.id)
        trial.attempts = new.number
        trial.failures = failures
        for old in before:
            self._docket.drop(old.id)

    def _has_claimed(self, attempt_id: int, claim: str) -> None:
        attempt = self._docket.ledger.attempts.get(attempt_id)
        if attempt is not None:
            attempt.claim = attempt.claim or claim

    def _turn_away(self, connection: Transaction, new: Run, *, is_alone: bool) -> None:
        """Let a run end that nobody needs, as its trial went on without it, or is over."""
        ended = End(state=AttemptState.SUPERSEDED)
        attempts.end(connection, new.id, ended, expected=OPEN_ATTEMPTS)
        row = events.row(
            self._docket.store.experiment_id,
            EventKind.SUPERSEDED,
            {"trial_index": new.trial_index, "attempt": new.id, "by": None},
            trial_id=new.trial_id,
        )
        events.append(connection, [row])
        self._docket.then(partial(self._is_turned_away, new, is_alone=is_alone))

    def _is_turned_away(self, new: Run, *, is_alone: bool) -> None:
        trial = self._docket.ledger.trials.get(new.trial_id)
        if trial is not None:
            trial.attempts = max(trial.attempts, new.number)
        if is_alone and new.slurm_job_id is not None:
            self._docket.cancel([new.slurm_job_id])

    def say_requeued(self) -> None:
        """Tell once of each attempt whose job waits to run again, and of a host that failed."""
        ledger = self._docket.ledger
        for attempt in ledger.attempts.values():
            trial = ledger.trials.get(attempt.trial_id)
            lost = attempt.job.lost_host if attempt.job is not None else None
            if lost is not None and attempt.id not in self._blamed:
                self._blamed.add(attempt.id)
                failed = judge_job(
                    JobState.NODE_FAIL, JobState.NODE_FAIL.value, was_claimed=True, was_told=False
                )
                self._docket.hosts.ended(attempt.trial_id, lost, failed)
            if attempt.waits_again and attempt.id not in self._told and trial is not None:
                self._told.add(attempt.id)
                fields = {"trial": trial.index, "job": attempt.job_id}
                self._docket.note("Slurm has requeued a job: its trial waits for it", **fields)

    def keep(self, connection: Transaction, report: Incoming) -> bool:
        """Keep what a run measured that was cut off, if its job runs again, or is going to.

        That is not the end of its trial, and nothing is to be submitted. What becomes of a job that
        waits again is told by the scheduler, or by its next run.
        """
        if report.attempt_state in OPEN_ATTEMPTS:
            attempt = self._docket.ledger.attempts.get(report.attempt_id)
            is_kept = attempt is not None and attempt.waits_again
        else:
            is_kept = restarts.has_follower(connection, report.attempt_id)
        if is_kept:
            # Its claim has told the host.
            measured = replace(how(report, report.attempt_state), host=None)
            restarts.note_end(connection, report.attempt_id, measured)
        return is_kept
