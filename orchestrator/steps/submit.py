"""Fourth step of a tick: fill free slots, and follow what becomes of each submission.

What sbatch answered is stored by `answers`, unclear ends are followed by `searches`, jobs that
nobody waits for are found by `ghosts` and ended by `cancelling`.

The order on disk is what makes it safe: submission and attempts are committed, then the
assignments are written, then the scheduler is called. Wherever the head dies, the token in the
job's name tells what happened.
"""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path

from db.records import Assignment
from db.sql import attempts, trials
from db.sql.attempts import NewAttempt
from db.sql.store import Store, now
from db.states import AttemptState, SubmissionState, TrialStatus
from orchestrator.cluster.base import Answer, AnswerKind, Cluster, Order, refused_by_files
from orchestrator.spec.experiment import ExperimentSpec
from orchestrator.steps.answers import Answers
from orchestrator.steps.cancelling import Canceller
from orchestrator.steps.docket import Note
from orchestrator.steps.ghosts import Ghosts
from orchestrator.steps.ledger import Ledger, OpenAttempt, OpenSubmission, OpenTrial
from orchestrator.steps.mailbox import Mailbox
from orchestrator.steps.observe import Poll
from orchestrator.steps.refusals import Refusals
from orchestrator.steps.searches import Searches

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
        canceller: Canceller,
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
        self._last_call = -math.inf
        self._refusals = Refusals(note)
        self._canceller = canceller
        self._answers = Answers(store=store, ledger=ledger, mailbox=mailbox, note=note)
        self._searches = Searches(ledger=ledger, spec=spec, answers=self._answers)
        self._ghosts = Ghosts(store=store, ledger=ledger, canceller=canceller, note=note)

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
            poll: What the scheduler said: unclear submissions are looked for in it, jobs that
                nobody waits for, and whether those that are to end have ended.
            accept_new: Whether waiting trials may be submitted.

        Raises:
            ClusterError: The scheduler will never take these jobs, or took none for half an hour.
        """
        self._take_answers()
        self._searches.search(poll)
        if poll is not None:
            self._ghosts.look(poll)
        self._canceller.follow(poll)
        ready = min(self.free_slots(), len(self._ledger.waiting), LARGEST_ARRAY)
        # One call at a time: what gets ready meanwhile goes together as one array.
        if accept_new and ready > 0 and not self._called and self.seconds_to_submit() <= 0:
            self._plan(ready)

    def adopt(self) -> None:
        """Doubt every submission that an earlier head left behind without an answer."""
        self._searches.adopt()

    def seconds_to_submit(self) -> float:
        """How long the next call should wait, to spare the scheduler."""
        moment = time.monotonic()
        polite = self._last_call + self._cluster.pause_seconds() - moment
        return max(0.0, polite, self._refusals.until - moment)

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
                submitted_after=moment,
                log_path=attempt.log_path,
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
                return refused_by_files("run folder", error)
        return self._cluster.submit(order)

    # Answers

    def _take_answers(self) -> None:
        """Store what became of calls that have ended."""
        ended = [token for token, future in self._called.items() if future.done()]
        for token in ended:
            submission = self._find(token)
            answer = self._called[token].result()
            if submission is not None:
                self._store_answer(submission, answer)
                submission.is_in_flight = False
            del self._called[token]

    def _find(self, token: str) -> OpenSubmission | None:
        found = (s for s in self._ledger.submissions.values() if s.token == token)
        return next(found, None)

    def _store_answer(self, submission: OpenSubmission, answer: Answer) -> None:
        if answer.kind == AnswerKind.ACCEPTED:
            self._answers.accept(submission, dict(enumerate(answer.job_ids)))
            self._refusals.end()
        elif answer.kind == AnswerKind.UNCLEAR:
            self._answers.doubt(submission, answer.message)
        else:
            self._answers.withdraw(submission, answer.message)
            self._refusals.take(answer, is_alone=not self._ledger.attempts)
