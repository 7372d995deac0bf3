"""Signals: told to stop, and told that the program has ended.

Python's own handlers do nothing here; the interpreter writes the number of each signal into a pipe
that the worker's one loop polls together with the program's output.
"""

from __future__ import annotations

import os
import select
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as signal  # noqa: PLC0414 - the program module takes it from here
    from types import FrameType
else:
    try:
        import _signal as signal  # `signal` makes enums of everything: 10 ms for each trial
    except ImportError:
        import signal

# TERM: scancel, and Slurm before it kills. USR2: Slurm's warning (--signal=B:USR2@N). INT: a person.
STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR2, signal.SIGINT)


def _nothing(number: int, frame: FrameType | None) -> None:
    """Handle a signal: the wake-up pipe has its number already."""


class Stopping:
    """The signals that this process got.

    Attributes:
        descriptor: Readable whenever a signal came since the last `look`.
        signal: The first signal that told us to stop, or None.
    """

    def __init__(self) -> None:
        self.descriptor, writer = os.pipe()
        os.set_blocking(self.descriptor, False)
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, *STOP_SIGNALS):
            signal.signal(number, _nothing)
        self.signal: int | None = None

    def look(self) -> list[int]:
        """Return the stop signals that came since the last look, in order."""
        try:
            numbers = os.read(self.descriptor, 4096)
        except BlockingIOError:
            return []
        stops = [number for number in numbers if number in STOP_SIGNALS]
        if stops and self.signal is None:
            self.signal = stops[0]
        return stops

    def is_requested(self) -> bool:
        """Tell whether anybody has told this process to stop."""
        self.look()
        return self.signal is not None

    def sleep(self, seconds: float) -> None:
        """Wait, but not longer than until somebody tells us to stop."""
        poller = select.poll()
        poller.register(self.descriptor, select.POLLIN)
        end = time.monotonic() + seconds
        while not self.is_requested():
            left = end - time.monotonic()
            if left <= 0:
                return
            poller.poll(left * 1000)
