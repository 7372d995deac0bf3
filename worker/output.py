"""What the program prints: into the log as it comes, read for protocol lines, its end remembered."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from worker.protocol import Protocol

TAIL_BYTES = 4096
_LOG = 1  # the worker's own standard output is the attempt's log
_ERRORS = 2


class Output:
    """Takes the output of a program, standard output and errors, in the order in which they come."""

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol
        self._tail = b""
        self._is_cut = False
        self._lost = 0
        self._why_lost = ""

    def take(self, chunk: bytes, *, is_standard_output: bool) -> None:
        """Take a piece of output; only standard output is read for protocol lines."""
        try:
            left = chunk
            while left:
                left = left[os.write(_LOG if is_standard_output else _ERRORS, left) :]
        except OSError as error:
            # A log that cannot be written (closed, disk full) must not end a trial.
            self._lost += len(left)
            self._why_lost = str(error.strerror)
        if is_standard_output:
            self._protocol.feed(chunk)
        tail = chunk if len(chunk) > TAIL_BYTES else self._tail + chunk
        if len(tail) > TAIL_BYTES:
            self._is_cut = True
            tail = tail[-TAIL_BYTES:]
        self._tail = tail

    def problems(self) -> list[str]:
        """Return what the log lacks."""
        if not self._lost:
            return []
        return [f"the log lacks {self._lost} bytes of output: {self._why_lost}"]

    def tail(self) -> str:
        """Return the last lines that the program printed, at most 4 KB as UTF-8."""
        tail = self._tail
        if self._is_cut and b"\n" in tail[:-1]:
            tail = tail[tail.index(b"\n") + 1 :]
        text = tail.decode("utf-8", "replace").replace("\0", "\ufffd")
        return text.encode()[-TAIL_BYTES:].decode("utf-8", "ignore")


def write_all(descriptor: int, data: bytes) -> None:
    """Write to the log, as far as it can be written."""
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(descriptor, view) :]
    except OSError:
        return


def say(text: str) -> None:
    """Add a line of the worker's own to the log."""
    write_all(_ERRORS, f"headway: {text}\n".encode("utf-8", "replace"))
