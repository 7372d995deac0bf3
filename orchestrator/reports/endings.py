"""The trials that ended last, without a look at all that ever ended."""

from __future__ import annotations

from db.sql.reading import activity
from db.sql.reading.activity import Ending
from db.sql.reading.detail import last_index
from db.sql.reading.reader import Transaction

# A viewer that has missed more than this looks at all trials once more.
_MOST_MISSED = 1000


class Endings:
    """Follows the endings of one experiment: what was open at the last look may have ended since.

    Attributes:
        newest: The trials that ended last, the newest first.
    """

    def __init__(self, experiment_id: int, *, keep: int) -> None:
        self.newest: list[Ending] = []
        self._experiment_id = experiment_id
        self._keep = keep
        self._open: set[int] | None = None
        self._next_index = 0

    def follow(self, connection: Transaction) -> None:
        """Take note of what has ended since the last call.

        Args:
            connection: A reading transaction that sees one state of the database.
        """
        key = self._experiment_id
        opened = activity.open_trials(connection, key)
        missed = None if self._open is None else self._missed(connection, self._open) - opened
        if missed is None or len(missed) > _MOST_MISSED:
            self.newest = activity.endings(connection, key, limit=self._keep)
        elif missed:
            found = {ending.id: ending for ending in self.newest}
            found |= {e.id: e for e in activity.endings_among(connection, sorted(missed))}
            ordered = sorted(found.values(), key=lambda e: (e.completed_at, e.id), reverse=True)
            self.newest = ordered[: self._keep]
        last = last_index(connection, key)
        self._next_index = 0 if last is None else last + 1
        self._open = opened

    def _missed(self, connection: Transaction, before: set[int]) -> set[int]:
        """Return what was open at the last look, and what has been proposed since."""
        new = activity.trials_from(connection, self._experiment_id, self._next_index)
        return before | new
