"""What wakes the loop: threads, signals, and what a person asked for by Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from types import FrameType


class Alarm:
    """Wakes the loop from threads and signal handlers; collects what a person asked for.

    Attributes:
        interrupts: How often Ctrl-C was pressed.
        is_leaving: Whether SIGTERM came.
    """

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        for descriptor in (self._read, self._write):
            os.set_blocking(descriptor, False)
        self.interrupts = 0
        self.is_leaving = False

    def fileno(self) -> int:
        """Return the descriptor that gets readable when the alarm rings."""
        return self._read

    def ring(self) -> None:
        """Wake the loop; safe in any thread and in signal handlers."""
        # A full pipe wakes it as well.
        with contextlib.suppress(BlockingIOError):
            os.write(self._write, b"!")

    def silence(self) -> None:
        """Forget rings that were heard."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self._read, 4096):
                pass

    @contextlib.contextmanager
    def on_signals(self) -> Iterator[None]:
        """Take Ctrl-C and SIGTERM while the block runs; a lost terminal does not end the head."""
        old = {
            signal.SIGINT: signal.signal(signal.SIGINT, self._interrupt),
            signal.SIGTERM: signal.signal(signal.SIGTERM, self._leave),
            signal.SIGHUP: signal.signal(signal.SIGHUP, signal.SIG_IGN),
        }
        try:
            yield
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.interrupts += 1
        self.ring()

    def _leave(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.is_leaving = True
        self.ring()
