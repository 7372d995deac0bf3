"""The documents of a run folder that people and other programs read: spec.json and results.csv."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from operator import itemgetter
from pathlib import Path
from typing import Any

from db.errors import DatabaseError
from db.export.files import replacing
from db.export.lines import line_writer
from db.spool.layout import write_whole
from db.sql.reading import activity, wide
from db.sql.reading.fields import Column, unique_titles
from db.sql.reading.reader import Reader

SPEC_FILE = "spec.json"
RESULTS_FILE = "results.csv"
# Titles in results.csv (OmniOpt2's, where it has the column) and in the table of trials.
_BEFORE = {
    "trial_index": "trial",
    "status": "status",
    "generator": "generator",
    "host": "host",
    "attempts": "attempts",
}
_GROUPS = {"parameters": "parameter", "results": "result", "infos": "info"}
_AFTER = {
    "start_time": "started_at",
    "end_time": "ended_at",
    "run_time_seconds": "run_seconds",
    "exit_code": "exit_code",
    "reason": "reason",
}
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
        host: Host of the head that wrote it.
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
        self._is_behind = False
        self._marks: tuple[object, ...] = ()

    def update(self, *, force: bool = False) -> bool:
        """Write the file if it is due and something has happened since it was written last.

        The pause between two writings grows with their length.

        A full disk or a database that does not answer is noted once, and the old file stays.

        Args:
            force: Write now, for example at the end.

        Returns:
            Whether the file was written.
        """
        began = time.monotonic()
        if began < self._next and not force:
            return False
        try:
            with self._reader.read() as connection:
                marks = activity.marks(connection, self._experiment_id)
            if marks == self._marks and not force:
                return False
            self._write()
        except (OSError, DatabaseError) as error:
            if not self._is_behind:
                self._note("results.csv could not be written", level="warning", why=str(error))
            self._is_behind = True
            return False
        finally:
            spent = time.monotonic() - began
            self._next = time.monotonic() + max(SHORTEST_PAUSE_SECONDS, spent / _SHARE)
        if self._is_behind:
            self._note("results.csv is current again")
        self._is_behind, self._marks = False, marks
        return True

    def _write(self) -> None:
        with self._reader.read() as connection:
            table = wide.trials(connection, self._experiment_id)
        columns, places = _chosen(table.columns)
        pick, form = itemgetter(*places), line_writer(columns)
        with (
            replacing([self.path], mode=0o600) as (path,),
            path.open("w", encoding="utf-8", newline="") as stream,
        ):
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(column.name for column in columns)
            for page in table.pages(self._reader.read):
                writer.writerows(map(form, map(pick, page)))


def _chosen(table: Sequence[Column]) -> tuple[list[Column], list[int]]:
    """Return the columns of results.csv under its own titles, and where each is in the table."""
    place = {column.name: at for at, column in enumerate(table)}
    taken = {*_BEFORE, *_AFTER}
    chosen = [(title, place[name]) for title, name in _BEFORE.items()]
    for group, prefix in _GROUPS.items():
        own = [at for at, column in enumerate(table) if column.group == group]
        titles = unique_titles(taken, prefix, [table[at].key for at in own])
        chosen += zip(titles, own, strict=True)
    chosen += [(title, place[name]) for title, name in _AFTER.items()]
    columns = [replace(table[at], name=title) for title, at in chosen]
    return columns, [at for _, at in chosen]
