"""First step of a tick: gather what workers reported and what the scheduler says.

Nothing is decided or written here. Jobs are asked for in a thread, as the answer may take seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from datetime import datetime

from db.sql.store import now
from db.states import AttemptState, SubmissionState
from orchestrator.cluster.base import Cluster, JobStatus, KnownJob, LivingJob
from orchestrator.spec.experiment import Timing
from orchestrator.steps.ledger import Ledger, OpenAttempt
from orchestrator.steps.mailbox import Mail, Mailbox

# The controller spends at most this share of its time on our status calls.
CONTROLLER_SHARE = 0.02
LOCAL_POLL_SECONDS = 0.5
# Metrics and heartbeats are no reason to hurry.
LINES_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Poll:
    """One answer of the scheduler.

    Attributes:
        statuses: What it says of the jobs whose ids are known, by id.
        found: Jobs of unclear submissions by job name; None if it did not answer.
        seconds: How long it took.
        began_at: When it was asked; what it says may be as old as that.
        living: All own jobs of the experiment's name that wait or run.
    """

    statuses: dict[str, JobStatus]
    found: dict[str, dict[int, str]] | None
    seconds: float
    began_at: datetime
    living: tuple[LivingJob, ...] = ()


@dataclass
class News:
    """What one tick has to settle."""

    mail: Mail = field(default_factory=Mail)
    poll: Poll | None = None


class Observer:
    """Gathers news; owns the pace at which the scheduler is asked."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        cluster: Cluster,
        mailbox: Mailbox,
        timing: Timing,
        threads: Executor,
        wake: Callable[[], None],
        unwanted: Callable[[], Mapping[str, KnownJob]],
    ) -> None:
        self._unwanted = unwanted
        self._ledger = ledger
        self._cluster = cluster
        self._mailbox = mailbox
        self._timing = timing
        self._threads = threads
        self._wake = wake
        self._asked: Future[Poll] | None = None
        self._next_poll = time.monotonic() + self._interval(0)
        self._next_lines = 0.0

    def gather(self) -> News:
        """Return what is new; starts the next status call when it is due."""
        return News(mail=self._open_mail(), poll=self._ask())

    def poll_soon(self) -> None:
        """Ask the scheduler at the next tick: somebody needs its word."""
        self._next_poll = min(self._next_poll, time.monotonic() + self._interval(0) / 4)

    def _open_mail(self) -> Mail:
        moment = time.monotonic()
        with_lines = moment >= self._next_lines
        if with_lines:
            self._next_lines = moment + LINES_SECONDS
        if not self._mailbox.is_changed() and not with_lines:
            return Mail()
        return self._mailbox.collect(with_lines=with_lines)

    def _ask(self) -> Poll | None:
        if self._asked is not None:
            if not self._asked.done():
                return None
            poll, self._asked = self._asked.result(), None
            self._next_poll = time.monotonic() + self._interval(poll.seconds)
            return poll
        if time.monotonic() >= self._next_poll:
            attempts = self._ledger.attempts.values()
            jobs = {attempt.job_id: known_job(attempt) for attempt in attempts if attempt.job_id}
            jobs |= self._unwanted()
            names = [
                submission.job_name
                for submission in self._ledger.submissions.values()
                if submission.state == SubmissionState.UNCLEAR
            ]
            if jobs or names:
                self._asked = self._threads.submit(self._poll, jobs, names)
                self._asked.add_done_callback(lambda _: self._wake())
        return None

    def _poll(self, jobs: dict[str, KnownJob], names: list[str]) -> Poll:
        began, began_at = time.monotonic(), now()
        seen = self._cluster.survey(jobs, names=names, family=self._ledger.family)
        return Poll(
            statuses=seen.statuses,
            found=seen.found,
            seconds=time.monotonic() - began,
            began_at=began_at,
            living=seen.living,
        )

    def _interval(self, seconds: float) -> float:
        if self._cluster.name == "local":
            return LOCAL_POLL_SECONDS
        slow = max(seconds / CONTROLLER_SHARE, self._cluster.pause_seconds())
        return min(max(self._timing.poll_min_seconds, slow), self._timing.poll_max_seconds)


def known_job(attempt: OpenAttempt) -> KnownJob:
    """Return what a row of the scheduler has to say to be about the job of an attempt."""
    return KnownJob(
        name=attempt.job_name,
        not_before=attempt.submitted_after,
        is_claimed=attempt.state == AttemptState.STARTED,
        is_unwanted=attempt.is_cancelled or attempt.is_withdrawn,
    )
