"""Ctrl-C, SIGTERM, kill -9, and going on afterwards: nothing lost, nothing twice."""

from __future__ import annotations

import json
import re
import signal
from collections import Counter

import pytest

from tests.cluster.processes import working_in
from tests.cluster.slurm import PrivateSlurm
from tests.main_job.runs import Place, lines_of, wait_until

SEARCH = (
    *("run", "--experiment_name", "stop", "--seed", "5", "--model", "SOBOL"),
    *("--parameter", "x", "range", "-5", "5", "--num_parallel_jobs", "3", "--max_eval", "12"),
)
LOCAL = (*SEARCH, "--force_local_execution")
ON_SLURM = (*SEARCH, "--partition", "alpha", "--mem_gb", "0.1", "--worker_timeout", "5")
SLOW = "echo $HEADWAY_TRIAL >> seen; sleep 1; echo RESULT: %(x)"
LATER = ("--timing", "spool_grace_seconds=5")


def _tries(place: Place) -> Counter[str]:
    return Counter(lines_of(place.folder / "seen"))


def _assert_one_file(place: Place) -> None:
    """See that the database is one whole file, as nobody has it open any more."""
    files = (place.folder / "runs" / "stop" / "1").glob("database.db*")
    assert [path.name for path in files] == ["database.db"]


def _assert_each_once(place: Place, trials: int = 12) -> None:
    assert _tries(place) == Counter({str(index): 1 for index in range(trials)})
    rows = place.results("stop")
    assert [row["status"] for row in rows] == ["COMPLETED"] * trials
    assert all(row["x"] == row["RESULT"] for row in rows)


def test_ctrl_c_once_lets_running_trials_finish_and_resume_goes_on(laptop: Place) -> None:
    started = laptop.start(*LOCAL, "--run_program", SLOW)
    wait_until(lambda: len(_tries(laptop)) >= 4)
    started.interrupt()
    code, output = started.wait(30)
    assert code == 130, output
    _assert_one_file(laptop)
    counts = Counter(row["status"] for row in laptop.results("stop"))
    assert counts["COMPLETED"] == len(_tries(laptop)) < 12
    assert not counts["ABANDONED"]
    laptop.run("resume", "stop")
    _assert_each_once(laptop)


def test_ctrl_c_twice_cancels_what_runs(laptop: Place) -> None:
    program = "echo $HEADWAY_TRIAL >> seen; sleep 60; echo RESULT: 1"
    started = laptop.start(*LOCAL, "--run_program", program)
    wait_until(lambda: len(_tries(laptop)) == 3)
    started.interrupt()
    wait_until(lambda: "stopping" in (laptop.folder / "runs/stop/1/head.log").read_text())
    started.interrupt()
    code, output = started.wait(30)
    assert code == 130, output
    statuses = Counter(row["status"] for row in laptop.results("stop"))
    assert statuses["ABANDONED"] == 3
    wait_until(lambda: working_in(laptop.folder) == [])


def test_a_killed_head_is_resumed_without_repeating_anything(laptop: Place) -> None:
    started = laptop.start(*LOCAL, "--run_program", SLOW)
    wait_until(lambda: len(_tries(laptop)) >= 4)
    started.kill()
    laptop.run("resume", "stop")
    _assert_each_once(laptop)


def test_a_second_head_beside_a_living_one_is_refused(laptop: Place) -> None:
    started = laptop.start(*LOCAL, "--run_program", SLOW)
    wait_until(lambda: bool(_tries(laptop)))
    code, output = laptop.start("resume", "stop").wait()
    assert code == 5
    assert str(started.process.pid) in output
    started.wait()
    _assert_each_once(laptop)


def test_a_finished_search_goes_on_with_more_trials(laptop: Place) -> None:
    fast = "echo $HEADWAY_TRIAL >> seen; echo RESULT: %(x)"
    laptop.run(*LOCAL, "--run_program", fast)
    _assert_one_file(laptop)
    before = [row["x"] for row in laptop.results("stop")]
    laptop.run("resume", "stop", "--max_eval", "20")
    _assert_each_once(laptop, 20)
    after = [row["x"] for row in laptop.results("stop")]
    assert after[:12] == before
    assert len(set(after)) == 20
    code, output = laptop.start("resume", "stop", "--max_eval", "10").wait()
    assert code == 2, output


