"""Every test here runs on SQLite, on PostgreSQL and on MariaDB."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from db.sql.engine import connect
from tests.cluster.postgres import PrivatePostgres
from tests.db.sql.kinds import KINDS
from tests.db.sql.samples import Sample, fill


@pytest.fixture(scope="session")
def postgres_template(postgres_server: PrivatePostgres) -> str:
    """A database with Headway's tables, to be cloned."""
    return postgres_server.template(lambda url: connect(url).dispose())


@pytest.fixture(params=KINDS.values())
def kind(request: pytest.FixtureRequest) -> str:
    """The database system."""
    return str(request.param)


@pytest.fixture
def empty_url(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without any table."""
    if kind == "sqlite":
        yield f"sqlite:///{tmp_path}/database.db"
        return
    if kind == "mysql":
        yield request.getfixturevalue("mysql_url")
        return
    server: PrivatePostgres = request.getfixturevalue("postgres_server")
    url = server.clone("template0")
    yield url
    server.drop(url)


@pytest.fixture
def url(kind: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a database with Headway's tables and no experiment."""
    if kind != "postgres":
        url = request.getfixturevalue("empty_url")
        connect(url).dispose()
        yield url
        return
    server: PrivatePostgres = request.getfixturevalue("postgres_server")
    url = server.clone(request.getfixturevalue("postgres_template"))
    yield url
    server.drop(url)


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """A database with Headway's tables and no experiment."""
    engine = connect(url)
    yield engine
    engine.dispose()


@pytest.fixture
def sample(engine: Engine) -> Sample:
    """One experiment with two objectives, three trials and an attempt of each."""
    return fill(engine)
