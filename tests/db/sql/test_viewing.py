"""Who only looks changes nothing, and needs no more than the right to read."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from db.errors import DatabaseError
from db.sql.engine import connect, open_any, open_existing
from db.sql.facts import collect
from db.sql.reading.reader import open_reader
from tests.db.rich import make_rich

COUNT = sa.text("SELECT count(*) FROM trial")
COUNT_HOSTS = sa.text("SELECT count(*) FROM host")
INSERT = (
    "INSERT INTO host (cluster, name, state, first_seen_at, changed_at) "
    "VALUES ('', 'node1', 'GOOD', '2030-01-01', '2030-01-01')"
)


def journal_of(path: Path) -> str:
    """What the file itself remembers."""
    connection = sqlite3.connect(path)
    mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
    connection.close()
    return str(mode)


def test_a_file_of_another_program_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    theirs = sqlite3.connect(path)
    theirs.execute("CREATE TABLE t (x)")
    theirs.close()
    before = path.read_bytes()
    for opening in (connect, open_existing, open_any):
        with pytest.raises(DatabaseError):
            opening(f"sqlite:///{path}")
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["theirs.db"]


def test_an_empty_file_stays_empty(tmp_path: Path) -> None:
    path = tmp_path / "empty.db"
    path.touch()
    with pytest.raises(DatabaseError):
        open_existing(f"sqlite:///{path}", is_viewer=True)
    assert path.stat().st_size == 0


def test_the_journal_is_chosen_by_who_writes(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/database.db"
    connect(url).dispose()
    assert journal_of(tmp_path / "database.db") == "wal"
    plain = sqlite3.connect(tmp_path / "database.db")
    plain.execute("PRAGMA journal_mode = DELETE")
    plain.close()
    with open_reader(url) as reader, reader.read() as connection:
        assert connection.execute(COUNT).scalar() == 0
    assert journal_of(tmp_path / "database.db") == "delete"
    engine = open_existing(url)
    with engine.begin():
        pass
    engine.dispose()
    assert journal_of(tmp_path / "database.db") == "wal"


def test_a_network_file_system_gets_the_rollback_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("db.sql.sqlite.is_network", lambda _: True)
    connect(f"sqlite:///{tmp_path}/database.db").dispose()
    assert journal_of(tmp_path / "database.db") == "delete"


def test_a_viewer_who_may_not_write_sees_what_a_writer_commits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/database.db"
    connect(url).dispose()
    writer = sqlite3.connect(tmp_path / "database.db", isolation_level=None)
    # As on a network file system.
    writer.execute("PRAGMA journal_mode = DELETE")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with open_reader(url) as reader:
        with reader.read() as connection:
            assert connection.execute(COUNT_HOSTS).scalar() == 0
        writer.execute(INSERT)
        with reader.read() as connection:
            assert connection.execute(COUNT_HOSTS).scalar() == 1
    writer.close()


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A folder that nobody may write in, not even root, with the database of an ended run."""
    folder = tmp_path / "a b%c"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], check=True)
    try:
        engine = connect(f"sqlite:///{folder}/database.db")
        make_rich(engine)
        engine.dispose()
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def may_mount() -> bool:
    words = ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return subprocess.run(words, capture_output=True).returncode == 0


@pytest.mark.skipif(not may_mount(), reason="only root may mount")
def test_a_database_on_a_read_only_medium_can_be_read(read_only: Path) -> None:
    with open_reader(f"sqlite:///{read_only}/database.db") as reader, reader.read() as connection:
        assert connection.execute(COUNT).scalar() == 8
    facts = collect(f"sqlite:///{read_only}/database.db")
    assert facts.bytes == (read_only / "database.db").stat().st_size
