"""What is known of a limit that nobody tells: two levels between which it lies."""

from __future__ import annotations


class Bracket:
    """Narrows a limit down by what is taken and what is refused.

    Attributes:
        safe: The level that was taken, or told; None: nothing was refused yet.
        top: The level that cannot be passed; None: not known.
    """

    def __init__(self) -> None:
        self.safe: int | None = None
        self.top: int | None = None
        self._step = 1

    def tell(self, most: int | None) -> None:
        """Take a limit that was told; None: there is none."""
        self.safe = self.top = most

    def doubt(self, most: int | None) -> None:
        """Give up what refusals showed, as somebody may have raised the limit: it was told once."""
        self.top = most if most is not None and most >= (self.safe or 0) else None

    def trial_size(self) -> int:
        """Return how many above the safe level may be tried, when it is time for that."""
        if self.top is None or self.safe is None:
            return self._step
        return min(self._step, max(0, (self.top - self.safe + 1) // 2))

    def take(self, lowest: int, highest: int) -> bool:
        """Learn from what was taken.

        Args:
            lowest: How many there are now at least.
            highest: How many there may be.

        Returns:
            Whether the limit must be another one than was thought.
        """
        if self.safe is None or highest <= self.safe:
            return False
        self._step = 2 * (highest - self.safe)
        self.safe = max(self.safe, lowest)
        if self.top is None or self.top >= self.safe:
            return False
        self.top = None
        return True

    def refuse(self, lowest: int, highest: int, size: int) -> bool:
        """Learn from so many more that were refused; whether they showed anything."""
        self._step = 1
        top = highest + size - 1
        if self.safe is None or top < self.safe:
            # Where between the two it is, is tried out from below: going down from above would be a
            # refusal for each step.
            self.safe, self.top = lowest, top
        elif self.top is None or top < self.top:
            self.top = top
        else:
            return False
        return True
