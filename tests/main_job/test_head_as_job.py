"""The head as a job of the private Slurm that continues itself, and the head in the background."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from slurm_templates import HEAD
from tests.cluster.slurm import PrivateSlurm
from tests.main_job.runs import HEADWAY, Place, lines_of, wait_until

SEARCH = (
    *("--experiment_name", "far", "--parameter", "x", "range", "0", "1", "float"),
    *("--model", "SOBOL", "--seed", "5", "--num_parallel_jobs", "2", "--max_eval", "8"),
    *("--timing", "poll_max_seconds=3", "--timing", "calls_burst=1000"),
    *("--timing", "spool_grace_seconds=5"),
)
# Says that it runs; the trials after the first two end when they are told to.
PROGRAM = (
    "echo $HEADWAY_TRIAL >> seen; until [ $HEADWAY_TRIAL -lt 2 ] || [ -e go ]; do sleep 0.1; done; "
    "echo RESULT: %(x)"
)


@pytest.fixture
def far(login_node: Place, slurm_cluster: PrivateSlurm) -> Iterator[Place]:
    """A login node where `headway` is on PATH; a test that fails leaves no jobs to the next one."""
    (login_node.folder / "bin").mkdir()
    login_node.script("bin/headway", ['exec {} -I {} "$@"'.format(*HEADWAY[::2])])
    path = f"{login_node.folder / 'bin'}:{os.environ['PATH']}"
    login_node.environment = {**login_node.environment, "PATH": path}
    yield login_node
    slurm_cluster.run("scancel", "--me", check=False)


def submit(place: Place, *words: str) -> str:
    """Call sbatch as a person does; return the job's id."""
    code, output = place.execute("sbatch", "--parsable", *words).wait()
    assert code == 0, output
    return output.strip()


def seen(place: Place) -> Counter[str]:
    return Counter(lines_of(place.folder / "seen"))


def heads(cluster: PrivateSlurm) -> list[str]:
    """The jobs of heads that wait or run."""
    lines = cluster.run("squeue", "--noheader", "--format=%i %j").stdout.splitlines()
    return [line.split()[0] for line in lines if line.split()[1].startswith("headway-")]


def stands(cluster: PrivateSlurm, job_id: str) -> dict[str, str]:
    """What Slurm knows of a job."""
    shown = cluster.run("scontrol", "show", "job", job_id).stdout
    return dict(word.split("=", 1) for word in shown.split() if "=" in word)


def assert_each_once(place: Place) -> None:
    rows = place.results("far")
    assert [row["status"] for row in rows] == ["COMPLETED"] * 8
    assert all(row["x"] == row["RESULT"] for row in rows)
    assert seen(place) == Counter({str(index): 1 for index in range(8)})


@pytest.mark.slurm
def test_a_head_submitted_by_hand_goes_on_in_new_jobs_until_the_search_has_ended(
    far: Place, slurm_cluster: PrivateSlurm
) -> None:
    options = ("--time=30", "--mem=600", "--output=head 100%%.out")
    first = submit(far, *options, str(HEAD), *SEARCH, "--run_program", PROGRAM)
    wait_until(lambda: len(seen(far)) == 4)
    # What Slurm itself sends some minutes before the time of the job is over.
    slurm_cluster.run("scancel", "--batch", "--signal=USR1", first)
    wait_until(lambda: stands(slurm_cluster, first)["JobState"] == "COMPLETED")
    (second,) = heads(slurm_cluster)
    told = stands(slurm_cluster, second)
    assert (told["TimeLimit"], told["MinMemoryNode"]) == ("00:30:00", "600M"), "as the first one"
    assert f"afterany:{first}" in told["Dependency"] or told["JobState"] == "RUNNING"
    (far.folder / "go").touch()
    wait_until(lambda: not heads(slurm_cluster))
    assert_each_once(far)
    said = (far.folder / "head 100%.out").read_text()
    assert f"job {second} goes on when this one has ended" in said
    assert said.count("going on") == 2, "two heads, one after the other"
    assert "FINISHED" in said
    assert not (far.folder / "runs" / "far" / "1" / "head.next").exists()


