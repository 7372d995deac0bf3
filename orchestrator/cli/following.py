"""`headway follow`: the live view of a search whose head may be anywhere, or dead."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType

from orchestrator.cli.places import Place, find, open_place
from orchestrator.reports.live import Snapshot, SnapshotReader, show_once, watch

# A shell's way to tell that a signal ended a command.
_BY_SIGNAL = 128


def follow(given: argparse.Namespace) -> int:
    """Show a search until it has ended.

    A dead head does not end the view: somebody may resume the search, and then it goes on.
    """
    place = find(given.experiment, run_root=given.run_dir, db_url=given.db_url)
    with _snapshots(place) as read_snapshot, _gentle_end():
        first = read_snapshot()
        if given.once:
            show_once(first)
            return 0
        last = [first]

        def read() -> Snapshot:
            last[0] = read_snapshot()
            return last[0]

        watch(read, stop=lambda: not last[0].is_active)
    sys.stdout.flush()
    return 0


@contextlib.contextmanager
def _snapshots(place: Place) -> Iterator[Callable[[], Snapshot]]:
    """Give what reads the present moment: the database, or what the head on another host wrote."""
    if place.other_host is not None:
        from orchestrator.reports.live_file import LiveFileReader

        yield LiveFileReader(place.run_dir).read
        return
    with open_place(place) as reader:
        yield SnapshotReader(reader, place.experiment_id).read


@contextlib.contextmanager
def _gentle_end() -> Iterator[None]:
    """Let SIGTERM and a lost terminal end the block as an exception does: the terminal is restored."""
    chosen = [
        number
        for number in (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is signal.SIG_DFL
    ]
    for number in chosen:
        signal.signal(number, _end)
    try:
        yield
    finally:
        for number in chosen:
            signal.signal(number, signal.SIG_DFL)


def _end(number: int, frame: FrameType | None) -> None:
    del frame
    raise SystemExit(_BY_SIGNAL + number)
