"""Where an experiment is kept: the run folder and the database, checked without touching them.

And the way back: from what a user calls an experiment to its place.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.cli.urls import VARIABLE, expanded, is_text, read_db_url
from orchestrator.errors import HeadAliveError, UsageError, did_you_mean

if TYPE_CHECKING:
    from db.sql.reading.reader import Reader
    from orchestrator.reports.documents import RunCard

DEFAULT_RUN_DIR = "runs"
RUN_DIR_VARIABLE = "HEADWAY_RUN_DIR"
DATABASE_FILE = "database.db"
# No file system takes longer names.
_RUN = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_.-]{0,254})(?:/([0-9]{1,9}))?")


def read_run_root(given: str | None, cwd: Path) -> Path:
    """Return the folder of all runs, absolute, if runs can be made in it.

    Raises:
        UsageError: A file is in the way, or the folder cannot be written or stored.
    """
    root = cwd / expanded(given or DEFAULT_RUN_DIR, "--run_dir")
    if not is_text(root):
        raise UsageError(f"--run_dir: {str(root)!r} is not UTF-8; give another folder")
    try:
        there = next(place for place in (root, *root.parents) if place.exists())
        is_folder, may_write = there.is_dir(), os.access(there, os.W_OK | os.X_OK)
    except OSError as error:
        raise UsageError(f"--run_dir: {str(root)!r} cannot be used: {error.strerror}") from None
    if not is_folder:
        raise UsageError(f"--run_dir: {str(there)!r} is a file; give a folder")
    if not may_write:
        raise UsageError(f"--run_dir: {str(there)!r} cannot be written; give another folder")
    return Path(os.path.abspath(root))  # noqa: PTH100 - resolve() would follow links


def runs_root(given: str | None) -> Path:
    """Return the folder of all runs, absolute, to look for runs in it; else HEADWAY_RUN_DIR says it.

    Raises:
        UsageError: It begins with a home folder that nobody knows.
    """
    variable = os.environ.get(RUN_DIR_VARIABLE, "").strip()
    called = "--run_dir" if given or not variable else RUN_DIR_VARIABLE
    return expanded(given or variable or DEFAULT_RUN_DIR, called).absolute()


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where one experiment is.

    Attributes:
        name: Its name.
        run_number: Which run of that name.
        db_url: Its database; may hold a password.
        experiment_id: Its key there; 0: not known.
        run_dir: Its run folder; it may lie on another machine.
        other_host: The host of the head, if only that host may open the database now; else None.
    """

    name: str
    run_number: int
    db_url: str = field(repr=False)
    experiment_id: int
    run_dir: Path
    other_host: str | None = None

    @property
    def label(self) -> str:
        """The run as a user names it: NAME/N."""
        return f"{self.name}/{self.run_number}"


