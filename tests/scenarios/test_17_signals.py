"""Scenario 17: a worker that is told to end reports well before it is killed.

The private Slurm kills five seconds after it has asked (KillWait), real ones mostly after thirty.
"""

from __future__ import annotations

import signal
from typing import Any

import pytest

from tests.cluster.slurm import PrivateSlurm
from tests.main_job.runs import Place, lines_of, wait_until
from tests.scenarios.evidence import Evidence, jobs_left

pytestmark = pytest.mark.slurm
JOB = "${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}"
SAVED = 'echo "$HEADWAY_TRIAL" >> saved'
# Each deals with the end in its own way; all of them would run for ever. Those that come in their
# place, since a trial that a person has cancelled does not count, end at once.
PROGRAM = f"""
case $HEADWAY_TRIAL in
0) trap '' TERM; (setsid bash -c 'trap "" TERM; while :; do sleep 0.1; done' &) ;;
1) trap '{SAVED}; echo RESULT: %(x); exit 0' TERM ;;
2) trap '{SAVED}; exit 3' USR2 ;;
3) trap '{SAVED}; exit 143' TERM ;;
*) echo RESULT: %(x); exit ;;
esac
echo "$HEADWAY_TRIAL {JOB}" >> jobs
while :; do sleep 0.1; done
"""
COMMAND = (
    *("run", "--experiment_name", "told", "--partition", "alpha", "--mem_gb", "0.1"),
    *("--parameter", "x", "range", "0", "1", "float", "--model", "SOBOL", "--seed", "1"),
    *("--timing", "grace_seconds=2", "poll_max_seconds=2", "calls_burst=400"),
)


def jobs_of(place: Place, trials: int) -> list[str]:
    """Return the jobs of the trials, as soon as their programs can be told anything."""
    wait_until(lambda: len(lines_of(place.folder / "jobs")) == trials)
    jobs = dict(line.split() for line in lines_of(place.folder / "jobs"))
    return [jobs[str(trial)] for trial in range(trials)]


def ends(evidence: Evidence) -> list[dict[str, Any]]:
    """Return what the worker of each trial has reported of its end."""
    query = (
        "SELECT report.payload FROM report JOIN attempt ON attempt.id = report.attempt_id"
        " JOIN trial ON trial.id = attempt.trial_id WHERE report.kind = 'END'"
        ' ORDER BY trial."index"'
    )
    return evidence.payloads(query)


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.slow]),
    ]
)
def url(request: pytest.FixtureRequest) -> str | None:
    """Workers report through files, or to a server."""
    return request.getfixturevalue("postgres_url") if request.param == "postgres" else None


def test_every_end_that_somebody_asked_for_is_reported_and_understood(
    login_node: Place, slurm_cluster: PrivateSlurm, url: str | None
) -> None:
    database = () if url is None else ("--db_url", url)
    words = ("--max_eval", "4", "--num_parallel_jobs", "4", "--run_program", PROGRAM)
    started = login_node.start(*COMMAND, *words, *database)
    jobs = jobs_of(login_node, 4)
    slurm_cluster.run("scancel", jobs[0], jobs[1], jobs[3])
    # What Slurm sends before the time limit.
    slurm_cluster.run("scancel", "--batch", "--signal=USR2", jobs[2])
    code, output = started.wait()
    assert code == 0, output
    evidence = Evidence(login_node, "told", url)
    assert evidence.attempts()[:4] == [
        (0, 1, "CANCELLED", "CANCELLED"),
        (1, 1, "SUCCEEDED", None),
        (2, 1, "FAILED", "TIMEOUT"),
        (3, 1, "CANCELLED", "CANCELLED"),
    ]
    reported = ends(evidence)[:4]
    # The other one has a result: why it ended does not matter.
    assert [reported[trial]["cause"] for trial in (0, 2, 3)] == ["TERMINATED"] * 3
    assert [end["exit_code"] for end in reported] == [None, 0, 3, 143]
    assert reported[0]["signal"] == signal.SIGKILL, "the worker's doing; Slurm would kill it too"
    # Both from Slurm and from its worker a program may hear of it.
    assert set(lines_of(login_node.folder / "saved")) == {"1", "2", "3"}
    assert evidence.events("foreign") == evidence.events("refused") == []
    assert jobs_left(slurm_cluster, "told") == []
    login_node.run("db", "check", *database)


@pytest.mark.slow
def test_a_limit_of_two_minutes_leaves_time_to_save_and_to_report(
    login_node: Place, slurm_cluster: PrivateSlurm
) -> None:
    # A limit of the site's, which Headway was not told of.
    place = Place(login_node.folder, {**login_node.environment, "SBATCH_TIMELIMIT": "2"})
    program = (
        f"trap '{SAVED}; exit 3' USR2; echo $HEADWAY_TRIAL {JOB} >> jobs; "
        "while :; do sleep 0.1; done"
    )
    words = ("--max_eval", "1", "--num_parallel_jobs", "1", "--run_program", program)
    code, output = place.start(*COMMAND, *words).wait(240)
    assert code == 3, output
    evidence = Evidence(place, "told")
    assert evidence.attempts() == [(0, 1, "FAILED", "TIMEOUT")]
    (end,) = ends(evidence)
    assert (end["told_by"], end["exit_code"]) == (signal.SIGUSR2, 3)
    assert 20 < end["measured"]["wall_seconds"] < 110
    assert set(lines_of(place.folder / "saved")) == {"0"}
    assert jobs_left(slurm_cluster, "told") == []
