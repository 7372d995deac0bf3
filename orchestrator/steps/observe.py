"""First step of a tick: gather what workers reported and what the scheduler says.

Nothing is decided or written here. Jobs are asked for in a thread, as the answer may take seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from datetime import datetime

from db.sql.store import now
from db.states import AttemptState, JobState, SubmissionState
from orchestrator.cluster.base import Cluster, JobStatus, KnownJob, LivingJob
from orchestrator.spec.experiment import Timing
from orchestrator.steps.ledger import Ledger, OpenAttempt
from orchestrator.steps.mailbox import Mail, Mailbox

# The controller spends at most this share of its time on our status calls.
CONTROLLER_SHARE = 0.02
LOCAL_POLL_SECONDS = 0.5
# Workers tell by themselves what they do. As long as looks find nothing that nobody told, the next
# one may come after a tenth of the time that this has been so.
QUIET_SHARE = 0.1
# Jobs that wait have no worker that tells: whoever asks why they wait gets an answer so old.
WAITING_SECONDS = 15.0
# While the user's jobs are as many as the site takes: other work makes room, and does not tell.
ROOM_SECONDS = 5.0
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
        others: How many other jobs of this user wait or run, of those that count towards the limit
            that was told.
    """

    statuses: dict[str, JobStatus]
    found: dict[str, dict[int, str]] | None
    seconds: float
    began_at: datetime
    living: tuple[LivingJob, ...] = ()
    others: int = 0


@dataclass
class News:
    """What one tick has to settle."""

    mail: Mail = field(default_factory=Mail)
    poll: Poll | None = None


class Observer:
    """Gathers news; owns the pace at which the scheduler is asked.

    Attributes:
        answer_seconds: How long the scheduler took for its last answer; None before the first.
    """

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
        self._is_wanted = False
        self._quiet_since = time.monotonic()
        self._looked_at = time.monotonic()
        self._next_poll = self._looked_at + self._interval(0)
        self._next_lines = 0.0
        self.answer_seconds: float | None = None

    @property
    def pause_seconds(self) -> float:
        """The pause between two looks at the scheduler, as things stand."""
        return self._interval(self.answer_seconds or 0.0)

    def gather(self) -> News:
        """Return what is new; starts the next status call when it is due."""
        return News(mail=self._open_mail(), poll=self._ask())

    def poll_soon(self) -> None:
        """Ask the scheduler at the next tick: somebody needs its word."""
        self._is_wanted = True
        self._quiet_since = time.monotonic()
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
            self.answer_seconds = poll.seconds
            self._looked_at = time.monotonic()
            self._next_poll = self._looked_at + self._interval(poll.seconds)
            return poll
        if self._is_in_question():
            self.look_often()
        if time.monotonic() >= self._next_poll:
            attempts = self._ledger.attempts.values()
            jobs = {attempt.job_id: known_job(attempt) for attempt in attempts if attempt.job_id}
            jobs |= self._unwanted()
            names = [
                submission.job_name
                for submission in self._ledger.submissions.values()
                if submission.state == SubmissionState.UNCLEAR
            ]
            if jobs or names or self._is_wanted:
                self._is_wanted = False
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
            others=seen.others,
        )

    def look_often(self) -> None:
        """Ask at the shortest pause again: only the scheduler can tell what is waited for."""
        self._is_wanted = True
        self._quiet_since = moment = time.monotonic()
        latest = moment + self._interval(self.answer_seconds or 0.0)
        self._next_poll = min(self._next_poll, latest)

    def look_for_room(self) -> None:
        """Ask every few seconds whether other jobs have ended, in whose place ours may come."""
        self._is_wanted = True
        pause = max(ROOM_SECONDS, self._shortest(self.answer_seconds or 0.0))
        self._next_poll = min(self._next_poll, self._looked_at + pause)

    def _is_in_question(self) -> bool:
        """Whether there is a job of which the scheduler has to say more."""
        is_unclear = any(
            submission.state == SubmissionState.UNCLEAR and not submission.is_in_flight
            for submission in self._ledger.submissions.values()
        )
        return is_unclear or bool(self._unwanted()) or any(map(_is_odd, self._attempts()))

    def _attempts(self) -> Iterable[OpenAttempt]:
        return self._ledger.attempts.values()

    def _interval(self, seconds: float) -> float:
        if self._cluster.name == "local":
            return LOCAL_POLL_SECONDS
        quiet = QUIET_SHARE * (time.monotonic() - self._quiet_since)
        if quiet > WAITING_SECONDS and any(map(_waits, self._attempts())):
            quiet = WAITING_SECONDS
        return min(max(self._shortest(seconds), quiet), self._timing.poll_max_seconds)

    def _shortest(self, seconds: float) -> float:
        """Return the shortest pause that is fair to a scheduler that took so long for its answer."""
        slow = max(seconds / CONTROLLER_SHARE, self._cluster.pause_seconds())
        return min(max(self._timing.poll_min_seconds, slow), self._timing.poll_max_seconds)


def _waits(attempt: OpenAttempt) -> bool:
    return attempt.state == AttemptState.SUBMITTED


def _is_odd(attempt: OpenAttempt) -> bool:
    """Whether what the scheduler said last of an attempt is not the end of the story.

    Its job has ended and no report came, was requeued, or runs without a sign of its worker.
    """
    job = attempt.job
    if job is None:
        return False
    is_launching = _waits(attempt) and job.state == JobState.RUNNING
    return attempt.ended_since is not None or attempt.returns > 0 or is_launching


def known_job(attempt: OpenAttempt) -> KnownJob:
    """Return what a row of the scheduler has to say to be about the job of an attempt."""
    return KnownJob(
        name=attempt.job_name,
        not_before=attempt.submitted_after,
        is_claimed=attempt.state == AttemptState.STARTED,
        is_unwanted=attempt.is_cancelled or attempt.is_withdrawn,
    )
