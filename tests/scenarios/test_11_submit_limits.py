"""Scenario 11: a user who may have 20 jobs, some of them foreign, and arrays of 11 at most."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

from tests.cluster import slurm
from tests.cluster.fixtures import require_programs
from tests.cluster.slurm import PrivateSlurm, SlurmSettings
from tests.main_job.runs import Place, wait_until
from tests.scenarios.evidence import SEEN, Evidence
from tests.scenarios.wrappers import Wrappers

MOST_JOBS, LARGEST_ARRAY, FOREIGN, CPUS = 20, 11, 5, 8
SEARCH = (
    *("run", "--experiment_name", "limits", "--mem_gb", "0.05", "--model", "SOBOL", "--seed", "3"),
    *("--parameter", "x", "range", "0", "1", "--num_parallel_jobs", "40"),
)


@pytest.fixture(scope="module")
def strict_cluster() -> Iterator[PrivateSlurm]:
    """A Slurm of eight CPUs that takes twenty jobs of a user at once, and small arrays."""
    settings = SlurmSettings(
        nodes=2,
        gpus=0,
        extra_lines=(f"MaxArraySize={LARGEST_ARRAY}", "AccountingStorageEnforce=limits,qos"),
    )
    require_programs("Slurm", slurm.required_programs(settings))
    with PrivateSlurm(settings) as cluster:
        limit = f"MaxSubmitJobsPerUser={MOST_JOBS}"
        cluster.run("sacctmgr", "-i", "modify", "qos", "normal", "set", limit)
        yield cluster


@pytest.fixture
def place(tmp_path: Path, strict_cluster: PrivateSlurm, wrappers: Wrappers) -> Iterator[Place]:
    """A login node of that cluster, where the same user has five jobs of other work."""
    with Place(tmp_path, strict_cluster.environment() | wrappers.environment()) as place:
        for _ in range(FOREIGN):
            strict_cluster.run(
                *(
                    "sbatch",
                    "--mem=10",
                    "--job-name=foreign",
                    "--output=/dev/null",
                    "--begin=now+1hour",
                ),
                *("--wrap", "true"),
            )
        yield place
    strict_cluster.run("scancel", "--me", check=False)


def queue_of(cluster: PrivateSlurm) -> list[str]:
    """Return the states of the search's jobs that wait or run."""
    told = cluster.run("squeue", "--array", "--noheader", "--format=%j %T", check=False)
    rows = (line.split() for line in told.stdout.splitlines())
    return [row[1] for row in rows if row and row[0].startswith("hw-limits-")]


def refusals_of(found: Evidence) -> list[datetime]:
    """Return when submissions were refused."""
    query = "SELECT created_at FROM submission WHERE state = 'REFUSED' ORDER BY id"
    return [datetime.fromisoformat(str(row[0])) for row in found.rows(query)]


@pytest.mark.parametrize(
    ("trials", "is_told"),
    [
        (60, True),
        pytest.param(200, True, marks=pytest.mark.slow),
        pytest.param(200, False, marks=pytest.mark.slow),
    ],
)
def test_the_queue_is_kept_full_and_nobody_is_pestered(
    place: Place, strict_cluster: PrivateSlurm, wrappers: Wrappers, trials: int, is_told: bool
) -> None:
    if not is_told:
        wrappers.put("sacctmgr", "exit 1")
    wrappers.count("sbatch")
    head = place.start(
        *(*SEARCH, "--max_eval", str(trials)),
        *("--run_program", f"{SEEN}; sleep 3; echo RESULT: %(x)"),
    )
    room = MOST_JOBS - FOREIGN
    if is_told:
        wait_until(lambda: queue_of(strict_cluster).count("RUNNING") == CPUS)
    seen = []
    while head.process.poll() is None:
        seen.append(queue_of(strict_cluster))
        time.sleep(0.3)
    code, output = head.wait()
    assert code == 0, output
    found = Evidence(place, "limits")
    found.assert_each_once(trials)
    assert max(map(len, seen)) <= room
    sizes = found.rows("SELECT count(*) FROM attempt GROUP BY submission_id")
    assert max(size for (size,) in sizes) <= LARGEST_ARRAY
    refused = refusals_of(found)
    assert all((later - sooner).total_seconds() >= 29 for sooner, later in pairwise(refused))
    # Later there is not enough left to fill it.
    running = sorted(states.count("RUNNING") for states in seen[: len(seen) * 2 // 3])
    # The small size runs beside other tests: how fast Slurm starts jobs then is not Headway's.
    least = CPUS - 1 if trials > 100 else CPUS // 2
    assert running[len(running) // 3] >= least, running


def test_slots_can_be_changed_while_it_runs_and_never_more_run(
    place: Place, strict_cluster: PrivateSlurm
) -> None:
    head = place.start(
        *(*SEARCH, "--max_eval", "30", "--run_program", f"{SEEN}; sleep 1; echo RESULT: %(x)")
    )
    wait_until(lambda: queue_of(strict_cluster).count("RUNNING") == CPUS)
    place.run("tune", "limits", "--num_parallel_jobs", "2")
    wait_until(lambda: queue_of(strict_cluster).count("RUNNING") <= 2)
    done = len(Evidence(place, "limits").starts())
    for _ in range(10):
        assert queue_of(strict_cluster).count("RUNNING") <= 2
        time.sleep(0.2)
    told = place.run("tune", "limits/1", "--num_parallel_jobs", "40")
    assert "40 trials at once" in told
    wait_until(lambda: queue_of(strict_cluster).count("RUNNING") > 2)
    code, output = head.wait()
    assert code == 0, output
    found = Evidence(place, "limits")
    found.assert_each_once(30)
    assert done < 30
    assert [e["changes"]["num_parallel_jobs"]["now"] for e in found.events("tuned")] == [2, 40]
