"""Scenario 11: a user who may have 20 jobs, some of them foreign, and arrays of 11 at most."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

from orchestrator.cluster.slurm import SlurmCluster
from orchestrator.spec.experiment import Timing
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


@pytest.fixture
def limited_cluster(
    strict_cluster: PrivateSlurm, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PrivateSlurm]:
    """That cluster with limits of a partition's QOS, of the usual one and of one that goes first."""
    for name, value in strict_cluster.environment().items():
        monkeypatch.setenv(name, value)
    for change in (
        ("add", "qos", "over", "set", "MaxSubmitJobsPerUser=3", "Flags=OverPartQOS"),
        ("modify", "qos", "normal", "set", "MaxSubmitJobsPerUser=4"),
        ("modify", "user", "root", "set", "QOS=normal,over"),
        ("add", "qos", "part", "set", "MaxSubmitJobsPerUser=6"),
    ):
        strict_cluster.run("sacctmgr", "-i", *change)
    # The controller hears of them a moment later, of the last one last.
    wait_until(lambda: _takes(strict_cluster, "update", "partition=alpha", "qos=part"))
    yield strict_cluster
    strict_cluster.run("scancel", "--me")
    wait_until(lambda: not _has_jobs(strict_cluster))
    strict_cluster.run("scontrol", "update", "partition=alpha", "qos=")
    limit = f"MaxSubmitJobsPerUser={MOST_JOBS}"
    strict_cluster.run("sacctmgr", "-i", "modify", "user", "root", "set", "QOS=normal")
    strict_cluster.run("sacctmgr", "-i", "modify", "qos", "normal", "set", limit)
    strict_cluster.run("sacctmgr", "-i", "delete", "qos", "over,part")


def _takes(cluster: PrivateSlurm, *words: str) -> bool:
    return cluster.run("scontrol", *words, check=False).returncode == 0


def _has_jobs(cluster: PrivateSlurm) -> bool:
    return bool(cluster.run("squeue", "--noheader").stdout)


def queue_of(cluster: PrivateSlurm) -> list[str]:
    """Return the states of the search's jobs that wait or run."""
    told = cluster.run("squeue", "--array", "--noheader", "--format=%j %T", check=False)
    rows = (line.split() for line in told.stdout.splitlines())
    return [row[1] for row in rows if row and row[0].startswith("hw-limits-")]


def most_running(cluster: PrivateSlurm, *, seconds: float) -> int:
    """Return how many of the search's jobs run at most within so many seconds."""
    until, most = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        most = max(most, queue_of(cluster).count("RUNNING"))
        time.sleep(0.1)
    return most


def refusals_of(found: Evidence) -> list[datetime]:
    """Return when submissions were refused."""
    query = "SELECT created_at FROM submission WHERE state = 'REFUSED' ORDER BY id"
    return [datetime.fromisoformat(str(row[0])) for row in found.rows(query)]


@pytest.mark.parametrize(
    ("trials", "seconds", "is_told"),
    [
        (36, 3, True),
        pytest.param(200, 3, True, marks=pytest.mark.slow),
        # Until the limit is learnt the queue is short: to keep it full with trials of 3 s would take
        # more Slurm calls than are allowed.
        pytest.param(200, 3, False, marks=pytest.mark.slow),
        pytest.param(200, 8, False, marks=pytest.mark.slow),
    ],
)
def test_the_queue_is_kept_full_and_nobody_is_pestered(
    place: Place,
    strict_cluster: PrivateSlurm,
    wrappers: Wrappers,
    *,
    trials: int,
    seconds: int,
    is_told: bool,
) -> None:
    if not is_told:
        wrappers.put("sacctmgr", "exit 1")
    wrappers.count("sbatch")
    head = place.start(
        *(*SEARCH, "--max_eval", str(trials)),
        *("--run_program", f"{SEEN}; sleep {seconds}; echo RESULT: %(x)"),
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
    assert not (is_told and refused)
    if not is_told and seconds < 8:
        return
    # Later there is not enough left to fill it.
    running = sorted(states.count("RUNNING") for states in seen[: len(seen) * 2 // 3])
    # The small size runs beside other tests: how fast Slurm starts jobs then is not Headway's.
    least = CPUS - 1 if trials > 100 else CPUS // 2
    assert running[len(running) // 3] >= least, running


@pytest.mark.parametrize(
    ("asked", "most"),
    [
        ({"partition": "alpha"}, 6),
        ({"partition": "beta"}, 4),
        ({"partition": "alpha,beta"}, 4),
        ({"partition": "alpha", "qos": "over"}, 3),
    ],
)
def test_the_limit_that_is_told_is_the_one_that_slurm_goes_by(
    limited_cluster: PrivateSlurm, asked: dict[str, str], most: int
) -> None:
    cluster = SlurmCluster(
        entry=Path("/none"),
        timing=Timing(),
        user="root",
        partition=asked["partition"],
        qos=asked.get("qos"),
    )
    assert cluster.quota().most_jobs == most
    options = [f"--{name}={value}" for name, value in asked.items()]
    job = ("sbatch", "--hold", "--output=/dev/null", *options, "--wrap", "true")
    for _ in range(most):
        limited_cluster.run(*job)
    refused = limited_cluster.run(*job, check=False)
    assert "QOSMaxSubmitJobPerUserLimit" in refused.stderr
    assert cluster.survey({}).others == most, "each of them counts"


def test_slots_can_be_changed_while_it_runs_and_never_more_run(
    place: Place, strict_cluster: PrivateSlurm
) -> None:
    head = place.start(
        *(*SEARCH, "--max_eval", "30", "--run_program", f"{SEEN}; sleep 1; echo RESULT: %(x)")
    )
    wait_until(lambda: queue_of(strict_cluster).count("RUNNING") == CPUS)
    place.run("tune", "limits", "--num_parallel_jobs", "2")
    found = Evidence(place, "limits")
    wait_until(lambda: bool(found.events("tuned")))
    wait_until(lambda: most_running(strict_cluster, seconds=1) <= 2)
    done = len(found.starts())
    assert most_running(strict_cluster, seconds=2) <= 2
    told = place.run("tune", "limits/1", "--num_parallel_jobs", "40")
    assert "40 trials at once" in told
    wait_until(lambda: queue_of(strict_cluster).count("RUNNING") > 2)
    code, output = head.wait()
    assert code == 0, output
    found.assert_each_once(30)
    assert done < 30
    assert [e["changes"]["num_parallel_jobs"]["now"] for e in found.events("tuned")] == [2, 40]
