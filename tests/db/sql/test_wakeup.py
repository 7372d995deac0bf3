"""The head hears of commits of other processes without asking the tables."""

from __future__ import annotations

import select
import sqlite3
import time
from collections.abc import Iterator

import psycopg2
import pytest
import sqlalchemy as sa

import db.direct
from db.direct import DirectStore
from db.records import ReportMessage
from db.sql import wakeup
from db.sql.wakeup import Bell, NoBell, make_bell
from tests.db.sql.kinds import only
from tests.db.sql.samples import Sample
from tests.db.sql.test_states import CLAIM


@pytest.fixture
def bell(sample: Sample) -> Iterator[Bell]:
    """A bell that has told what happened before it was there."""
    bell = make_bell(sample.engine)
    bell.rang()
    yield bell
    bell.close()


def report_an_end(url: str) -> None:
    """Do what a worker does."""
    store = DirectStore(url, run_dir="/run", experiment_id=1)
    assignment = store.claim("e-t", 0, CLAIM)
    assert assignment is not None
    message: ReportMessage = {
        "attempt_id": assignment["attempt_id"],
        "attempt_token": assignment["attempt_token"],
        "kind": "END",
        "sequence": 0,
        "created_at": "2030-01-02T03:04:05.678901+00:00",
        "payload": {},
    }
    store.send(message)


def rings(bell: Bell, seconds: float = 5) -> bool:
    """Wait for a ring as the loop does."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        descriptor = bell.fileno()
        select.select([] if descriptor is None else [descriptor], [], [], 0.01)
        if bell.rang():
            return True
    return False


@only("sqlite", "postgres")
def test_the_end_of_an_attempt_rings_once(bell: Bell, url: str) -> None:
    assert not bell.rang()
    report_an_end(url)
    assert rings(bell)
    assert not rings(bell, 0.1)


@only("postgres")
def test_what_the_head_writes_and_reads_itself_is_no_ring(bell: Bell, sample: Sample) -> None:
    with sample.store.write() as connection:
        connection.execute(sa.text("UPDATE experiment SET owner = 'x'"))
    assert not rings(bell, 0.1)


def test_the_worker_and_the_bell_mean_the_same_channel() -> None:
    assert wakeup.CHANNEL == db.direct.CHANNEL


@only("postgres")
def test_a_bell_whose_connection_broke_rings_and_goes_on(
    bell: Bell, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wakeup, "RETRY_SECONDS", 0.05)
    with psycopg2.connect(url) as other, other.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND usename = current_user AND datname = current_database()"
        )
    other.close()
    assert rings(bell)
    assert rings(bell), "the new connection is a ring too: what came meanwhile was not heard"
    assert bell.fileno() is not None
    assert not rings(bell, 0.1)
    report_an_end(url)
    assert rings(bell)


@only("postgres")
def test_a_bell_without_a_server_stays_quiet_and_raises_nothing(
    bell: Bell, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(bell, wakeup.PostgresBell)
    monkeypatch.setattr(wakeup, "RETRY_SECONDS", 0.0)
    bell.close()

    def refuse() -> None:
        raise psycopg2.OperationalError("no server")

    monkeypatch.setattr(bell._engine, "raw_connection", refuse)
    assert bell.fileno() is None
    assert not rings(bell, 0.1)


@only("sqlite")
def test_an_error_of_sqlite_is_a_ring(bell: Bell) -> None:
    assert isinstance(bell, wakeup.SqliteBell)
    assert bell._connection is not None
    connection = bell._connection.driver_connection
    assert isinstance(connection, sqlite3.Connection)
    connection.close()
    assert bell.rang()
    # A new connection counts from its own beginning: what came between is a ring, whatever it says.
    assert bell.rang()
    assert not bell.rang()


@only("mysql")
def test_a_database_without_a_bell_never_rings(bell: Bell) -> None:
    assert isinstance(bell, NoBell)
    assert bell.fileno() is None
    assert not bell.rang()
    bell.close()
