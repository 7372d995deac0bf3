"""A person's word about hosts, and why a job waits, on a real Slurm."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.slurm import PrivateSlurm
from tests.main_job.runs import Place, wait_until

# Seven of eight hosts each: one trial runs, the other one waits.
COMMAND = (
    *("run", "--experiment_name", "wide", "--nodes_per_job", "7", "--cpus_per_task", "4"),
    *("--max_eval", "2", "--num_parallel_jobs", "2", "--model", "SOBOL"),
    *("--parameter", "x", "range", "0", "1"),
    *("--run_program", "until test -e go; do sleep 0.1; done; echo RESULT: %(x)"),
)


@pytest.fixture
def login_node(tmp_path: Path, slurm_cluster: PrivateSlurm) -> Iterator[Place]:
    with Place(tmp_path, slurm_cluster.environment()) as place:
        yield place


@pytest.mark.slow
def test_a_job_that_waits_follows_a_persons_word_and_why_tells_it(login_node: Place) -> None:
    def slurm_says() -> str:
        """Why the trial waits that does; nothing while none is known to wait."""
        trials = login_node.json("trials")
        told = [login_node.json("why", str(row["trial"]))["slurm"] for row in trials]
        reasons = [slurm["reason"] for slurm in told if slurm and slurm["state"] == "PENDING"]
        return str(reasons[0]) if len(reasons) == 1 else ""

    head = login_node.start(*COMMAND)
    wait_until((login_node.folder / "runs" / "wide" / "1" / "spec.json").exists)
    wait_until(lambda: slurm_says() in {"Resources", "Priority"})
    code, said = login_node.start("hosts", "exclude", "nod7", "--reason", "repair").wait()
    assert (code, said) == (2, "headway: HOST: Slurm knows no host 'nod7'. Did you mean node7?\n")
    told = login_node.run("hosts", "exclude", "node[7-8]", "--reason", "repair", "--hours", "1")
    assert "node8 is now kept out by" in told
    assert "no host that Slurm knows is left" not in told
    wait_until(lambda: slurm_says() == "BadConstraints")
    both = login_node.run("why", "0") + login_node.run("why", "1")
    assert "Slurm says: PENDING (BadConstraints): no host is left that may run it" in both
    login_node.run("hosts", "include", "node[7-8]", "--reason", "repaired")
    wait_until(lambda: slurm_says() in {"Resources", "Priority"})
    (login_node.folder / "go").touch()
    code, output = head.wait()
    assert code == 0, output
    kinds = [kind for (kind,) in login_node.rows("wide", "SELECT kind FROM event ORDER BY id")]
    assert kinds.count("excluded") == kinds.count("included") == 2
    assert "steered" in kinds
    told = login_node.run("hosts", "exclude", "node[1-8]", "--reason", "power cut")
    assert told.endswith("is left: a search ends when its next job is refused.\n")
