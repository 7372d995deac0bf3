"""How a database is opened: an empty one is set up, one that is not ours is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from db.errors import (
    BadDatabaseUrl,
    DatabaseError,
    DatabaseUnavailable,
    OlderSchema,
    SchemaMismatch,
)
from db.sql.engine import SCHEMA_VERSION, connect, make_engine, open_existing, schema_version
from tests.db.sql.samples import fill, tables

ROOT = Path(__file__).parents[3]
SET_UP = "import sys; from db.sql.engine import connect; sys.stdin.read(); connect(sys.argv[1])"


def set_version(url: str, version: str) -> None:
    engine = make_engine(url)
    with engine.begin() as connection:
        statement = sa.text("UPDATE alembic_version SET version_num = :version")
        connection.execute(statement, {"version": version})
    engine.dispose()


def test_an_empty_database_gets_all_tables_at_once(empty_url: str) -> None:
    engine = connect(empty_url)
    assert {*tables(), "alembic_version"} == set(sa.inspect(engine).get_table_names())
    with engine.connect() as connection:
        assert schema_version(connection) == SCHEMA_VERSION
    fill(engine)
    engine.dispose()


def test_a_database_that_is_set_up_is_opened_as_it_is(url: str) -> None:
    engine = connect(url)
    fill(engine)
    engine.dispose()
    again = open_existing(url)
    with again.connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM trial")).scalar() == 3
    again.dispose()


def test_processes_that_set_up_at_once_all_succeed(empty_url: str) -> None:
    command = [sys.executable, "-c", SET_UP, empty_url]
    started = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    for process in started:
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
    errors = [process.communicate(timeout=60)[1] for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], errors
    engine = open_existing(empty_url)
    assert tables().keys() <= set(sa.inspect(engine).get_table_names())
    engine.dispose()


@pytest.mark.parametrize("open_it", [connect, open_existing])
def test_an_older_schema_is_refused_with_the_command_to_run(open_it: object, url: str) -> None:
    set_version(url, "0000")
    with pytest.raises(
        SchemaMismatch, match=f"has schema 0000, .* needs {SCHEMA_VERSION}.*headway db upgrade"
    ):
        open_it(url)  # type: ignore[operator]


@pytest.mark.parametrize("open_it", [connect, open_existing])
def test_a_newer_schema_is_refused(open_it: object, url: str) -> None:
    set_version(url, "9999")
    with pytest.raises(
        SchemaMismatch, match=f"schema 9999, newer than {SCHEMA_VERSION}.*the newer Headway"
    ):
        open_it(url)  # type: ignore[operator]


def test_the_command_to_run_names_the_database_but_no_password(kind: str, url: str) -> None:
    set_version(url, "0001")
    with pytest.raises(OlderSchema) as caught:
        open_existing(url)
    place = url if kind == "sqlite" else "@FILE, a file with the URL in it"
    assert caught.value.hint == f"Bring it up to date: headway db upgrade --db_url {place}"
    assert "secret" not in str(caught.value)


def test_a_version_that_is_not_ours_belongs_to_something_else(url: str) -> None:
    set_version(url, "ae1027a6acf")
    with pytest.raises(SchemaMismatch, match="holds tables that are not Headway's"):
        connect(url)


def test_a_database_of_something_else_is_left_alone(empty_url: str) -> None:
    engine = make_engine(empty_url)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE recipes (id INTEGER)"))
    with pytest.raises(SchemaMismatch, match="holds tables that are not Headway's"):
        connect(empty_url)
    assert sa.inspect(engine).get_table_names() == ["recipes"]
    engine.dispose()


def test_what_a_process_that_died_had_not_set_up_is_made_later(mysql_url: str) -> None:
    """MariaDB commits each table at once."""
    connect(mysql_url).dispose()
    engine = make_engine(mysql_url)
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM alembic_version"))
        connection.execute(sa.text("DROP TABLE head_lease"))
    connect(mysql_url).dispose()
    assert tables().keys() <= set(sa.inspect(engine).get_table_names())
    open_existing(mysql_url).dispose()
    engine.dispose()


def test_looking_at_an_empty_database_does_not_set_it_up(kind: str, empty_url: str) -> None:
    if kind == "sqlite":
        with pytest.raises(DatabaseUnavailable, match=r"there is no database file .*database\.db"):
            open_existing(empty_url)
        return
    with pytest.raises(SchemaMismatch, match="holds no experiment of Headway"):
        open_existing(empty_url)
    engine = make_engine(empty_url)
    assert sa.inspect(engine).get_table_names() == []
    engine.dispose()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text(
        "not a database, but long enough to look like something that has a header\n" * 9
    )
    with pytest.raises(DatabaseError, match="not a database"):
        connect(f"sqlite:///{file}")
    assert file.read_text().startswith("not a database")


def test_a_folder_that_does_not_exist_is_a_database_that_does_not_answer(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailable, match="unable to open database file"):
        connect(f"sqlite:///{tmp_path}/nowhere/database.db")


@pytest.mark.parametrize(
    "url",
    ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=memory&uri=true"],
)
def test_a_database_that_is_no_file_is_refused(url: str) -> None:
    for opening in (connect, open_existing):
        with pytest.raises(BadDatabaseUrl, match="names no file on disk"):
            opening(url)


def test_options_of_a_url_do_not_change_the_journal(tmp_path: Path) -> None:
    engine = connect(f"sqlite:///{tmp_path}/database.db?timeout=60")
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    engine.dispose()
