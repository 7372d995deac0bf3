"""Leads a run from this terminal: the head in the main thread, what is shown of it in others."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Iterator

from db.errors import DatabaseError
from db.sql.engine import mask
from db.sql.reading.reader import Reader, open_reader
from db.states import TrialStatus
from orchestrator.app.generating import Generators
from orchestrator.app.heads import count_trials, run_head
from orchestrator.app.runs import Run
from orchestrator.cli.collecting import collect_again
from orchestrator.cluster.base import Cluster
from orchestrator.errors import FailureLimitError, NoSuccessError, UsageError
from orchestrator.loop import Ending
from orchestrator.reports.closing import closing
from orchestrator.reports.documents import ResultsFile
from orchestrator.reports.live import SnapshotReader, has_screen, watch
from orchestrator.reports.live_file import LiveFile
from orchestrator.reports.log import HeadLog
from orchestrator.reports.sparing import SparingReader
from orchestrator.reports.texts import printable, values
from orchestrator.steps.notes import Note

INTERRUPTED = 130
# The file results.csv of an earlier head may stand for so long.
_LATER_SECONDS = 10.0
_INTERRUPTIONS = (Ending.STOPPED, Ending.CANCELLED, Ending.LEFT)


def lead(made: Run, cluster: Cluster, generators: Generators, *, show_generations: bool) -> int:
    """Run the head to its end, show what happens, and say how it ended."""
    collect_again()
    try:
        log = HeadLog(made.run_dir, echo=None)
    except OSError as error:
        raise UsageError(f"{made.run_dir} cannot be written: {error.strerror}") from error
    reader = open_reader(made.db_url)
    with contextlib.ExitStack() as stack:
        # With its last connection an SQLite file takes in what its write-ahead log holds: then the
        # file alone is the whole database, and may be copied or put on a read-only disk.
        stack.callback(made.engine.dispose)
        stack.callback(log.close)
        stack.callback(reader.close)
        is_viewed = threading.Event()
        if has_screen(sys.stdout):
            is_viewed.set()
        with _shown(made, reader, log, is_viewed):
            ending = run_head(made, cluster, generators, note=_noter(log, is_viewed))
        # A terminal that is gone needs no summary, and how it ended is known without one.
        with contextlib.suppress(OSError, DatabaseError):
            if show_generations:
                _print_generations(reader, made)
            print(closing(reader, made.stored.id, database=mask(made.db_url)), flush=True)
        return _exit_code(made, ending)


def _noter(log: HeadLog, is_viewed: threading.Event) -> Note:
    """Log everything; without a live view say aloud what is not as it should be."""

    def note(event: str, /, *, level: str = "info", **fields: object) -> None:
        log.note(event, level=level, **fields)
        if level in {"warning", "error"} and not is_viewed.is_set():
            line = printable(f"{level}: {event}  {values(fields)}".rstrip())
            with contextlib.suppress(OSError):
                print(line, file=sys.stderr, flush=True)

    return note


@contextlib.contextmanager
def _shown(made: Run, reader: Reader, log: HeadLog, is_viewed: threading.Event) -> Iterator[None]:
    """Show the run and keep its documents current, from two threads, while the block runs.

    Args:
        made: The run.
        reader: Its database.
        log: Its log.
        is_viewed: Whether there is a live view; cleared when somebody closes it.
    """
    ended = threading.Event()
    mine = SnapshotReader(reader, made.stored.id)
    snapshots = SparingReader(mine.read, is_ending=ended.is_set)
    results = ResultsFile(made.run_dir, reader=reader, experiment_id=made.stored.id, note=log.note)
    # Who may open the database from elsewhere has no need of a file.
    live = None
    if made.transport == "spool":
        live = LiveFile(made.run_dir, snapshots.read, note=log.note)

    def show() -> None:
        # Whatever ends the view does not end the head.
        try:
            watch(snapshots.read, stop=ended.is_set, on_quit=is_viewed.clear, sleep=ended.wait)
        except Exception as error:  # noqa: BLE001 - nobody else would tell of it
            log.note("the view ended", level="warning", why=f"{type(error).__name__}: {error}")
        finally:
            is_viewed.clear()

    def keep_documents() -> None:
        # Of many trials the table takes seconds, which a head that goes on needs for them itself.
        later = time.monotonic() + (_LATER_SECONDS if made.is_resumed else 0.0)
        while not ended.wait(1.0):
            if live is not None:
                live.update()
            if time.monotonic() >= later:
                results.update()

    view, keeper = [threading.Thread(target=f, daemon=True) for f in (show, keep_documents)]
    view.start()
    keeper.start()
    try:
        yield
    finally:
        ended.set()
        with _undisturbed():
            view.join()
        keeper.join()
        results.update(force=True)
        if live is not None:
            live.update(force=True)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Let one more Ctrl-C not end the process before its view has given the terminal back."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _print_generations(reader: Reader, made: Run) -> None:
    from db.sql.reading.activity import generations
    from orchestrator.reports.tables import print_rows

    with reader.read() as connection:
        found = generations(connection, made.stored.id, limit=made.spec.max_eval)
    columns = ("number", "generator", "requested", "produced", "fit_time", "gen_time")
    rows = [{name: getattr(row, name) for name in columns} for row in reversed(found)]
    print_rows(rows, columns, stream=sys.stdout)


def _exit_code(made: Run, ending: Ending) -> int:
    if ending in _INTERRUPTIONS:
        return INTERRUPTED
    if ending is Ending.FAILURES:
        return FailureLimitError.exit_code
    has_success = count_trials(made).get(TrialStatus.COMPLETED, 0) > 0
    return 0 if has_success else NoSuccessError.exit_code
