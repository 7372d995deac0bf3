"""A terminal that shows frames in place and hears single keys, and is always given back as it was.

The frames go to the terminal's second screen, which leaves what was there before. Keys are read one
by one and not echoed; Ctrl-C stays what it is. A process in the background touches nothing: it draws
no frame and takes no key until it is in the foreground again.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from typing import Any, Self, TextIO

from orchestrator.reports.looks import SUSPEND

# Second screen on, cursor off, no line breaks at the right border, empty.
_BEGIN = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J"
_END = "\x1b[?7h\x1b[?25h\x1b[?1049l"
_HOME, _EMPTY_LINE, _BELOW = "\x1b[H", "\x1b[2K", "\x1b[J"
_USUAL_SIZE = os.terminal_size((80, 24))
_MOST_KEYS = 64
# So long a stop signal may take to reach all threads of this process.
_STOP_SECONDS = 0.2
# What would stop the whole process if it touched the terminal from the background.
_TERMINAL_SIGNALS = {signal.SIGTTIN, signal.SIGTTOU}
_LOCAL_MODES, _CONTROL_CHARACTERS = 3, 6  # places in what tcgetattr returns


class Screen:
    """A terminal; use it as a context, in one thread.

    Attributes:
        taken: How often it was taken: what was drawn before the last time is gone.
    """

    def __init__(self, stream: TextIO, keyboard: TextIO | None = None) -> None:
        """Take a terminal.

        Args:
            stream: Where frames go.
            keyboard: Where keys come from; standard input if None. Without a terminal there, no
                keys are heard.
        """
        stream.flush()  # what is printed through it comes before all frames
        self._output = stream.fileno()
        source = keyboard or sys.stdin
        self._keyboard = source.fileno() if source is not None and source.isatty() else None
        self._saved: list[Any] | None = None
        self._is_shown = False
        self._mask: set[int | signal.Signals] = set()
        self.taken = 0

    def __enter__(self) -> Self:
        # The terminal is taken by `is_ready`, within the block: whatever happens there, the end of
        # the block gives it back.
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, _TERMINAL_SIGNALS)
        return self

    def __exit__(self, *exception: object) -> None:
        del exception
        self._leave()
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)

    @property
    def has_keys(self) -> bool:
        """Whether keys are heard."""
        return self._keyboard is not None

    @property
    def size(self) -> os.terminal_size:
        """Columns and lines at this moment."""
        try:
            found = os.get_terminal_size(self._output)
        except OSError:
            return _USUAL_SIZE
        return found if found.columns and found.lines else _USUAL_SIZE

    def is_ready(self) -> bool:
        """Whether frames can be drawn now; takes the terminal (again) if that is so."""
        if not self._is_foreground():
            # Whoever has the terminal now has made it what it is.
            self._is_shown = False
            return False
        if self._is_shown and self._has_own_modes():
            return True
        self._take()
        return True

    def draw(self, lines: Sequence[str]) -> None:
        """Show lines from the top; they must not be wider than the terminal."""
        # Emptied first: behind a full line the cursor is still on its last character.
        text = "\r\n".join(_EMPTY_LINE + line for line in lines)
        has_more = len(lines) < self.size.lines
        self._write(_HOME + text + (f"\r\n{_BELOW}" if has_more else ""))

    def keys(self, seconds: float) -> Iterator[str]:
        """Wait for keys, not longer than `seconds`.

        Ctrl-Z stops the process (and those beside it, as the terminal would have done); this
        returns when it goes on.
        """
        if self._keyboard is None or not self._is_shown:
            time.sleep(seconds)
            return
        if not select.select([self._keyboard], [], [], seconds)[0]:
            return
        try:
            found = os.read(self._keyboard, _MOST_KEYS)
        except OSError:  # read from the background
            return
        if not found:  # the terminal is gone
            self._keyboard = None
        if found.startswith(b"\x1b"):  # an arrow, say
            return
        for key in found.decode(errors="replace"):
            if key == SUSPEND:
                self._suspend()
            else:
                yield key

    def _suspend(self) -> None:
        self._leave()
        os.kill(0, signal.SIGTSTP)
        time.sleep(_STOP_SECONDS)

    def _is_foreground(self) -> bool:
        try:
            return os.tcgetpgrp(self._output) == os.getpgrp()
        except OSError:  # not the terminal that controls this process: nothing stops it there
            return True

    def _has_own_modes(self) -> bool:
        if self._keyboard is None:
            return True
        with contextlib.suppress(termios.error):
            modes = termios.tcgetattr(self._keyboard)[_LOCAL_MODES]
            return not modes & (termios.ICANON | termios.ECHO)
        return True

    def _take(self) -> None:
        self._is_shown = True
        self.taken += 1
        if self._keyboard is not None:
            with contextlib.suppress(termios.error):
                modes = termios.tcgetattr(self._keyboard)
                self._saved = [*modes[:_CONTROL_CHARACTERS], list(modes[_CONTROL_CHARACTERS])]
                modes[_LOCAL_MODES] &= ~(termios.ICANON | termios.ECHO)
                modes[_CONTROL_CHARACTERS][termios.VMIN] = 1
                modes[_CONTROL_CHARACTERS][termios.VTIME] = 0
                # Heard as a key: the terminal is to be given back before this process stops.
                modes[_CONTROL_CHARACTERS][termios.VSUSP] = b"\x00"
                termios.tcsetattr(self._keyboard, termios.TCSANOW, modes)
        self._write(_BEGIN)

    def _leave(self) -> None:
        if not self._is_shown:
            return
        self._is_shown = False
        if not self._is_foreground():
            return
        # A terminal that is gone needs nothing.
        with contextlib.suppress(OSError):
            self._write(_END)
        if self._keyboard is not None and self._saved is not None:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self._keyboard, termios.TCSANOW, self._saved)

    def _write(self, text: str) -> None:
        data = text.encode(errors="replace")
        while data:
            data = data[os.write(self._output, data) :]
