"""How long something that does not work is tried again: with growing pauses, and not for ever."""

from __future__ import annotations

import tenacity


class Patience:
    """The pauses between tries that are all in vain; whoever tries, waits by himself.

    tenacity counts and calculates; it cannot do the waiting, as the head has other work meanwhile.
    """

    def __init__(self, pause: tenacity.wait.wait_base, end: tenacity.stop.stop_base) -> None:
        """Nothing was tried yet.

        Args:
            pause: How long to wait after each try.
            end: When it has been in vain for too long.
        """
        self._pause = pause
        self._end = end
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
        return float(self._pause(self._state))

    def is_over(self) -> bool:
        """Whether it has been in vain for too long."""
        return self._state is not None and bool(self._end(self._state))

    def regain(self) -> None:
        """Take note that it works again."""
        self._state = None
