"""How long a scheduler that takes no jobs is tried again: with growing pauses, and not for ever."""

from __future__ import annotations

import tenacity

# Two seconds at first, then twice as long each time, up to a minute.
PAUSE = tenacity.wait_exponential(multiplier=2, max=60)
PATIENCE = tenacity.stop_after_delay(1800)


class Patience:
    """The pauses between submissions while the scheduler takes none."""

    def __init__(self) -> None:
        self._state: tenacity.RetryCallState | None = None

    @property
    def tries(self) -> int:
        """How often it has been tried in vain since it worked last."""
        return 0 if self._state is None else self._state.attempt_number

    def lose(self) -> float:
        """Take note that it was in vain; returns the seconds until the next try."""
        if self._state is None:
            self._state = tenacity.RetryCallState(tenacity.Retrying(), None, (), {})
        else:
            self._state.prepare_for_next_attempt()
        self._state.set_result(None)
        return float(PAUSE(self._state))

    def is_over(self) -> bool:
        """Whether it has been in vain for half an hour."""
        return self._state is not None and bool(PATIENCE(self._state))

    def regain(self) -> None:
        """Take note that it works again."""
        self._state = None
