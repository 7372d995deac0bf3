"""What memory a job has, also if none was asked for."""

from __future__ import annotations

import pytest

from tests.worker.runs import Run
from worker.environment import given_memory_mb


@pytest.mark.parametrize(
    ("environ", "memory_mb"),
    [
        ({"SLURM_MEM_PER_NODE": "300"}, 300),
        ({"SLURM_MEM_PER_CPU": "250", "SLURM_CPUS_ON_NODE": "2"}, 500),
        ({"SLURM_MEM_PER_GPU": "4000", "SLURM_GPUS_ON_NODE": "3"}, 12000),
        ({"SLURM_CPUS_ON_NODE": "2"}, None),
        ({"SLURM_MEM_PER_NODE": "0"}, None),
        ({"SLURM_MEM_PER_NODE": "all of it"}, None),
        ({}, None),
    ],
)
def test_slurm_says_what_memory_a_job_has(environ: dict[str, str], memory_mb: int | None) -> None:
    assert given_memory_mb(environ) == memory_mb


def test_a_worker_tells_the_memory_of_its_own_job_only(run: Run) -> None:
    environ = {"SLURM_MEM_PER_CPU": "250", "SLURM_CPUS_ON_NODE": "2", "SLURM_JOB_ID": "7"}
    run.change(program="echo RESULT: 1")
    for index in (0, 1):
        run.assign(index)
        # A local search may run within an allocation, all of its trials in it.
        assert run.work(index, environ=environ, is_slurm_task=index == 0) == 0, run.log(index)
    told = {message["attempt_token"]: message["payload"] for message in run.messages("START")}
    assert told["a0"]["memory_mb"] == 500
    assert "memory_mb" not in told["a1"]
