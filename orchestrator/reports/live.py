"""The live view: frames on a terminal, a line when something changed elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Self, TextIO

from db.errors import DatabaseUnavailable
from orchestrator.reports.frames import frame, plain_line
from orchestrator.reports.snapshot import Snapshot, SnapshotReader

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

__all__ = ["Snapshot", "SnapshotReader", "frame", "plain_line", "show_once", "watch"]

ReadSnapshot = Callable[[], Snapshot]
# How soon a stop is noticed between two refreshes.
_NAP_SECONDS = 0.1


def watch(
    read_snapshot: ReadSnapshot,
    *,
    stop: Callable[[], bool],
    refresh_seconds: float = 1.0,
    stream: TextIO | None = None,
) -> Snapshot | None:
    """Show an experiment until `stop` says so; the last frame stays on the terminal.

    A database that does not answer is waited for, and the view says so. Anything that other threads
    print meanwhile appears above the view.

    Args:
        read_snapshot: Reads the present moment; called in this thread only.
        stop: Asked ten times a second, and after each refresh.
        refresh_seconds: Pause between two refreshes.
        stream: Where to; standard output if None. Plain lines unless it is a terminal.

    Returns:
        The last snapshot, or None if there never was one.
    """
    target = stream or sys.stdout
    view = _Terminal(target) if target.isatty() else _Lines(target)
    latest = _Latest(read_snapshot)
    with view:
        while not stop():
            latest.refresh()
            view.show(latest)
            _pause(refresh_seconds, stop)
        # What happened since the last refresh belongs to the frame that stays.
        latest.refresh()
        view.show(latest)
    return latest.snapshot


def show_once(snapshot: Snapshot, *, stream: TextIO | None = None) -> None:
    """Print one frame; without colours and cursor movements unless `stream` is a terminal."""
    console = _console(stream or sys.stdout)
    console.print(_drawn(snapshot, console, ""), crop=True)


class _Latest:
    """The newest snapshot, and why there is no newer one."""

    def __init__(self, read_snapshot: ReadSnapshot) -> None:
        self._read = read_snapshot
        self._failing_since: float | None = None
        self.snapshot: Snapshot | None = None
        self.problem = ""

    def refresh(self) -> None:
        try:
            self.snapshot = self._read()
        except DatabaseUnavailable as error:
            self._failing_since = self._failing_since or time.monotonic()
            seconds = round(time.monotonic() - self._failing_since)
            self.problem = f"not up to date for {seconds} s: {error}"
        else:
            self._failing_since, self.problem = None, ""


class _Lines:
    """Plain lines, each only when it says something new."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._last = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        del exception

    def show(self, latest: _Latest) -> None:
        if latest.snapshot is None:
            return
        line = plain_line(latest.snapshot)
        if line != self._last:
            print(line, file=self._stream, flush=True)
            self._last = line


class _Terminal:
    """Frames in place."""

    def __init__(self, stream: TextIO) -> None:
        from rich.live import Live

        self._console = _console(stream)
        # Without auto_refresh rich starts no thread of its own.
        self._live = Live(console=self._console, auto_refresh=False, vertical_overflow="crop")

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        del exception
        self._live.stop()

    def show(self, latest: _Latest) -> None:
        if latest.snapshot is None:
            self._live.update(latest.problem, refresh=True)
            return
        self._live.update(_drawn(latest.snapshot, self._console, latest.problem), refresh=True)


def _console(stream: TextIO) -> Console:
    from rich.console import Console

    return Console(file=stream, highlight=False, markup=False)


def _drawn(snapshot: Snapshot, console: Console, problem: str) -> Text:
    size = console.size
    ascii_only = not console.encoding.lower().startswith("utf")
    # One line stays free for the cursor, so that the terminal does not scroll.
    height = size.height - 1
    return frame(snapshot, size.width, height, ascii_only=ascii_only, problem=problem)


def _pause(seconds: float, stop: Callable[[], bool]) -> None:
    until = time.monotonic() + seconds
    while not stop() and (left := until - time.monotonic()) > 0:
        time.sleep(min(_NAP_SECONDS, left))
