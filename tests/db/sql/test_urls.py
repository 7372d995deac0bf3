"""Database URLs: what is understood, and that no password gets out."""

from __future__ import annotations

import socket
import sys
import traceback
from collections.abc import Callable

import pytest
from sqlalchemy import Engine

from db.errors import BadDatabaseUrl, DatabaseError, DatabaseUnavailable
from db.sql.engine import (
    connect,
    is_sqlite,
    make_engine,
    mask,
    open_existing,
    parse_url,
    translated,
)
from tests.db.sql.kinds import only

PASSWORD = "s3cr3t"


@pytest.mark.parametrize(
    ("text", "driver"),
    [
        ("postgres://u@h/d", "postgresql+psycopg2"),
        ("postgresql://u@h/d", "postgresql+psycopg2"),
        ("postgresql+psycopg2://u@h/d", "postgresql+psycopg2"),
        ("sqlite:////tmp/x.db", "sqlite"),
        ("mysql://u@h/d", "mysql+pymysql"),
        ("mariadb://u@h/d", "mariadb+pymysql"),
    ],
)
def test_a_url_gets_the_driver_that_is_installed(text: str, driver: str) -> None:
    assert parse_url(text).drivername == driver


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("database.db", "is not a database URL"),
        ("", "is not a database URL"),
        ("://", "is not a database URL"),
        ("postgresql://u@h:port/d", "is not a database URL"),
        ("oracel://u@h/d", "'oracel' is not known here"),
        ("postgresql+nothing://u@h/d", "not known here"),
    ],
)
def test_what_is_no_url_is_refused_in_one_line(text: str, wanted: str) -> None:
    with pytest.raises(BadDatabaseUrl, match=wanted) as caught:
        parse_url(text)
    assert "\n" not in str(caught.value)


def test_a_missing_driver_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymysql", None)
    with pytest.raises(BadDatabaseUrl, match=r"'pymysql'.*pip install 'headway\[mysql\]'"):
        parse_url("mysql://u@h/d")


def test_a_missing_driver_without_an_extra_is_named_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(BadDatabaseUrl, match=r"pip install psycopg$"):
        parse_url("postgresql+psycopg://u@h/d")


def test_sqlite_is_told_from_servers() -> None:
    assert is_sqlite("sqlite:////x.db")
    assert not is_sqlite("postgres://u@h/d")


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://u:{PASSWORD}@localhost:1/d",
        f"postgresql://u:{PASSWORD}@localhost:port/d",
        f"postgresql://u:a@{PASSWORD}@localhost:1/d",
        f"postgresql://u:{PASSWORD}@a@localhost:1/d",
        f"postgresql://u:a/{PASSWORD}@localhost:1/d",
        f"postgresql://u:a%40{PASSWORD}@localhost:1/d",
        f"postgresql://localhost:1/d?user=u&password={PASSWORD}",
        f"postgresql://u:{PASSWORD}@[::1/d",
        f"postgresql+nothing://u:{PASSWORD}@localhost/d",
        f"oracel://u:{PASSWORD}@localhost/d",
        f"oracel://localhost/d?password={PASSWORD}",
        f"postgresql//u:{PASSWORD}@localhost/d",
        f"u:{PASSWORD}@localhost/d",
    ],
)
def test_no_error_about_a_url_tells_its_password(url: str) -> None:
    errors = [error_of(act, url) for act in (parse_url, connect, open_existing)]
    assert errors[1] is not None
    for error in filter(None, errors):
        assert PASSWORD not in "".join(traceback.format_exception(error))
        assert PASSWORD not in repr(error)
    assert PASSWORD not in mask(url)


def error_of(act: Callable[[str], object], url: str) -> DatabaseError | None:
    try:
        act(url)
    except DatabaseError as error:
        return error
    return None


def test_a_server_that_is_not_there_is_unavailable_within_the_limit() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
    with pytest.raises(DatabaseUnavailable, match="does not answer"):
        connect(f"postgresql://u:{PASSWORD}@127.0.0.1:{port}/d", timeout_seconds=2)


@only("postgres", "mysql")
def test_a_wrong_password_is_not_told_either(url: str) -> None:
    wrong = url.replace(":secret@", f":{PASSWORD}@")
    said = "password authentication failed|Access denied for user"
    with pytest.raises(DatabaseUnavailable, match=said) as caught:
        connect(wrong)
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "statement", ["SELECT * FROM nothing_of_ours", "SELECT nothing_of_ours FROM trial", "SELEC 1"]
)
def test_a_statement_that_is_wrong_is_not_worth_repeating(url: str, statement: str) -> None:
    engine = make_engine(url)
    with pytest.raises(DatabaseError, match="refused a statement") as caught:
        ask(engine, statement)
    assert not isinstance(caught.value, DatabaseUnavailable)
    engine.dispose()


def ask(engine: Engine, statement: str) -> None:
    with translated(), engine.connect() as connection:
        connection.exec_driver_sql(statement)
