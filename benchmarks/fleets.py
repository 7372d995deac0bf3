"""A search on a fleet with defective hosts, simulated: no Slurm, no clock, no database.

Hosts have two slots each. A policy says which hosts new attempts avoid; those besides ours are what
people do without Headway.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from orchestrator.health.failures import Blame
from orchestrator.health.verdicts import Verdicts

SLOTS = 2
RETRIES = 1
# A defective host ends a trial at once; Slurm notices one in ten such failures by itself.
FAILS_AFTER = 0.05
SEEN_BY_SLURM = 0.1
DEFECTS = ("always", "sometimes", "gpu", "dying")
SOMETIMES = 0.5
# A dying host loses its tenth trial and all after it, and each before it the likelier the later.
DIES_WITHIN = 10


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A search.

    Attributes:
        hosts: Size of the fleet.
        defective: Share of its hosts that are defective, in the four ways in turn.
        bad: Share of trials that fail everywhere.
        flake: How often a sound trial fails on a sound host.
        late: Share of trials whose first attempt ends with weak evidence, as of a time limit.
        trials_a_host: Length of the search.
        only: The one way in which hosts are defective; empty: all in turn.
    """

    hosts: int
    defective: float
    bad: float = 0.0
    flake: float = 0.0
    late: float = 0.0
    trials_a_host: int = 12
    only: str = ""


class Policy(Protocol):
    """Says which hosts new attempts avoid."""

    def ended(self, trial: int, host: str, blame: Blame | None, /) -> None:
        """Take in how an attempt ended; None: well."""

    def closed(self, trial: int, /) -> None:
        """Take in that a trial is not tried again."""

    def avoid(self) -> set[str]:
        """Return the hosts that new attempts avoid."""

    def excluded(self) -> set[str]:
        """Return those of them that are kept out for good."""


class OnFailure:
    """Keeps a host out after its first failure of some kinds, but never the last one."""

    def __init__(self, hosts: list[str], *blames: Blame) -> None:
        self._hosts = len(hosts)
        self._blames = blames
        self._out: set[str] = set()

    def ended(self, _trial: int, host: str, blame: Blame | None, /) -> None:
        """Keep the host out if that was one of them."""
        if blame in self._blames and len(self._out) < self._hosts - 1:
            self._out.add(host)

    def closed(self, _trial: int, /) -> None:
        """Learn nothing."""

    def avoid(self) -> set[str]:
        """Return those that are out."""
        return self._out

    def excluded(self) -> set[str]:
        """Return those that are out; nobody comes back."""
        return self._out


class Ours:
    """What Headway does."""

    def __init__(self, hosts: list[str]) -> None:
        self._hosts = set(hosts)
        self.verdicts = Verdicts()

    def ended(self, trial: int, host: str, blame: Blame | None, /) -> None:
        """Tell the verdicts, and let them decide."""
        if blame is None:
            self.verdicts.succeeded(trial, host)
        else:
            self.verdicts.failed(trial, host, blame, why="failed")
        self.verdicts.newly_excluded(self._hosts)

    def closed(self, trial: int, /) -> None:
        """Tell the verdicts, and let them decide."""
        self.verdicts.closed(trial)
        self.verdicts.newly_excluded(self._hosts)

    def avoid(self) -> set[str]:
        """Return the suspects and the excluded ones."""
        suspects = {verdict.host for verdict in self.verdicts.suspects(self._hosts)}
        return suspects | self.verdicts.excluded()

    def excluded(self) -> set[str]:
        """Return the excluded ones."""
        return self.verdicts.excluded()


MakePolicy = Callable[[list[str]], Policy]
POLICIES: dict[str, MakePolicy] = {
    "Headway": Ours,
    "never exclude": OnFailure,
    "on first failure": lambda hosts: OnFailure(hosts, *Blame),
    "on NODE_FAIL": lambda hosts: OnFailure(hosts, Blame.STRONG),
}


