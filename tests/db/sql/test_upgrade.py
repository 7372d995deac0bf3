"""Databases that older versions of Headway left behind are brought up to date."""

from __future__ import annotations

import contextlib
import re
import shutil
import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from db import views
from db.errors import DatabaseError, DatabaseInUse, OlderSchema, SchemaMismatch
from db.sql import leases, upgrade
from db.sql.engine import (
    SCHEMA_VERSION,
    connect,
    make_engine,
    open_existing,
    schema_version,
    sqlite_url,
)
from db.sql.tables import Base, HeadLease, table_of
from db.sql.upgrade import upgrade_database
from tests.db.released import VERSIONS, load
from tests.db.sql.kinds import only
from tests.db.sql.test_schema import constraints

Rows = dict[str, list[tuple[Any, ...]]]
Columns = dict[str, list[str]]
# Statements of migrations that MariaDB commits one by one, in their order.
STATEMENTS = {
    "0002": ("CREATE TABLE strategy_snapshot",),
    "0003": (
        "ADD COLUMN restart",
        "ADD CONSTRAINT uq_attempt_submission_id_array_index_restart",
        "DROP INDEX uq_attempt_submission_id_array_index",
        "CREATE TABLE code_file",
        "CREATE INDEX ix_code_file_attempt_id",
    ),
    "0004": (
        "ADD COLUMN failure_name",
        "ADD COLUMN failure_action",
        "ADD COLUMN failure_evidence",
        "DROP CONSTRAINT ck_attempt_failureclass",
        "ADD CONSTRAINT ck_attempt_failureclass",
        "first judged",
        "CREATE INDEX ix_attempt_ended_at",
    ),
    "0005": ("ADD COLUMN vitals",),
}
COPY = f"database.db.before-{SCHEMA_VERSION}"


SELDOM = [pytest.param(version, marks=pytest.mark.slow) for version in VERSIONS[1:-1]]


@pytest.fixture(params=[VERSIONS[0], *SELDOM, VERSIONS[-1]])
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def released(version: str, empty_url: str) -> str:
    """The URL of a database as a released schema made it."""
    load(version, empty_url)
    return empty_url


@pytest.fixture
def engine(released: str) -> Iterator[sa.Engine]:
    engine = make_engine(released)
    yield engine
    engine.dispose()


def columns_of(engine: sa.Engine) -> Columns:
    """Names of the columns of all tables."""
    inspector = sa.inspect(engine)
    names = set(inspector.get_table_names()) - {"alembic_version"}
    return {name: [c["name"] for c in inspector.get_columns(name)] for name in names}


def rows_of(engine: sa.Engine, columns: Columns | None = None) -> Rows:
    """All rows of tables, as the driver gives them; without columns, of all tables."""
    quote = engine.dialect.identifier_preparer.quote
    rows = {}
    with engine.connect() as connection:
        for table, names in (columns or columns_of(engine)).items():
            query = f"SELECT {', '.join(map(quote, names))} FROM {quote(table)}"
            rows[table] = sorted(map(tuple, connection.exec_driver_sql(query)), key=repr)
    return rows


def test_an_older_database_is_refused_and_then_brought_up_to_date(
    released: str, version: str, engine: sa.Engine
) -> None:
    for open_it in (connect, open_existing):
        with pytest.raises(OlderSchema, match=f"has schema {version}.*headway db upgrade --db_url"):
            open_it(released)
    done = upgrade_database(released)
    assert (done.before, done.after) == (version, SCHEMA_VERSION)
    connect(released).dispose()
    open_existing(released).dispose()
    again = upgrade_database(released)
    assert (again.before, again.copy) == (SCHEMA_VERSION, None)


def test_the_upgrade_keeps_every_row(released: str, engine: sa.Engine) -> None:
    columns, before = columns_of(engine), rows_of(engine)
    assert len(before["trial"]) == 4
    assert len(before["report"]) > 10
    upgrade_database(released)
    assert rows_of(engine, columns) == before
    assert set(rows_of(engine, {"attempt": ["restart"]})["attempt"]) == {(0,)}


