"""A host whose prolog fails: "launch failed requeued held" costs nobody a trial."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import slurm
from tests.cluster.fixtures import require_programs
from tests.cluster.slurm import PrivateSlurm, SlurmSettings
from tests.main_job.runs import Place, wait_until
from tests.scenarios.evidence import SEEN, Evidence, jobs_left
from tests.scenarios.wrappers import Wrappers

NODES = 3
BAD_NODE = "node1"
COMMAND = (
    *("run", "--experiment_name", "held", "--partition", "alpha"),
    *("--parameter", "x", "range", "0", "1", "float", "--model", "SOBOL"),
    *("--timing", "poll_max_seconds=3", "--timing", "calls_burst=1000"),
    *("--run_program", f"{SEEN}; echo RESULT: %(x)"),
)


@pytest.fixture(scope="module", params=[False, pytest.param(True, marks=pytest.mark.slow)])
def faulty_cluster(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PrivateSlurm]:
    """A Slurm with accounting or without, one CPU a node, whose nodes can be made to fail."""
    prolog = tmp_path_factory.mktemp("slurm") / "prolog.sh"
    # Run as root in the folder of slurmd: a file beside the script says which node fails.
    prolog.write_text(f'#!/bin/sh\n! [ -e {prolog.parent}/bad-"$SLURMD_NODENAME" ]\n')
    prolog.chmod(0o755)
    settings = SlurmSettings(
        nodes=NODES,
        cpus=1,
        memory_mb=1000,
        gpus=0,
        accounting=request.param,
        extra_lines=(f"Prolog={prolog}",),
    )
    require_programs("Slurm", slurm.required_programs(settings))
    with PrivateSlurm(settings) as cluster:
        yield cluster


@pytest.fixture
def bad_node(faulty_cluster: PrivateSlurm) -> Iterator[None]:
    """The node that gets the next job fails before each job."""
    (line,) = faulty_cluster.settings.extra_lines
    mark = Path(line.partition("=")[2]).with_name(f"bad-{BAD_NODE}")
    mark.touch()
    yield
    mark.unlink()


@pytest.fixture
def place(tmp_path: Path, faulty_cluster: PrivateSlurm, wrappers: Wrappers) -> Iterator[Place]:
    """A login node of that Slurm, all of whose nodes are up again afterwards."""
    with Place(tmp_path, faulty_cluster.environment() | wrappers.environment()) as place:
        yield place
    faulty_cluster.run("scancel", "--me", check=False)
    for node in faulty_cluster.settings.node_names:
        words = ("scontrol", "update", f"nodename={node}", "state=resume")
        faulty_cluster.run(*words, check=False)
    wait_until(lambda: not faulty_cluster.run("squeue", "--noheader").stdout)


@pytest.mark.slurm
@pytest.mark.usefixtures("bad_node")
@pytest.mark.parametrize(
    ("trials", "words", "said"),
    [
        pytest.param(*(1, ("--requeue",), "launch failed requeued held"), marks=pytest.mark.slow),
        (NODES, ("--requeue",), "launch failed requeued held"),
        # Slurm calls it running for a minute, and then NODE_FAIL.
        (NODES, (), "launch failed (draining: Prolog error)"),
    ],
    ids=["job", "task of an array", "task that is not held"],
)
def test_a_job_whose_prolog_fails_is_removed_its_host_put_out_and_its_trial_moved(
    place: Place, faulty_cluster: PrivateSlurm, trials: int, words: tuple[str, ...], said: str
) -> None:
    numbers = ("--max_eval", str(trials), "--num_parallel_jobs", str(trials))
    place.run(*COMMAND, *numbers, *words)
    evidence = Evidence(place, "held")
    evidence.assert_each_once(trials)
    ends = [(state, failure) for _, _, state, failure in evidence.attempts()]
    assert sorted(ends, key=str) == [("FAILED", "NODE"), *[("SUCCEEDED", None)] * trials]
    failed = "SELECT host, slurm_state, failure_message FROM attempt WHERE state = 'FAILED'"
    ((host, word, message),) = evidence.rows(failed)
    assert (host, word) == (BAD_NODE, said)
    assert word in message
    assert evidence.rows("SELECT host.name FROM exclusion JOIN host ON host.id = host_id") == [
        (BAD_NODE,)
    ]
    wait_until(lambda: jobs_left(faulty_cluster, "held") == [])


@pytest.mark.slurm
def test_a_job_that_is_held_by_a_person_is_left_alone(
    place: Place, faulty_cluster: PrivateSlurm, wrappers: Wrappers
) -> None:
    faulty_cluster.run("sbatch", "--exclusive", f"--nodes={NODES}", "--wrap", "sleep 300")
    head = place.start(*COMMAND, "--max_eval", "1")
    wait_until(lambda: jobs_left(faulty_cluster, "held") != [])
    (line,) = jobs_left(faulty_cluster, "held")
    wrappers.count("squeue")
    faulty_cluster.run("scontrol", "hold", line.split()[1])
    wait_until(lambda: wrappers.calls()["squeue"] > 3)
    evidence = Evidence(place, "held")
    assert evidence.attempts() == [(0, 1, "SUBMITTED", None)]
    faulty_cluster.run("scontrol", "release", line.split()[1])
    faulty_cluster.run("scancel", "--name=wrap")
    code, output = head.wait()
    assert code == 0, output
    evidence.assert_each_once(1)
