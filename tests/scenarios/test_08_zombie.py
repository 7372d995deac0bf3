"""Scenario 8: the zombie returns.

A worker is frozen past the grace and its trial runs elsewhere; then it wakes. A result is accepted
exactly once, whichever attempt is the faster; a worker without a sign of life is ended first, one
whose program is merely slow is left alone.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

import pytest

from tests.cluster.processes import Process, find_process
from tests.cluster.slurm import PrivateSlurm
from tests.main_job.runs import Place, Started, lines_of, wait_until
from tests.scenarios.evidence import SEEN, Evidence, jobs_left

# Each attempt says that it runs and ends when its gate is opened.
PROGRAM = (
    f"{SEEN}; until [ -e go-$HEADWAY_TRIAL-$HEADWAY_ATTEMPT ]; do sleep 0.2; done; "
    "echo RESULT: %(x)"
)
COMMAND = (
    *("run", "--experiment_name", "zombie", "--partition", "alpha", "--mem_gb", "0.1"),
    # A node for each trial.
    *("--cpus_per_task", "4", "--num_parallel_jobs", "2", "--max_eval", "2"),
    *("--worker_timeout", "10", "--num_random_steps", "2", "--run_program", PROGRAM),
    *("--parameter", "x", "range", "0", "1", "float", "--seed", "1"),
    *("--timing", "poll_max_seconds=2", "--timing", "spool_grace_seconds=5"),
)
SLOWLY = pytest.mark.slow
Zombie = tuple[Process, str]


@pytest.fixture
def evidence(request: pytest.FixtureRequest, login_node: Place) -> Evidence:
    """What the search leaves behind, in files (workers use the spool) or on a server."""
    is_direct = getattr(request, "param", "direct") == "direct"
    url = request.getfixturevalue("postgres_url") if is_direct else None
    return Evidence(login_node, "zombie", url)


@contextlib.contextmanager
def search(evidence: Evidence, *words: str) -> Iterator[Started]:
    """Run the search; both trials have begun."""
    where = () if evidence.url is None else ("--db_url", evidence.url)
    with evidence.place.start(*COMMAND, *words, *where) as started:
        wait_until(lambda: is_seen(evidence, "0 1") and is_seen(evidence, "1 1"))
        yield started


def is_seen(evidence: Evidence, attempt: str) -> bool:
    """Whether an attempt (TRIAL NUMBER) has started its program."""
    lines = lines_of(evidence.place.folder / "seen")
    return any(line.startswith(f"{attempt} ") for line in lines)


def open_gate(evidence: Evidence, attempt: str) -> None:
    """Let the program of an attempt end."""
    (evidence.place.folder / f"go-{attempt.replace(' ', '-')}").touch()


def freeze_first(evidence: Evidence) -> Zombie:
    """Freeze the worker of trial 0; return it and its node."""
    query = (
        "SELECT report.payload FROM report JOIN attempt ON attempt.id = report.attempt_id"
        " JOIN trial ON trial.id = attempt.trial_id"
        " WHERE trial.\"index\" = 0 AND report.kind = 'START'"
    )
    wait_until(lambda: bool(evidence.rows(query)))
    (claim,) = evidence.payloads(query)
    worker = find_process(claim["pid"])
    assert worker is not None
    assert worker.send(signal.SIGSTOP)
    return worker, claim["host"]


@contextlib.contextmanager
def lost_node(cluster: PrivateSlurm, node: str) -> Iterator[None]:
    """Let a node be down for Slurm while everything on it lives on."""
    daemon = cluster.daemon(f"slurmd-{node}")
    daemon.send(signal.SIGSTOP)
    try:
        cluster.run("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
        yield
    finally:
        daemon.send(signal.SIGCONT)
        # It may be back already, by its own word (ReturnToService).
        cluster.run("scontrol", "update", f"nodename={node}", "state=resume", check=False)
        cluster.wait_ready()


@pytest.mark.parametrize("evidence", ["direct", pytest.param("spool", marks=SLOWLY)], indirect=True)
def test_the_zombie_that_is_faster_is_accepted_and_the_second_attempt_cancelled(
    evidence: Evidence, slurm_cluster: PrivateSlurm
) -> None:
    with search(evidence) as started:
        zombie, node = freeze_first(evidence)
        open_gate(evidence, "0 1")
        with lost_node(slurm_cluster, node):
            wait_until(lambda: is_seen(evidence, "0 2"))
            zombie.send(signal.SIGCONT)
            wait_until(lambda: bool(evidence.events("late")))
            open_gate(evidence, "1 1")
            code, output = started.wait()
    assert code == 0, output
    assert evidence.attempts() == [
        (0, 1, "SUCCEEDED", "NODE"),
        (0, 2, "SUPERSEDED", None),
        (1, 1, "SUCCEEDED", None),
    ]
    assert len(evidence.events("superseded")) == 1
    evidence.assert_exactly(2)
    wait_until(lambda: not jobs_left(slurm_cluster, "zombie"))


@pytest.mark.parametrize("evidence", ["spool", pytest.param("direct", marks=SLOWLY)], indirect=True)
def test_the_zombie_that_is_slower_is_refused_and_what_it_said_is_kept(
    evidence: Evidence, slurm_cluster: PrivateSlurm
) -> None:
    with search(evidence) as started:
        zombie, node = freeze_first(evidence)
        open_gate(evidence, "0 1")
        with lost_node(slurm_cluster, node):
            wait_until(lambda: is_seen(evidence, "0 2"))
            open_gate(evidence, "0 2")
            wait_until(lambda: len(evidence.events("tell")) == 1)
            zombie.send(signal.SIGCONT)
            wait_until(lambda: bool(evidence.events("refused")))
            open_gate(evidence, "1 1")
            code, output = started.wait()
    assert code == 0, output
    assert evidence.attempts() == [
        (0, 1, "FAILED", "NODE"),
        (0, 2, "SUCCEEDED", None),
        (1, 1, "SUCCEEDED", None),
    ]
    refused = "SELECT refused_reason FROM report WHERE refused_reason IS NOT NULL"
    assert evidence.rows(refused) == [("its trial already had an outcome",)]
    evidence.assert_exactly(2)


@pytest.mark.parametrize("evidence", ["direct", pytest.param("spool", marks=SLOWLY)], indirect=True)
def test_a_worker_without_a_sign_of_life_is_ended_and_a_slow_program_is_not(
    evidence: Evidence, slurm_cluster: PrivateSlurm
) -> None:
    quickly = ("--timing", "dead_seconds=8", "--timing", "heartbeat_seconds=2")
    with search(evidence, *quickly) as started:
        freeze_first(evidence)
        wait_until(lambda: is_seen(evidence, "0 2"), 90)
        event, *_ = evidence.events("silent")
        assert event["trial_index"] == 0
        assert event["seconds"] >= 8
        for attempt in ("0 2", "1 1"):
            open_gate(evidence, attempt)
        code, output = started.wait()
    assert code == 0, output
    # The other trial blocked for longer than that and was not taken for dead.
    assert evidence.attempts() == [
        (0, 1, "LOST", "LOST"),
        (0, 2, "SUCCEEDED", None),
        (1, 1, "SUCCEEDED", None),
    ]
    evidence.assert_exactly(2)
    wait_until(lambda: not jobs_left(slurm_cluster, "zombie"))