def find(
    text: str | None,
    *,
    run_root: str | None = None,
    db_url: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Place:
    """Find an experiment.

    A run folder says itself where its data are. A name is looked for in the database that
    `--db_url` names, else in the one of HEADWAY_DB_URL, and then among the runs here.

    Args:
        text: NAME (its latest run), NAME/N, or a run folder; None: the latest run here.
        run_root: Folder of all runs; None: as `runs_root` says.
        db_url: The database, or `@FILE`; None: see above.
        environment: For HEADWAY_DB_URL; the process's own if None.

    Raises:
        UsageError: There is no such experiment, or its database cannot be read.
    """
    variables = os.environ if environment is None else environment
    url, _ = read_db_url(db_url, variables, Path.cwd())
    root = runs_root(run_root)
    named = _named_folder(text)
    if named is not None:
        return _of_card(*named, url if db_url else None)
    if url is not None:
        found = _in_database(text, url, given=db_url)
        if found is not None:
            return found
        if db_url:
            raise _unknown(text, _names_in(url), "this database")
    return _of_card(*_run_here(text, root), None)


def find_run(text: str | None, root: Path) -> Place:
    """Find a run among those here, without a look into its database: its key is not known.

    Args:
        text: NAME, NAME/N, or a run folder; None: the latest run.
        root: Folder of all runs.

    Raises:
        UsageError: There is no such run.
        HeadAliveError: Its database must not be opened from here.
    """
    place = _unopened(*(_named_folder(text) or _run_here(text, root)), None)
    _check_host(place)
    return place


def _named_folder(text: str | None) -> tuple[Path, RunCard] | None:
    """Return the run folder that a word names; None: it is a NAME or NAME/N, or there is no word."""
    if text is None:
        return None
    folder = expanded(text, "EXP").absolute()
    card = _card_of(folder)
    if card is not None:
        return folder, card
    if not _RUN.fullmatch(text):
        raise UsageError(f"{text!r}: there is no run folder of this name with a spec.json in it.")
    return None


def runs_here(root: Path) -> Iterator[tuple[Path, RunCard]]:
    """Go through the run folders in a folder of all runs, the one started last at the end.

    Raises:
        UsageError: The folder cannot be searched.
    """
    with _searching(root):
        if root.is_dir():
            os.scandir(root).close()  # what may not be read looks empty to glob
        folders = [path.parent for path in root.glob("*/*/spec.json")]
    for folder in sorted(folders, key=_started):
        card = _card_of(folder)
        if card is not None:
            yield folder, card


@contextlib.contextmanager
def _searching(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(f"--run_dir: {str(root)!r} cannot be used: {error.strerror}") from None


def open_place(place: Place, *, upgrade: str = "") -> Reader:
    """Open the database of an experiment for reading.

    Args:
        place: Where it is.
        upgrade: The command that brings it up to date, where the URL does not tell the best one.

    Raises:
        UsageError: It cannot be opened.
        HeadAliveError: It must not be opened from this host.
    """
    from db.errors import DatabaseError, DatabaseInUse, OlderSchema
    from db.sql.reading.reader import open_reader

    _check_host(place)
    try:
        return open_reader(place.db_url)
    except OlderSchema as error:
        hint = f"Bring it up to date: {upgrade}" if upgrade else error.hint
        raise UsageError(f"{place.label}: {error.message}", hint) from None
    except DatabaseInUse as error:
        raise HeadAliveError(f"{place.label}: {error.message}", error.hint) from None
    except DatabaseError as error:
        raise UsageError(f"{place.label}: {error}") from None


def _check_host(place: Place) -> None:
    if place.other_host is not None:
        raise HeadAliveError(
            f"{place.label}: its SQLite database lies on a network file system, and its head on "
            f"{place.other_host} uses it.",
            f"Look from {place.other_host}, or here with `headway follow`, `headway status`, or at "
            f"{place.run_dir / 'results.csv'}.",
        )


def place_of(folder: Path, card: RunCard) -> Place:
    """Return the place of the run in a folder.

    Raises:
        UsageError: Its database is not known any more, cannot be read, or does not hold it.
    """
    return _of_card(folder, card, None)


def _started(folder: Path) -> float:
    """When the run was last set up or resumed: `spec.json` is written anew then."""
    try:
        return (folder / "spec.json").stat().st_mtime
    except OSError:
        return 0.0


def _card_of(folder: Path) -> RunCard | None:
    from orchestrator.reports.documents import find_card

    return find_card(folder)


def _of_card(folder: Path, card: RunCard, url: str | None) -> Place:
    from db.sql.reading import experiments

    label = f"{card.name}/{card.run_number}"
    place = _unopened(folder, card, url)
    if place.other_host is not None:
        return place
    upgrade = "" if url else f"headway db upgrade {_word_for(folder, label)}"
    with open_place(place, upgrade=upgrade) as reader, reader.read() as connection:
        key = experiments.find_key_by_uuid(connection, card.uuid)
    if key is None:
        raise UsageError(f"{label}: its database does not hold it (any more).")
    return replace(place, experiment_id=key)


def _unopened(folder: Path, card: RunCard, url: str | None) -> Place:
    return Place(
        name=card.name,
        run_number=card.run_number,
        db_url=url or _url_of(folder, card),
        experiment_id=0,
        run_dir=folder,
        other_host=None if url else _other_host(folder),
    )


def _word_for(folder: Path, label: str) -> str:
    """Return the word by which a command finds the run in `folder` again."""
    is_default = folder == Path.cwd() / DEFAULT_RUN_DIR / label
    return label if is_default else shlex.quote(str(folder))


def _url_of(folder: Path, card: RunCard) -> str:
    """Return the URL of a run's database: its own file, which may have moved with the folder."""
    from db.sql.engine import sqlite_url

    if (folder / DATABASE_FILE).is_file():
        return sqlite_url(folder / DATABASE_FILE)
    try:
        url = json.loads((folder / "job.json").read_text(encoding="utf-8"))["db_url"]
    except (OSError, ValueError, KeyError, TypeError):
        url = None
    if isinstance(url, str):
        return url
    if ":***@" in card.database:
        raise UsageError(
            f"{card.name}/{card.run_number}: the password of its database is not known here.",
            f"Give --db_url or {VARIABLE}.",
        )
    return card.database


def _other_host(folder: Path) -> str | None:
    """Return the head's host if this one must keep away from the run's SQLite file.

    Locks of SQLite may not hold between hosts; a reader that believes the writer dead would roll
    its transaction back (sqlite.org/howtocorrupt.html, section 2.1).
    """
    from db.sql.head_lock import find_foreign

    # The lock of a run whose database is a server's keeps nobody away.
    if not (folder / DATABASE_FILE).is_file():
        return None
    held = find_foreign(folder / DATABASE_FILE)
    return None if held is None else held.holder.host


def _in_database(text: str | None, url: str, *, given: str | None) -> Place | None:
    from db.errors import DatabaseError, DatabaseInUse, OlderSchema
    from db.sql.reading import experiments
    from db.sql.reading.reader import open_reader

    name, number = parse_label(text)
    option = "--db_url" if given else VARIABLE
    try:
        with open_reader(url) as reader, reader.read() as connection:
            key = experiments.find_key(connection, name, number)
            row = None if key is None else experiments.find(connection, key)
    except OlderSchema as error:
        hint = error.hint
        if given is None or given.startswith("@"):
            words = "" if given is None else f" --db_url {shlex.quote(given)}"
            hint = f"Bring it up to date: headway db upgrade{words}"
        raise UsageError(f"{option}: {error.message}", hint) from None
    except DatabaseInUse as error:
        raise HeadAliveError(f"{option}: {error.message}", error.hint) from None
    except DatabaseError as error:
        raise UsageError(f"{option}: {error}") from None
    if row is None:
        return None
    return Place(
        name=row.name,
        run_number=row.run_number,
        db_url=url,
        experiment_id=row.id,
        run_dir=Path(row.run_dir),
    )


def _names_in(url: str) -> list[str]:
    from db.sql.reading import experiments
    from db.sql.reading.reader import open_reader

    with open_reader(url) as reader, reader.read() as connection:
        return [
            word for name, run in experiments.runs(connection) for word in (f"{name}/{run}", name)
        ]


def _run_here(text: str | None, root: Path) -> tuple[Path, RunCard]:
    name, number = parse_label(text)
    found = None
    if name is None:
        found = next(reversed(list(runs_here(root))), None)
    else:
        with _searching(root):
            runs = list((root / name).glob("*"))
        numbers = [int(path.name) for path in runs if path.name.isdecimal()]
        for run in [number] if number is not None else sorted(numbers, reverse=True):
            card = _card_of(root / name / str(run))
            if card is not None:
                found = (root / name / str(run), card)
                break
    if found is None:
        names = [word for _, c in runs_here(root) for word in (f"{c.name}/{c.run_number}", c.name)]
        raise _unknown(text, names, str(root))
    return found


def parse_label(text: str | None) -> tuple[str | None, int | None]:
    """Return the name and the run number in NAME or NAME/N, as far as they are there."""
    match = None if text is None else _RUN.fullmatch(text)
    if match is None:
        return None, None
    return match[1], None if match[2] is None else int(match[2])


def _unknown(text: str | None, names: list[str], where: str) -> UsageError:
    if text is None or not names:
        what = "no experiment" if text is None else f"no experiment {text!r}"
        return UsageError(
            f"there is {what} in {where}.", "Give --run_dir, --db_url or a run folder."
        )
    hint = did_you_mean(text, names)
    return UsageError(
        f"there is no experiment {text!r} in {where}.", hint or "`headway list` names all."
    )