def test_an_upgraded_database_equals_a_new_one(released: str, engine: sa.Engine) -> None:
    upgrade_database(released)
    upgraded = constraints(engine)
    with engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, Base.metadata) == []
        windows = set(sa.inspect(connection).get_view_names())
    assert windows == (set() if engine.dialect.name == "mysql" else set(views.VIEWS))
    empty(engine)
    connect(released).dispose()
    assert upgraded == constraints(engine)


def empty(engine: sa.Engine) -> None:
    """Remove all tables and views, so that `connect` makes them anew."""
    with engine.begin() as connection:
        views.drop(connection)
        Base.metadata.drop_all(connection)
        connection.execute(sa.text("DROP TABLE alembic_version"))


@only("sqlite", "postgres")
def test_an_upgrade_that_fails_leaves_the_database_as_it_was(
    released: str, version: str, engine: sa.Engine, tmp_path: Path
) -> None:
    # In the way of the last thing that an upgrade makes.
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE head_lease ADD COLUMN vitals INTEGER"))
    before, old = constraints_now(engine), rows_of(engine)
    with pytest.raises(DatabaseError, match=r'column "vitals".* already|duplicate column.* vitals'):
        upgrade_database(released)
    assert constraints_now(engine) == before
    assert rows_of(engine) == old
    assert not list(tmp_path.glob("*.before-*"))
    with engine.connect() as connection:
        assert schema_version(connection) == version


def constraints_now(engine: sa.Engine) -> dict[str, list[str]]:
    """Names of the columns of all tables and views."""
    inspector = sa.inspect(engine)
    names = [*inspector.get_table_names(), *inspector.get_view_names()]
    return {name: [c["name"] for c in inspector.get_columns(name)] for name in names}


class Died(BaseException):
    """What a test lets happen to an upgrade."""


@contextlib.contextmanager
def dying_after(text: str) -> Iterator[None]:
    """Let a process die as soon as a statement with this text was carried out."""

    def die(_c: object, _d: object, statement: str, *_: object) -> None:
        if text in statement:
            raise Died

    sa.event.listen(sa.Engine, "after_cursor_execute", die)
    try:
        with pytest.raises(Died):
            yield
    finally:
        sa.event.remove(sa.Engine, "after_cursor_execute", die)


@only("mysql")
def test_an_upgrade_that_died_on_mariadb_is_begun_again(
    released: str, version: str, engine: sa.Engine
) -> None:
    columns, old = columns_of(engine), rows_of(engine)
    before = version
    for migration in sorted(name for name in STATEMENTS if name > version):
        for statement in STATEMENTS[migration]:
            with dying_after(statement):
                upgrade_database(released)
            assert rows_of(engine, columns) == old
            with engine.connect() as connection:
                assert schema_version(connection) == before
        before = migration
    assert upgrade_database(released).before == VERSIONS[-1]
    open_existing(released).dispose()
    assert rows_of(engine, columns) == old


def hold(engine: sa.Engine, seconds: float) -> None:
    """Let a head own the experiment of a dump for some time."""
    lease = table_of(HeadLease)
    with engine.begin() as connection:
        expires_at = leases.database_time(connection) + timedelta(seconds=seconds)
        values = {"host": "node7", "pid": 4711, "epoch": 2, "expires_at": expires_at}
        connection.execute(lease.update().values(**values))


def test_a_living_head_is_named_and_nothing_is_changed(
    released: str, version: str, engine: sa.Engine, tmp_path: Path
) -> None:
    hold(engine, 30)
    with pytest.raises(DatabaseInUse, match=r"head of old/1 .*process 4711 on node7.*in \d+ s"):
        upgrade_database(released)
    with engine.connect() as connection:
        assert schema_version(connection) == version
    assert not list(tmp_path.glob("*.before-*"))


