"""Searches to look at, on SQLite, on PostgreSQL and on MariaDB."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.postgres import PrivatePostgres
from tests.reports.searches import Search


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgres", marks=pytest.mark.postgres),
        pytest.param("mysql", marks=pytest.mark.mysql),
    ]
)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/database.db"
        return
    if request.param == "mysql":
        yield request.getfixturevalue("mysql_url")
        return
    server: PrivatePostgres = request.getfixturevalue("postgres_server")
    url = server.clone()
    yield url
    server.drop(url)


@pytest.fixture
def search(url: str, tmp_path: Path) -> Iterator[Search]:
    """A search with one objective and no trial."""
    made = Search(url=url, run_dir=tmp_path / "runs" / "demo" / "1")
    yield made
    made.engine.dispose()


@pytest.fixture
def two_goals(url: str, tmp_path: Path) -> Iterator[Search]:
    """A search that makes LOSS small and SPEED large, without a trial."""
    goals = {"LOSS": True, "SPEED": False}
    made = Search(url=url, run_dir=tmp_path / "runs" / "demo" / "1", goals=goals)
    yield made
    made.engine.dispose()
