"""A file server that was restarted leaves handles that never work again; new ones do."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from db.errors import DatabaseUnavailable
from db.sql import sqlite
from db.sql.engine import connect, sqlite_url, translated
from db.sql.reading.reader import Reader
from db.sql.store import Engine
from db.sql.wakeup import make_bell


@pytest.fixture
def on_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """A database as on a network file system."""
    monkeypatch.setattr(sqlite, "is_network", lambda _: True)
    engine = connect(sqlite_url(tmp_path / "database.db"))
    yield engine
    engine.dispose()


def make_stale(file: Path) -> None:
    """Put something that can be neither read nor locked in the place of every open handle."""
    nothing = os.open("/", os.O_PATH)
    for entry in Path("/proc/self/fd").iterdir():
        if entry.exists() and entry.resolve() == file:
            os.dup2(nothing, int(entry.name), inheritable=False)
    os.close(nothing)


def count(engine: Engine) -> int:
    with translated(), engine.begin() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM trial").scalar_one())


def test_a_stale_handle_is_replaced(on_a_server: Engine, tmp_path: Path) -> None:
    assert count(on_a_server) == 0
    make_stale(tmp_path / "database.db")
    with pytest.raises(DatabaseUnavailable, match="disk I/O error"):
        count(on_a_server)
    assert count(on_a_server) == 0


def test_a_file_that_cannot_be_seen_for_a_while_is_waited_for(
    on_a_server: Engine, tmp_path: Path
) -> None:
    on_a_server.dispose()
    file, aside = tmp_path / "database.db", tmp_path / "aside.db"
    file.rename(aside)
    file.symlink_to(file)  # a loop: an error of the file system, but not that it is not there
    with pytest.raises(DatabaseUnavailable, match="cannot be seen: Too many levels"):
        count(on_a_server)
    file.unlink()
    aside.rename(file)
    assert count(on_a_server) == 0


def look(reader: Reader, before: Callable[[], None] = lambda: None) -> int:
    with reader.read() as connection:
        before()
        return int(connection.exec_driver_sql("SELECT count(*) FROM event").scalar_one())


def test_a_handle_that_gets_stale_while_it_is_read_is_replaced(
    on_a_server: Engine, tmp_path: Path
) -> None:
    reader = Reader(on_a_server)
    with pytest.raises(DatabaseUnavailable, match="disk I/O error"):
        look(reader, before=lambda: make_stale(tmp_path / "database.db"))
    assert look(reader) == 0


def test_the_bell_does_not_ring_for_ever_on_a_stale_handle(
    on_a_server: Engine, tmp_path: Path
) -> None:
    bell = make_bell(on_a_server)
    bell.rang()
    make_stale(tmp_path / "database.db")
    assert bell.rang()  # nobody knows what was committed meanwhile
    bell.rang()
    assert not bell.rang()
    bell.close()
