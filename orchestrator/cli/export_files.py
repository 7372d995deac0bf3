"""What `headway export` does: reads one moment of an experiment, writes whole files or none."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from db.export import files, parquet
from db.export.about import about
from db.export.ax import write_ax
from db.export.lines import write_csv, write_json
from db.sql.engine import is_sqlite, parse_url
from db.sql.reading import catalogue, experiments
from db.sql.reading.fields import Session, Table
from db.sql.reading.reader import Transaction
from orchestrator.cli.places import Place, find, open_place
from orchestrator.cli.urls import user_path
from orchestrator.errors import HeadwayError, UsageError


def export(given: argparse.Namespace) -> int:
    """Write one experiment out."""
    if given.format == "parquet" and not parquet.is_available():
        raise UsageError(
            "--format: parquet needs pyarrow, which is not installed.",
            "Install it: pip install 'headway[parquet]'",
        )
    place = find(given.experiment, run_root=given.run_dir, db_url=given.db_url)
    if given.output in {None, "-"}:
        _to_stdout(place, given)
        return 0
    targets = _targets(given, place)
    with (
        _told(repr(given.output)),
        _reading(place, given) as export,
        _folder(targets[0].parent),
        files.replacing(targets) as paths,
    ):
        export.write(paths)
    for path in targets:
        print(path)
    return 0


def _to_stdout(place: Place, given: argparse.Namespace) -> None:
    """Write by way of a temporary file: a slow reader of the pipe keeps no transaction open."""
    with tempfile.TemporaryFile() as file:
        with (
            _told(f"a temporary file in {tempfile.gettempdir()}"),
            _reading(place, given) as export,
        ):
            export.write_text(file)
        file.seek(0)
        shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.flush()


@contextlib.contextmanager
def _told(where: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        raise HeadwayError(f"--output: {where} could not be written: {why}") from None


@contextlib.contextmanager
def _folder(path: Path) -> Iterator[None]:
    """Make a folder if it is not there; it goes again if what should be in it fails."""
    is_new = not path.exists()
    path.mkdir(exist_ok=True)
    try:
        yield
    except BaseException:
        if is_new:
            with contextlib.suppress(OSError):
                path.rmdir()
        raise


@contextlib.contextmanager
def _reading(place: Place, given: argparse.Namespace) -> Iterator[_Export]:
    """Read everything in one transaction, so that all tables show one moment."""
    with open_place(place) as reader, reader.read() as connection:
        yield _Export(connection, place, given.format, given.table)


@dataclass(frozen=True)
class _Export:
    """One experiment in one moment."""

    connection: Transaction
    place: Place
    form: str
    names: tuple[str, ...]

    def _tables(self) -> list[Table]:
        return [
            catalogue.table(self.connection, self.place.experiment_id, name) for name in self.names
        ]

    def _session(self) -> Session:
        return lambda: nullcontext(self.connection)

    def write_text(self, stream: BinaryIO) -> None:
        """Write JSON, or the one table as CSV."""
        # What other programs once printed may not be Unicode; it is kept visible.
        text = io.TextIOWrapper(stream, "utf-8", errors="backslashreplace", newline="")
        if self.form == "json":
            experiment = experiments.find(self.connection, self.place.experiment_id)
            assert experiment is not None
            head = about(self.connection, experiment)
            write_json(head, self._tables(), self._session(), text)
        else:
            (table,) = self._tables()
            write_csv(table, self._session(), text)
        text.detach()

    def write(self, paths: list[Path]) -> None:
        """Write the files: one a table, or one in all."""
        if self.form == "ax":
            write_ax(self.place.experiment_id, self._session(), paths[0])
        elif self.form == "parquet":
            for table, path in zip(self._tables(), paths, strict=True):
                parquet.write_parquet(table, self._session(), path)
        elif self.form == "json":
            with paths[0].open("wb") as stream:
                self.write_text(stream)
        else:
            for name, path in zip(self.names, paths, strict=True):
                with path.open("wb") as stream:
                    _Export(self.connection, self.place, self.form, (name,)).write_text(stream)


def _targets(given: argparse.Namespace, place: Place) -> list[Path]:
    """Return the files to write, absolute, if they may be written.

    Raises:
        UsageError: One is in the way or cannot be used, or its folder does not exist.
    """
    output = Path(os.path.realpath(user_path(given.output, "--output")))
    if len(given.table) > 1 and given.format in {"csv", "parquet"}:
        if output.exists() and not output.is_dir():
            raise UsageError(f"--output: {given.output!r} is a file; several tables need a folder")
        folder, paths = output.parent, [output / f"{name}.{given.format}" for name in given.table]
    else:
        folder, paths = output.parent, [output]
    if not folder.is_dir():
        raise UsageError(f"--output: there is no folder {str(folder)!r}; make it first")
    for path in paths:
        _check_target(user_path(str(path), "--output"), given, place)
    return paths


def _check_target(path: Path, given: argparse.Namespace, place: Place) -> None:
    if is_sqlite(place.db_url) and _is_part(path, parse_url(place.db_url).database or ""):
        raise UsageError(f"--output: {str(path)!r} is the experiment's own database, or part of it")
    if not path.exists():
        return
    if path.is_dir():
        raise UsageError(f"--output: {str(path)!r} is a folder; give the name of a file")
    if not path.is_file():
        raise UsageError(f"--output: {str(path)!r} is no plain file; give another name")
    if not given.force:
        hint = "Give another name, or --force to replace it."
        raise UsageError(f"--output: {str(path)!r} exists.", hint)


def _is_part(path: Path, database: str) -> bool:
    """Whether SQLite takes a file, also one yet to be made, for a database or its journal.

    The names of journals are documented at sqlite.org/tempfiles.html.
    """
    own = os.path.realpath(database)
    is_journal = str(path) in {own + suffix for suffix in ("-wal", "-shm", "-journal")}
    return is_journal or (path.exists() and path.samefile(own))
