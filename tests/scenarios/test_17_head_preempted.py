"""A head that is a job has to make room for another one, and the search goes on."""

from __future__ import annotations

import pytest

from slurm_templates import HEAD
from tests.cluster.slurm import PrivateSlurm
from tests.main_job.runs import HEADWAY, Place, lines_of, wait_until
from tests.scenarios.evidence import SEEN, Evidence

SEARCH = (
    *("--experiment_name", "low", "--max_eval", "8", "--num_parallel_jobs", "2"),
    *("--parameter", "x", "range", "0", "1", "float", "--model", "SOBOL", "--partition", "low"),
    *("--timing", "poll_max_seconds=3", "--timing", "calls_burst=1000"),
    *("--timing", "spool_grace_seconds=5"),
)
# The trials after the first two end when they are told to.
PROGRAM = (
    f"{SEEN}; until [ $HEADWAY_TRIAL -lt 2 ] || [ -e go ]; do sleep 0.1; done; echo RESULT: %(x)"
)


def shown(cluster: PrivateSlurm, job: str) -> str:
    """What Slurm knows of a job."""
    return cluster.run("scontrol", "show", "job", job.strip()).stdout


def start_head(place: Place, partition: str) -> str:
    """Submit the head as a user does, and wait for its first trials; returns the id of its job."""
    command = place.script("the headway", ['exec {} -I {} "$@"'.format(*HEADWAY[::2])])
    place.environment = {**place.environment, "HEADWAY": str(command)}
    options = (f"--partition={partition}", "--nodelist=node1", "--exclusive", "--output=head.out")
    words = ("sbatch", "--parsable", *options, str(HEAD), *SEARCH, "--run_program", PROGRAM)
    code, head = place.execute(*words).wait()
    assert code == 0, head
    wait_until(lambda: len(lines_of(place.folder / "seen")) == 4)
    return head.strip()


def preempt(cluster: PrivateSlurm) -> None:
    """Submit a job that the head has to make room for."""
    cluster.run(
        *("sbatch", "--partition=high", "--nodelist=node1", "--exclusive"),
        *("--output=/dev/null", "--wrap", "sleep 2"),
    )


@pytest.mark.slurm
def test_a_preempted_head_goes_on_with_the_same_search(
    preempting_place: Place, preempting_cluster: PrivateSlurm
) -> None:
    place = preempting_place
    head = start_head(place, "low")
    preempt(preempting_cluster)
    (place.folder / "go").touch()
    wait_until(lambda: "JobState=COMPLETED" in shown(preempting_cluster, head), 100)
    Evidence(place, "low").assert_each_once(8)
    assert [path.name for path in (place.folder / "runs" / "low").iterdir()] == ["1"]
    assert "Restarts=1" in shown(preempting_cluster, head)
    (resumed,) = Evidence(place, "low").events("resume")
    assert resumed["automatic"] is True


@pytest.mark.slurm
@pytest.mark.slow
def test_a_head_that_is_cancelled_to_make_room_goes_on_in_its_next_job(
    preempting_place: Place, preempting_cluster: PrivateSlurm
) -> None:
    place = preempting_place
    head = start_head(place, "cut")
    preempt(preempting_cluster)
    wait_until(lambda: "JobState=PREEMPTED" in shown(preempting_cluster, head), 100)
    (place.folder / "go").touch()
    found = Evidence(place, "low")
    wait_until(lambda: found.rows("SELECT status FROM experiment") == [("FINISHED",)], 100)
    wait_until(lambda: not preempting_cluster.run("squeue", "--noheader").stdout)
    found.assert_each_once(8)
    assert "Restarts=0" in shown(preempting_cluster, head)
    (resumed,) = found.events("resume")
    assert resumed["automatic"] is True
