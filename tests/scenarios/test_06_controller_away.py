"""The controller is away for a while: nothing fails, workers go on reporting, submission resumes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.cluster.slurm import PrivateSlurm
from tests.main_job.runs import Place, lines_of, wait_until
from tests.scenarios.evidence import SEEN, Evidence, jobs_left

TRIALS = 8
COMMAND = (
    *("run", "--experiment_name", "away", "--partition", "alpha", "--mem_gb", "0.1"),
    *("--worker_timeout", "5", "--max_eval", str(TRIALS), "--num_parallel_jobs", "4"),
    *("--parameter", "x", "range", "0", "1", "float", "--model", "SOBOL", "--seed", "1"),
    *("--timing", "slurm_limit_seconds=5", "--timing", "poll_max_seconds=5"),
    *("--timing", "calls_burst=1000", "--timing", "spool_grace_seconds=2"),
    *("--run_program", f"{SEEN}; sleep 2; echo RESULT: %(x); echo >> ended"),
)
FAILED = "SELECT failure_class FROM attempt WHERE failure_class != 'SUBMIT'"


@contextmanager
def away(cluster: PrivateSlurm, how: str) -> Iterator[None]:
    """Without a controller; it comes back in any case."""
    if how == "ended":
        cluster.stop_controller()
    else:
        cluster.freeze_controller()
    try:
        yield
    finally:
        if how == "ended":
            cluster.start_controller()
        else:
            cluster.thaw_controller()
        cluster.wait_ready()


@pytest.mark.postgres
@pytest.mark.parametrize("seconds", [2, pytest.param(300, marks=pytest.mark.slow)])
@pytest.mark.parametrize("how", [pytest.param("ended", marks=pytest.mark.slow), "frozen"])
def test_a_controller_that_is_away_fails_nothing(
    login_node: Place, slurm_cluster: PrivateSlurm, postgres_url: str, how: str, seconds: float
) -> None:
    head = login_node.start(*COMMAND, "--db_url", postgres_url)
    evidence = Evidence(login_node, "away", postgres_url)
    wait_until(lambda: len(lines_of(login_node.folder / "seen")) >= 4)
    with away(slurm_cluster, how):
        # All that run end meanwhile, and their results arrive.
        wait_until(lambda: len(lines_of(login_node.folder / "ended")) >= 4)
        wait_until(lambda: len(evidence.rows("SELECT id FROM outcome")) >= 4)
        # What is asked of a frozen one may be answered when it goes on, as if it had been slow.
        wait_until(lambda: how == "frozen" or bool(evidence.events("submission")))
        time.sleep(seconds)
        assert head.process.poll() is None
        assert evidence.rows(FAILED) == []
    code, output = head.wait(240)
    assert code == 0, output
    evidence.assert_each_once(TRIALS)
    assert evidence.rows(FAILED) == []
    wait_until(lambda: jobs_left(slurm_cluster, "away") == [])
    told = [entry for entry in _log(login_node) if entry["level"] == "warning"]
    assert len([entry for entry in told if "submission refused" in entry["event"]]) <= 1


def test_jobs_that_wait_and_run_survive_a_controller_that_is_away(
    login_node: Place, slurm_cluster: PrivateSlurm
) -> None:
    first = slurm_cluster.run("sbatch", "--parsable", "--wrap=sleep 10", "--nodes=7", "--exclusive")
    head = login_node.start(*COMMAND, "--cpus_per_task", "2")
    evidence = Evidence(login_node, "away")
    wait_until(lambda: len(lines_of(login_node.folder / "seen")) >= 1)
    wait_until(lambda: len(_waiting(slurm_cluster)) >= 1)
    with away(slurm_cluster, "ended"):
        time.sleep(6)
        assert evidence.rows(FAILED) == []
    code, output = head.wait()
    assert code == 0, output
    evidence.assert_each_once(TRIALS)
    assert evidence.rows(FAILED) == []
    assert evidence.events("ghost") == []
    slurm_cluster.run("scancel", "--quiet", first.stdout.strip())


def _waiting(cluster: PrivateSlurm) -> list[str]:
    return [line for line in jobs_left(cluster, "away") if line.endswith("PENDING")]


def _log(place: Place) -> list[dict[str, Any]]:
    lines = lines_of(place.folder / "runs" / "away" / "1" / "head.log")
    return [json.loads(line) for line in lines]
