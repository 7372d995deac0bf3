"""Scenario 9: the database goes away.

PostgreSQL dies twice while trials run and end; later it gives far fewer connections than there are
workers. Nothing is lost, and no program is started twice.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.cluster.postgres import PrivatePostgres
from tests.cluster.slurm import PrivateSlurm
from tests.main_job.runs import Place, lines_of, wait_until
from tests.scenarios.evidence import SEEN, Evidence, jobs_left

CONNECTIONS = 20
WORKERS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}'"
    " AND application_name = 'headway-worker'"
)
SPACE = (
    *("--num_random_steps", "1000", "--parameter", "x", "range", "0", "1", "float"),
    *("--seed", "1"),
)


@pytest.fixture
def server(postgres_server: PrivatePostgres) -> Iterator[PrivatePostgres]:
    """A server of its own with few connections; the other one says whether PostgreSQL is there."""
    assert postgres_server.is_running()
    with PrivatePostgres(max_connections=CONNECTIONS) as server:
        yield server


# Two of the trials end while the server is away, the others when they like.
PROGRAM = (
    f"{SEEN}; case $HEADWAY_TRIAL in"
    " 1|7) until [ -e down-$HEADWAY_TRIAL ]; do sleep 0.1; done;;"
    " *) sleep 1;; esac; echo RESULT: %(x)"
)


def crash_while_it_ends(server: PrivatePostgres, evidence: Evidence, trial: int) -> None:
    """Let the server die, a trial end, its worker leave the report in a file, and start it again."""
    folder = evidence.place.folder
    wait_until(lambda: any(line.startswith(f"{trial} ") for line in lines_of(folder / "seen")))
    server.stop_server("immediate")
    (folder / f"down-{trial}").touch()
    reports = folder / "runs" / "away" / "1" / "spool" / "reports"
    wait_until(lambda: bool(list(reports.glob("*.json"))))
    server.start_server()
    query = (
        "SELECT count(*) FROM outcome JOIN trial ON trial.id = outcome.trial_id"
        f' WHERE trial."index" = {trial}'
    )
    wait_until(lambda: evidence.rows(query) == [(1,)])


@pytest.mark.parametrize("trials", [12, pytest.param(200, marks=pytest.mark.slow)])
def test_a_server_that_dies_twice_loses_and_repeats_nothing(
    login_node: Place, slurm_cluster: PrivateSlurm, server: PrivatePostgres, trials: int
) -> None:
    url = server.clone()
    words = (
        *("run", "--experiment_name", "away", "--partition", "alpha", "--mem_gb", "0.1"),
        *("--num_parallel_jobs", "6", "--max_eval", str(trials), "--worker_timeout", "5"),
        *("--timing", "report_patience_seconds=2", "--timing", "claim_patience_seconds=60"),
        *("--timing", "poll_max_seconds=2"),
        *(*SPACE, "--db_url", url, "--run_program", PROGRAM),
    )
    evidence = Evidence(login_node, "away", url)
    with login_node.start(*words) as started:
        for trial in (1, 7):
            crash_while_it_ends(server, evidence, trial)
        code, output = started.wait()
    assert code == 0, output
    assert output.count("the database went away") >= 2
    evidence.assert_each_once(trials)
    assert [row[2:] for row in evidence.attempts()] == [("SUCCEEDED", None)] * trials
    assert not jobs_left(slurm_cluster, "away")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("workers", [40, pytest.param(200, marks=pytest.mark.slow)])
def test_many_workers_at_once_get_along_with_few_connections(
    laptop: Place, server: PrivatePostgres, workers: int
) -> None:
    url = server.clone()
    gate = laptop.folder / "gate"
    os.mkfifo(gate)
    words = (
        *("run", "--experiment_name", "crowd", "--force_local_execution", *SPACE),
        *("--num_parallel_jobs", str(workers), "--max_eval", str(workers), "--db_url", url),
        # All end within the same moment, when the gate is opened.
        *("--run_program", f"{SEEN}; : < gate; echo RESULT: %(x)"),
    )
    with laptop.start(*words) as started:
        wait_until(lambda: len(lines_of(laptop.folder / "seen")) == workers, 300)
        # A running program holds no connection, but for the moment of a heartbeat.
        held = WORKERS.format(database=url.rpartition("/")[2])
        wait_until(lambda: server.execute(held) == "0")
        opened = os.open(gate, os.O_RDWR)
        code, output = started.wait()
        os.close(opened)
    assert code == 0, output
    Evidence(laptop, "crowd", url).assert_each_once(workers)