@dataclass(frozen=True, kw_only=True)
class Found:
    """What became of one defective host.

    Attributes:
        defect: In which way it is defective.
        failures: How many attempts failed there until it was excluded, or until the end.
        telling: Of these, the attempts of trials that succeed on sound hosts.
        after_first: How many attempts began there after the first failure was known.
        is_excluded: Whether it was excluded.
    """

    defect: str
    failures: int
    telling: int
    after_first: int
    is_excluded: bool


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What one search gave.

    Attributes:
        good: How many hosts were sound.
        false: How many of them were excluded.
        found: The defective ones.
        wasted: Attempts that a defective host lost.
        lost: Sound trials that ended without a result.
        wall: Until its end, in trial lengths.
        trouble: Whether it would have been stopped.
    """

    good: int
    false: int
    found: list[Found]
    wasted: int
    lost: int
    wall: float
    trouble: bool


@dataclass(frozen=True, slots=True)
class _Trial:
    number: int
    is_bad: bool
    is_late: bool
    tries: int = 0
    been: frozenset[str] = frozenset()


@dataclass
class Search:
    """One search under way."""

    setting: Setting
    policy: Policy
    chance: random.Random
    names: list[str]
    defects: dict[str, str]
    waiting: deque[_Trial]
    free: dict[str, int]
    running: list[tuple[float, int, _Trial, str, Blame | None]] = field(default_factory=list)
    numbers: itertools.count[int] = field(default_factory=itertools.count)
    clock: float = 0.0
    begun_on: Counter[str] = field(default_factory=Counter)
    # Until the first failure there was known.
    begun_before: dict[str, int] = field(default_factory=dict)
    failed_on: Counter[str] = field(default_factory=Counter)
    told_on: Counter[str] = field(default_factory=Counter)
    excluded_after: dict[str, tuple[int, int]] = field(default_factory=dict)
    lost: int = 0
    trouble: bool = False

    def run(self) -> Figures:
        """Go on until no trial is left."""
        while True:
            self._start()
            if not self.running:
                return self._figures()
            self._end()

    def _start(self) -> None:
        """Fill the free slots; a trial that tries again waits for a host where it has not been."""
        out = self.policy.avoid()
        usable = [name for name in self.names if self.free[name] and name not in out]
        slots = [name for name in usable for _ in range(self.free[name])]
        self.chance.shuffle(slots)
        kept: list[_Trial] = []
        while self.waiting and slots:
            trial = self.waiting.popleft()
            place = next((i for i, name in enumerate(slots) if name not in trial.been), None)
            if place is None and self._has_another(trial, out):
                kept.append(trial)
                continue
            self._begin(trial, slots.pop(place or 0))
        self.waiting.extendleft(reversed(kept))

    def _has_another(self, trial: _Trial, out: set[str]) -> bool:
        return any(name not in trial.been and name not in out for name in self.names)

    def _begin(self, trial: _Trial, host: str) -> None:
        self.free[host] -= 1
        self.begun_on[host] += 1
        length, blame = self.chance.uniform(0.5, 1.5), None
        if self._breaks(trial, host):
            length = FAILS_AFTER
            blame = Blame.STRONG if self.chance.random() < SEEN_BY_SLURM else Blame.PAIRED
        elif trial.is_bad or self.chance.random() < self.setting.flake:
            length, blame = length / 2, Blame.PAIRED
        elif trial.is_late and not trial.tries:
            blame = Blame.WEAK
        entry = (self.clock + length, next(self.numbers), trial, host, blame)
        heapq.heappush(self.running, entry)

    def _breaks(self, trial: _Trial, host: str) -> bool:
        """Whether the host loses the trial."""
        match self.defects.get(host):
            case None:
                return False
            case "always":
                return True
            case "sometimes":
                return self.chance.random() < SOMETIMES
            case "gpu":
                return trial.number % 2 == 0
            case _:
                return self.chance.random() < self.begun_on[host] / DIES_WITHIN

    def _end(self) -> None:
        self.clock, _, trial, host, blame = heapq.heappop(self.running)
        self.free[host] += 1
        if blame is not None:
            self.failed_on[host] += 1
            self.told_on[host] += not trial.is_bad
            self.begun_before.setdefault(host, self.begun_on[host])
        self.policy.ended(trial.number, host, blame)
        if blame is not None:
            self._again(trial, host, blame)
        if isinstance(self.policy, Ours):
            told = self.policy.verdicts.trouble(self.names, running=len(self.running))
            self.trouble = self.trouble or told is not None
        for name in self.policy.excluded() - self.excluded_after.keys():
            self.excluded_after[name] = (self.failed_on[name], self.told_on[name])

    def _again(self, trial: _Trial, host: str, blame: Blame) -> None:
        """Try a failed trial again on another host, or give it up."""
        counts = blame is Blame.PAIRED
        if trial.tries + counts > RETRIES:
            self.policy.closed(trial.number)
            self.lost += not trial.is_bad
            return
        is_late = trial.is_late and blame is not Blame.WEAK
        been = trial.been | {host}
        again = _Trial(trial.number, trial.is_bad, is_late, trial.tries + counts, been)
        self.waiting.appendleft(again)

    def _figures(self) -> Figures:
        excluded = self.policy.excluded()
        return Figures(
            good=len(self.names) - len(self.defects),
            false=len(excluded - self.defects.keys()),
            found=[self._found(name) for name in self.defects if self.failed_on[name]],
            wasted=sum(self.failed_on[name] for name in self.defects),
            lost=self.lost,
            wall=self.clock,
            trouble=self.trouble,
        )

    def _found(self, name: str) -> Found:
        until_end = (self.failed_on[name], self.told_on[name])
        failures, telling = self.excluded_after.get(name, until_end)
        return Found(
            defect=self.defects[name],
            failures=failures,
            telling=telling,
            after_first=self.begun_on[name] - self.begun_before[name],
            is_excluded=name in self.excluded_after,
        )


def simulate(setting: Setting, make: MakePolicy, *, seed: int) -> Figures:
    """Run one search; the same seed gives the same fleet and the same trials to each policy."""
    chance = random.Random(seed)
    names = [f"node{number}" for number in range(setting.hosts)]
    broken = chance.sample(names, round(setting.hosts * setting.defective))
    ways = (setting.only,) if setting.only else DEFECTS
    # Another way first in each search, as there may be fewer defective hosts than ways.
    defects = {name: ways[(place + seed) % len(ways)] for place, name in enumerate(broken)}
    trials = deque(
        _Trial(number, chance.random() < setting.bad, chance.random() < setting.late)
        for number in range(setting.hosts * setting.trials_a_host)
    )
    return Search(
        setting=setting,
        policy=make(names),
        chance=chance,
        names=names,
        defects=defects,
        waiting=trials,
        free=dict.fromkeys(names, SLOTS),
    ).run()
