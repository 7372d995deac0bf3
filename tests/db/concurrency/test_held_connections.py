"""A process that reports all the time keeps its connection, and gets over the loss of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from db.direct import DirectStore
from db.errors import DatabaseError, DatabaseUnavailable
from db.records import Assignment, Claim
from db.sql.tables import Report
from db.states import ReportKind
from tests.cluster.postgres import PrivatePostgres
from tests.db.concurrency.planned import TOKEN, Planned, end_of, plan

pytestmark = pytest.mark.postgres
CLAIM: Claim = {"claim": "n", "host": "h", "slurm_job_id": None, "pid": 1, "started_at": ""}
OURS = "FROM pg_stat_activity WHERE application_name = 'headway-worker'"


@pytest.fixture
def planned(postgres_url: str, tmp_path: Path) -> Planned:
    return plan(tmp_path, database=postgres_url, count=2)


def claimed(store: DirectStore, index: int = 0) -> Assignment:
    assignment = store.claim(TOKEN, index, CLAIM)
    assert assignment is not None
    return assignment


def test_everything_goes_over_one_connection(
    planned: Planned, postgres_server: PrivatePostgres
) -> None:
    store = planned.worker(hold=True)
    first = claimed(store)
    backends = postgres_server.execute(f"SELECT pid {OURS}")
    assert len(backends.splitlines()) == 1
    assert store.beat(first)
    store.send(end_of(first))
    store.send(end_of(claimed(store, 1)))
    assert postgres_server.execute(f"SELECT pid {OURS} AND state = 'idle'") == backends
    kinds = [row["kind"] for row in planned.rows(Report)]
    assert kinds == [ReportKind.START, ReportKind.END] * 2


def test_a_lost_connection_is_noticed_once_and_replaced(
    planned: Planned, postgres_server: PrivatePostgres
) -> None:
    store = planned.worker(hold=True)
    assignment = claimed(store)
    postgres_server.execute(f"SELECT pg_terminate_backend(pid) {OURS}")
    with pytest.raises(DatabaseUnavailable):
        store.send(end_of(assignment))
    store.send(end_of(assignment))
    assert len(planned.rows(Report)) == 2


def test_a_refused_report_leaves_no_open_transaction(planned: Planned) -> None:
    store = planned.worker(hold=True)
    assignment = claimed(store)
    with pytest.raises(DatabaseError, match="no attempt"):
        store.send({**end_of(assignment), "attempt_token": "wrong"})
    store.send(end_of(assignment))
    assert len(planned.rows(Report)) == 2


def test_statements_that_a_pooler_forgot_are_written_out_from_then_on(planned: Planned) -> None:
    store = planned.worker(hold=True)
    assignment = claimed(store)
    assert store.beat(assignment)
    held = store._database._held  # type: ignore[attr-defined]
    held._cursor.execute("DEALLOCATE ALL")
    with pytest.raises(DatabaseUnavailable, match="does not exist"):
        store.beat(assignment)
    assert store.beat(assignment)
    assert not store._database._prepares  # type: ignore[attr-defined]
