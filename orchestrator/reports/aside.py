"""What is printed while a view has the terminal: kept, and shown when it gives the terminal back."""

from __future__ import annotations

import collections
import contextlib
import io
import sys
from collections.abc import Iterator
from typing import TextIO

# Of a flood the last pieces.
_MOST_PIECES = 1000


class _Kept(io.TextIOBase):
    """Keeps what is written."""

    def __init__(self) -> None:
        self.pieces: collections.deque[str] = collections.deque(maxlen=_MOST_PIECES)

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        self.pieces.append(text)
        return len(text)


@contextlib.contextmanager
def kept_aside() -> Iterator[None]:
    """Keep what any thread prints on a terminal while the block runs, and print it afterwards.

    What does not go to a terminal goes where it always goes.
    """
    with contextlib.ExitStack() as stack:
        for stream, redirect in (
            (sys.stdout, contextlib.redirect_stdout),
            (sys.stderr, contextlib.redirect_stderr),
        ):
            if stream.isatty():
                kept = _Kept()
                stack.callback(_print_all, kept, stream)
                stack.enter_context(redirect(kept))
        yield


def _print_all(kept: _Kept, stream: TextIO) -> None:
    # A terminal that is gone takes nothing more.
    with contextlib.suppress(OSError, ValueError):
        stream.write("".join(kept.pieces))
        stream.flush()
