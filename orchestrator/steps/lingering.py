"""Jobs whose workers have reported their end, and that the scheduler may count for a moment longer.

How long that moment is differs between sites and hours. Looks at the queue show it: none of the last
jobs was there so long after its worker's end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping

# Until enough is known, and at most; and at least, as the controller may be busy for once.
LONGEST, SHORTEST = 2.0, 0.5
# So many jobs tell enough, and older ones nothing more.
ENOUGH, MOST = 10, 40


class Lingering:
    """Follows jobs from the end of their attempt until they are known, or taken, to be gone."""

    def __init__(self) -> None:
        self._open: Mapping[int, str | None] = {}
        self._ended: dict[int, tuple[str, float]] = {}
        self._seen: deque[tuple[float, bool]] = deque(maxlen=MOST)
        self._seconds = LONGEST
        self._moment = 0.0

    def __len__(self) -> int:
        """How many may be there still."""
        return sum(1 for _, at in self._ended.values() if self._moment - at < self._seconds)

    @property
    def job_ids(self) -> set[str]:
        """All that were there a moment ago."""
        return {job for job, _ in self._ended.values()}

    def follow(self, opened: Mapping[int, str | None], moment: float) -> None:
        """Take the job ids of open attempts, by attempt: what was there before has ended."""
        self._moment = moment
        # One that never had a job, as its submission was refused, leaves none behind.
        gone = {
            key: (job, moment)
            for key, job in self._open.items()
            if job is not None and key not in opened
        }
        self._ended = {
            key: (job, at)
            for key, (job, at) in (self._ended | gone).items()
            if moment - at < LONGEST and key not in opened
        }
        self._open = opened

    def look(self, living: Collection[str], asked_at: float) -> None:
        """Take which jobs waited or ran at a moment: the others are gone."""
        for key, (job, at) in list(self._ended.items()):
            if at > asked_at:
                continue
            self._seen.append((asked_at - at, job in living))
            if job not in living:
                del self._ended[key]
        self._seconds = self._learnt()

    def distrust(self) -> None:
        """Begin anew: something was there longer than had been learnt."""
        self._seen.clear()
        self._seconds = LONGEST

    def _learnt(self) -> float:
        """Return how long to count a job: until enough others were gone, and none was there."""
        longest = max((age for age, is_there in self._seen if is_there), default=0.0)
        gone = sorted(age for age, is_there in self._seen if not is_there and age > longest)
        if len(gone) < ENOUGH:
            return LONGEST
        return min(LONGEST, max(SHORTEST, 2 * longest, gone[ENOUGH - 1]))
