"""It will never start: found and explained in under a minute; what merely waits is left alone."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import slurm
from tests.cluster.fixtures import require_programs
from tests.cluster.slurm import Partition, PrivateSlurm, SlurmSettings
from tests.main_job.runs import Place, Started, wait_until
from tests.scenarios.evidence import SEEN, Evidence, jobs_left
from tests.scenarios.wrappers import Wrappers

NODES = ("node1", "node2")
# Less than the usual twenty, for tests that take less time.
NEVER_SECONDS = 2
COMMAND = (
    *("run", "--max_eval", "2", "--parameter", "x", "range", "0", "1", "float"),
    *("--model", "SOBOL", "--timing", f"never_seconds={NEVER_SECONDS}"),
    *("--timing", "poll_min_seconds=0.5", "--timing", "poll_max_seconds=1"),
    *("--timing", "calls_burst=1000"),
    *("--run_program", f"{SEEN}; echo RESULT: %(x)"),
)
# How a head ends whose trials can never start, and how long that may take.
EXIT_CODE = 1
A_MINUTE = 60.0
ASKS = {
    "long": ("--partition", "beta", "--worker_timeout", "30"),
    "qos": ("--account", "physics", "--qos", "night"),
    "hosts": (),
}
SAYS = {
    "long": ("more time than its partition", "PartitionTimeLimit", "--worker_timeout"),
    "qos": ("may not be used there", "InvalidQOS", "--qos"),
    "hosts": ("no host is left", "BadConstraints", "Kept out by hand: node1 node2"),
}


@pytest.fixture(scope="module")
def strict_cluster() -> Iterator[PrivateSlurm]:
    """A Slurm of two nodes that lets users take only what they have been given."""
    settings = SlurmSettings(
        nodes=len(NODES),
        cpus=4,
        memory_mb=1000,
        gpus=0,
        partitions=(
            Partition(name="alpha", default=True),
            Partition(name="beta"),
            Partition(name="short", options=("MaxTime=5",)),
        ),
        extra_lines=("AccountingStorageEnforce=associations,limits,qos",),
    )
    require_programs("Slurm", slurm.required_programs(settings))
    with PrivateSlurm(settings) as cluster:
        for words in (
            ("add", "account", "physics"),
            ("add", "qos", "night"),
            ("add", "user", "root", "account=physics", "qos=normal,night"),
        ):
            cluster.run("sacctmgr", "--immediate", *words)
        yield cluster


@pytest.fixture
def place(tmp_path: Path, strict_cluster: PrivateSlurm, wrappers: Wrappers) -> Iterator[Place]:
    """A login node of that Slurm; all is as it was afterwards."""
    with Place(tmp_path, strict_cluster.environment() | wrappers.environment()) as place:
        yield place
    strict_cluster.run("scancel", "--me", check=False)
    repair(strict_cluster)
    wait_until(lambda: not strict_cluster.run("squeue", "--noheader").stdout)


def repair(cluster: PrivateSlurm) -> None:
    """Let the site give again what it gave before."""
    cluster.run("scontrol", "update", "partitionname=beta", "MaxTime=UNLIMITED")
    allow_night(cluster, "+=")


def allow_night(cluster: PrivateSlurm, how: str) -> None:
    words = ("where", "name=root", "account=physics", "set", f"qos{how}night")
    cluster.run("sacctmgr", "--immediate", "modify", "user", *words, check=False)


def fill(cluster: PrivateSlurm) -> None:
    """Let somebody else's job take all nodes."""
    nodes = f"--nodes={len(NODES)}"
    cluster.run("sbatch", "--exclusive", nodes, "--job-name=full", "--wrap", "sleep 300")
    wait_until(lambda: "RUNNING" in cluster.run("squeue", "--noheader", "--format=%T").stdout)


@pytest.mark.slurm
def test_what_is_known_beforehand_is_refused_and_nothing_is_made(
    place: Place, strict_cluster: PrivateSlurm
) -> None:
    refused = {
        ("--partition", "short", "--worker_timeout", "30"): "5 min at most",
        ("--mem_gb", "2"): "more than 0.9766",
        ("--account", "phisics"): "Did you mean physics?",
        ("--qos", "day"): "you may not use 'day' here",
    }
    heads = {words: start(place, "refused", *words) for words in refused}
    for words, head in heads.items():
        code, output = head.wait()
        assert code == 2, output
        assert output.count("\n") == 1
        assert refused[words] in output
    assert not (place.folder / "runs").exists()
    assert strict_cluster.run("squeue", "--noheader").stdout == ""


