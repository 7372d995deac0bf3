"""What speaks for and against each host: the same trial, tried on different hosts.

A trial that fails on one host and succeeds on another blames the first. One that fails on two
hosts is bad itself and blames neither. What failed on one host and has not been tried elsewhere is
open; if it never will be, it stays unexplained. In which order the hosts tell does not matter.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from enum import Enum

from orchestrator.health.failures import Blame
from orchestrator.health.posterior import Fleet, Mark

# Of each host so many attempts count, the newest: what a host did long ago says little.
WINDOW = 20
# Of so many trials, the newest, it is remembered where they succeeded: another attempt of one of
# them may still run elsewhere, and its failure is explained at once.
REMEMBERED = 10_000
# What the fleet is like before anything is known: a flake in a hundred attempts, one bad trial in
# ten, one weak failure in ten attempts.
_FLAKES, _EXPLAINED = 0.5, 50.0
# No fleet is better than that, however long it did well: one flake must not exclude a host.
_LEAST_FLAKES = 0.002
_BAD, _JUDGED = 1.0, 10.0
_WEAK, _ENDED = 1.0, 10.0
# More than its first failure and than this share of its attempts is not put down to the fleet: it
# speaks of the host.
_MOST_FLAKES = 0.1


class Standing(Enum):
    """What became of the question whether an attempt's host was at fault."""

    SUCCEEDED = "succeeded"
    OPEN = "open"  # failed, and another host may still try the trial
    BLAMED = "blamed"  # failed, and the trial succeeded on another host
    UNEXPLAINED = "unexplained"  # failed, and no other host will try the trial
    CLEARED = "cleared"  # failed, as the trial did on another host


@dataclass(frozen=True, slots=True)
class Counts:
    """How the newest attempts of a host ended, those of bad trials left out.

    Attributes:
        succeeded: Well.
        blamed: Failed, while the same trial succeeded on another host.
        unexplained: Failed, and no other host will try the trial.
        open: Failed, and another host may still try the trial.
        weak: Of these failures, those that say little of a host (time, memory, lost jobs).
        examples: The newest trials that it is blamed for, at most three, and where each succeeded.
    """

    succeeded: int = 0
    blamed: int = 0
    unexplained: int = 0
    open: int = 0
    weak: int = 0
    examples: tuple[tuple[int, str], ...] = ()


@dataclass(slots=True, eq=False)
class _Attempt:
    trial: int
    number: int
    standing: Standing
    is_weak: bool = False
    elsewhere: str = ""

    @property
    def mark(self) -> Mark:
        if self.standing is Standing.SUCCEEDED:
            return Mark.SUCCEEDED
        if self.is_weak:
            return Mark.WEAK
        return Mark.BLAMED if self.standing is Standing.BLAMED else Mark.UNEXPLAINED


@dataclass(slots=True)
class _Host:
    # At most WINDOW, in the order in which they ended.
    attempts: list[_Attempt] = field(default_factory=list)
    # Of its whole life; the rates of the others leave them out.
    succeeded: int = 0
    blamed: int = 0
    bad: int = 0
    weak: int = 0
    ended: int = 0

    @property
    def explained(self) -> int:
        """Its attempts that count for the fleet: none of a host that loses more than it gains."""
        return self.succeeded + self.blamed if self.blamed <= self.succeeded else 0

    @property
    def flakes(self) -> float:
        """Its failures that are put down to the fleet."""
        return min(self.blamed, max(1.0, _MOST_FLAKES * self.explained)) if self.explained else 0.0

    def take(self, attempt: _Attempt) -> None:
        """Let an attempt count that does not count yet."""
        self.attempts.append(attempt)
        self.attempts.sort(key=lambda known: known.number)
        del self.attempts[:-WINDOW]

    def drop(self, attempt: _Attempt) -> None:
        """Let an attempt count no more; newer ones may have pushed it out before."""
        if attempt in self.attempts:
            self.attempts.remove(attempt)


