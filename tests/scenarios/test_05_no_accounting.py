"""Nine ends of a job are told apart although sacct is absent, hangs, fails, says nothing or lies.

The ninth, a node that dies with `--requeue`, is in scenario 7.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.cluster import slurm
from tests.cluster.fixtures import require_programs
from tests.cluster.slurm import PrivateSlurm, SlurmSettings
from tests.main_job.runs import Place, lines_of, wait_until
from tests.scenarios.evidence import Evidence, jobs_left
from tests.scenarios.wrappers import Wrappers

SACCT = {
    "absent": None,
    "hanging": ("sleep 300",),
    "failing": ("echo 'sacct: error: slurm_persist_conn_open_without_init: failed' >&2", "exit 1"),
    "empty": ("exit 0",),
    "of yesterday": (
        "ids=$(echo \"$*\" | sed -n 's/.*--jobs=\\([^ ]*\\).*/\\1/p' | tr , ' ')",
        "for id in $ids; do",
        '  echo "$id|COMPLETED|node9|0:0|1700000000|hw-ends-0123456789abcdef"; done',
    ),
}
# Each fate strikes once; another attempt of the same trial succeeds.
FATES = {
    "ok": "true",
    "exception": "exit 3",
    "worker killed": "kill -9 $PPID; sleep 60",
    "cancelled": 'echo "$job" > cancel; sleep 60',
    "node down": 'echo "$SLURMD_NODENAME" > down; sleep 60',
    "memory": "python3 -c 'import time; kept = bytearray(b\"x\") * (300 << 20); time.sleep(60)'",
    "time limit": 'echo "$job" > limit; sleep 120',
}
WANTED = {
    "ok": [("SUCCEEDED", None)],
    "exception": [("FAILED", "PROGRAM")],
    "worker killed": [("LOST", "LOST"), ("SUCCEEDED", None)],
    "cancelled": [("CANCELLED", "CANCELLED")],
    "node down": [("FAILED", "NODE"), ("SUCCEEDED", None)],
    "memory": [("FAILED", "OUT_OF_MEMORY"), ("SUCCEEDED", None)],
    "time limit": [("FAILED", "TIMEOUT"), ("SUCCEEDED", None)],
}


COMMAND = (
    *("run", "--experiment_name", "ends", "--partition", "alpha", "--mem_gb", "0.1"),
    *("--worker_timeout", "5", "--retries", "0", "--num_parallel_jobs", "8"),
    *("--parameter", "x", "range", "0", "1", "float", "--model", "SOBOL"),
    *("--timing", "spool_grace_seconds=3", "--timing", "poll_max_seconds=3"),
    *("--timing", "calls_burst=1000"),
)
ENDS = (
    'SELECT trial."index", attempt.state, attempt.failure_class '
    "FROM attempt JOIN trial ON trial.id = attempt.trial_id ORDER BY trial.id, attempt.number"
)


@pytest.fixture(scope="module")
def bare_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateSlurm]:
    """A Slurm without accounting, where a job fills a node and is killed for its memory."""
    prolog = tmp_path_factory.mktemp("slurm") / "prolog.sh"
    # Run as root in the folder of slurmd: a file beside the script says which node fails.
    prolog.write_text(f'#!/bin/sh\n! [ -e {prolog.parent}/bad-"$SLURMD_NODENAME" ]\n')
    prolog.chmod(0o755)
    settings = SlurmSettings(
        nodes=9,
        cpus=1,
        memory_mb=1000,
        gpus=0,
        accounting=False,
        extra_lines=(f"Prolog={prolog}", "JobAcctGatherParams=OverMemoryKill"),
    )
    require_programs("Slurm", slurm.required_programs(settings))
    with PrivateSlurm(settings) as cluster:
        yield cluster


@pytest.fixture
def bad_node(bare_cluster: PrivateSlurm) -> Iterator[str]:
    """The node that gets the next job fails before each job."""
    (line,) = [line for line in bare_cluster.settings.extra_lines if line.startswith("Prolog=")]
    mark = Path(line.partition("=")[2]).with_name("bad-node1")
    mark.touch()
    yield "node1"
    mark.unlink()


@pytest.fixture
def place(tmp_path: Path, bare_cluster: PrivateSlurm, wrappers: Wrappers) -> Iterator[Place]:
    """A login node of that Slurm, all of whose nodes are up again afterwards."""
    with Place(tmp_path, bare_cluster.environment() | wrappers.environment()) as place:
        yield place
    bare_cluster.run("scancel", "--me", check=False)
    for node in bare_cluster.settings.node_names:
        words = ("scontrol", "update", f"nodename={node}", "state=resume")
        bare_cluster.run(*words, check=False)


def program(fates: list[str]) -> str:
    """What a trial does: its fate, unless it struck already."""
    cases = "; ".join(f"{index}) {FATES[fate]} ;" for index, fate in enumerate(fates))
    return (
        'job="${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}"; '
        f'mkdir "fate-$HEADWAY_TRIAL" && case "$HEADWAY_TRIAL" in {cases} esac; echo RESULT: %(x)'
    )


def line_in(path: Path) -> str:
    """Return what a program writes into a file, as soon as it is there."""
    wait_until(lambda: bool(lines_of(path)))
    return lines_of(path)[0]


def strike(folder: Path, cluster: PrivateSlurm, fates: list[str]) -> None:
    """Do to the jobs that ask for it what a person or a fault would do."""
    # By then a worker has claimed it: before that nobody could tell a person from its node.
    cluster.run("scancel", line_in(folder / "cancel"))
    node = line_in(folder / "down")
    cluster.run("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
    if "time limit" in fates:
        job = line_in(folder / "limit")
        # Slurm looks for it twice a minute.
        end = (datetime.now().astimezone() + timedelta(seconds=3)).strftime("%Y-%m-%dT%H:%M:%S")
        cluster.run("scontrol", "update", f"jobid={job}", f"EndTime={end}")


@pytest.mark.slurm
@pytest.mark.parametrize(
    ("sacct", "fates"),
    [
        ("hanging", list(FATES)[:-1]),
        *(pytest.param(name, list(FATES), marks=pytest.mark.slow) for name in SACCT),
    ],
)
def test_ends_are_told_apart_without_accounting(
    place: Place, bare_cluster: PrivateSlurm, wrappers: Wrappers, sacct: str, fates: list[str]
) -> None:
    if (lines := SACCT[sacct]) is not None:
        wrappers.put("sacct", *lines)
    words = ("--max_eval", str(len(fates)), "--run_program", program(fates))
    head = place.start(*COMMAND, *words)
    strike(place.folder, bare_cluster, fates)
    code, output = head.wait()
    assert code == 0, output
    evidence = Evidence(place, "ends")
    found: dict[str, list[tuple[str, str | None]]] = {fate: [] for fate in fates}
    for index, state, failure in evidence.rows(ENDS):
        # A trial that somebody cancelled does not count: another one takes its place.
        if index < len(fates):
            found[fates[index]].append((state, failure))
    assert found == {fate: WANTED[fate] for fate in fates}
    unclaimed = "SELECT failure_class FROM attempt WHERE claim IS NULL"
    assert ("CANCELLED",) not in evidence.rows(unclaimed)
    wait_until(lambda: jobs_left(bare_cluster, "ends") == [])


@pytest.mark.slurm
@pytest.mark.parametrize(
    "sacct",
    [name if name == "hanging" else pytest.param(name, marks=pytest.mark.slow) for name in SACCT],
)
def test_a_node_whose_prolog_fails_is_told_from_a_person_who_cancels(
    place: Place, bare_cluster: PrivateSlurm, bad_node: str, wrappers: Wrappers, sacct: str
) -> None:
    if (lines := SACCT[sacct]) is not None:
        wrappers.put("sacct", *lines)
    place.run(*COMMAND, "--max_eval", "1", "--run_program", "echo RESULT: %(x)")
    evidence = Evidence(place, "ends")
    assert evidence.attempts() == [(0, 1, "FAILED", "NODE"), (0, 2, "SUCCEEDED", None)]
    ((message,),) = evidence.rows("SELECT failure_message FROM attempt WHERE number = 1")
    assert message.startswith(f"Slurm took {bad_node} out before its job could begin (drain")
    assert message.endswith(": Prolog error)")
    wait_until(lambda: jobs_left(bare_cluster, "ends") == [])
