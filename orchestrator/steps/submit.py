"""Fourth step of a tick: fill free slots, and follow what becomes of each submission.

The order on disk is what makes it safe: submission and attempts are committed, then the
assignments are written, then the scheduler is called. Wherever the head dies, the token in the
job's name tells what happened.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path

from db.records import Assignment
from db.sql import attempts, events, trials
from db.sql.attempts import End, NewAttempt
from db.sql.store import Store, Transaction
from db.states import (
    OPEN_SUBMISSIONS,
    AttemptState,
    EventKind,
    FailureClass,
    SubmissionState,
    TrialStatus,
)
from orchestrator.cluster.base import Answer, AnswerKind, Cluster, Order
from orchestrator.errors import ClusterError
from orchestrator.spec.experiment import ExperimentSpec
from orchestrator.steps.ledger import Ledger, OpenAttempt, OpenSubmission, OpenTrial
from orchestrator.steps.mailbox import Mailbox
from orchestrator.steps.observe import Poll
from orchestrator.steps.settle import Note

# An unclear submission whose job nobody can find is given up after this many searches and seconds:
# an sbatch that was cut off may still be on its way through a slow controller.
SEARCHES = 2
SEARCH_SECONDS = 60.0
LOCAL_SEARCH_SECONDS = 2.0
# Refusals that can pass are repeated with growing pauses for half an hour.
FIRST_PAUSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 60.0
PATIENCE_SECONDS = 1800.0
# Slurm's default MaxArraySize is 1001, and its highest index is one less than that.
LARGEST_ARRAY = 1000
_STAGEABLE = (TrialStatus.CANDIDATE, TrialStatus.STAGED, TrialStatus.RUNNING)


class Submitter:
    """Turns waiting trials into submissions; calls the scheduler from a thread."""

    def __init__(
        self,
        *,
        store: Store,
        ledger: Ledger,
        spec: ExperimentSpec,
        cluster: Cluster,
        mailbox: Mailbox | None,
        run_dir: Path,
        threads: Executor,
        wake: Callable[[], None],
        note: Note,
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._spec = spec
        self._cluster = cluster
        self._mailbox = mailbox
        self._run_dir = run_dir
        self._threads = threads
        self._wake = wake
        self._note = note
        self._called: dict[str, Future[Answer]] = {}
        self._last_call = -LONGEST_PAUSE_SECONDS
        self._pause = 0.0
        self._pause_until = 0.0
        self._refused_since: float | None = None

    @property
    def in_flight(self) -> set[str]:
        """Tokens of submissions that a thread is at work on, or whose answer is not stored yet."""
        return set(self._called)

    def free_slots(self) -> int:
        """How many more trials may run."""
        return self._spec.num_parallel_jobs - len(self._ledger.attempts)

    def submit(self, poll: Poll | None, *, accept_new: bool) -> None:
        """Store answers that came, and submit what is ready.

        Args:
            poll: What the scheduler said, to find unclear submissions in.
            accept_new: Whether waiting trials may be submitted.

        Raises:
            ClusterError: The scheduler will never take these jobs, or took none for half an hour.
        """
        self._take_answers()
        if poll is not None:
            self._search(poll)
        ready = min(self.free_slots(), len(self._ledger.waiting), LARGEST_ARRAY)
        # One call at a time: what gets ready meanwhile goes together as one array.
        if accept_new and ready > 0 and not self._called and self.seconds_to_submit() <= 0:
            self._plan(ready)

    def seconds_to_submit(self) -> float:
        """How long the next call should wait, to spare the scheduler."""
        moment = time.monotonic()
        polite = self._last_call + self._cluster.pause_seconds() - moment
        return max(0.0, polite, self._pause_until - moment)

    # A new submission

    def _plan(self, count: int) -> None:
        ledger = self._ledger
        chosen = [ledger.trials[ledger.waiting[place]] for place in range(count)]
        token = secrets.token_hex(8)
        pattern = f"logs/{token[:2]}/{token}_{{index}}.log"
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
                resources=self._spec.resources.model_dump(mode="json", exclude_none=True),
                attempts=new,
            )
            ids = [trial.id for trial in chosen]
            trials.move(connection, ids, TrialStatus.STAGED, expected=_STAGEABLE)
        submission = self._enter(submission_id, token, list(zip(keys, new, strict=True)))
        self._call(submission, self._offers(chosen, keys, new), pattern)

    def _enter(
        self, submission_id: int, token: str, planned: list[tuple[int, NewAttempt]]
    ) -> OpenSubmission:
        """Follow a committed plan in the ledger."""
        ledger = self._ledger
        submission = OpenSubmission(
            id=submission_id,
            token=token,
            job_name=ledger.job_name(token),
            state=SubmissionState.PREPARED,
            attempt_ids=[key for key, _ in planned],
        )
        ledger.submissions[submission_id] = submission
        for key, attempt in planned:
            ledger.waiting.popleft()
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
            )
        return submission

    def _offers(
        self, chosen: list[OpenTrial], keys: list[int], new: list[NewAttempt]
    ) -> dict[int, Assignment]:
        return {
            attempt.array_index: Assignment(
                attempt_id=key,
                attempt_token=attempt.token,
                number=attempt.number,
                trial_index=trial.index,
                parameters=trial.point,
                log_path=attempt.log_path,
                checkpoint_dir=str(self._run_dir / "checkpoints" / str(trial.index)),
            )
            for trial, key, attempt in zip(chosen, keys, new, strict=True)
        }

    def _call(
        self, submission: OpenSubmission, offers: dict[int, Assignment], pattern: str
    ) -> None:
        order = Order(
            token=submission.token,
            name=submission.job_name,
            size=len(submission.attempt_ids),
            resources=self._spec.resources,
            run_dir=self._run_dir,
            log_pattern=pattern,
        )
        submission.is_in_flight = True
        self._last_call = time.monotonic()
        future = self._threads.submit(self._hand_over, order, offers)
        self._called[submission.token] = future
        future.add_done_callback(lambda _: self._wake())

    def _hand_over(self, order: Order, offers: dict[int, Assignment]) -> Answer:
        """In a thread: put the assignments in place, then call the scheduler."""
        if self._mailbox is not None:
            try:
                self._mailbox.offer(order.token, offers)
            except OSError as error:
                return Answer(kind=AnswerKind.REFUSED, message=f"run folder: {error}")
        return self._cluster.submit(order)

    # Answers

    def _take_answers(self) -> None:
        """Store what became of calls that have ended."""
        ended = [token for token, future in self._called.items() if future.done()]
        for token in ended:
            submission = self._find(token)
            if submission is not None:
                self._store_answer(submission, self._called[token].result())
                submission.is_in_flight = False
            del self._called[token]

    def _find(self, token: str) -> OpenSubmission | None:
        found = (s for s in self._ledger.submissions.values() if s.token == token)
        return next(found, None)

    def _store_answer(self, submission: OpenSubmission, answer: Answer) -> None:
        if answer.kind == AnswerKind.ACCEPTED:
            self._refused_since, self._pause = None, 0.0
            self._accept(submission, dict(enumerate(answer.job_ids)))
        elif answer.kind == AnswerKind.UNCLEAR:
            self._doubt(submission, answer.message)
        else:
            self._refuse(submission, answer)

    def _accept(self, submission: OpenSubmission, tasks: dict[int, str]) -> None:
        """Note the job of a submission; `tasks` may lack those that ended long ago."""
        mine = [self._ledger.attempts.get(key) for key in submission.attempt_ids]
        array_job = next(iter(tasks.values())).partition("_")[0]
        jobs = {
            attempt.id: tasks.get(attempt.array_index, f"{array_job}_{attempt.array_index}")
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
                self._log(connection, submission, state, f"found as job {array_job}")
        for attempt in mine:
            if attempt is not None:
                attempt.job_id = jobs[attempt.id]
                if attempt.state == AttemptState.PLANNED:
                    attempt.state = AttemptState.SUBMITTED
        self._ledger.submissions.pop(submission.id, None)
        self._note("submitted", level="debug", job=array_job, attempts=len(jobs))

    def _doubt(self, submission: OpenSubmission, message: str) -> None:
        """Nobody knows whether the job exists: look for its name before anything else."""
        with self._store.write() as connection:
            state = SubmissionState.UNCLEAR
            expected = (SubmissionState.PREPARED,)
            attempts.answer(connection, submission.id, state, expected=expected, message=message)
            self._log(connection, submission, state, message)
        submission.state = SubmissionState.UNCLEAR
        submission.since = time.monotonic()
        self._note("submission unclear", level="warning", job=submission.job_name, why=message)

    def _refuse(self, submission: OpenSubmission, answer: Answer) -> None:
        """No job exists: the trials wait again, under new tokens."""
        self._withdraw(submission, SubmissionState.REFUSED, answer.message)
        if answer.permanent:
            raise ClusterError(
                f"the scheduler refuses these jobs: {_last_line(answer.message)}",
                "Change the request and go on with `headway resume`.",
            )
        moment = time.monotonic()
        self._refused_since = self._refused_since or moment
        if moment - self._refused_since > PATIENCE_SECONDS:
            raise ClusterError(
                f"the scheduler took no job for half an hour: {_last_line(answer.message)}",
                "Go on with `headway resume` when it does.",
            )
        self._pause = min(max(FIRST_PAUSE_SECONDS, 2 * self._pause), LONGEST_PAUSE_SECONDS)
        self._pause_until = moment + self._pause
        self._note("submission refused", level="warning", why=answer.message, again_in=self._pause)

    def _withdraw(self, submission: OpenSubmission, state: SubmissionState, why: str) -> None:
        """End the attempts of a submission that has no job; their trials try again.

        Assignments are taken back first: a job that appears after all then finds none.
        """
        how = End(
            state=AttemptState.CANCELLED,
            failure_message=why,
            failure_class=FailureClass.SUBMIT,
        )
        withdrawn = [key for key in submission.attempt_ids if self._take_back(key)]
        with self._store.write() as connection:
            expected = OPEN_SUBMISSIONS
            attempts.answer(connection, submission.id, state, expected=expected, message=why)
            # A worker that claimed its attempt meanwhile proves that there is a job after all.
            again = [
                key
                for key in withdrawn
                if attempts.end(connection, key, how, expected=(AttemptState.PLANNED,))
            ]
            self._log(connection, submission, state, why)
        self._ledger.submissions.pop(submission.id, None)
        for key in reversed(again):
            attempt = self._ledger.attempts.pop(key, None)
            if attempt is not None:
                self._ledger.trials[attempt.trial_id].failures.append(FailureClass.SUBMIT)
                self._ledger.waiting.appendleft(attempt.trial_id)

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

    def _take_back(self, attempt_id: int) -> bool:
        """Whether nobody can claim an attempt through the spool any more."""
        attempt = self._ledger.attempts.get(attempt_id)
        if attempt is None or self._mailbox is None:
            return attempt is not None
        return self._mailbox.withdraw(attempt)

    # Unclear submissions

    def adopt(self) -> None:
        """Doubt every submission that an earlier head left behind without an answer."""
        for submission in list(self._ledger.submissions.values()):
            is_left = submission.state == SubmissionState.PREPARED
            if is_left and not submission.is_in_flight:
                self._doubt(submission, "the head ended before sbatch had answered")
            submission.since = submission.since or time.monotonic()

    def _search(self, poll: Poll) -> None:
        """Look for the jobs of unclear submissions in what the scheduler said."""
        if poll.found is None:
            return
        for submission in list(self._ledger.submissions.values()):
            if submission.job_name not in poll.found:
                continue
            tasks = poll.found[submission.job_name]
            if tasks:
                self._accept(submission, tasks)
                continue
            submission.denials += 1
            waited = time.monotonic() - submission.since
            is_local = self._spec.executor == "local"
            patience = LOCAL_SEARCH_SECONDS if is_local else SEARCH_SECONDS
            if submission.denials >= SEARCHES and waited >= patience:
                why = "no job of this name was found"
                self._withdraw(submission, SubmissionState.REFUSED, why)


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no reason given"
