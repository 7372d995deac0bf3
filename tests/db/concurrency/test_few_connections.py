"""A server that gives few connections serves many workers: none is held while a program runs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from db.sql.tables import Attempt, Report, table_of
from db.states import AttemptState, ReportKind
from tests.cluster.postgres import PrivatePostgres
from tests.crowd import together
from tests.db.concurrency.planned import TOKEN, Planned, plan

PATIENCE_SECONDS = 120.0
HELD = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'headway-worker'"


@pytest.fixture
def small_server(postgres_server: PrivatePostgres, connections: int) -> Iterator[PrivatePostgres]:
    """A server with few connections; the other one says whether PostgreSQL is there."""
    assert postgres_server.is_running()
    with PrivatePostgres(max_connections=connections) as server:
        yield server


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("workers", "connections"), [(60, 10), pytest.param(200, 20, marks=pytest.mark.slow)]
)
def test_many_workers_get_along_with_few_connections(
    small_server: PrivatePostgres, tmp_path: Path, workers: int
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    # Ends as soon as somebody opens the gate for writing.
    program = f": < {gate}; echo LOSS: 1"
    planned = plan(tmp_path, database=small_server.clone(), count=workers, program=program)
    # The test takes its own connection before the crowd comes; it has no part in the contest.
    engine = sa.create_engine(planned.run.engine.url, isolation_level="AUTOCOMMIT")
    with ThreadPoolExecutor(1) as thread, engine.connect() as watching:
        crowd = thread.submit(together, workers, lambda number, wait: _work(planned, number, wait))
        _wait_for(lambda: _states(watching) == {AttemptState.STARTED})
        # All programs run at once, far more than there are connections.
        _wait_for(lambda: small_server.execute(HELD) == "0")
        descriptor = os.open(gate, os.O_RDWR)
        codes = crowd.result(PATIENCE_SECONDS)
        os.close(descriptor)
    engine.dispose()
    assert codes == [0] * workers
    reports = planned.rows(Report)
    for kind in (ReportKind.START, ReportKind.END):
        assert len({row["attempt_id"] for row in reports if row["kind"] == kind}) == workers
    results = [row["payload"]["results"] for row in reports if row["kind"] == ReportKind.END]
    assert results == [{"LOSS": 1.0}] * workers
    assert not list((planned.run.run_dir / "spool").rglob("*.json"))


def _work(planned: Planned, number: int, wait: Callable[[], object]) -> int:
    """Be a worker from its claim to its report; return its exit code."""
    from worker.attempt import run

    log = os.open(planned.run.run_dir / f"{number}.log", os.O_WRONLY | os.O_CREAT)
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    wait()
    return run(str(planned.run.run_dir), TOKEN, number, is_slurm_task=False)


def _states(watching: sa.Connection) -> set[AttemptState]:
    return set(watching.scalars(sa.select(table_of(Attempt).c.state)))


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)
