"""Fourth step of a tick: fill free slots, and follow what becomes of each submission.

What goes together is decided by `planning`; what sbatch answered is stored by `answers`, unclear
ends are followed by `searches`, jobs that nobody waits for are found by `ghosts` and ended by
`cancelling`.

The order on disk is what makes it safe: submission and attempts are committed, then the
assignments are written, then the scheduler is called. Wherever the head dies, the token in the
job's name tells what happened.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path

from db.records import Assignment
from db.sql.store import Store
from orchestrator.cluster.base import Answer, AnswerKind, Cluster, Order, refused_by_files
from orchestrator.spec.experiment import ExperimentSpec
from orchestrator.steps.allowance import Allowance
from orchestrator.steps.answers import Answers
from orchestrator.steps.cancelling import Canceller
from orchestrator.steps.ghosts import Ghosts
from orchestrator.steps.goal import Goal
from orchestrator.steps.hopeless import asks_for_more, give_up, is_too_large
from orchestrator.steps.hosts import Hosts
from orchestrator.steps.ledger import Ledger, OpenSubmission, OpenTrial
from orchestrator.steps.mailbox import Mailbox
from orchestrator.steps.notes import Note
from orchestrator.steps.observe import Poll
from orchestrator.steps.parole import canary_on
from orchestrator.steps.planning import Plan, Planner
from orchestrator.steps.refusals import Refusals, RefusedForGoodError
from orchestrator.steps.searches import Searches


class Submitter:
    """Turns waiting trials into submissions; calls the scheduler from a thread."""

    def __init__(
        self,
        *,
        store: Store,
        ledger: Ledger,
        spec: ExperimentSpec,
        goal: Goal,
        cluster: Cluster,
        mailbox: Mailbox | None,
        run_dir: Path,
        threads: Executor,
        wake: Callable[[], None],
        note: Note,
        canceller: Canceller,
        hosts: Hosts,
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._spec = spec
        self._goal = goal
        self._cluster = cluster
        self._mailbox = mailbox
        self._threads = threads
        self._wake = wake
        self._note = note
        self._hosts = hosts
        self._called: dict[str, Future[Answer]] = {}
        self._last_call = -math.inf
        self._planner = Planner(store=store, ledger=ledger, spec=spec, run_dir=run_dir, hosts=hosts)
        self._refusals = Refusals(note, hosts=hosts)
        self._allowance = Allowance(
            ledger=ledger, cluster=cluster, threads=threads, wake=wake, note=note
        )
        self._canceller = canceller
        self._answers = Answers(store=store, ledger=ledger, mailbox=mailbox, note=note)
        self._searches = Searches(ledger=ledger, spec=spec, answers=self._answers)
        self._ghosts = Ghosts(store=store, ledger=ledger, canceller=canceller, note=note)

    @property
    def in_flight(self) -> set[str]:
        """Tokens of submissions that a thread is at work on, or whose answer is not stored yet."""
        return set(self._called)

    @property
    def refusal(self) -> tuple[str, float] | None:
        """Why the scheduler takes no jobs at present, and for how many seconds; None: it does."""
        return self._refusals.standing or self._allowance.standing

    @property
    def needs_look(self) -> bool:
        """Whether it waits for the scheduler's word about the queue before it submits more."""
        return bool(self._ledger.waiting) and self._allowance.needs_look

    @property
    def awaits_room(self) -> bool:
        """Whether trials wait for the scheduler to say that it may take more jobs."""
        return self.free_slots() > 0 < len(self._ledger.waiting) and self._allowance.is_met

    def free_slots(self) -> int:
        """How many more trials may run."""
        return self._goal.slots - len(self._ledger.attempts)

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
        self._allowance.follow(poll)
        ready = min(self.free_slots(), len(self._ledger.waiting))
        # One call at a time: what gets ready meanwhile goes together as one array.
        may_call = accept_new and ready > 0 and not self._called
        if may_call and self.seconds_to_submit() <= 0:
            size = self._allowance.most(ready)
            self._allowance.hand_over()
            self._call(self._planner.plan(size))

    def adopt(self) -> None:
        """Doubt every submission that an earlier head left without an answer; ask for the limits."""
        self._searches.adopt()
        self._allowance.follow(None)

    def seconds_to_submit(self) -> float:
        """How long the next call should wait, to spare the scheduler; inf: nobody knows."""
        if self._allowance.most(1) == 0:
            return math.inf
        moment = time.monotonic()
        polite = self._last_call + self._cluster.pause_seconds() - moment
        return max(0.0, polite, self._refusals.until - moment)

    def _call(self, plan: Plan) -> None:
        plan.submission.is_in_flight = True
        self._last_call = time.monotonic()
        future = self._threads.submit(self._hand_over, plan.order, plan.offers)
        self._called[plan.order.token] = future
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
            self._allowance.taken()
            self._refusals.end()
        elif answer.kind == AnswerKind.UNCLEAR:
            self._answers.doubt(submission, answer.message)
        else:
            self._refuse(submission, answer)

    def _refuse(self, submission: OpenSubmission, answer: Answer) -> None:
        opened = self._ledger.attempts
        mine = [opened[key] for key in submission.attempt_ids if key in opened]
        canary = next((host for attempt in mine if (host := canary_on(attempt))), None)
        grown = asks_for_more(submission, self._ledger, self._spec.resources)
        self._answers.withdraw(submission, answer.message)
        if self._allowance.refused(answer, len(mine)):
            return
        if canary is not None and answer.permanent:
            # It says something of this host alone; jobs that may go elsewhere are taken.
            self._hosts.canary_refused(canary)
            return
        if grown and is_too_large(answer.message) and not answer.permanent:
            self._give_up(grown, answer)
            return
        try:
            self._refusals.take(answer, is_alone=not self._ledger.attempts)
        except RefusedForGoodError:
            if not (grown and is_too_large(answer.message)):
                raise
            self._give_up(grown, answer)

    def _give_up(self, grown: dict[int, OpenTrial], answer: Answer) -> None:
        """End the trials that wait for more than the scheduler will ever give."""
        waiting = self._ledger.waiting
        hopeless = {key: trial for key, trial in grown.items() if trial.id in waiting}
        give_up(hopeless, answer.message, store=self._store, ledger=self._ledger, note=self._note)
        for trial in hopeless.values():
            self._hosts.closed(trial.id)
