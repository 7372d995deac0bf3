"""Trials that run out of memory are recognised however it shows, and get more up to a cap."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import slurm
from tests.cluster.fixtures import require_programs
from tests.cluster.slurm import PrivateSlurm, SlurmSettings
from tests.main_job.runs import Place, wait_until
from tests.scenarios.evidence import Evidence, jobs_left

NODE_MB = 200
GIVEN_MB = 150
# The poll of the accounting (once a second) sees it if it lasts.
FILL = "python3 -c 'import time; kept = bytearray(b\"x\") * ({size} << 20); time.sleep({seconds})'"
FATES = {
    # 155 MiB, to which its worker, bash and Python add some: killed until it has all of a node.
    "grows": (
        f"[ $n = $last ] || {FILL.format(size=155, seconds=60)}; {FILL.format(size=155, seconds=2)}"
    ),
    # The script goes on after its step was killed, and ends with exit code 0.
    "hidden": f"[ $n != 1 ] || {{ srun {FILL.format(size=400, seconds=60)}; exit 0; }}",
    "gpu": "[ $n != 1 ] || { echo 'OutOfMemoryError: CUDA out of memory.' >&2; exit 1; }",
    "hopeless": FILL.format(size=400, seconds=60),
}
OOM = "OUT_OF_MEMORY"
COMMAND = (
    *("run", "--experiment_name", "memory", "--partition", "alpha", "--worker_timeout", "5"),
    *("--max_eval", str(len(FATES)), "--num_parallel_jobs", str(len(FATES))),
    *("--parameter", "x", "range", "0", "1", "float", "--model", "SOBOL"),
    *("--timing", "spool_grace_seconds=2", "--timing", "poll_max_seconds=2"),
    *("--timing", "poll_min_seconds=0.5", "--timing", "calls_burst=1000"),
)


@pytest.fixture(scope="module")
def small_nodes() -> Iterator[PrivateSlurm]:
    """A Slurm that kills jobs for their memory; those that ask for none get most of a node's."""
    settings = SlurmSettings(
        nodes=6,
        cpus=1,
        memory_mb=NODE_MB,
        gpus=0,
        accounting=False,
        extra_lines=("JobAcctGatherParams=OverMemoryKill", f"DefMemPerCPU={GIVEN_MB}"),
    )
    require_programs("Slurm", slurm.required_programs(settings))
    with PrivateSlurm(settings) as cluster:
        yield cluster


def program(last: int) -> str:
    """What a trial does: its fate, then it succeeds; `last` is the attempt that has most memory."""
    cases = "; ".join(f"{index}) {fate} ;" for index, fate in enumerate(FATES.values()))
    return (
        f'n=$HEADWAY_ATTEMPT last={last}; case "$HEADWAY_TRIAL" in {cases} esac; echo RESULT: %(x)'
    )


def attempts(evidence: Evidence) -> dict[str, list[dict[str, Any]]]:
    """Return what is on record of each attempt, by the fate of its trial."""
    columns = ("state", "failure_class", "failure_name", "failure_action", "requested", "measured")
    query = (
        f'SELECT trial."index", {", ".join(f"attempt.{name}" for name in columns)} '
        "FROM attempt JOIN trial ON trial.id = attempt.trial_id ORDER BY trial.id, attempt.number"
    )
    found: dict[str, list[dict[str, Any]]] = {fate: [] for fate in FATES}
    for index, *values in evidence.rows(query):
        row = dict(zip(columns, values, strict=True))
        for name in ("requested", "measured"):
            row[name] = json.loads(row[name] or "null")
        found[list(FATES)[index]].append(row)
    return found


@pytest.mark.slurm
@pytest.mark.parametrize(
    ("asked", "sizes", "end"),
    [
        pytest.param(
            (),
            [GIVEN_MB, NODE_MB],
            f"given up: no host gives more than {NODE_MB} MiB",
            id="what the site gives",
        ),
        pytest.param(
            ("--mem_gb", "0.1"),
            [103, 155, NODE_MB],
            "given up: its 2 further tries were used up",
            id="what was asked for",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_memory_grows_up_to_the_largest_host_and_no_size_is_tried_twice(
    tmp_path: Path, small_nodes: PrivateSlurm, asked: tuple[str, ...], sizes: list[int], end: str
) -> None:
    with Place(tmp_path, small_nodes.environment()) as place:
        place.run(*COMMAND, *asked, "--run_program", program(len(sizes)))
        found = attempts(Evidence(place, "memory"))
        killed = [OOM] * (len(sizes) - 1)
        assert {fate: [row["failure_class"] for row in rows] for fate, rows in found.items()} == {
            "grows": [*killed, None],
            "hidden": [OOM, None],
            "gpu": [OOM, None],
            "hopeless": [*killed, OOM],
        }
        got = {fate: [row["requested"]["memory_mb"] for row in found[fate]] for fate in FATES}
        # More memory of the host is of no use to a GPU.
        assert got.pop("gpu") == [sizes[0]] * 2
        assert all(given == sizes[: len(given)] for given in got.values()), got
        assert [row["status"] for row in place.results("memory")] == ["COMPLETED"] * 3 + ["FAILED"]
        assert found["gpu"][0]["failure_name"] == "gpu-memory"
        assert found["hopeless"][-1]["failure_action"] == end
        assert found["grows"][-1]["measured"]["peak_memory_bytes"] > 155 << 20
        assert found["hidden"][0]["measured"]["peak_memory_bytes"] > 0
        wait_until(lambda: jobs_left(small_nodes, "memory") == [])
