"""The documents of a run folder that people and other programs read: spec.json and results.csv."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from db.errors import DatabaseError
from db.spool.layout import write_whole
from db.sql.reading import experiments, trials
from db.sql.reading.reader import Reader
from db.sql.reading.trials import TrialRow
from orchestrator.reports.rows import Headings, trial_row

SPEC_FILE = "spec.json"
RESULTS_FILE = "results.csv"
_BEFORE = ("trial_index", "status", "generator", "host", "attempts")
_AFTER = ("start_time", "end_time", "run_time_seconds", "exit_code", "reason")
# So many trials are read in one transaction, and held in memory at once.
_PAGE = 1000
SHORTEST_PAUSE_SECONDS = 10.0
# Writing takes at most this share of the time, however long the table has grown.
_SHARE = 0.05

Note = Callable[..., None]


@dataclass(frozen=True, kw_only=True)
class RunCard:
    """`spec.json`: what the run in a folder is, and where its data are.

    Attributes:
        name: Name of the experiment.
        run_number: Which run of that name.
        uuid: The same in every database.
        created_at: When it was set up, ISO 8601.
        host: Host of its head; only there an SQLite file may be opened.
        database: URL of the database without its password.
        spec: What was asked for.
    """

    name: str
    run_number: int
    uuid: str
    created_at: str
    host: str
    database: str
    spec: dict[str, Any]


def write_card(run_dir: Path, card: RunCard) -> None:
    """Write `spec.json` at once, readable by its owner only; an older one is replaced.

    Raises:
        OSError: It could not be written; an older one is still there.
    """
    text = json.dumps(asdict(card), indent=2, ensure_ascii=False) + "\n"
    write_whole(str(run_dir / SPEC_FILE), text, durable=True)


def find_card(run_dir: Path) -> RunCard | None:
    """Read `spec.json`; None if the folder has none that this Headway understands."""
    try:
        found = json.loads((run_dir / SPEC_FILE).read_text(encoding="utf-8"))
        return RunCard(**{name: found[name] for name in RunCard.__annotations__})
    except (OSError, ValueError, KeyError, TypeError):
        return None


class ResultsFile:
    """Keeps `results.csv` current: one row a trial, replaced at once, never half written.

    Writing takes from milliseconds to seconds with the number of trials, in short reading
    transactions; so a head calls `update` from a thread, always the same one.
    """

    def __init__(self, run_dir: Path, *, reader: Reader, experiment_id: int, note: Note) -> None:
        """Write nothing yet.

        Args:
            run_dir: The run folder.
            reader: The database.
            experiment_id: The experiment.
            note: Told when the file could not be written.
        """
        self.path = run_dir / RESULTS_FILE
        self._reader = reader
        self._experiment_id = experiment_id
        self._note = note
        self._next = 0.0
        self._infos: dict[str, None] = {}

    def update(self, *, force: bool = False) -> bool:
        """Write the file if it is due; the pause between two writings grows with their length.

        A full disk or a database that does not answer is noted, and the old file stays.

        Args:
            force: Write now, for example at the end.

        Returns:
            Whether the file was written.
        """
        began = time.monotonic()
        if began < self._next and not force:
            return False
        try:
            self._write()
        except (OSError, DatabaseError) as error:
            self._note("results.csv could not be written", level="warning", why=str(error))
            return False
        finally:
            spent = time.monotonic() - began
            self._next = time.monotonic() + max(SHORTEST_PAUSE_SECONDS, spent / _SHARE)
        return True

    def _write(self) -> None:
        """Write all rows; once more if trials had extra columns that nobody knew before."""
        known = -1
        while known < len(self._infos):
            known = len(self._infos)
            with _replacing(self.path) as stream:
                self._write_rows(stream)

    def _write_rows(self, stream: TextIO) -> None:
        headings = self._headings()
        columns = [*_BEFORE, *headings.titles(), *_AFTER]
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        writer.writeheader()
        for trial in self._trials():
            row = trial_row(trial)
            self._infos |= dict.fromkeys(row["infos"])
            writer.writerow(_document_row(row, headings))

    def _headings(self) -> Headings:
        with self._reader.read() as connection:
            experiment = experiments.find(connection, self._experiment_id)
            parameters = experiments.parameters(connection, self._experiment_id)
        return Headings.choose(
            fixed=(*_BEFORE, *_AFTER),
            parameters=[parameter.name for parameter in parameters],
            results=[objective.name for objective in experiment.objectives] if experiment else [],
            infos=list(self._infos),
        )

    def _trials(self) -> Iterator[TrialRow]:
        with self._reader.read() as connection:
            keys = trials.keys(connection, self._experiment_id)
        for start in range(0, len(keys), _PAGE):
            with self._reader.read() as connection:
                page = trials.rows(connection, keys[start : start + _PAGE])
            yield from page


def _document_row(row: Mapping[str, Any], headings: Headings) -> dict[str, object]:
    """Return the line of one trial; what is not known is empty."""
    flat = headings.flatten(
        {
            "trial_index": row["trial"],
            "start_time": row["started_at"],
            "end_time": row["ended_at"],
            "run_time_seconds": row["run_seconds"],
            **{name: row[name] for name in (*_BEFORE[1:], "exit_code", "reason")},
            **{name: row[name] for name in ("parameters", "results", "infos")},
        }
    )
    return {title: _field(value) for title, value in flat.items()}


def _field(value: object) -> object:
    match value:
        case bool():
            return "true" if value else "false"
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="microseconds")
        case str():
            return value.replace("\0", "")
        case _:
            return value


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[TextIO]:
    """Write a text file under a temporary name and give it its own at the end.

    Raises:
        OSError: Something failed; the old file is still there, and nothing else.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(temporary, flags, 0o600)
        with open(descriptor, "w", encoding="utf-8", newline="") as stream:  # noqa: PTH123
            yield stream
            stream.flush()
            os.fsync(descriptor)
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
