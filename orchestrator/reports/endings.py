"""The trials that ended last, without a look at all that ever ended."""

from __future__ import annotations

from db.sql.reading import activity, trials
from db.sql.reading.activity import Ending
from db.sql.reading.detail import last_index
from db.sql.reading.reader import Transaction
from db.sql.reading.trials import TrialRow
from db.states import TrialStatus

# A viewer that has missed more than this looks at all trials once more.
_MOST_MISSED = 1000


class Endings:
    """Follows the endings of one experiment: what was open at the last look may have ended since.

    Attributes:
        newest: The trials that ended last, the newest first.
        failed: Those of them that failed; as many, however long ago.
    """

    def __init__(self, experiment_id: int, *, keep: int) -> None:
        self.newest: list[Ending] = []
        self.failed: list[Ending] = []
        self._rows: dict[int, TrialRow] = {}
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
            self.failed = activity.endings(
                connection, key, limit=self._keep, status=TrialStatus.FAILED
            )
        elif missed:
            new = activity.endings_among(connection, sorted(missed))
            self.newest = self._newest([*self.newest, *new])
            failed = [ending for ending in new if ending.status == TrialStatus.FAILED]
            self.failed = self._newest([*self.failed, *failed])
        last = last_index(connection, key)
        self._next_index = 0 if last is None else last + 1
        self._open = opened

    def rows(self, connection: Transaction) -> dict[int, TrialRow]:
        """Return the trials of `newest` and `failed` by key; each is read once, since it is over.

        Args:
            connection: The transaction of the last `follow`.
        """
        keys = {ending.id for ending in (*self.newest, *self.failed)}
        missing = sorted(keys - self._rows.keys())
        found = trials.rows(connection, missing) if missing else []
        known = {key: row for key, row in self._rows.items() if key in keys}
        self._rows = known | {row.id: row for row in found}
        return self._rows

    def _newest(self, endings: list[Ending]) -> list[Ending]:
        found = {ending.id: ending for ending in endings}
        ordered = sorted(found.values(), key=lambda e: (e.completed_at, e.id), reverse=True)
        return ordered[: self._keep]

    def _missed(self, connection: Transaction, before: set[int]) -> set[int]:
        """Return what was open at the last look, and what has been proposed since."""
        new = activity.trials_from(connection, self._experiment_id, self._next_index)
        return before | new
