"""When so much fails, one trial after the other and everywhere, that no host can be the reason."""

from __future__ import annotations

import math
from collections import Counter

from orchestrator.health.failures import Blame

# So many different trials fail in a row on no host's account: where nothing has ever succeeded, and
# else at least, as far as chance would give such a row less than once in a million...
FIRST_BURST = 30
BURST = 20
BURST_CHANCE = 1e-6
# ...and so many for each attempt that still runs.
BURST_A_RUNNING = 3
# A trial that had to leave so many hosts in a row (preflight, say) finds none; so many such trials
# are enough. One that loses its node in a power cut leaves only that one.
LEFT = 3
HOMELESS = 10


class Bursts:
    """Follows what failed since the last success."""

    def __init__(self) -> None:
        # The trials that failed, and where; and how often one of them had to leave a host.
        self._row: dict[int, str] = {}
        self._left: Counter[int] = Counter()
        self._bad_rate: float | None = None

    def succeeded(self, *, bad_rate: float) -> None:
        """Take in a success, and how often trials end without one by now, 0 to 1."""
        self.begin()
        self._bad_rate = bad_rate

    def failed(self, trial: int, host: str, blame: Blame) -> None:
        """Take in a failure.

        Weak ones do not count: what needs more time or memory may fail everywhere, and succeed with
        that.
        """
        if blame is Blame.STRONG:
            self._left[trial] += 1
        elif blame is Blame.PAIRED:
            self._row[trial] = host

    def begin(self) -> None:
        """Let only what fails from now on count."""
        self._row.clear()
        self._left.clear()

    def trouble(self, *, may_be_out: int, running: int) -> str | None:
        """Return what fails everywhere, a sentence without a full stop; None: nothing does.

        Args:
            may_be_out: How many hosts may be kept out; on more than that, it is not their fault.
            running: How many attempts run now.
        """
        return self._everywhere(may_be_out, running) or self._homeless()

    def _everywhere(self, may_be_out: int, running: int) -> str | None:
        hosts = len(set(self._row.values()))
        longest = max(self._longest_row(), BURST_A_RUNNING * running)
        if hosts <= may_be_out or len(self._row) < longest:
            return None
        where = "1 host" if hosts == 1 else f"{hosts} hosts"
        return (
            f"{len(self._row)} different trials failed in a row, on {where}: "
            "the program or something that all hosts share is at fault"
        )

    def _longest_row(self) -> int:
        """How many different trials fail in a row at most before it is called a burst."""
        if self._bad_rate is None:
            return FIRST_BURST
        return max(BURST, math.ceil(math.log(BURST_CHANCE) / math.log(self._bad_rate)))

    def _homeless(self) -> str | None:
        homeless = sum(times >= LEFT for times in self._left.values())
        if homeless < HOMELESS:
            return None
        return (
            f"{homeless} trials in a row found no host that could run them, though each tried "
            f"{LEFT} times or more"
        )
