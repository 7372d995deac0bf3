"""How long trials and generators take, and what follows for asking ahead and for waiting."""

from __future__ import annotations

import math

# Of a trial's length, so much may be lost to asking a fresh model instead of one asked ahead.
ASK_SHARE = 0.02
# A model that nobody has timed yet gets this long before the fallback serves a waiting slot.
FIRST_PATIENCE_SECONDS = 0.25
# The first process of all still imports its libraries; a fallback would be no faster.
START_PATIENCE_SECONDS = 60.0
# Recent durations count more; about the last ten.
SMOOTHING = 0.2


class Pace:
    """What was measured so far; nothing of it outlives the head."""

    def __init__(self) -> None:
        self._ask_seconds: dict[str, float] = {}
        self._trial_seconds = math.inf

    def measure_trial(self, seconds: float) -> None:
        """Learn how long a trial takes: it decides how far ahead points are worth having."""
        self._trial_seconds = _smooth(self._trial_seconds, seconds)

    def measure_ask(self, generator: str, seconds: float) -> None:
        """Learn how long a generator takes to answer."""
        self._ask_seconds[generator] = _smooth(self._ask_seconds.get(generator, math.inf), seconds)

    def ahead(self, generator: str, slots: int) -> int:
        """How many points to hold in stock beyond the free slots.

        As many trials as end while the generator thinks. None if it answers in next to no time:
        then a point that knows the newest result is worth more than one that lies ready.
        """
        seconds = self._ask_seconds.get(generator, 0.0)
        if math.isinf(self._trial_seconds) or self._is_quick(seconds):
            return 0
        return min(slots, math.ceil(slots * seconds / max(self._trial_seconds, 0.001)))

    def patience(self, generator: str) -> float:
        """How many seconds a free slot waits for a generator before the fallback serves it."""
        if not self._ask_seconds:
            return START_PATIENCE_SECONDS
        known = self._ask_seconds.get(generator)
        if known is None:
            return FIRST_PATIENCE_SECONDS
        return 2 * known if self._is_quick(known) else 0.0

    def _is_quick(self, seconds: float) -> bool:
        return seconds <= ASK_SHARE * self._trial_seconds


def _smooth(old: float, new: float) -> float:
    return new if math.isinf(old) else old + SMOOTHING * (new - old)
