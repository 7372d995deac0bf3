"""The live view: frames on a terminal, a line when something changed elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, TextIO

from orchestrator.reports.brief import plain_line
from orchestrator.reports.closing import spoken_name
from orchestrator.reports.looks import QUIT, Look, pressed
from orchestrator.reports.refreshing import (
    FRAMES_LOAD,
    LINES_LOAD,
    Latest,
    ReadSnapshot,
    Refreshing,
    pause_after,
)
from orchestrator.reports.snapshot import Snapshot, SnapshotReader
from orchestrator.reports.texts import printable

if TYPE_CHECKING:
    from rich.console import Console

    from orchestrator.reports.screen import Screen

__all__ = ["Snapshot", "SnapshotReader", "plain_line", "show_once", "watch"]

# How soon a key, a stop, and a new size of the terminal are noticed.
_NAP_SECONDS = 0.1
# So long the last look at an experiment may take.
_LAST_SECONDS = 10.0
_NOT_NEW = "not up to date"
_DUMB = frozenset({"", "dumb", "unknown"})


def watch(
    read_snapshot: ReadSnapshot,
    *,
    stop: Callable[[], bool],
    refresh_seconds: float = 1.0,
    stream: TextIO | None = None,
    on_quit: Callable[[], None] | None = None,
    sleep: Callable[[float], object] = time.sleep,
) -> Snapshot | None:
    """Show an experiment until `stop` says so; the last frame stays on the terminal.

    A database that does not answer is waited for, and the view says so. On a terminal, keys change
    the view, and what this process prints meanwhile appears when the view is closed.

    Args:
        read_snapshot: Reads the present moment; called in one thread at a time.
        stop: Asked after each refresh, and on a terminal ten times a second.
        refresh_seconds: Least pause between two refreshes; it is longer where one is much work.
        stream: Where to; standard output if None. Plain lines unless it is a terminal.
        on_quit: Called when the person who looks closes the view with a key; plain lines follow
            until `stop` says so. None: closing the view ends the watch.
        sleep: Passes so many seconds between two lines, or fewer once `stop` would say so.

    Returns:
        The last snapshot, or None if there never was one.
    """
    target = stream or sys.stdout
    latest = Latest(read_snapshot)
    is_closed = False
    if has_screen(target):
        is_closed = _show_frames(
            latest, target, stop=stop, refresh_seconds=refresh_seconds, leads=on_quit is not None
        )
        if not is_closed:
            return latest.snapshot
        if on_quit is None:
            _say_goodbye(latest.snapshot, target)
            return latest.snapshot
        on_quit()
    _show_lines(latest, target, stop=stop, sleep=sleep, refresh_seconds=refresh_seconds)
    return latest.snapshot


def show_once(snapshot: Snapshot, *, stream: TextIO | None = None) -> None:
    """Print one frame; without colours and cursor movements unless `stream` is a terminal."""
    from orchestrator.reports.frames import frame

    console = _console(stream or sys.stdout)
    # One line stays free for the cursor, so that the terminal does not scroll.
    size = console.size
    look = Look(ascii_only=not speaks_unicode())
    console.print(frame(snapshot, size.width, size.height - 1, look), crop=True)


def has_screen(stream: TextIO) -> bool:
    """Whether frames can be drawn there: it is a terminal that can move its cursor."""
    return stream.isatty() and os.environ.get("TERM", "") not in _DUMB


def speaks_unicode(environment: Mapping[str, str] | None = None) -> bool:
    """Whether the terminal shows more than ASCII, by the locale that the user has set.

    Python itself puts LC_CTYPE=C.UTF-8 in place of the locale C (PEP 538); it says nothing.

    Args:
        environment: The process's own if None.
    """
    variables = os.environ if environment is None else environment
    by_python = variables.get("LC_CTYPE") == "C.UTF-8"
    names = ("LC_ALL", "LANG") if by_python else ("LC_ALL", "LC_CTYPE", "LANG")
    chosen = next((variables[name] for name in names if variables.get(name)), "")
    codeset = chosen.partition("@")[0].lower().replace("-", "")
    return codeset.endswith("utf8")


def _show_lines(
    latest: Latest,
    stream: TextIO,
    *,
    stop: Callable[[], bool],
    sleep: Callable[[float], object],
    refresh_seconds: float,
) -> None:
    """Print a line when it says something new, until `stop` says so."""
    last = ""
    is_over = False
    while not is_over:
        # What happened since the last refresh is shown, too.
        is_over = stop()
        latest.refresh()
        if latest.why:
            # Once: the words of an outage may change with every look.
            is_told = last.startswith(_NOT_NEW)
            line = last if is_told else printable(f"{_NOT_NEW}: {latest.why}")
        else:
            line = "" if latest.snapshot is None else plain_line(latest.snapshot)
        if line and line != last:
            print(line, file=stream, flush=True)
            last = line
        if not is_over and not stop():
            pause = pause_after(
                latest.work_seconds, latest.took_seconds, least=refresh_seconds, load=LINES_LOAD
            )
            sleep(pause)


def _show_frames(
    latest: Latest,
    stream: TextIO,
    *,
    stop: Callable[[], bool],
    refresh_seconds: float,
    leads: bool,
) -> bool:
    """Draw frames until `stop` says so or a key closes the view; whether it was the key."""
    from orchestrator.reports.aside import kept_aside
    from orchestrator.reports.screen import Screen

    with kept_aside(), Screen(stream) as screen:
        view = _Frames(latest, screen, stream, leads=leads)
        is_closed = view.run(stop, refresh_seconds)
        if not is_closed:
            view.look_once_more()
    if not is_closed and latest.snapshot is not None:
        show_once(latest.snapshot, stream=stream)
    return is_closed


class _Frames:
    """Frames of one experiment, drawn anew when there is something new to draw."""

    def __init__(self, latest: Latest, screen: Screen, stream: TextIO, *, leads: bool) -> None:
        self._latest = latest
        self._refreshing = Refreshing(latest)
        self._screen = screen
        self._console = _console(stream)
        self._look = Look(ascii_only=not speaks_unicode(), has_keys=screen.has_keys, leads=leads)
        self._shown: Snapshot | None = None
        self._drawn: object = None
        self._work_seconds = 0.0

    def run(self, stop: Callable[[], bool], refresh_seconds: float) -> bool:
        """Draw until `stop` says so or a key closes the view; whether it was the key."""
        due = 0.0
        is_reading = False
        while not stop():
            if is_reading and self._refreshing.is_done():
                is_reading = False
                due = time.monotonic() + self._pause(refresh_seconds)
            if not is_reading and time.monotonic() >= due and not self._look.frozen:
                self._refreshing.begin()
                is_reading = True
            self._draw()
            for key in self._screen.keys(_NAP_SECONDS):
                if key == QUIT:
                    return True
                self._look = pressed(self._look, key)
        return False

    def _pause(self, least: float) -> float:
        work = self._latest.work_seconds + self._work_seconds
        return pause_after(work, self._latest.took_seconds, least=least, load=FRAMES_LOAD)

    def look_once_more(self) -> None:
        """Read what happened since the last refresh: it belongs to the frame that stays."""
        if self._refreshing.is_done(seconds=_LAST_SECONDS):
            self._refreshing.begin()
            self._refreshing.is_done(seconds=_LAST_SECONDS)

    def _draw(self) -> None:
        """Draw unless the same is on the screen already."""
        if not self._screen.is_ready():
            self._drawn = None
            return
        if not self._look.frozen:
            self._shown = self._latest.snapshot
        look = replace(self._look, problem=self._refreshing.problem)
        size = self._screen.size
        wanted = (self._screen.taken, id(self._shown), look, size)
        if wanted == self._drawn:
            return
        began = time.thread_time()
        self._screen.draw(self._lines(look, size))
        self._drawn = wanted
        self._work_seconds = time.thread_time() - began

    def _lines(self, look: Look, size: os.terminal_size) -> list[str]:
        from orchestrator.reports.frames import frame

        if self._shown is None:
            return [printable(look.problem)[: size.columns] or "looking ..."]
        drawn = frame(self._shown, size.columns, size.lines, look)
        self._console.width = size.columns
        with self._console.capture() as capture:
            self._console.print(drawn, end="")
        return capture.get().split("\n")


def _say_goodbye(snapshot: Snapshot | None, stream: TextIO) -> None:
    if snapshot is None:
        return
    print(plain_line(snapshot), file=stream)
    print(f"Look again: headway follow {spoken_name(snapshot.experiment)}", file=stream, flush=True)


def _console(stream: TextIO) -> Console:
    from rich.console import Console

    return Console(file=stream, highlight=False, markup=False)
