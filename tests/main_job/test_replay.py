"""Replay of real runs: whatever died on the way, fresh generators give the same points."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.main_job.runs import Place, Started, lines_of, wait_until

START = ("run", "--experiment_name", "again", "--seed", "11", "--force_local_execution")
MIXED = (
    *("--parameter", "x", "range", "-5", "5", "--parameter", "rate range 1e-6 1 float LOG true"),
    *("--parameter", "n", "range", "1", "9", "int", "--parameter", "kind", "choice", "a,b,c"),
    *("--experiment_constraints", "x + n <= 9"),
)
# Trials end in another order than they began, and every seventh fails.
UNEVEN = (
    "echo $HEADWAY_TRIAL >> seen; sleep 0.$((RANDOM % 4)); "
    "[ $((HEADWAY_TRIAL % 7)) = 3 ] && exit 1; echo RESULT: %(x)"
)
SLOW = "echo $HEADWAY_TRIAL >> seen; sleep 0.$((3 + RANDOM % 5)); echo RESULT: %(x)"
EIGHT_SLOTS = ("--num_parallel_jobs", "8", "--max_eval", "40", "--retries", "0")
SOBOL_THEN_TPE = ("--num_random_steps", "10", "--model", "TPE")


def ask_again(place: Place) -> dict[str, Any]:
    """What `headway db replay` says, when it has to say that all is equal."""
    found: dict[str, Any] = place.json("db", "replay", "again")
    assert found["points"] == found["points_equal"]
    assert found["asks"] == found["asks_equal"]
    return found


def asks(place: Place) -> list[dict[str, Any]]:
    rows = place.rows("again", "SELECT payload FROM event WHERE kind = 'ask' ORDER BY id")
    return [json.loads(payload) for (payload,) in rows]


def kinds(place: Place) -> list[str]:
    return [kind for (kind,) in place.rows("again", "SELECT kind FROM event ORDER BY id")]


def seen(place: Place) -> int:
    return len(lines_of(place.folder / "seen"))


def generators_of(started: Started) -> list[int]:
    """The generator processes of a head, the model's first."""
    head = started.process.pid
    words = Path(f"/proc/{head}/task/{head}/children").read_text().split()
    found = [pid for pid in words if b"child.py" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    return sorted(map(int, found))


def test_a_search_with_eight_slots_replays_and_a_changed_point_is_named(laptop: Place) -> None:
    laptop.run(*START, *MIXED, *EIGHT_SLOTS, *SOBOL_THEN_TPE, "--run_program", UNEVEN)
    found = ask_again(laptop)
    assert found["points"] == 40
    assert {ask["generator"] for ask in asks(laptop)} == {"SOBOL", "TPE"}
    assert any(ask["told_failed"] for ask in asks(laptop))
    path = laptop.folder / "runs" / "again" / "1" / "database.db"
    with sqlite3.connect(path) as connection:
        connection.execute(
            'UPDATE trial SET parameters = json_set(parameters, "$.x", '
            'json_extract(parameters, "$.x") + 0.01) WHERE "index" = 33'
        )
    connection.close()
    code, output = laptop.start("db", "replay", "again").wait()
    assert code == 1
    assert "trial 33, x: recorded" in output
    assert "of 40 points are equal" in output


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(("--model", "HALTON"), marks=pytest.mark.slow),
        pytest.param(("--model", "UNIFORM"), marks=pytest.mark.slow),
        ("--generation_strategy", "UNIFORM=6,TPE=6,HALTON=4"),
        pytest.param(("--num_random_steps", "0", "--model", "TPE"), marks=pytest.mark.slow),
    ],
    ids=" ".join,
)
def test_every_generator_replays_with_several_objectives(
    laptop: Place, words: tuple[str, ...]
) -> None:
    goals = ("--result_names", "LOSS=min", "SPEED=max")
    program = "sleep 0.$((RANDOM % 2)); echo LOSS: %(x); echo SPEED: %(n); echo SEM-LOSS: 0.5"
    size = ("--num_parallel_jobs", "4", "--max_eval", "16")
    laptop.run(*START, *MIXED, *goals, *size, *words, "--run_program", program)
    assert ask_again(laptop)["points"] == 16


