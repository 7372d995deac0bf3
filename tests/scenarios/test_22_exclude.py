"""Lists of excluded hosts on a real Slurm: short forms, slips, hosts that go away, jobs that wait."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import slurm
from tests.cluster.fixtures import require_programs
from tests.cluster.slurm import PrivateSlurm, SlurmSettings
from tests.main_job.runs import Place, lines_of, wait_until
from tests.scenarios.evidence import Evidence, jobs_left
from tests.scenarios.wrappers import Wrappers

COMMAND = (
    *("run", "--experiment_name", "site", "--partition", "alpha"),
    *("--parameter", "x", "range", "0", "1", "float", "--model", "SOBOL"),
    *("--timing", "poll_max_seconds=3", "--timing", "calls_burst=1000"),
)
# Says where it runs, and ends when it is told to.
PROGRAM = (
    'echo "$HEADWAY_TRIAL $SLURMD_NODENAME" >> where; '
    "until [ -e go ]; do sleep 0.1; done; echo RESULT: %(x)"
)


@pytest.fixture(scope="module")
def small_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateSlurm]:
    """A Slurm of four nodes, one job a node."""
    settings = SlurmSettings(nodes=4, cpus=1, memory_mb=1000, gpus=0, accounting=False)
    require_programs("Slurm", slurm.required_programs(settings))
    with PrivateSlurm(settings) as cluster:
        yield cluster


@pytest.fixture
def place(tmp_path: Path, small_cluster: PrivateSlurm, wrappers: Wrappers) -> Iterator[Place]:
    """A login node of that Slurm; a test that fails leaves no jobs to the next one."""
    with Place(tmp_path, small_cluster.environment() | wrappers.environment()) as place:
        yield place
    small_cluster.run("scancel", "--me", check=False)
    wait_until(lambda: not small_cluster.run("squeue", "--noheader").stdout)


def places(place: Place) -> list[str]:
    """Where programs were started."""
    return [line.split()[1] for line in lines_of(place.folder / "where")]


def excluded_by_jobs(cluster: PrivateSlurm) -> dict[str, str]:
    """What each job that waits is to avoid, as Slurm has it."""
    words = ("squeue", "--array", "--noheader", "--states=PENDING", "--format=%i|%x")
    lines = cluster.run(*words).stdout.splitlines()
    return dict(line.strip().split("|") for line in lines)


def keep_out(place: Place, name: str) -> None:
    """A person excludes a host while the head runs."""
    place.run("hosts", "exclude", name, "--reason", "it smells")


@pytest.mark.slurm
def test_hosts_in_short_form_are_kept_out(place: Place) -> None:
    (place.folder / "go").touch()
    numbers = ("--max_eval", "2", "--num_parallel_jobs", "2", "--exclude", "node[1-2],node4")
    place.run(*COMMAND, *numbers, "--run_program", PROGRAM)
    Evidence(place, "site").assert_exactly(2)
    assert set(places(place)) == {"node3"}


@pytest.mark.slurm
@pytest.mark.parametrize(
    ("exclude", "says"),
    [
        ("node1,nod2", "--exclude: Slurm has no node 'nod2' (see sinfo -N). Did you mean node2?"),
        ("node[1-9]", "--exclude: Slurm has no node 'node5'"),
        ("node[1-4]", "--exclude: no node of the partition would be left (node1, node2"),
        ("node[1-", "--exclude: 'node[1-' is not a host or a list of hosts"),
    ],
)
def test_a_slip_in_the_list_is_told_before_anything_is_made(
    place: Place, exclude: str, says: str
) -> None:
    words = ("--max_eval", "1", "--run_program", PROGRAM, "--exclude", exclude)
    code, output = place.start(*COMMAND, *words).wait()
    assert code == 2
    (line,) = output.splitlines()
    assert says in line
    assert not (place.folder / "runs").exists()


@pytest.mark.slurm
def test_jobs_that_wait_are_steered_away_from_a_host_that_is_excluded_meanwhile(
    place: Place, small_cluster: PrivateSlurm, wrappers: Wrappers
) -> None:
    updates = place.folder / "updates"
    note = f'if [ "$1" = update ]; then echo "$*" >> {updates}; fi'
    wrappers.put("scontrol", note, 'exec "$REAL" "$@"')
    numbers = ("--max_eval", "10", "--num_parallel_jobs", "10")
    head = place.start(*COMMAND, *numbers, "--run_program", PROGRAM)
    wait_until(lambda: len(places(place)) == 4 and len(excluded_by_jobs(small_cluster)) == 6)
    keep_out(place, "node2")
    wait_until(lambda: set(excluded_by_jobs(small_cluster).values()) == {"node2"})
    (place.folder / "go").touch()
    code, output = head.wait()
    assert code == 0, output
    evidence = Evidence(place, "site")
    evidence.assert_exactly(10)
    assert places(place).count("node2") == 1, "only the one that ran already"
    (steered,) = evidence.events("steered")
    assert (len(steered["jobs"]), steered["added"]) == (6, ["node2"])
    assert len(lines_of(updates)) == 1, "one call for all"
    assert jobs_left(small_cluster, "site") == []


@pytest.mark.slurm
@pytest.mark.slow
def test_where_jobs_cannot_be_changed_they_are_submitted_again(
    place: Place, small_cluster: PrivateSlurm, wrappers: Wrappers
) -> None:
    wrappers.put("scontrol", "echo 'scontrol: error: Access/permission denied' >&2", "exit 1")
    numbers = ("--max_eval", "7", "--num_parallel_jobs", "7")
    head = place.start(*COMMAND, *numbers, "--run_program", PROGRAM)
    wait_until(lambda: len(places(place)) == 4 and len(excluded_by_jobs(small_cluster)) == 3)
    keep_out(place, "node2")
    wait_until(lambda: list(excluded_by_jobs(small_cluster).values()) == ["node2"] * 3)
    (place.folder / "go").touch()
    code, output = head.wait()
    assert code == 0, output
    evidence = Evidence(place, "site")
    evidence.assert_exactly(7)
    assert places(place).count("node2") == 1
    assert len(evidence.rows("SELECT id FROM attempt WHERE state = 'CANCELLED'")) == 3


@pytest.mark.slurm
@pytest.mark.slow
def test_a_host_that_slurm_forgets_meanwhile_costs_nothing(
    tmp_path: Path, small_cluster: PrivateSlurm, place: Place
) -> None:
    numbers = ("--max_eval", "4", "--num_parallel_jobs", "2", "--exclude", "node4")
    program = 'mkdir "began-$HEADWAY_TRIAL"; until [ -e go ]; do sleep 0.1; done; echo RESULT: %(x)'
    head = place.start(*COMMAND, *numbers, "--run_program", program)
    wait_until((tmp_path / "began-1").exists)
    forget(small_cluster, "node4")
    try:
        (tmp_path / "go").touch()
        code, output = head.wait()
    finally:
        remember(small_cluster)
    assert code == 0, output
    evidence = Evidence(place, "site")
    evidence.assert_exactly(4)
    assert "does not know a host" in output
    refusals = [event["message"] for event in evidence.events("submission")]
    assert refusals
    assert all("Invalid node name" in message for message in refusals)


def forget(cluster: PrivateSlurm, node: str) -> None:
    """Take a node out of Slurm, as an administrator does who has sold it."""
    conf = cluster.folder / "slurm.conf"
    text = conf.read_text()
    conf.with_name("slurm.conf.before").write_text(text)
    cluster.stop_controller()
    kept = [line for line in text.splitlines() if not line.startswith(f"NodeName={node} ")]
    conf.write_text("\n".join([*kept, ""]))
    cluster.start_controller()


def remember(cluster: PrivateSlurm) -> None:
    """Put it back."""
    cluster.stop_controller()
    conf = cluster.folder / "slurm.conf"
    conf.write_text(conf.with_name("slurm.conf.before").read_text())
    cluster.start_controller()
    cluster.wait_ready()
