"""`headway db info` and `headway db upgrade`: what a database is, and bringing it up to date."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from db.sql.engine import SCHEMA_VERSION
from orchestrator.cli.outputs import answer
from orchestrator.cli.places import find_run, parse_label, runs_root
from orchestrator.cli.stores import check_one, label_of, read_url, told
from orchestrator.cli.urls import VARIABLE, read_db_url
from orchestrator.errors import UsageError
from orchestrator.reports.tables import print_record, print_rows

# More names than these are only counted on a terminal.
_MOST_NAMES = 10


def info(given: argparse.Namespace) -> int:
    """Print what a database is and holds."""
    from db.sql.facts import collect

    url, label = _find(given)
    with told(label):
        facts = collect(url)
    record = {
        "system": facts.system,
        "version": facts.system_version,
        "url": facts.url,
        "schema": facts.schema,
        "headway_schema": SCHEMA_VERSION,
        "journal": facts.journal,
        "filesystem": facts.filesystem,
        "bytes": facts.bytes,
        "experiments": facts.experiments,
        "rows": facts.rows,
    }
    answer(given, record, say=lambda: _say(record))
    return 0


def _say(record: dict[str, Any]) -> None:
    names = record["experiments"]
    shown = ", ".join(names[:_MOST_NAMES]) + (", …" if len(names) > _MOST_NAMES else "")
    experiments = f"{len(names)} ({shown})" if names else "none"
    print_record({**record, "experiments": experiments, "rows": None}, stream=sys.stdout)
    print()
    counts = [{"table": name, "rows": count} for name, count in record["rows"].items()]
    print_rows(counts, ("table", "rows"), stream=sys.stdout)


def upgrade(given: argparse.Namespace) -> int:
    """Bring a database to the schema of this Headway.

    Raises:
        UsageError: There is no such database, or it cannot be upgraded.
        HeadAliveError: A head works with it.
        DatabaseError: It failed; the text says so.
    """
    from db.sql.upgrade import upgrade_database

    url, label = _find(given)
    with told(label):
        done = upgrade_database(url)

    def say() -> None:
        if done.before == done.after:
            print(f"{label}: the schema is {done.after} already; nothing was changed.")
            return
        print(f"{label}: the schema is {done.after} now; it was {done.before}.")
        if done.copy is not None:
            print(f"The file as it was: {done.copy}")

    answer(given, vars(done) | {"copy": done.copy and str(done.copy)}, say=say)
    return 0


def _find(given: argparse.Namespace) -> tuple[str, str]:
    """Return the URL of the database that is meant, and its name for people, without a password.

    As `places.find`, but without the tables of this version: the database may be older.

    Raises:
        UsageError: There is no such experiment, or its database must not be opened from here.
    """
    word: str | None = given.experiment
    itself = None if word is None else read_url(word, called="EXP")
    if word is not None and itself is not None:
        check_one(word, given.db_url, called="EXP")
        return itself, label_of(itself)
    url, _ = read_db_url(given.db_url, os.environ, Path.cwd())
    option = "--db_url" if given.db_url else VARIABLE
    if url is not None and (word is None or _holds(url, word, option)):
        return url, label_of(url)
    if url is not None and given.db_url:
        raise UsageError(f"--db_url: this database holds no experiment {word!r}.")
    place = find_run(word, runs_root(given.run_dir))
    return place.db_url, place.label


def _holds(url: str, word: str, option: str) -> bool:
    from db.sql.facts import holds

    name, number = parse_label(word)
    with told(option):
        return name is not None and holds(url, name, number)
