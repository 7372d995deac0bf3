"""Leads a run from this terminal: the head in the main thread, what is shown of it in others."""

from __future__ import annotations

import contextlib
import sys
import threading
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
from orchestrator.errors import FailureLimitError, HeadwayError, NoSuccessError, UsageError
from orchestrator.loop import Ending
from orchestrator.reports.closing import closing
from orchestrator.reports.documents import ResultsFile
from orchestrator.reports.live import SnapshotReader, watch
from orchestrator.reports.log import HeadLog
from orchestrator.reports.texts import printable, values
from orchestrator.steps.notes import Note

INTERRUPTED = 130
# The file results.csv of an earlier head may stand for so long.
_LATER_SECONDS = 10.0
_INTERRUPTIONS = (Ending.STOPPED, Ending.CANCELLED, Ending.LEFT)


def lead(made: Run, cluster: Cluster, generators: Generators, *, show_generations: bool) -> int:
    """Run the head to its end, show what happens, and say how it ended."""
    collect_again()
    is_live = sys.stdout.isatty()
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
        with _shown(made, reader, log):
            note = _noter(log, is_live=is_live)
            ending = run_head(made, cluster, generators, note=note)
        # A terminal that is gone needs no summary, and how it ended is known without one.
        with contextlib.suppress(OSError, DatabaseError):
            if show_generations:
                _print_generations(reader, made)
            print(closing(reader, made.stored.id, database=mask(made.db_url)), flush=True)
        return _exit_code(made, ending)


def _noter(log: HeadLog, *, is_live: bool) -> Note:
    """Log everything; on a plain terminal say aloud what is not as it should be."""

    def note(event: str, /, *, level: str = "info", **fields: object) -> None:
        log.note(event, level=level, **fields)
        if level in {"warning", "error"} and not is_live:
            line = printable(f"{level}: {event}  {values(fields)}".rstrip())
            with contextlib.suppress(OSError):
                print(line, file=sys.stderr, flush=True)

    return note


@contextlib.contextmanager
def _shown(made: Run, reader: Reader, log: HeadLog) -> Iterator[None]:
    """Show the run and keep results.csv current, from two threads, while the block runs."""
    ended = threading.Event()
    snapshots = SnapshotReader(reader, made.stored.id)
    results = ResultsFile(made.run_dir, reader=reader, experiment_id=made.stored.id, note=log.note)

    def show() -> None:
        # Whatever ends the view does not end the head.
        try:
            watch(snapshots.read, stop=ended.is_set)
        except (OSError, DatabaseError, HeadwayError) as error:
            log.note("the view ended", level="warning", why=str(error))

    def keep_results() -> None:
        # Of many trials it takes seconds, which a head that goes on needs for them itself.
        if made.is_resumed and ended.wait(_LATER_SECONDS):
            return
        while not ended.wait(1.0):
            results.update()

    threads = [threading.Thread(target=target, daemon=True) for target in (show, keep_results)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()
        results.update(force=True)


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