def test_a_search_whose_head_was_killed_twice_replays(laptop: Place) -> None:
    words = (*START, *MIXED, "--num_parallel_jobs", "4", "--max_eval", "30", *SOBOL_THEN_TPE)
    started = laptop.start(*words, "--run_program", SLOW)
    for least in (8, 18):
        wait_until(lambda least=least: seen(laptop) >= least)  # type: ignore[misc]
        started.kill()
        started = laptop.start("resume", "again")
    code, output = started.wait()
    assert code == 0, output
    assert ask_again(laptop)["points"] == 30
    assert len({ask["head"] for ask in asks(laptop)}) == 3
    resumes = laptop.rows("again", "SELECT payload FROM event WHERE kind = 'resume'")
    assert [json.loads(each)["taken_over"]["why"] for (each,) in resumes] == ["it was dead"] * 2


@pytest.mark.slow
def test_a_search_whose_generator_processes_died_replays(laptop: Place) -> None:
    words = (*START, *MIXED, "--num_parallel_jobs", "4", "--max_eval", "30", *SOBOL_THEN_TPE)
    started = laptop.start(*words, "--run_program", SLOW)
    for least in (12, 20):
        wait_until(lambda least=least: seen(laptop) >= least)  # type: ignore[misc]
        for child in generators_of(started):
            os.kill(child, signal.SIGKILL)
    code, output = started.wait()
    assert code == 0, output
    assert ask_again(laptop)["points"] == 30
    assert max(ask["incarnation"] for ask in asks(laptop)) > 1


@pytest.mark.postgres
@pytest.mark.slow
def test_a_search_kept_by_postgresql_replays(laptop: Place, postgres_url: str) -> None:
    size = ("--num_parallel_jobs", "4", "--max_eval", "16", "--db_url", postgres_url)
    laptop.run(*START, *MIXED, *size, *SOBOL_THEN_TPE, "--run_program", "echo RESULT: %(x)")
    assert ask_again(laptop)["points"] == 16


def test_a_resume_keeps_what_it_changed_and_every_head_its_end(laptop: Place) -> None:
    fast = ("--num_parallel_jobs", "3", "--run_program", "echo RESULT: %(x)")
    laptop.run(*START, *MIXED, *fast, "--max_eval", "6", *SOBOL_THEN_TPE)
    laptop.run("resume", "again", "--max_eval", "9")
    laptop.run("resume", "again")
    versions = laptop.rows("again", "SELECT version, reason FROM spec_version ORDER BY version")
    assert versions == [(1, "setup"), (2, "resume: max_eval 9 instead of 6")]
    assert kinds(laptop)[0] == "setup"
    assert [kind for kind in kinds(laptop) if kind in {"resume", "exit"}] == [
        *("exit", "resume", "exit", "resume", "exit")
    ]
    ends = laptop.rows("again", "SELECT count(*) FROM strategy_snapshot WHERE reason = 'HEAD_END'")
    assert ends == [(3,)]
    assert ask_again(laptop)["points"] == 9


def test_a_stop_by_ctrl_c_is_on_record_with_the_end_of_the_head(laptop: Place) -> None:
    started = laptop.start(*START, *MIXED, *EIGHT_SLOTS, "--run_program", SLOW)
    wait_until(lambda: seen(laptop) >= 4)
    started.interrupt()
    assert started.wait(60)[0] == 130
    query = "SELECT payload FROM event WHERE kind IN ('stop', 'exit') ORDER BY id"
    stop, ended = (json.loads(payload) for (payload,) in laptop.rows("again", query))
    assert (stop["how"], ended["how"]) == ("STOPPED", "STOPPED")
    assert ended["status"] == "INTERRUPTED"
    (document,) = laptop.rows("again", "SELECT document FROM strategy_snapshot")[-1]
    assert json.loads(document)["told"] >= 4


@pytest.mark.botorch
@pytest.mark.skipif(find_spec("ax") is None, reason="the extra botorch is not installed")
def test_a_search_by_botorch_replays(laptop: Place) -> None:
    words = ("--num_random_steps", "3", "--model", "BOTORCH_MODULAR", "--max_eval", "6")
    size = ("--num_parallel_jobs", "1", "--parameter", "x", "range", "-5", "5")
    laptop.run(*START, *size, *words, "--run_program", "echo RESULT: %(x)", seconds=280)
    found = json.loads(laptop.run("db", "replay", "again", "--json", seconds=280))
    assert found["points_equal"] == 6, found
    assert "BOTORCH_MODULAR" in {ask["generator"] for ask in asks(laptop)}