def tasks(cluster: PrivateSlurm, name: str) -> list[str]:
    """Return the ids of the tasks of a search that Slurm has."""
    text = cluster.run("squeue", "--noheader", "--array", "--format=%j %i").stdout
    rows = [line.split() for line in text.splitlines()]
    return [job for found, job in rows if found.startswith(f"hw-{name}-")]


def start(place: Place, name: str, *words: str) -> Started:
    return place.start(*COMMAND, "--experiment_name", name, *words)


@pytest.mark.slurm
@pytest.mark.parametrize(
    "names", [("long", "hosts"), pytest.param(tuple(ASKS), marks=pytest.mark.slow)]
)
def test_what_can_never_start_ends_the_search_with_the_remedy_and_a_resume_goes_on(
    place: Place, strict_cluster: PrivateSlurm, names: tuple[str, ...]
) -> None:
    fill(strict_cluster)
    heads = {name: start(place, name, *ASKS[name]) for name in names}
    wait_until(lambda: all(len(tasks(strict_cluster, name)) == 2 for name in heads))
    strict_cluster.run("scontrol", "update", "partitionname=beta", "MaxTime=10")
    allow_night(strict_cluster, "-=")
    place.run("hosts", "exclude", *NODES, "--experiment", "hosts", "--reason", "they smell")
    began = time.monotonic()
    for name, head in heads.items():
        code, output = head.wait()
        assert code == EXIT_CODE, output
        assert all(part in output for part in SAYS[name]), output
        assert jobs_left(strict_cluster, name) == []
        assert Evidence(place, name).statuses() == {"CANDIDATE": 2}
    assert time.monotonic() - began < A_MINUTE
    assert "it is FAILED: no trial can start: it asks for more" in place.run("why", "long")
    repair(strict_cluster)
    strict_cluster.run("scancel", "--name=full")
    place.run("resume", "long")
    Evidence(place, "long").assert_exactly(2)


@pytest.mark.slurm
def test_what_merely_waits_or_is_held_is_left_alone(
    place: Place, strict_cluster: PrivateSlurm, wrappers: Wrappers
) -> None:
    fill(strict_cluster)
    four = ("--max_eval", "4", "--num_parallel_jobs", "4", "--worker_timeout", "30")
    head = start(place, "patient", *four)
    wait_until(lambda: len(tasks(strict_cluster, "patient")) == 4)
    with all_kept_waiting(strict_cluster, tasks(strict_cluster, "patient")):
        wrappers.count("squeue")
        until = time.monotonic() + 3 * NEVER_SECONDS
        wait_until(lambda: time.monotonic() > until and wrappers.calls()["squeue"] > 3)
        assert head.process.poll() is None
        states = [state for _, _, state, _ in Evidence(place, "patient").attempts()]
        assert states == ["SUBMITTED"] * 4
        answer = json.loads(place.run("why", "patient", "--json"))
        assert {each["fate"] for each in answer["waiting"]} == {"WAITS", "HELD"}
    code, output = head.wait()
    assert code == 0, output
    assert output.count("jobs are held, and left alone") == 1
    Evidence(place, "patient").assert_each_once(4)


@contextlib.contextmanager
def all_kept_waiting(cluster: PrivateSlurm, jobs: list[str]) -> Iterator[None]:
    """One is held, one is put off, and the others wait for the end of a maintenance."""
    later = f"jobid={jobs[2]}"
    cluster.run("scontrol", "update", later, "starttime=now+1hour")
    cluster.run("scontrol", "hold", jobs[1])
    when = ("starttime=now+5minutes", "duration=60", "nodes=ALL", "users=root")
    maintenance = ("reservationname=fix", "flags=maint,ignore_jobs")
    cluster.run("scontrol", "create", "reservation", *when, *maintenance)
    cluster.run("scancel", "--name=full")
    try:
        wait_until(lambda: reasons(cluster) == {"Maint", "BeginTime", "JobHeld"})
        yield
    finally:
        cluster.run("scontrol", "delete", "reservationname=fix")
    cluster.run("scontrol", "release", jobs[1])
    cluster.run("scontrol", "update", later, "starttime=now")


def reasons(cluster: PrivateSlurm) -> set[str]:
    """Return which of the reasons that matter here are in the queue."""
    text = cluster.run("squeue", "--noheader", "--array", "--format=%r").stdout
    return {word for word in ("Maint", "BeginTime", "JobHeld") if word.lower() in text.lower()}
