"""Scenario 7: a node dies, with and without Slurm's own requeueing."""

from __future__ import annotations

import pytest

from tests.cluster.slurm import PrivateSlurm
from tests.main_job.runs import Place, lines_of, wait_until
from tests.scenarios.evidence import Evidence, jobs_left

pytestmark = pytest.mark.slurm
# The first attempt of trial 0 never ends by itself.
PROGRAM = (
    'echo "$HEADWAY_TRIAL $HEADWAY_ATTEMPT $SLURMD_NODENAME ${SLURM_RESTART_COUNT:-0}" >> seen; '
    'if [ "$HEADWAY_TRIAL $HEADWAY_ATTEMPT" = "0 1" ]; then sleep 600; fi; echo RESULT: %(x)'
)
COMMAND = (
    *("run", "--experiment_name", "node", "--partition", "low", "--mem_gb", "0.1", "--seed", "1"),
    *("--max_eval", "4", "--num_parallel_jobs", "2", "--parameter", "x", "range", "0", "1"),
    *("--timing", "poll_max_seconds=2", "calls_per_minute=600", "calls_burst=400"),
    *("--run_program", PROGRAM),
)


@pytest.fixture(
    params=[
        pytest.param("files", marks=pytest.mark.slow),
        pytest.param("server", marks=pytest.mark.postgres),
    ]
)
def url(request: pytest.FixtureRequest) -> str | None:
    """The database: the SQLite file of the run, or PostgreSQL."""
    if request.param == "files":
        return None
    found: str = request.getfixturevalue("postgres_url")
    return found


def lose_node_of_first_trial(evidence: Evidence, cluster: PrivateSlurm) -> str:
    """Let the node die where trial 0 runs, and Slurm notice it at once; return its name."""
    seen = evidence.place.folder / "seen"
    wait_until(lambda: any(line.startswith("0 1 ") for line in lines_of(seen)))
    # The others are done by then: nothing else runs on that node.
    wait_until(lambda: evidence.rows("SELECT count(*) FROM outcome") == [(3,)])
    (node,) = (line.split()[2] for line in lines_of(seen) if line.startswith("0 1 "))
    cluster.stop_node(node)
    cluster.run("scontrol", "update", f"nodename={node}", "state=down", "reason=power")
    return str(node)


def words(url: str | None) -> tuple[str, ...]:
    return () if url is None else ("--db_url", url)


def assert_one_result_each(evidence: Evidence, cluster: PrivateSlurm) -> None:
    evidence.assert_exactly(4)
    assert evidence.starts() == {"0": 2, "1": 1, "2": 1, "3": 1}
    assert jobs_left(cluster, "node") == []


@pytest.mark.postgres
@pytest.mark.parametrize(
    "url", ["server", pytest.param("files", marks=pytest.mark.slow)], indirect=True
)
def test_a_trial_of_a_dead_node_runs_elsewhere_at_once(
    preempting_place: Place, preempting_cluster: PrivateSlurm, url: str | None
) -> None:
    started = preempting_place.start(*COMMAND, *words(url))
    evidence = Evidence(preempting_place, "node", url)
    node = lose_node_of_first_trial(evidence, preempting_cluster)
    code, output = started.wait()
    assert code == 0, output
    assert_one_result_each(evidence, preempting_cluster)
    assert evidence.attempts()[:2] == [(0, 1, "FAILED", "NODE"), (0, 2, "SUCCEEDED", None)]
    first, second = evidence.rows(
        "SELECT slurm_job_id, host, slurm_state FROM attempt WHERE trial_id = "
        '(SELECT id FROM trial WHERE "index" = 0) ORDER BY number'
    )
    assert first[1] == node
    assert second[1] != node
    assert first[2] == "NODE_FAIL"
    assert first[0] != second[0]


@pytest.mark.parametrize(
    "url", ["server", pytest.param("files", marks=pytest.mark.slow)], indirect=True
)
def test_slurm_itself_starts_the_job_of_a_dead_node_again(
    preempting_place: Place, preempting_cluster: PrivateSlurm, url: str | None
) -> None:
    started = preempting_place.start(*COMMAND, "--requeue", *words(url))
    evidence = Evidence(preempting_place, "node", url)
    lose_node_of_first_trial(evidence, preempting_cluster)
    code, output = started.wait()
    assert code == 0, output
    assert_one_result_each(evidence, preempting_cluster)
    assert evidence.attempts()[:2] == [(0, 1, "FAILED", "PREEMPTED"), (0, 2, "SUCCEEDED", None)]
    first, second = evidence.rows(
        "SELECT slurm_job_id, submission_id, restart, token FROM attempt WHERE trial_id = "
        '(SELECT id FROM trial WHERE "index" = 0) ORDER BY number'
    )
    assert first[:2] == second[:2], "the same job, and no submission beside it"
    assert (first[2], second[2]) == (0, 1)
    assert second[3] == f"{first[3]}.1"
    restarts = [
        line.split()[3] for line in lines_of(preempting_place.folder / "seen") if line[0] == "0"
    ]
    assert restarts == ["0", "1"]
    (event,) = evidence.events("restarted")
    assert (event["trial_index"], event["restart"]) == (0, 1)
