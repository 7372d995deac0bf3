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

# TERM: scancel, and Slurm before it kills. USR2: Slurm's warning (--signal=B:USR2@N). INT, HUP and
# QUIT: a person. XCPU: a limit of processor time.
STOP_SIGNALS = (
    signal.SIGTERM,
    signal.SIGUSR2,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGXCPU,
)
# Not for the worker: it only passes them on (`scancel --batch --signal=USR1`).
PASSED_SIGNALS = (signal.SIGUSR1,)
# Slurm sends it before SIGTERM, and when it lets a suspended job go on.
_CONTINUED = signal.SIGCONT
# How soon after the program a signal to the worker may come and still explain the program's end.
_ECHO_SECONDS = 0.2


def _nothing(number: int, frame: FrameType | None) -> None:
    """Handle a signal: the wake-up pipe has its number already."""


class Stopping:
    """The signals that this process got.

    Attributes:
        descriptor: Readable whenever a signal came since the last `look`.
        signal: The first signal that told us to stop, or None.
        was_continued: Whether this process may have been frozen; for the loop to set back.
    """

    def __init__(self) -> None:
        self.descriptor, writer = os.pipe()
        os.set_blocking(self.descriptor, False)
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, _CONTINUED, *STOP_SIGNALS, *PASSED_SIGNALS):
            signal.signal(number, _nothing)
        self.signal: int | None = None
        self.was_continued = False

    def look(self) -> list[int]:
        """Return the signals that came since the last look and that the program is to get."""
        try:
            numbers = os.read(self.descriptor, 4096)
        except BlockingIOError:
            return []
        stops = [number for number in numbers if number in STOP_SIGNALS]
        if stops and self.signal is None:
            self.signal = stops[0]
        if _CONTINUED in numbers:
            self.was_continued = True
        return [number for number in numbers if number in STOP_SIGNALS + PASSED_SIGNALS]

    def is_requested(self) -> bool:
        """Tell whether anybody has told this process to stop."""
        self.look()
        return self.signal is not None

    def hears_echo(self) -> bool:
        """Tell whether the signal that a program ended by was meant for the worker too.

        scancel signals both; the program may be the quicker of the two to feel it.
        """
        self.sleep(_ECHO_SECONDS)
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
