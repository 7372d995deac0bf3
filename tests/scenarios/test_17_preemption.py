"""Scenario 17: trials that have to make room again and again."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.cluster.slurm import PrivateSlurm
from tests.main_job.runs import Place, lines_of, wait_until
from tests.scenarios.evidence import Evidence, jobs_left

pytestmark = pytest.mark.slurm
TRIALS = 2
# Goes on where the last attempt was, and is told to stop until it has got far enough. Leaving with
# an exit code of its own, as many programs do, must not look like a failure.
PROGRAM = """
done="$HEADWAY_CHECKPOINT_DIR/done"
steps=$(cat "$done" 2>/dev/null || echo 0)
trap 'echo $((steps + 1)) > "$done"; exit 3' TERM
echo "$HEADWAY_TRIAL $HEADWAY_ATTEMPT $steps" >> seen
if [ "$steps" -ge {storms} ]; then echo RESULT: %(x); exit; fi
while :; do sleep 0.1; done
"""


def command(storms: int, *more: str) -> tuple[str, ...]:
    return (
        *("run", "--experiment_name", "storm", "--partition", "low", "--mem_gb", "0.1"),
        *("--max_eval", str(TRIALS), "--num_parallel_jobs", str(TRIALS), "--retries", "0"),
        *("--parameter", "x", "range", "0", "1", "--seed", "1"),
        *("--timing", "poll_max_seconds=2", "calls_per_minute=600", "calls_burst=400"),
        *("--run_program", PROGRAM.replace("{storms}", str(storms)), *more),
    )


def make_room(cluster: PrivateSlurm) -> None:
    """Let a job of a higher partition push all others out; gone when this returns."""
    words = ("--partition=high", "--nodes=2", "--exclusive", "--wait", "--wrap=sleep 0.1")
    cluster.run("sbatch", *words, "--output=/dev/null")


def occupy(cluster: PrivateSlurm) -> str:
    """Push all others out, and keep them out; returns the job that does it."""
    words = ("--parsable", "--partition=high", "--nodes=2", "--exclusive", "--wrap=sleep 600")
    return cluster.run("sbatch", *words, "--output=/dev/null").stdout.strip()


def release(cluster: PrivateSlurm) -> None:
    """Spare the test the time that Slurm lets a requeued job wait."""
    listed = cluster.run("squeue", "--noheader", "--array", "--format=%i %j %r").stdout
    for line in listed.splitlines():
        job, name, reason = line.split(maxsplit=2)
        if name.startswith("hw-storm-") and reason == "BeginTime":
            cluster.run("scontrol", "update", f"jobid={job}", "StartTime=now", check=False)


def wait_for_starts(place: Place, cluster: PrivateSlurm, count: int) -> None:
    """Wait until programs were started so many times."""

    def are_there() -> bool:
        release(cluster)
        return len(lines_of(place.folder / "seen")) >= count

    wait_until(are_there, seconds=90)


def storm(place: Place, cluster: PrivateSlurm, storms: int) -> None:
    """Push the trials out so many times, each time when all of them run."""
    for number in range(1, storms + 1):
        wait_for_starts(place, cluster, number * TRIALS)
        make_room(cluster)
    wait_for_starts(place, cluster, (storms + 1) * TRIALS)


def assert_no_try_was_lost(
    place: Place, cluster: PrivateSlurm, storms: int, url: str | None
) -> Evidence:
    """Each trial went through all its attempts, kept its state, and has one result."""
    evidence = Evidence(place, "storm", url)
    evidence.assert_exactly(TRIALS)
    each = [("FAILED", "PREEMPTED")] * storms + [("SUCCEEDED", None)]
    for trial in range(TRIALS):
        found = [row for row in evidence.attempts() if row[0] == trial]
        assert [row[2:] for row in found] == each
    expected = [f"{trial} {n + 1} {n}" for trial in range(TRIALS) for n in range(storms + 1)]
    assert Counter(lines_of(place.folder / "seen")) == Counter(expected)
    assert jobs_left(cluster, "storm") == []
    # What Slurm cut off had been reported before the kill, with what it used until then.
    kinds = dict(evidence.rows("SELECT kind, count(*) FROM report GROUP BY kind"))
    assert kinds["END"] == TRIALS * (storms + 1)
    unmeasured = evidence.rows("SELECT count(*) FROM attempt WHERE measured IS NULL")
    assert unmeasured == [(0,)]
    return evidence


def calls_of_sbatch(evidence: Evidence) -> list[int]:
    """Return how often each trial was submitted."""
    query = "SELECT count(DISTINCT submission_id) FROM attempt GROUP BY trial_id"
    return [row[0] for row in evidence.rows(query)]


def assert_nothing_grew(place: Place) -> None:
    """One log a submission's task, one checkpoint a trial, and an empty spool."""
    run = place.folder / "runs" / "storm" / "1"
    assert sorted(path.name for path in run.glob("checkpoints/*/*")) == ["done"] * TRIALS
    left = [path for path in run.glob("spool/*/*") if path.is_file()]
    assert left == []