class Evidence:
    """Collects how attempts ended, host by host; knows nothing of time, Slurm or the database.

    Attributes:
        changed: Hosts whose evidence is another than when they were judged last; whoever judges
            them clears it.
    """

    def __init__(self) -> None:
        self.changed: set[str] = set()
        self._hosts: dict[str, _Host] = {}
        self._failed_on: dict[int, dict[str, _Attempt]] = {}
        self._succeeded_on: dict[int, str] = {}
        self._numbers = itertools.count()
        self._flakes = 0.0
        self._explained = 0
        self._bad = 0
        self._judged = 0
        self._weak = 0
        self._ended = 0

    def succeeded(self, trial: int, host: str) -> None:
        """Take in a success; it blames the other hosts where the trial failed."""
        failed = self._failed_on.pop(trial, {})
        own = failed.pop(host, None)
        if own is not None:
            # The same host did better with it: nothing that speaks of a host.
            self._clear(host, own)
        for other, attempt in failed.items():
            self._blame(other, attempt, elsewhere=host)
        self._hosts.setdefault(host, _Host()).take(self._attempt(trial, Standing.SUCCEEDED))
        self._count(host, succeeded=1, ended=1)
        self._judged += 1
        self._succeeded_on[trial] = host
        if len(self._succeeded_on) > REMEMBERED:
            del self._succeeded_on[next(iter(self._succeeded_on))]

    def failed(self, trial: int, host: str, blame: Blame) -> None:
        """Take in a failure; the second host where a trial fails clears the first.

        Only what is weak or paired with the same trial elsewhere is evidence here.
        """
        if blame not in {Blame.WEAK, Blame.PAIRED}:
            return
        is_weak = blame is Blame.WEAK
        self._count(host, weak=int(is_weak), ended=1)
        attempt = self._attempt(trial, Standing.OPEN, is_weak=is_weak)
        if trial in self._succeeded_on:
            if self._succeeded_on[trial] != host:
                self._hosts[host].take(attempt)
                self._blame(host, attempt, elsewhere=self._succeeded_on[trial])
            return
        failed = self._failed_on.setdefault(trial, {})
        if host in failed:
            # Tried again where it had failed: one piece of evidence, the stronger one.
            failed[host].is_weak = failed[host].is_weak and is_weak
            return
        failed[host] = attempt
        if len(failed) == 1:
            self._hosts[host].take(attempt)
            return
        for other, known in failed.items():
            self._clear(other, known)

    def closed(self, trial: int) -> None:
        """Take in that a trial without a success is not tried again."""
        failed = self._failed_on.pop(trial, {})
        if not failed:
            return
        self._bad += 1
        self._judged += 1
        if len(failed) > 1:
            return
        ((host, attempt),) = failed.items()
        attempt.standing = Standing.UNEXPLAINED
        self._count(host, bad=1)

    def forget(self, host: str) -> None:
        """Begin anew with a host: what ended there until now counts no more."""
        self._hosts.setdefault(host, _Host()).attempts.clear()
        for trial in [trial for trial, hosts in self._failed_on.items() if host in hosts]:
            del self._failed_on[trial][host]
        self.changed.add(host)

    def marks(self, host: str, *, with_open: bool) -> list[Mark]:
        """Return what the newest attempts say about a host, oldest first.

        Args:
            host: Its name.
            with_open: Count failures that another host may still explain as unexplained.
        """
        return [
            attempt.mark
            for attempt in self._attempts(host)
            if with_open or attempt.standing is not Standing.OPEN
        ]

    def counts(self, host: str) -> Counts:
        """Return how the newest attempts of a host ended."""
        attempts = self._attempts(host)
        blamed = [each for each in attempts if each.standing is Standing.BLAMED]
        return Counts(
            succeeded=sum(each.standing is Standing.SUCCEEDED for each in attempts),
            blamed=len(blamed),
            unexplained=sum(each.standing is Standing.UNEXPLAINED for each in attempts),
            open=sum(each.standing is Standing.OPEN for each in attempts),
            weak=sum(each.is_weak for each in attempts),
            examples=tuple((each.trial, each.elsewhere) for each in blamed[-3:]),
        )

    def open_trials(self, host: str) -> set[int]:
        """Return the trials whose failure there waits for another host's word."""
        return {each.trial for each in self._attempts(host) if each.standing is Standing.OPEN}

    def fleet(self, without: str) -> Fleet:
        """Return the rates of all hosts but one."""
        own = self._hosts.get(without, _Host())
        flakes = self._flakes - own.flakes + _FLAKES
        return Fleet(
            flake_rate=max(_LEAST_FLAKES, flakes / (self._explained - own.explained + _EXPLAINED)),
            bad_rate=(self._bad - own.bad + _BAD)
            / (self._judged - own.bad - own.succeeded + _JUDGED),
            weak_rate=(self._weak - own.weak + _WEAK) / (self._ended - own.ended + _ENDED),
        )

    @property
    def bad_rate(self) -> float:
        """How often a trial ends without a success, 0 to 1."""
        return (self._bad + _BAD) / (self._judged + _JUDGED)

    def _attempts(self, host: str) -> list[_Attempt]:
        known = self._hosts.get(host)
        return known.attempts if known else []

    def _attempt(self, trial: int, standing: Standing, *, is_weak: bool = False) -> _Attempt:
        return _Attempt(trial, next(self._numbers), standing, is_weak)

    def _blame(self, host: str, attempt: _Attempt, *, elsewhere: str) -> None:
        if attempt.standing is Standing.CLEARED:
            self._hosts[host].take(attempt)
        attempt.standing = Standing.BLAMED
        attempt.elsewhere = elsewhere
        # Weak failures have a rate of their own.
        self._count(host, blamed=int(not attempt.is_weak))

    def _clear(self, host: str, attempt: _Attempt) -> None:
        attempt.standing = Standing.CLEARED
        self._hosts[host].drop(attempt)
        self.changed.add(host)

    def _count(
        self,
        host: str,
        *,
        succeeded: int = 0,
        blamed: int = 0,
        bad: int = 0,
        weak: int = 0,
        ended: int = 0,
    ) -> None:
        """Count for a host and, with it, for the fleet."""
        known = self._hosts.setdefault(host, _Host())
        self._flakes -= known.flakes
        self._explained -= known.explained
        known.succeeded += succeeded
        known.blamed += blamed
        known.bad += bad
        known.weak += weak
        known.ended += ended
        self._flakes += known.flakes
        self._explained += known.explained
        self._weak += weak
        self._ended += ended
        self.changed.add(host)
