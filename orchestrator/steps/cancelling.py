"""Ends jobs that nobody wants any more, and keeps at it until the scheduler says that they are gone.

scancel may fail, and its success only says that the controller took note. So each wish is kept
until a survey says that the job has ended; until then it is repeated, all of them in one call.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor, Future
from concurrent.futures import wait as wait_for
from dataclasses import dataclass, replace

from db.states import ENDED_JOBS, JobState
from orchestrator.cluster.base import Cluster, KnownJob
from orchestrator.steps.ledger import Ledger
from orchestrator.steps.notes import Note
from orchestrator.steps.observe import Poll, known_job

# Slurm waits so long (KillWait) between SIGTERM and SIGKILL.
REPEAT_SECONDS = 30.0
# A head that ends keeps nobody at the terminal.
FINISH_SECONDS = 5.0


@dataclass
class Wish:
    """A job that is to end.

    Attributes:
        job: What is known of it.
        pending_only: Only if it has not begun.
        asked_at: When (monotonic) the scheduler was last asked for it; None: not yet.
        is_asked: Whether the scheduler took note.
    """

    job: KnownJob
    pending_only: bool
    asked_at: float | None = None
    is_asked: bool = False


@dataclass(frozen=True)
class _Call:
    jobs: list[str]
    done: Future[bool]


class Canceller:
    """Owns the wishes; calls the scheduler from a thread, one call at a time."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        cluster: Cluster,
        threads: Executor,
        wake: Callable[[], None],
        note: Note,
    ) -> None:
        self._ledger = ledger
        self._cluster = cluster
        self._threads = threads
        self._wake = wake
        self._note = note
        self._wishes: dict[str, Wish] = {}
        self._call: _Call | None = None
        self._has_complained = False

    @property
    def jobs(self) -> dict[str, KnownJob]:
        """The jobs that are to end and may not have ended yet, by id."""
        return {job_id: wish.job for job_id, wish in self._wishes.items()}

    def cancel(self, jobs: Iterable[str], *, pending_only: bool = False) -> None:
        """End jobs, by their ids."""
        by_id = {a.job_id: a for a in self._ledger.attempts.values() if a.job_id}
        known = {
            job_id: known_job(by_id[job_id]) if job_id in by_id else KnownJob(name="")
            for job_id in jobs
        }
        self.end(known, pending_only=pending_only)

    def end(self, jobs: Mapping[str, KnownJob], *, pending_only: bool = False) -> None:
        """End jobs of which the ledger need not know."""
        for job_id, job in jobs.items():
            old = self._wishes.get(job_id)
            if old is None or (old.pending_only and not pending_only):
                job = replace(job, is_unwanted=True)  # noqa: PLW2901 - the same job, known better
                self._wishes[job_id] = Wish(job, pending_only)
        self._begin(self._new())

    def spare(self, jobs: Iterable[str]) -> None:
        """Do not ask again for the end of jobs that are to stay after all."""
        for job_id in jobs:
            self._wishes.pop(job_id, None)

    def follow(self, poll: Poll | None) -> None:
        """Forget jobs that have ended, and ask again for those that have not."""
        self._take_answer()
        due = self._new()
        if poll is not None:
            self._forget_ended(poll)
            due = [job_id for job_id, wish in self._wishes.items() if self._is_due(wish)]
        self._begin(due)

    def finish(self) -> None:
        """Ask once more for what the scheduler has not taken note of; wait a little for its answer.

        What is left over then is a ghost for the next head.
        """
        for _ in range(2):
            if self._call is not None:
                wait_for([self._call.done], FINISH_SECONDS)
                self._take_answer()
            self._begin([key for key, wish in self._wishes.items() if not wish.is_asked])

    def _new(self) -> list[str]:
        return [job_id for job_id, wish in self._wishes.items() if wish.asked_at is None]

    @staticmethod
    def _is_due(wish: Wish) -> bool:
        if wish.asked_at is None or not wish.is_asked:
            return True
        return time.monotonic() - wish.asked_at >= REPEAT_SECONDS

    def _forget_ended(self, poll: Poll) -> None:
        living = {job.job_id for job in poll.living}
        for job_id, wish in list(self._wishes.items()):
            status = poll.statuses.get(job_id)
            if status is None:
                continue  # the wish is younger than the question
            has_ended = status.state in ENDED_JOBS | {JobState.GONE} and job_id not in living
            if has_ended or (wish.pending_only and status.state == JobState.RUNNING):
                del self._wishes[job_id]

    def _kinds(self, jobs: Iterable[str]) -> list[tuple[bool, list[str]]]:
        """Sort jobs by whether only waiting ones are meant, which is said once for a whole call."""
        found = [(job_id, self._wishes[job_id].pending_only) for job_id in jobs]
        return [(kind, [j for j, pending in found if pending is kind]) for kind in (False, True)]

    def _begin(self, jobs: list[str]) -> None:
        if not jobs or self._call is not None:
            return
        moment = time.monotonic()
        for job_id in jobs:
            self._wishes[job_id].asked_at = moment
            self._wishes[job_id].is_asked = False
        kinds = self._kinds(jobs)
        done = self._threads.submit(self._ask, kinds)
        self._call = _Call(jobs, done)
        done.add_done_callback(lambda _: self._wake())

    def _ask(self, kinds: list[tuple[bool, list[str]]]) -> bool:
        """In a thread: one call for each kind."""
        answers = [
            self._cluster.cancel(jobs, pending_only=pending_only)
            for pending_only, jobs in kinds
            if jobs
        ]
        return all(answers)

    def _take_answer(self) -> None:
        if self._call is None or not self._call.done.done():
            return
        call, self._call = self._call, None
        worked = call.done.result()
        for job_id in call.jobs:
            wish = self._wishes.get(job_id)
            # A wish that became stronger meanwhile has not been asked for.
            if wish is not None and wish.asked_at is not None:
                wish.is_asked = worked
        if not worked and not self._has_complained:
            text = "jobs could not be cancelled yet; trying again"
            self._note(text, level="debug", jobs=len(call.jobs))
        self._has_complained = not worked
