"""The head is killed, again and again: exactly N results, each program started once, no orphan."""

from __future__ import annotations

import random
import signal

import pytest

from tests.cluster.processes import all_processes, descendants, find_process, working_in
from tests.cluster.slurm import PrivateSlurm
from tests.main_job.runs import Place, Started, lines_of, wait_until
from tests.scenarios.evidence import SEEN, Evidence, jobs_left
from tests.scenarios.heads import killed_at_random, strange
from tests.scenarios.wrappers import Wrappers

pytestmark = pytest.mark.timeout(1200)  # the full sizes; the small ones take seconds
SEARCH = (
    *("run", "--experiment_name", "killed", "--parameter", "x", "range", "0", "1", "float"),
    *("--model", "SOBOL", "--seed", "1", "--run_program"),
)
PROGRAM = f"{SEEN}; sleep 0.5; echo RESULT: %(x)"
UNTIL_TOLD = f"{SEEN}; until [ -e go ]; do sleep 0.1; done; echo RESULT: %(x)"
SLOW_AT_FIRST = f"{SEEN}; [ -e go ] || sleep 1000; echo RESULT: %(x)"
ON_SLURM = (
    *("--partition", "alpha", "--mem_gb", "0.1", "--worker_timeout", "5"),
    *("--timing", "spool_grace_seconds=5", "--timing", "calls_burst=1000"),
)
LOCAL = ("--force_local_execution",)
# The file `kill` holds the process that is to die with this call of sbatch, whose answer reaches
# nobody then.
KILLERS = {
    "before": 'if mv kill died 2>/dev/null; then kill -9 $(cat died); exit 1; fi; exec "$REAL" "$@"',
    "after": '"$REAL" "$@"; code=$?; mv kill died 2>/dev/null && kill -9 $(cat died); exit $code',
}


def kill_in_sbatch(place: Place, head: Started) -> None:
    """Let the next call of sbatch be the last thing that a head does."""
    order = place.folder / "order"
    order.write_text(str(head.process.pid))
    order.rename(place.folder / "kill")
    code, output = head.wait()
    assert code == -signal.SIGKILL, output


@pytest.mark.postgres
@pytest.mark.parametrize(
    "moments", [("after",), pytest.param(("after", "before") * 3, marks=pytest.mark.slow)]
)
def test_a_head_that_dies_around_sbatch_loses_and_repeats_nothing(
    login_node: Place,
    slurm_cluster: PrivateSlurm,
    wrappers: Wrappers,
    postgres_url: str,
    moments: tuple[str, ...],
) -> None:
    trials = 4 * (len(moments) + 1)
    words = [*SEARCH, PROGRAM, *ON_SLURM, "--max_eval", str(trials), "--num_parallel_jobs", "4"]
    words += ["--db_url", postgres_url]
    for moment in moments:
        wrappers.put("sbatch", KILLERS[moment])
        kill_in_sbatch(login_node, login_node.start(*words))
        words = ["resume", "killed", "--db_url", postgres_url]
    wrappers.remove("sbatch")
    login_node.run(*words, seconds=240)
    evidence = Evidence(login_node, "killed", postgres_url)
    evidence.assert_each_once(trials)
    assert max(row[1] for row in evidence.attempts()) <= 1 + moments.count("before")
    assert len(evidence.events("resume")) == len(moments)
    assert jobs_left(slurm_cluster, "killed") == []


@pytest.mark.postgres
@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_a_head_that_is_killed_at_random_moments_loses_and_repeats_nothing(
    login_node: Place, slurm_cluster: PrivateSlurm, postgres_url: str, kills: int
) -> None:
    chance, trials, killed = random.Random(kills), 16 * kills, 0
    words = [*SEARCH, PROGRAM, *ON_SLURM, "--max_eval", str(trials), "--num_parallel_jobs", "8"]
    words += ["--db_url", postgres_url]
    for _ in range(kills):
        head = login_node.start(*words)
        run_dir = login_node.folder / "runs" / "killed" / "1"
        killed += killed_at_random(head, run_dir, chance, longest=2.0)
        words = ["resume", "killed", "--db_url", postgres_url]
    assert killed >= kills // 2
    login_node.run(*words, seconds=240)
    Evidence(login_node, "killed", postgres_url).assert_each_once(trials)
    assert jobs_left(slurm_cluster, "killed") == []


