"""sbatch says one thing and Slurm does another: no trial runs twice, and no ghost is left."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.slurm import PrivateSlurm
from tests.main_job.runs import Place, lines_of, wait_until
from tests.scenarios.evidence import SEEN, Evidence, jobs_left
from tests.scenarios.wrappers import Wrappers

TRIALS = 12
COMMAND = (
    *("run", "--experiment_name", "lied", "--partition", "alpha", "--mem_gb", "0.1"),
    *("--worker_timeout", "5", "--max_eval", str(TRIALS), "--num_parallel_jobs", "4"),
    *("--parameter", "x", "range", "0", "1", "float", "--model", "SOBOL", "--seed", "1"),
    *("--timing", "slurm_limit_seconds=2", "--timing", "poll_max_seconds=4"),
    *("--timing", "calls_burst=1000"),
    *("--run_program", f"{SEEN}; sleep 0.5; echo RESULT: %(x)"),
)


@pytest.mark.postgres
def test_jobs_that_a_frozen_controller_took_are_found_and_run_once(
    login_node: Place, slurm_cluster: PrivateSlurm, postgres_url: str
) -> None:
    head = login_node.start(*COMMAND, "--db_url", postgres_url)
    evidence = Evidence(login_node, "lied", postgres_url)
    seen = login_node.folder / "seen"
    for begun in (3, 8):
        wait_until(lambda begun=begun: len(lines_of(seen)) >= begun)  # type: ignore[misc]
        slurm_cluster.freeze_controller()
        try:
            before = len(_unclear(evidence))
            wait_until(lambda before=before: len(_unclear(evidence)) > before)  # type: ignore[misc]
        finally:
            slurm_cluster.thaw_controller()
    code, output = head.wait()
    assert code == 0, output
    evidence.assert_each_once(TRIALS)
    assert "ACCEPTED" in {event["state"] for event in evidence.events("submission")}
    assert evidence.rows(BLAMED) == []
    wait_until(lambda: jobs_left(slurm_cluster, "lied") == [])


REFUSED = "SELECT token FROM submission WHERE state = 'REFUSED'"
# Attempts that count against a host or use up a try of their trial.
BLAMED = "SELECT failure_class FROM attempt WHERE failure_class != 'SUBMIT'"
LIES = {
    "refused, and it runs": (
        '"$REAL" "$@" > /dev/null',
        "echo 'sbatch: error: Batch job submission failed: Unable to contact slurm controller' >&2",
        "exit 1",
    ),
    "refused, and it waits": (
        '"$REAL" --hold "$@" > /dev/null',
        "echo 'sbatch: error: Batch job submission failed: Unable to contact slurm controller' >&2",
        "exit 1",
    ),
    "silent, and it runs": ('"$REAL" "$@" > /dev/null', "exit 0"),
    "cut off, and it runs": ('"$REAL" "$@" > /dev/null', "sleep 300"),
}


@pytest.mark.parametrize(
    "lie",
    [
        pytest.param(lie, marks=[pytest.mark.slow] * (lie == "refused, and it waits"))
        for lie in LIES
    ],
)
def test_a_job_that_is_there_although_sbatch_failed_does_no_harm(
    login_node: Place, slurm_cluster: PrivateSlurm, wrappers: Wrappers, lie: str
) -> None:
    _lie(wrappers, 2, *LIES[lie])
    output = login_node.run(*COMMAND)
    assert f"{TRIALS} completed" in output
    evidence = Evidence(login_node, "lied")
    evidence.assert_each_once(TRIALS)
    assert evidence.rows(BLAMED) == []
    wait_until(lambda: jobs_left(slurm_cluster, "lied") == [])
    ghosts = {ghost["job"].partition("_")[0] for ghost in evidence.events("ghost")}
    refused = {row[0] for row in evidence.rows(REFUSED)}
    assert len(refused) == (2 if lie.startswith("refused") else 0)
    assert bool(ghosts) is lie.endswith("waits")


def _unclear(evidence: Evidence) -> list[str]:
    """The submissions that were unclear once, by token."""
    told = evidence.events("submission")
    return [event["token"] for event in told if event["state"] == "UNCLEAR"]


def _lie(wrappers: Wrappers, times: int, *lines: str) -> None:
    """Let the first calls of sbatch lie, and all later ones do their work."""
    count = wrappers.folder.with_name("lies")
    told = f'[ "$(wc -l < {count})" -gt {times} ] && exec "$REAL" "$@"'
    wrappers.put("sbatch", f"echo >> {count}", told, *lines)


@pytest.mark.slow
def test_a_job_that_comes_after_its_trial_went_on_is_cancelled(
    login_node: Place, slurm_cluster: PrivateSlurm, wrappers: Wrappers, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    late = f"until test -e {go}; do sleep 0.2; done; $REAL --hold {tmp_path}/kept"
    _lie(wrappers, 1, f'cp "$2" {tmp_path}/kept', f"({late}) > /dev/null 2>&1 &", "exit 0")
    head = login_node.start(*COMMAND)
    evidence = Evidence(login_node, "lied")
    wait_until((tmp_path / "kept").exists)
    wait_until(lambda: bool(evidence.rows(REFUSED)), 120)
    go.touch()
    wait_until(lambda: bool(evidence.events("ghost")), 60)
    code, output = head.wait()
    assert code == 0, output
    evidence.assert_each_once(TRIALS)
    wait_until(lambda: jobs_left(slurm_cluster, "lied") == [])
