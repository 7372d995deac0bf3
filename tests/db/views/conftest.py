"""Every test here runs on SQLite and on PostgreSQL, which have the views."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from tests.db.rich import Rich, make_rich
from tests.db.sql.conftest import empty_url, engine, postgres_template, url

__all__ = ["empty_url", "engine", "kind", "postgres_template", "rich", "url"]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def kind(request: pytest.FixtureRequest) -> str:
    """The database system."""
    return str(request.param)


@pytest.fixture
def rich(engine: Engine) -> Rich:
    """A whole experiment, and others beside it that no question about it may find."""
    make_rich(engine, "earlier")
    found = make_rich(engine, "rich", run=2)
    make_rich(engine, "later", objectives=1)
    return found