def test_stop_ends_a_search_from_elsewhere_gently_and_at_once(laptop: Place) -> None:
    program = (
        "echo $HEADWAY_TRIAL >> seen; sleep $((HEADWAY_TRIAL < 3 ? 1 : 600)); echo RESULT: %(x)"
    )
    started = laptop.start(*LOCAL, "--run_program", program)
    wait_until(lambda: len(_tries(laptop)) >= 4)
    told = laptop.run("stop", "stop")
    assert re.search(r"stop/1: stopping, no new trials; running trials finish \(the head on", told)
    (status,) = laptop.rows("stop", "SELECT status FROM experiment")
    assert status == ("STOPPING",)
    laptop.run("stop", "stop/1", "--now")
    code, output = started.wait(60)
    assert code == 130, output
    ((status, why),) = laptop.rows("stop", "SELECT status, stop_reason FROM experiment")
    assert status == "STOPPED"
    assert why.startswith("cancelled by ")
    wait_until(lambda: working_in(laptop.folder) == [])
    events = laptop.rows("stop", "SELECT payload FROM event WHERE kind = 'stop' ORDER BY id")
    assert [json.loads(row[0])["how"] for row in events] == ["STOPPED", "CANCELLED"]
    assert "has ended already" in laptop.run("stop", "stop")
    laptop.run("db", "check", "stop")


def test_what_a_dead_head_has_left_is_told_and_cancelled(laptop: Place) -> None:
    program = "echo $HEADWAY_TRIAL >> seen; sleep 600; echo RESULT: 1"
    started = laptop.start(*LOCAL, "--run_program", program)
    wait_until(lambda: len(_tries(laptop)) == 3)
    started.kill()
    told = laptop.run("stop", "stop")
    assert "is stopped: no head is alive; 3 trials may still run" in told
    (status,) = laptop.rows("stop", "SELECT status FROM experiment")
    assert status == ("STOPPED",)
    told = laptop.run("stop", "stop", "--now")
    assert told.splitlines()[-1] == "stop/1: stopped."
    wait_until(lambda: working_in(laptop.folder) == [])
    assert _tries(laptop).total() == 3, "nothing new began"
    statuses = Counter(row["status"] for row in laptop.results("stop"))
    assert statuses["ABANDONED"] == 3
    laptop.run("db", "check", "stop")


def test_a_search_is_tuned_while_it_runs_and_not_without_a_head(laptop: Place) -> None:
    started = laptop.start(
        *LOCAL, "--run_program", "echo $HEADWAY_TRIAL >> seen; sleep 1; echo RESULT: %(x)"
    )
    wait_until(lambda: bool(_tries(laptop)))
    told = laptop.run("tune", "stop", "--num-parallel-jobs", "6", "--max_eval", "15")
    assert told.startswith("stop/1: 6 trials at once and 15 trials in all (the head on ")
    code, output = laptop.start("tune", "stop", "--max_eval", "0").wait()
    assert (code, "from 1" in output or "1 or more" in output) == (2, True), output
    code, output = started.wait()
    assert code == 0, output
    _assert_each_once(laptop, 15)
    code, output = laptop.start("tune", "stop", "--num_parallel_jobs", "2").wait()
    assert code == 2
    assert "`headway resume stop/1 --num_parallel_jobs 2` goes on like that" in output
    assert laptop.json("status", "stop")["slots"] == 6


@pytest.mark.slurm
def test_sigterm_leaves_jobs_running_and_resume_adopts_them(login_node: Place) -> None:
    started = login_node.start(*ON_SLURM, *LATER, "--run_program", SLOW)
    wait_until(lambda: len(_tries(login_node)) >= 2)
    started.process.send_signal(signal.SIGTERM)
    code, output = started.wait(30)
    assert code == 130, output
    login_node.run("resume", "stop")
    _assert_each_once(login_node)


@pytest.mark.slurm
def test_kill_9_on_slurm_loses_and_repeats_nothing(
    login_node: Place, slurm_cluster: PrivateSlurm
) -> None:
    started = login_node.start(*ON_SLURM, *LATER, "--run_program", SLOW)
    wait_until(lambda: len(_tries(login_node)) >= 4)
    started.kill()
    login_node.run("resume", "stop")
    _assert_each_once(login_node)
    left = slurm_cluster.run("squeue", "--noheader", "--format=%j").stdout
    assert "hw-stop-" not in left


@pytest.mark.slurm
def test_ctrl_c_twice_on_slurm_leaves_no_job(
    login_node: Place, slurm_cluster: PrivateSlurm
) -> None:
    program = "echo $HEADWAY_TRIAL >> seen; sleep 60; echo RESULT: 1"
    started = login_node.start(*ON_SLURM, "--run_program", program)
    wait_until(lambda: len(_tries(login_node)) == 3)
    started.interrupt()
    wait_until(lambda: "stopping" in (login_node.folder / "runs/stop/1/head.log").read_text())
    started.interrupt()
    code, output = started.wait(40)
    assert code == 130, output
    wait_until(
        lambda: "hw-stop-" not in slurm_cluster.run("squeue", "--noheader", "--format=%j").stdout
    )
    assert {row["status"] for row in login_node.results("stop")} >= {"ABANDONED"}
