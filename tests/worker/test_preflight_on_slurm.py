"""A node that fails its preflight loses the attempt to another node at once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.slurm import PrivateSlurm
from tests.main_job.runs import Place
from tests.scenarios.evidence import SEEN, Evidence, jobs_left

pytestmark = pytest.mark.slurm
# The node that looks first is the broken one.
BROKEN = (
    'mkdir first 2>/dev/null && echo "$SLURMD_NODENAME" > first/node; '
    '[ "$(cat first/node)" != "$SLURMD_NODENAME" ] || { echo "fan 2 stands still"; exit 1; }'
)
COMMAND = (
    *("run", "--experiment_name", "look", "--partition", "alpha", "--mem_gb", "0.1"),
    *("--max_eval", "2", "--num_parallel_jobs", "1", "--seed", "1", "--model", "SOBOL"),
    *("--parameter", "x", "range", "0", "1", "float", "--worker_timeout", "5"),
    *("--timing", "poll_max_seconds=2", "calls_per_minute=600", "calls_burst=400"),
    *("--run_program", f"{SEEN}; echo RESULT: %(x)"),
)


@pytest.fixture
def login_node(tmp_path: Path, slurm_cluster: PrivateSlurm) -> Iterator[Place]:
    """A login node with a GPU driver that has the same fault."""
    command = tmp_path / "bin" / "nvidia-smi"
    command.parent.mkdir()
    command.write_text(f"#!/bin/sh\n{BROKEN}\necho GPU-aa, 1 MiB\n")
    command.chmod(0o755)
    path = {"PATH": f"{command.parent}:{os.environ['PATH']}"}
    with Place(tmp_path, slurm_cluster.environment() | path) as place:
        yield place
    slurm_cluster.run("scancel", "--me", check=False)


@pytest.mark.parametrize(
    ("words", "failed", "message"),
    [
        (("--preflight", BROKEN), "--preflight", "--preflight failed (exit code 1): fan 2"),
        (("--gpus", "1"), "GPUs", "the GPUs do not answer: nvidia-smi failed (exit code 1): fan 2"),
    ],
)
def test_an_attempt_on_a_broken_node_is_moved_at_once(
    login_node: Place,
    slurm_cluster: PrivateSlurm,
    words: tuple[str, ...],
    failed: str,
    message: str,
) -> None:
    login_node.run(*COMMAND, *words)
    evidence = Evidence(login_node, "look")
    evidence.assert_each_once(2)
    broken = (login_node.folder / "first" / "node").read_text().strip()
    first = evidence.attempts()[0]
    assert first == (0, 1, "FAILED", "NODE")
    found = evidence.rows(
        "SELECT DISTINCT host, failure_class FROM attempt ORDER BY failure_class DESC"
    )
    assert found[0] == (broken, "NODE")
    assert broken not in {host for host, failure in found if failure is None}
    (told, *_) = evidence.rows("SELECT failure_message FROM attempt WHERE failure_class = 'NODE'")
    assert told[0].startswith(message)
    (why, *_) = evidence.payloads("SELECT failure_evidence FROM attempt ORDER BY id")
    assert (why["blame"], why["checks"]["failed"]) == ("STRONG", failed)
    assert jobs_left(slurm_cluster, "look") == []


def test_what_slurm_has_told_the_head_s_own_job_is_not_held_against_a_host(
    tmp_path: Path, slurm_cluster: PrivateSlurm
) -> None:
    own = {"SLURM_MEM_PER_NODE": "999999999", "SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_JOB_ID": "5"}
    words = [word for word in COMMAND if word not in {"--mem_gb", "0.1"}]
    with Place(tmp_path, slurm_cluster.environment() | own) as place:
        place.run(*words)
        Evidence(place, "look").assert_each_once(2)
