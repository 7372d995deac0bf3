"""Hosts whose exclusion has ended: one trial at a time tries them, all others keep away.

Such a canary is a job that may run on that host alone. It is only sent where Slurm says that it
could begin at once; if it does not, it is taken back, and its trial runs elsewhere. What it finds
is told to `hosts` like all other attempts. Each head sends its own; which one an attempt is stands
in what it asked for, so that the next head knows.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator

from db.states import AttemptState, EventKind, HostState, JobState
from orchestrator.health.retries import Request
from orchestrator.steps.exclusions import Exclusions, Ruling
from orchestrator.steps.ledger import Ledger, OpenAttempt
from orchestrator.steps.recalls import Recall
from orchestrator.steps.roster import Roster

# What an attempt asked for says under this name on which host it is a canary.
ONLY_ON = "only_on"
# A job that Slurm could start at once has begun by then, also if the scheduler is slow.
PATIENCE_SECONDS = 60.0
# After one that did not begin, its host is left alone for so long.
PAUSE_SECONDS = 300.0
# On a full cluster no host is ever free for a trial alone: it is used again after so long, and is
# judged by what happens there then.
UNTRIED_SECONDS = 3600.0


class Parole:
    """Sends canaries, and takes back those that do not begin."""

    def __init__(self, *, ledger: Ledger, roster: Roster, exclusions: Exclusions) -> None:
        self._ledger = ledger
        self._roster = roster
        self._exclusions = exclusions
        self._seen_at: dict[int, float] = {}
        self._not_before: dict[str, float] = {}
        self._untried_since: dict[str, float] = {}

    def choose(self, request: Request, *, but: Collection[str]) -> str | None:
        """Return the host on parole that a trial with this request is to try, or None.

        A trial that has failed somewhere may be bad itself: it would tell nothing.

        Args:
            request: What the trial asks for, and where it failed.
            but: Hosts that a person keeps out, or where a failure waits for another host's word.
        """
        if request.avoid or not self._roster.is_fresh():
            return None
        known = self._roster.limits.hosts
        wanting = (known[name] for name in self._wanting() if name not in but)
        return next((host.name for host in wanting if host.is_usable and host.is_free), None)

    def watch(self) -> None:
        """See to it that it is known which hosts on parole are free."""
        if self._wanting():
            self._roster.watch()

    def _wanting(self) -> list[str]:
        """Return the hosts on parole that want a canary."""
        on_parole = self._exclusions.on_parole()
        if not on_parole:
            return []
        moment, ours = time.monotonic(), self._roster.limits.hosts
        have_one = {canary_on(attempt) for attempt in self._ledger.attempts.values()}
        return [
            host
            for host in sorted(on_parole - have_one)
            if host in ours and moment >= self._not_before.get(host, 0.0)
        ]

    def put_off(self, host: str) -> None:
        """Leave a host alone for a while, as no canary could begin there."""
        self._not_before[host] = time.monotonic() + PAUSE_SECONDS

    def untried(self, *, but: Collection[str]) -> Iterator[Ruling]:
        """Let in the hosts that no canary could try for long, as they were never free.

        Args:
            but: Hosts where a failure waits for another host's word.
        """
        moment, known = time.monotonic(), self._roster.limits.hosts
        on_parole = self._exclusions.on_parole().difference(but)
        untried = {name for name in on_parole if name in known and known[name].is_usable}
        if untried:
            attempts = self._ledger.attempts.values()
            untried -= {canary_on(attempt) for attempt in attempts if _has_begun(attempt)}
        self._untried_since = {host: self._untried_since.get(host, moment) for host in untried}
        for host, since in self._untried_since.items():
            if moment - since >= UNTRIED_SECONDS:
                yield Ruling(
                    kind=EventKind.INCLUDED,
                    host=host,
                    state=HostState.GOOD,
                    reason=f"it was never free for a canary in {UNTRIED_SECONDS / 60:.0f} min",
                )

    def overdue(self) -> Iterator[Recall]:
        """Find canaries that have not begun for so long that their hosts cannot be free."""
        moment = time.monotonic()
        canaries = {a.id: a for a in self._ledger.attempts.values() if canary_on(a) is not None}
        self._seen_at = {key: self._seen_at.get(key, moment) for key in canaries}
        for attempt in canaries.values():
            host = canary_on(attempt)
            if host is None or _has_begun(attempt) or attempt.job_id is None:
                continue
            if moment - self._seen_at[attempt.id] >= PATIENCE_SECONDS:
                self.put_off(host)
                why = f"it did not begin within {PATIENCE_SECONDS:.0f} s"
                yield Recall(attempt, host, why, is_pending=True)


def canary_on(attempt: OpenAttempt) -> str | None:
    """Return the host that an attempt alone may run on, as it is a canary there, or None."""
    return attempt.requested.get(ONLY_ON)


def _has_begun(attempt: OpenAttempt) -> bool:
    is_running = attempt.job is not None and attempt.job.state == JobState.RUNNING
    return is_running or attempt.state == AttemptState.STARTED
