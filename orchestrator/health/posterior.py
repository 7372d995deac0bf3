"""How likely a host is defective: how its attempts ended, against those of the fleet.

Two stories are compared. A sound host loses a sound trial at the fleet's small rate. A defective
one does so at a rate of its own that nobody knows, for which a Beta distribution stands (the
binomial of its failures, integrated over it, is the beta-binomial); and it is so from the first
attempt that is known, or became so at one of the later ones: a host that dies after a hundred
successes is found by what came last. Bayes' rule turns the comparison into a probability.

A trial can be bad itself: a failure that no other host has explained counts only as far as the
fleet's trials do not fail like that anyway. The same goes for weak evidence (time limits, memory,
lost jobs), of which each counts a quarter besides.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

# A defective host rather loses most trials than a few: Beta(1.5, 1), mean 0.6.
SHAPE = 1.5
# Rates at which the integral over it is taken, in the middle of equal steps.
_STEPS = 25
_RATES = tuple((step + 0.5) / _STEPS for step in range(_STEPS))
_WEIGHTS = tuple(rate ** (SHAPE - 1) for rate in _RATES)
_TOTAL = math.fsum(_WEIGHTS)
# Before any evidence: one host of twenty is defective, and one that was excluded before is so as
# likely as not.
PRIOR = 0.05
PAROLE_PRIOR = 0.5
# Of the defective ones, so many are so from the first attempt on.
FROM_THE_START = 0.5
# What one piece of weak evidence counts (DESIGN section 5).
WEAK = 0.25


class Mark(Enum):
    """What an attempt says about its host."""

    SUCCEEDED = 0
    BLAMED = 1  # failed, and the same trial succeeded on another host
    UNEXPLAINED = 2  # failed, and no other host has told
    WEAK = 3  # failed in a way that happens to any host


@dataclass(frozen=True, slots=True)
class Fleet:
    """What is known of all other hosts.

    Attributes:
        flake_rate: How often a sound host loses a sound trial, 0 to 1.
        bad_rate: How often a trial fails by its own fault, 0 to 1.
        weak_rate: How often an attempt ends with weak evidence, 0 to 1.
    """

    flake_rate: float
    bad_rate: float
    weak_rate: float


def probability_defective(marks: Sequence[Mark], fleet: Fleet, *, prior: float = PRIOR) -> float:
    """Return how likely a host is defective, 0 to 1.

    Args:
        marks: What its attempts say, oldest first.
        fleet: What is known of the others.
        prior: How likely it was before that.
    """
    if all(mark is Mark.SUCCEEDED for mark in marks):
        return 0.0 if marks else prior
    odds = _likelihood_ratio(marks, fleet) * prior / (1 - prior)
    return odds / (1 + odds)


def _likelihood_ratio(marks: Sequence[Mark], fleet: Fleet) -> float:
    """How much likelier the marks are on a defective host than on a sound one."""
    factors = {mark: _factors(mark, fleet) for mark in set(marks)}
    # The marks from some place on, as a defective host gives them, for each rate; those before it
    # are a sound host's in both stories.
    product = list(_WEIGHTS)
    by_place = []
    for mark in reversed(marks):
        product = [value * factor for value, factor in zip(product, factors[mark], strict=True)]
        by_place.append(math.fsum(product) / _TOTAL)
    from_start = by_place.pop()
    if not by_place:
        return from_start
    return FROM_THE_START * from_start + (1 - FROM_THE_START) * math.fsum(by_place) / len(by_place)


def _factors(mark: Mark, fleet: Fleet) -> list[float]:
    """Return how much likelier a mark is with each rate than on a sound host."""
    chance = _CHANCES[mark]
    sound = chance(fleet.flake_rate, fleet)
    power = WEAK if mark is Mark.WEAK else 1.0
    return [(chance(rate, fleet) / sound) ** power for rate in _RATES]


def _either(rate: float, base: float) -> float:
    """Chance that the host or something else lets an attempt fail."""
    return base + (1 - base) * rate


_CHANCES: dict[Mark, Callable[[float, Fleet], float]] = {
    Mark.SUCCEEDED: lambda rate, _: 1 - rate,
    Mark.BLAMED: lambda rate, _: rate,
    Mark.UNEXPLAINED: lambda rate, fleet: _either(rate, fleet.bad_rate),
    Mark.WEAK: lambda rate, fleet: _either(rate, fleet.weak_rate),
}