@pytest.mark.slurm
def test_scancel_ends_the_head_alone_and_the_search_can_be_resumed(
    far: Place, slurm_cluster: PrivateSlurm
) -> None:
    output = far.run("run", *SEARCH, "--run_program", PROGRAM, "--head", "slurm")
    (job,) = heads(slurm_cluster)
    assert f"head: Slurm job {job}" in output
    run_dir = far.folder / "runs" / "far" / "1"
    assert json.loads((run_dir / "head.job").read_text())["job_id"] == job
    wait_until(lambda: len(seen(far)) == 4)
    slurm_cluster.run("scancel", job)
    wait_until(lambda: not heads(slurm_cluster))
    assert far.json("status", "far")["status"] == "INTERRUPTED"
    names = slurm_cluster.run("squeue", "--noheader", "--format=%j").stdout
    assert names.count("hw-far-") == 2, "running trials go on"
    (far.folder / "go").touch()
    again = submit(far, str(run_dir / "head.sbatch"))
    wait_until(lambda: not heads(slurm_cluster))
    assert stands(slurm_cluster, again)["ExitCode"] == "0:0"
    assert_each_once(far)


@pytest.mark.slurm
def test_a_search_that_a_person_has_stopped_is_left_alone_by_the_next_job_of_its_head(
    far: Place, slurm_cluster: PrivateSlurm
) -> None:
    started = far.start("run", *SEARCH, "--run_program", PROGRAM)
    wait_until(lambda: len(seen(far)) == 4)
    started.interrupt()
    wait_until(lambda: "stopping" in (far.folder / "runs/far/1/head.log").read_text())
    (far.folder / "go").touch()
    assert started.wait()[0] == 130
    assert "nothing to do" in far.run("resume", "far", "--if_needed")
    far.run("resume", "far", "--head", "slurm")
    wait_until(lambda: not heads(slurm_cluster))
    assert_each_once(far)
    assert "nothing to do for far/1: it has finished" in far.run("resume", "--if_needed")


@pytest.mark.slurm
def test_a_search_that_was_stopped_before_its_head_began_is_left_alone(
    far: Place, slurm_cluster: PrivateSlurm
) -> None:
    (far.folder / "held.yaml").write_text("head_sbatch: {hold: }\n")
    words = ("--head", "slurm", "--profile", "./held.yaml", "--run_program", PROGRAM)
    far.run("run", *SEARCH, *words)
    (job,) = heads(slurm_cluster)
    assert f"Slurm job {job} is to lead it and has not begun" in far.run("status", "far")
    far.run("stop", "far")
    slurm_cluster.run("scontrol", "release", job)
    wait_until(lambda: not heads(slurm_cluster))
    assert "nothing to do" in (far.folder / "runs" / "far" / "1" / "head.out").read_text()
    assert not seen(far)


@pytest.mark.slurm
def test_what_slurm_would_never_take_is_told_and_nothing_is_created(far: Place) -> None:
    wanted = ("--constraint", "golden", "--head", "slurm")
    code, output = far.start("run", *SEARCH, "--run_program", PROGRAM, *wanted).wait()
    assert code == 2, output
    assert output.startswith("headway: --head: Slurm refuses the job of the head:")
    assert "Invalid feature specification" in output
    assert not (far.folder / "runs").exists()


def test_a_head_in_the_background_outlives_the_command_and_cron_goes_on_when_it_was_killed(
    laptop: Place,
) -> None:
    words = ("run", *SEARCH, "--force_local_execution", "--run_program", PROGRAM, "--detach")
    output = laptop.run(*words)
    run_dir = laptop.folder / "runs" / "far" / "1"
    pid = int(output.partition("head: process ")[2].split()[0])
    assert os.getsid(pid) == pid, "no signal of the terminal reaches it"
    wait_until(lambda: len(seen(laptop)) == 4)
    alive = laptop.run("resume", str(run_dir), "--if_needed")
    assert f"nothing to do: another head owns this experiment: process {pid}" in alive
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{pid}").exists())
    (laptop.folder / "go").touch()
    assert "going on" in laptop.run("resume", str(run_dir), "--if-needed")
    assert_each_once(laptop)
    assert "0/8 done" in (run_dir / "head.out").read_text()
    code, output = laptop.start("resume", "far", "--detach", "--max_eval", "1").wait()
    assert code == 2, "one that cannot begin is told at once"
    assert "1 is less than the 8 trials that have ended already" in output


def test_heads_that_nobody_asked_for_get_what_is_left_of_the_time(laptop: Place) -> None:
    words = ("run", *SEARCH, "--force_local_execution", "--run_program", PROGRAM, "--time", "30")
    started = laptop.start(*words)
    wait_until(lambda: len(seen(laptop)) == 4)
    started.kill()
    with sqlite3.connect(laptop.folder / "runs" / "far" / "1" / "database.db") as connection:
        connection.execute("UPDATE event SET created_at = datetime(created_at, '-1 hour')")
    (laptop.folder / "go").touch()
    assert "the time for the search was over" in laptop.run("resume", "far", "--if_needed")
    assert len(seen(laptop)) == 4, "nothing new was begun"
