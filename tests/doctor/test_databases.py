"""What `headway doctor` says of a database from here; nothing in it is changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from db.sql.engine import connect
from orchestrator.app.doctor.databases import look_at_database
from orchestrator.app.doctor.findings import Status
from tests.cluster.postgres import PrivatePostgres


def tables(server: PrivatePostgres, url: str) -> str:
    question = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
    return server.execute(question, database=url.rpartition("/")[2])


def test_an_empty_database_is_fine_and_stays_empty(
    postgres_server: PrivatePostgres, postgres_url: str, tmp_path: Path
) -> None:
    found = look_at_database(postgres_url, tmp_path)
    assert found.status is Status.OK
    assert "empty: the first search sets it up" in found.says
    assert tables(postgres_server, postgres_url) == "0"


def test_a_database_of_headway_is_told_with_its_schema(postgres_url: str, tmp_path: Path) -> None:
    connect(postgres_url).dispose()
    found = look_at_database(postgres_url, tmp_path)
    assert found.status is Status.OK
    assert "ms (schema 00" in found.says
    assert "secret" not in found.says


def test_tables_of_something_else_are_named(
    postgres_server: PrivatePostgres, postgres_url: str, tmp_path: Path
) -> None:
    postgres_server.execute("CREATE TABLE guests (x int)", database=postgres_url.rpartition("/")[2])
    found = look_at_database(postgres_url, tmp_path)
    assert found.status is Status.FAILED
    assert "holds tables that are not Headway's" in found.says


def test_a_user_who_may_make_no_tables_is_named(
    postgres_server: PrivatePostgres, postgres_url: str, tmp_path: Path
) -> None:
    forbid = "REVOKE ALL ON SCHEMA public FROM PUBLIC, pg_database_owner;"
    postgres_server.execute(forbid, database=postgres_url.rpartition("/")[2])
    found = look_at_database(postgres_url, tmp_path)
    assert found.status is Status.FAILED
    assert "GRANT CREATE ON SCHEMA" in found.remedy


def test_an_older_schema_is_named_with_the_command_that_upgrades_it(
    postgres_server: PrivatePostgres, postgres_url: str, tmp_path: Path
) -> None:
    connect(postgres_url).dispose()
    older = "UPDATE alembic_version SET version_num = '0001'"
    postgres_server.execute(older, database=postgres_url.rpartition("/")[2])
    found = look_at_database(postgres_url, tmp_path)
    assert found.status is Status.FAILED
    assert "headway db upgrade" in found.remedy


def test_a_server_that_is_away_is_named_without_the_password(tmp_path: Path) -> None:
    found = look_at_database("postgresql://me:geheim@127.0.0.1:1/search", tmp_path)
    assert found.status is Status.FAILED
    assert "postgresql://me:***@127.0.0.1:1/search" in found.says
    assert "geheim" not in f"{found}"


def test_an_sqlite_file_that_is_not_there_yet_is_not_made(tmp_path: Path) -> None:
    found = look_at_database(f"sqlite:///{tmp_path}/all.db", tmp_path)
    assert found.status is Status.OK
    assert "the first search makes it" in found.says
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["sqlite:////no/such/folder/all.db", "sqlite:////etc/passwd"])
def test_an_sqlite_file_that_cannot_be_one_is_named(url: str, tmp_path: Path) -> None:
    assert look_at_database(url, tmp_path).status is Status.FAILED


def test_mariadb_is_looked_at_as_well(mysql_url: str, tmp_path: Path) -> None:
    found = look_at_database(mysql_url, tmp_path)
    assert found.status is Status.OK
    assert "empty: the first search sets it up" in found.says
    connect(mysql_url).dispose()
    assert "ms (schema 00" in look_at_database(mysql_url, tmp_path).says