def test_a_head_that_slept_through_the_upgrade_does_not_go_on(
    released: str, engine: sa.Engine
) -> None:
    hold(engine, -1)
    with engine.connect() as connection:
        before = leases.find(connection, 1)
    upgrade_database(released)
    with engine.connect() as connection:
        after = leases.find(connection, 1)
    assert before is not None
    assert after is not None
    assert after.epoch == before.epoch + 1


def test_a_newer_database_is_not_touched(released: str, engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaMismatch, match=r"schema 9999, newer than .* Use the newer Headway"):
        upgrade_database(released)


def test_a_version_that_never_was_is_told_in_one_line(released: str, engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0000'"))
    with pytest.raises(SchemaMismatch, match="no version that was released") as caught:
        upgrade_database(released)
    assert "\n" not in str(caught.value)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """An SQLite file of schema 0001."""
    path = tmp_path / "database.db"
    load("0001", f"sqlite:///{path}")
    return path


def test_the_file_as_it_was_is_kept_and_as_private(file: Path) -> None:
    file.chmod(0o600)
    before = rows_of(sa.create_engine(f"sqlite:///{file}"))
    copy = upgrade_database(f"sqlite:///{file}").copy
    assert copy == file.with_name(COPY)
    assert copy.stat().st_mode & 0o777 == 0o600
    assert rows_of(sa.create_engine(f"sqlite:///{copy}")) == before
    with pytest.raises(OlderSchema):
        open_existing(f"sqlite:///{copy}")


def test_a_copy_that_is_there_is_not_overwritten(file: Path) -> None:
    kept = file.with_name(COPY)
    kept.write_text("precious")
    assert upgrade_database(f"sqlite:///{file}").copy == Path(f"{kept}-2")
    assert kept.read_text() == "precious"


def test_altering_a_table_of_sqlite_loses_no_row_that_refers_to_it(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alembic copies the table and drops the old one, which would take the others' rows along."""
    home = tmp_path / "migrations"
    shutil.copytree(upgrade.HOME, home)
    (home / "versions" / "9999_wider.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n"
        f"revision, down_revision = '9999', '{SCHEMA_VERSION}'\n"
        "def upgrade():\n"
        "    with op.batch_alter_table('experiment', recreate='always') as table:\n"
        "        table.alter_column('name', type_=sa.String(200))\n"
    )
    monkeypatch.setattr(upgrade, "HOME", home)
    engine = sa.create_engine(f"sqlite:///{file}")
    columns, before = columns_of(engine), rows_of(engine)
    upgrade_database(f"sqlite:///{file}")
    assert rows_of(engine, columns) == before
    with engine.connect() as connection:
        assert schema_version(connection) == "9999"


def test_checks_that_were_copied_twice_are_there_once_again(tmp_path: Path) -> None:
    url, path = sqlite_url(tmp_path / "old.db"), tmp_path / "old.db"
    load("0003", url)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        (made,) = connection.execute(
            "SELECT sql FROM sqlite_master WHERE name = 'attempt'"
        ).fetchone()
        twice = re.sub(r"CONSTRAINT ck_\w+ CHECK \(.*\)", r"\g<0>, \g<0>", made)
        assert twice.count("CHECK") == 2 * made.count("CHECK") == 4
        connection.execute("UPDATE sqlite_master SET sql = ? WHERE name = 'attempt'", (twice,))
    connection.close()
    upgrade_database(url)
    engine = sa.create_engine(url)
    names = [check["name"] for check in sa.inspect(engine).get_check_constraints("attempt")]
    engine.dispose()
    assert sorted(map(str, names)) == ["ck_attempt_attemptstate", "ck_attempt_failureclass"]


def test_a_row_that_refers_to_nothing_stops_the_upgrade(file: Path) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("DELETE FROM generation")
    connection.close()
    with pytest.raises(DatabaseError, match="row 1 of table trial refers to a row of generation"):
        upgrade_database(f"sqlite:///{file}")
    with pytest.raises(OlderSchema):
        open_existing(f"sqlite:///{file}")


def test_the_lease_of_a_dump_has_long_expired(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        lease = leases.find(connection, 1)
    assert lease is not None
    assert lease.seconds_left < 0