@pytest.mark.parametrize(
    "commits", [range(1, 5), pytest.param(range(1, 40), marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("how", [pytest.param("before", marks=pytest.mark.slow), "after"])
def test_a_head_that_dies_at_any_commit_loses_and_repeats_nothing(
    laptop: Place, how: str, commits: range
) -> None:
    place, trials = laptop, 2 * len(commits)
    place.run(*SEARCH, PROGRAM, *LOCAL, "--max_eval", "1", "--num_parallel_jobs", "3")
    words: tuple[str, ...] = ("resume", "killed", "--max_eval", str(trials))
    died = 0
    for number in commits:
        head = strange(place, how, number, *words)
        code, output = head.wait()
        assert code in {0, -signal.SIGKILL}, output
        died += code == -signal.SIGKILL
    assert died >= len(commits) // 2
    place.run(*words)
    Evidence(place, "killed").assert_each_once(trials)
    wait_until(lambda: working_in(place.folder) == [])


def test_a_second_head_can_neither_submit_nor_change_anything(
    login_node: Place, wrappers: Wrappers
) -> None:
    wrappers.count("sbatch")
    head = login_node.start(
        *SEARCH, UNTIL_TOLD, *ON_SLURM, "--max_eval", "8", "--num_parallel_jobs", "4"
    )
    with head:
        wait_until(lambda: len(lines_of(login_node.folder / "seen")) >= 4)
        run_dir = login_node.folder / "runs" / "killed" / "1"
        files = [run_dir / name for name in ("spec.json", "job.json", "head.lock")]
        before = [(path.read_text(), path.stat().st_ino) for path in files]
        code, output = login_node.start("resume", "killed", "--max_eval", "100").wait()
        assert (code, f"process {head.process.pid} on" in output) == (5, True), output
        assert [(path.read_text(), path.stat().st_ino) for path in files] == before
        (login_node.folder / "go").touch()
        assert head.wait()[0] == 0
    evidence = Evidence(login_node, "killed")
    evidence.assert_each_once(8)
    assert evidence.rows("SELECT count(*) FROM submission") == [(wrappers.calls()["sbatch"],)]
    assert not (run_dir / "head.lock").exists()


OPEN = (
    "SELECT json_extract(report.payload, '$.pid') FROM report"
    " JOIN attempt ON attempt.id = report.attempt_id AND attempt.state = 'STARTED'"
    " JOIN submission ON submission.id = attempt.submission_id AND submission.state = 'PREPARED'"
)


def test_a_worker_that_nobody_wrote_down_and_that_dies_silently_is_found_dead(
    laptop: Place,
) -> None:
    """Its head died between its start and the commit that would have said so."""
    place, go = laptop, laptop.folder / "go"
    go.touch()
    place.run(*SEARCH, SLOW_AT_FIRST, *LOCAL, "--max_eval", "1", "--num_parallel_jobs", "1")
    go.unlink()
    evidence = Evidence(place, "killed")
    head = strange(place, "at", "UPDATE submission", "resume", "killed", "--max_eval", "2")
    assert head.wait()[0] == -signal.SIGKILL
    wait_until(lambda: len(evidence.rows(OPEN)) == 1)
    worker = find_process(int(evidence.rows(OPEN)[0][0]))
    assert worker is not None
    for process in [worker, *descendants([worker], all_processes())]:
        process.send(signal.SIGKILL)
    go.touch()
    place.run("resume", "killed", "--max_eval", "2")
    evidence.assert_exactly(2)
    assert evidence.attempts()[1:] == [(1, 1, "LOST", "LOST"), (1, 2, "SUCCEEDED", None)]