@pytest.mark.parametrize("size", [2, pytest.param(10, marks=pytest.mark.slow)])
@pytest.mark.postgres
@pytest.mark.timeout(600)
def test_preemptions_cost_no_try_when_slurm_requeues(
    preempting_place: Place, preempting_cluster: PrivateSlurm, postgres_url: str, size: int
) -> None:
    started = preempting_place.start(*command(size, "--requeue", "--db_url", postgres_url))
    storm(preempting_place, preempting_cluster, size)
    code, output = started.wait()
    assert code == 0, output
    evidence = assert_no_try_was_lost(preempting_place, preempting_cluster, size, postgres_url)
    assert calls_of_sbatch(evidence) == [1] * TRIALS
    assert len(evidence.events("restarted")) == TRIALS * size
    assert_nothing_grew(preempting_place)


@pytest.mark.parametrize("size", [10])
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_preemptions_cost_no_try_when_slurm_requeues_and_workers_leave_files(
    preempting_place: Place, preempting_cluster: PrivateSlurm, size: int
) -> None:
    started = preempting_place.start(*command(size, "--requeue"))
    storm(preempting_place, preempting_cluster, size)
    code, output = started.wait()
    assert code == 0, output
    evidence = assert_no_try_was_lost(preempting_place, preempting_cluster, size, None)
    assert calls_of_sbatch(evidence) == [1] * TRIALS
    assert_nothing_grew(preempting_place)


@pytest.mark.parametrize("size", [1, pytest.param(10, marks=pytest.mark.slow)])
@pytest.mark.timeout(600)
def test_preemptions_cost_no_try_when_headway_submits_again(
    preempting_place: Place, preempting_cluster: PrivateSlurm, size: int
) -> None:
    started = preempting_place.start(*command(size))
    storm(preempting_place, preempting_cluster, size)
    code, output = started.wait()
    assert code == 0, output
    evidence = assert_no_try_was_lost(preempting_place, preempting_cluster, size, None)
    assert evidence.rows("SELECT max(restart) FROM attempt") == [(0,)]
    assert calls_of_sbatch(evidence) == [size + 1] * TRIALS
    assert_nothing_grew(preempting_place)


@pytest.mark.slow
def test_a_stop_takes_back_the_jobs_that_wait_to_run_again(
    preempting_place: Place, preempting_cluster: PrivateSlurm
) -> None:
    place, cluster = preempting_place, preempting_cluster
    started = place.start(*command(1, "--requeue"))
    wait_for_starts(place, cluster, TRIALS)
    blocker = occupy(cluster)
    log = place.folder / "runs" / "storm" / "1" / "head.log"
    wait_until(lambda: log.read_text().count("Slurm has requeued a job") == TRIALS)
    started.interrupt()
    code, output = started.wait()
    assert code == 130, output
    wait_until(lambda: jobs_left(cluster, "storm") == [])
    cluster.run("scancel", blocker)
    place.run("resume", "storm")
    evidence = Evidence(place, "storm")
    evidence.assert_exactly(TRIALS)
    each = [("FAILED", "PREEMPTED"), ("SUCCEEDED", None)]
    assert [row[2:] for row in evidence.attempts()] == each * TRIALS
    assert calls_of_sbatch(evidence) == [2] * TRIALS


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_trial_that_meets_a_limit_of_two_minutes_saves_its_state_and_is_a_time_out(
    preempting_place: Place, preempting_cluster: PrivateSlurm
) -> None:
    place = preempting_place
    words = list(command(9))
    words[words.index("low")] = "short"
    program = words.index("--run_program") + 1
    words[program] = words[program].replace("exit 3' TERM", "exit 3' USR2")
    code, output = place.start(*words).wait(300)
    assert code == 3, output
    evidence = Evidence(place, "storm")
    assert [row[2:] for row in evidence.attempts()] == [("FAILED", "TIMEOUT")] * TRIALS
    saved = sorted((place.folder / "runs/storm/1/checkpoints").glob("*/done"))
    assert [path.read_text().strip() for path in saved] == ["1"] * TRIALS
    # The worker had told it all long before Slurm would have killed it.
    states = {row[0] for row in evidence.rows("SELECT slurm_state FROM attempt")}
    assert states.isdisjoint({"TIMEOUT"})
    assert jobs_left(preempting_cluster, "storm") == []
