"""How many jobs may be handed over now: the site's limits, as far as they are told or learnt.

A limit on the jobs of a user counts all of them, those of other searches and other work as well. It
is told by the accounting, or learnt from refusals, which say that it is met and not where it is.
What is known lies between two levels of the queue: `safe`, which it has had or may have, and `top`,
which it cannot pass. At most one try in half a minute goes above the safe one in vain, and every
place that gets free below it is used at once. Which jobs a limit counts is not told either: where
other work alone fills it, one job is tried every ten minutes all the same.

How many jobs there are is not known exactly between two looks: the job of a worker that has reported
its end is there for a moment longer, or not any more. What is taken proves no more than the least
that can be there, and a refusal no less than the most.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from datetime import datetime

from db.sql.store import now
from orchestrator.cluster.base import Answer, Cluster, Quota
from orchestrator.steps.bracket import Bracket
from orchestrator.steps.ledger import Ledger
from orchestrator.steps.lingering import Lingering
from orchestrator.steps.notes import Note
from orchestrator.steps.observe import Poll

# Slurm's default MaxArraySize is 1001, and its highest index is one less than that.
USUAL_ARRAY = 1000
# The first submission waits so long for what the site allows.
FIRST_SECONDS = 3.0
# Limits are changed by hand.
ASK_SECONDS = 600.0
# Between two tries above what is known to be allowed, and until a learnt limit is doubted.
TRY_SECONDS, DOUBT_SECONDS = 30.0, 600.0
# A look that is older does not tell how many jobs of other work there are.
FRESH_SECONDS = 10.0
_QUIET = "more jobs were refused twice, below what is known to be allowed: tried again within 30 s"


@dataclass(frozen=True)
class _Refused:
    """A refusal for the number of jobs.

    Attributes:
        fewest: How many jobs of ours there were at least.
        most: And at most: from the call to the answer some may have ended.
        others: How many others there were at the last look before; None: nobody had looked.
        size: How many more were refused.
        at: When.
        why: In the scheduler's words.
    """

    fewest: int
    most: int
    others: int | None
    size: int
    at: datetime
    why: str


class Allowance:
    """Follows what the scheduler takes from this user."""

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
        self._call: Future[Quota] | None = None
        self._asked_at = -math.inf
        self._is_known = False
        self._quota = Quota()
        self._array = USUAL_ARRAY
        self._limit = Bracket()
        self._may_try_one = False
        self._refused: _Refused | None = None
        self._refused_at = -math.inf
        self._most_at_call = 0
        self._next_try = self._doubt_at = math.inf
        self._quiet_until = -math.inf
        self._others: int | None = None
        self._looked_at = -math.inf
        self._full_since: float | None = None
        self._hope_at = math.inf
        self._ended = Lingering()

    @property
    def is_met(self) -> bool:
        """Whether the limit is met, so that jobs have to end before more can be submitted."""
        return (self._safe is not None or self._refused is not None) and self.most(1) == 0

    @property
    def needs_look(self) -> bool:
        """Whether the scheduler has to tell how many jobs there are before more are submitted."""
        return self._refused is not None or (self._safe is not None and self._others is None)

    @property
    def standing(self) -> tuple[str, float] | None:
        """The limit that keeps trials waiting, and for how many seconds; None: none does."""
        moment = time.monotonic()
        if self._full_since is not None:
            return self._words(), moment - self._full_since
        left = self._quiet_until - moment
        return (_QUIET, TRY_SECONDS - left) if left > 0 else None

    def _words(self) -> str:
        others = self._others or 0
        return f"this user may have {self._safe} jobs at once, and {others} are of other work"

    def follow(self, poll: Poll | None) -> None:
        """Take what the scheduler said of its limits and of the queue, and ask when it is time."""
        moment = time.monotonic()
        if self._call is None and moment - self._asked_at >= ASK_SECONDS:
            self._asked_at = moment
            self._call = self._threads.submit(self._cluster.quota)
            self._call.add_done_callback(lambda _: self._wake())
        if self._call is not None and self._call.done():
            self._take(self._call.result())
        if moment >= self._doubt_at:
            # Someone may have raised it meanwhile.
            self._limit.doubt(self._quota.most_jobs)
            self._doubt_at = math.inf
        if self._safe is not None or self._refused is not None:
            self._count(moment, poll)
        self._look_whether_full(moment)

    def _look_whether_full(self, moment: float) -> None:
        has_room = self._safe is None or self._others is None or self._highest < self._safe
        if has_room or not self._ledger.waiting:
            self._full_since, self._hope_at = None, math.inf
            return
        if self._full_since is None:
            self._full_since, self._hope_at = moment, moment + DOUBT_SECONDS
            if not self._ledger.attempts:
                self._note("no job can be submitted yet", level="warning", why=self._words())
        if self._ledger.attempts and self._highest == self._safe:
            self._hope_at = moment + DOUBT_SECONDS
        elif moment >= self._hope_at:
            self._hope_at, self._may_try_one = moment + DOUBT_SECONDS, True

    def _take(self, told: Quota) -> None:
        self._call, self._is_known = None, True
        if told.largest_array is not None and told.largest_array != self._quota.largest_array:
            self._array = told.largest_array
        if told.most_jobs != self._quota.most_jobs:
            self._limit.tell(told.most_jobs)
        self._quota = told

    def _count(self, moment: float, poll: Poll | None) -> None:
        """Follow which jobs there are beside those of open attempts."""
        opened = {key: attempt.job_id for key, attempt in self._ledger.attempts.items()}
        self._ended.follow(opened, moment)
        if poll is None or poll.found is None:
            return
        # Of a call whose answer is not here yet the names are known, and the ids are not.
        called = {a.job_name for a in self._ledger.attempts.values() if a.job_id is None}
        living = {job.job_id for job in poll.living if job.name not in called}
        strays = len(living - set(opened.values()) - self._ended.job_ids)
        self._ended.look(living, moment - poll.seconds)
        self._others, self._looked_at = poll.others + strays, moment
        refused = self._refused
        if refused is not None and poll.began_at >= refused.at:
            self._refused = None
            self._learn(refused)

    @property
    def _safe(self) -> int | None:
        return self._limit.safe

    @property
    def _lowest(self) -> int:
        """How many jobs there are at least."""
        return len(self._ledger.attempts) + (self._others or 0)

    @property
    def _highest(self) -> int:
        """How many jobs there are at most."""
        return self._lowest + len(self._ended)

    def _learn(self, refused: _Refused) -> None:
        """Draw the conclusion of a refusal, now that it is known which other jobs there are."""
        others = self._others or 0
        before = others if refused.others is None else refused.others
        lowest = refused.fewest + min(before, others)
        highest = refused.most + max(before, others)
        if not self._limit.refuse(lowest, highest, refused.size):
            return  # other jobs had come that nobody knew of
        # Where one of many was too many, one alone is probably not: nothing of ours waits or runs.
        self._may_try_one = refused.size > 1 and not self._ledger.attempts and others == 0
        text = "the site takes no more jobs at once: waiting for some to end"
        self._note(text, jobs=highest, why=refused.why)

    def most(self, wanted: int) -> int:
        """Return how many of so many tasks the next submission may have; 0: wait."""
        moment = time.monotonic()
        if not self._is_known and moment - self._asked_at < FIRST_SECONDS:
            return 0
        wanted = min(wanted, self._array)
        if self.needs_look or moment < self._quiet_until:
            return 0
        if self._safe is None:
            return wanted
        room = self._safe - self._highest
        if room <= 0 and self._may_try_one:
            return 1
        if room < 0:
            return 0
        is_time = moment >= self._next_try and moment - self._looked_at <= FRESH_SECONDS
        return min(wanted, room + (self._limit.trial_size() if is_time else 0))

    def hand_over(self) -> None:
        """Take note that jobs are about to be submitted, whose attempts are not in the ledger yet."""
        self._most_at_call = len(self._ledger.attempts) + len(self._ended)

    def taken(self) -> None:
        """Take note that the scheduler took a submission, whose attempts are in the ledger."""
        self._may_try_one = False
        if self._limit.take(self._lowest, self._highest):
            # It counts other jobs than was thought, or was raised: where it is, is not known.
            self._next_try = min(self._next_try, time.monotonic())

    def refused(self, answer: Answer, size: int) -> bool:
        """Take note of a refusal, when its attempts are withdrawn; False: it is for another reason."""
        if size > 1 and answer.is_array_too_large:
            self._array = size // 2
            text = "the site takes smaller arrays only"
            self._note(text, largest=self._array, why=answer.message)
            return True
        if not answer.is_full:
            return False
        moment = time.monotonic()
        is_unexpected = self._safe is not None and self._highest + size <= self._safe
        if is_unexpected:
            self._ended.distrust()
        fewest = len(self._ledger.attempts)
        most = max(fewest + len(self._ended), self._most_at_call)
        self._refused = _Refused(fewest, most, self._others, size, now(), answer.message)
        self._may_try_one = False
        self._next_try = moment + TRY_SECONDS
        self._doubt_at = min(self._doubt_at, moment + DOUBT_SECONDS)
        quiet_for = moment - self._quiet_until
        if moment - self._refused_at < TRY_SECONDS or (is_unexpected and quiet_for < TRY_SECONDS):
            # What is known of the limit is wrong, or somebody else takes what gets free.
            self._quiet_until = self._next_try
        self._refused_at = moment
        return True
