"""What became of a call of sbatch, written down: accepted, refused, or nobody knows.

A submission that was refused is withdrawn: its attempts can no longer be claimed before its trials
wait again under new tokens. So a job that exists after all, whatever sbatch said, finds nothing to
do; and one that was faster and claimed its attempt proves that it exists, and is adopted.
"""

from __future__ import annotations

import time

from db.sql import attempts, events, submissions
from db.sql.attempts import End
from db.sql.store import Store, Transaction
from db.states import (
    OPEN_SUBMISSIONS,
    AttemptState,
    EventKind,
    FailureClass,
    SubmissionState,
)
from orchestrator.steps.ledger import Ledger, OpenSubmission
from orchestrator.steps.mailbox import Mailbox
from orchestrator.steps.notes import Note


class Answers:
    """Stores the ends of submissions.

    Args of the constructor:
        store: The database, fenced by the lease of this head.
        ledger: What the head keeps in mind.
        mailbox: The spool; None where workers claim in the database.
        note: Takes what happens.
    """

    def __init__(
        self, *, store: Store, ledger: Ledger, mailbox: Mailbox | None, note: Note
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._mailbox = mailbox
        self._note = note

    def accept(self, submission: OpenSubmission, tasks: dict[int, str], *, how: str = "") -> None:
        """Note the job of a submission; `tasks` may lack those that ended long ago."""
        mine = [self._ledger.attempts.get(key) for key in submission.attempt_ids]
        array_job = next(iter(tasks.values())).partition("_")[0]
        jobs = {
            attempt.id: tasks.get(attempt.array_index)
            or attempt.job_id  # as its worker told it
            or f"{array_job}_{attempt.array_index}"
            for attempt in mine
            if attempt is not None
        }
        with self._store.write() as connection:
            state = SubmissionState.ACCEPTED
            attempts.answer(
                connection, submission.id, state, expected=OPEN_SUBMISSIONS, job_id=array_job
            )
            attempts.submitted(connection, jobs)
            if submission.state == SubmissionState.UNCLEAR:
                self._log(connection, submission, state, f"job {array_job} {how}")
        for attempt in mine:
            if attempt is not None:
                attempt.job_id = jobs[attempt.id]
                if attempt.state == AttemptState.PLANNED:
                    attempt.state = AttemptState.SUBMITTED
        self._ledger.submissions.pop(submission.id, None)
        self._note("submitted", level="debug", job=array_job, attempts=len(jobs))

    def doubt(self, submission: OpenSubmission, message: str) -> None:
        """Nobody knows whether the job exists: look for its name before anything else."""
        with self._store.write() as connection:
            state = SubmissionState.UNCLEAR
            expected = (SubmissionState.PREPARED,)
            attempts.answer(connection, submission.id, state, expected=expected, message=message)
            self._log(connection, submission, state, message)
        submission.state = SubmissionState.UNCLEAR
        submission.since = time.monotonic()
        self._note("submission unclear", level="warning", job=submission.job_name, why=message)

    def withdraw(self, submission: OpenSubmission, why: str) -> None:
        """End the attempts of a submission that has no job; their trials try again.

        Assignments are taken back first: a job that appears after all then finds none. What a
        worker was faster to claim proves that there is a job after all: it stays, and with it the
        question which job that is.
        """
        how = End(
            state=AttemptState.CANCELLED,
            failure_message=why,
            failure_class=FailureClass.SUBMIT,
        )
        mine = [key for key in submission.attempt_ids if key in self._ledger.attempts]
        withdrawn = [key for key in mine if self._take_back(key)]
        with self._store.write() as connection:
            again = [
                key
                for key in withdrawn
                if attempts.end(connection, key, how, expected=(AttemptState.PLANNED,))
            ]
            left = [key for key in mine if key not in again]
            state = SubmissionState.UNCLEAR if left else SubmissionState.REFUSED
            expected = OPEN_SUBMISSIONS
            attempts.answer(connection, submission.id, state, expected=expected, message=why)
            if again or not left:
                self._log(connection, submission, state, why)
        submission.state, submission.attempt_ids = state, left
        submission.since = submission.since or time.monotonic()
        if not left:
            self._ledger.submissions.pop(submission.id, None)
        for key in reversed(again):
            attempt = self._ledger.attempts.pop(key)
            failed = attempt.failed(FailureClass.SUBMIT)
            self._ledger.trials[attempt.trial_id].failures.append(failed)
            self._ledger.waiting.appendleft(attempt.trial_id)

    def _take_back(self, attempt_id: int) -> bool:
        """Whether nobody can claim an attempt through the spool any more."""
        attempt = self._ledger.attempts[attempt_id]
        is_back = self._mailbox is None or self._mailbox.withdraw(attempt)
        attempt.is_taken = not is_back
        return is_back

    def close(self, submission: OpenSubmission) -> None:
        """Store what became of an unclear submission all of whose attempts have ended."""
        with self._store.write() as connection:
            job = submissions.claimed_job(connection, submission.id)
            if job is not None:
                job = job.partition("_")[0]
                state = SubmissionState.ACCEPTED
                attempts.answer(
                    connection, submission.id, state, expected=OPEN_SUBMISSIONS, job_id=job
                )
                self._log(connection, submission, state, f"job {job} claimed an attempt of it")
        self._ledger.submissions.pop(submission.id, None)

    def _log(
        self,
        connection: Transaction,
        submission: OpenSubmission,
        state: SubmissionState,
        message: str,
    ) -> None:
        """Write down what became of a call that was not simply accepted."""
        payload = {
            "token": submission.token,
            "state": state,
            "message": message,
            "attempts": submission.attempt_ids,
        }
        row = events.row(self._store.experiment_id, EventKind.SUBMISSION, payload)
        events.append(connection, [row])
