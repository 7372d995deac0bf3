"""Every table, view and column says what it is, also inside a database that keeps that."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy import text

from db.sql.engine import connect
from db.sql.tables import Base
from db.sql.upgrade import upgrade
from db.views import VIEWS, WINDOWS

# In whatever schema the tables are: the one that comes first in the search path.
IN_POSTGRES = """
SELECT c.relname, coalesce(a.attname, ''), d.description
FROM pg_description d
JOIN pg_class c ON c.oid = d.objoid AND d.classoid = 'pg_class'::regclass
LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.objsubid AND d.objsubid > 0
WHERE c.relnamespace = current_schema()::regnamespace
"""
IN_MARIADB = """
SELECT table_name, '', table_comment FROM information_schema.tables
WHERE table_schema = database()
UNION ALL SELECT table_name, column_name, column_comment FROM information_schema.columns
WHERE table_schema = database()
"""
Comments = dict[tuple[str, str], str]


def of_tables() -> Comments:
    """What the code says of each table (with an empty name) and column."""
    found: Comments = {}
    for table in Base.metadata.tables.values():
        found[table.name, ""] = table.comment or ""
        found |= {(table.name, column.name): column.comment or "" for column in table.columns}
    return found


def of_views() -> Comments:
    """What the code says of each view (with an empty name) and column."""
    found: Comments = {}
    for window in WINDOWS:
        found |= {(view, ""): comment for view, comment in window.COMMENTS.items()}
        for view, columns in window.COLUMNS.items():
            found |= {(view, column): comment for column, comment in columns.items()}
    return found


def kept(engine: sa.Engine, query: str) -> Comments:
    """What a database says."""
    with engine.connect() as connection:
        rows = connection.execute(text(query)).fetchall()
    return {(row[0], row[1]): row[2] for row in rows if row[0] != "alembic_version"}


@pytest.mark.parametrize("comments", [of_tables(), of_views()], ids=["tables", "views"])
def test_everything_has_a_comment_of_its_own(comments: Comments) -> None:
    bad = [place for place, text in comments.items() if len(text) < 3 or text.strip() != text]
    assert bad == []


def test_no_two_systems_have_a_view_of_one_name() -> None:
    assert sorted(VIEWS) == sorted(name for window in WINDOWS for name in window.VIEWS)


def test_every_view_says_what_its_columns_are_in_their_order(engine: sa.Engine) -> None:
    inspector = sa.inspect(engine)
    described = {
        view: list(columns) for window in WINDOWS for view, columns in window.COLUMNS.items()
    }
    found = {name: [c["name"] for c in inspector.get_columns(name)] for name in VIEWS}
    assert described == found
    assert set(inspector.get_view_names()) == VIEWS.keys()


@pytest.fixture
def postgres_engine(postgres_url: str) -> Iterator[sa.Engine]:
    engine = connect(postgres_url)
    yield engine
    engine.dispose()


def test_postgresql_keeps_every_comment(postgres_engine: sa.Engine) -> None:
    assert kept(postgres_engine, IN_POSTGRES) == of_tables() | of_views()


def test_an_upgrade_gives_the_views_their_comments_again(postgres_engine: sa.Engine) -> None:
    with postgres_engine.begin() as connection:
        upgrade(connection)
    assert kept(postgres_engine, IN_POSTGRES) == of_tables() | of_views()


def test_mariadb_keeps_the_comments_of_the_tables(mysql_url: str) -> None:
    engine = connect(mysql_url)
    try:
        assert kept(engine, IN_MARIADB) == of_tables()
        assert sa.inspect(engine).get_view_names() == []
    finally:
        engine.dispose()
