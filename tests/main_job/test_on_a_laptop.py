"""The main job without Slurm: local processes and SQLite."""

from __future__ import annotations

import json
from pathlib import Path

from tests.main_job.runs import Place, lines_of, longest_gap

SEARCH = (
    *("run", "--experiment_name", "small", "--force_local_execution", "--seed", "3"),
    *("--parameter", "x", "range", "-5", "5", "--num_parallel_jobs", "3"),
)


def test_a_search_ends_with_the_best_trial_and_what_to_do_next(laptop: Place) -> None:
    output = laptop.run(*SEARCH, "--max_eval", "8", "--run_program", "echo RESULT: %(x)")
    assert "8 completed" in output
    rows = laptop.results("small")
    best = min(rows, key=lambda row: float(row["RESULT"]))
    assert f"trial {best['trial_index']}, RESULT=" in output
    assert "headway resume small/1 --max_eval 16" in output
    assert all(row["x"] == row["RESULT"] for row in rows)


def test_the_database_of_an_ended_search_is_one_file(laptop: Place) -> None:
    """Nothing waits in a write-ahead log, which a copy of the file would lack."""
    laptop.run(*SEARCH, "--max_eval", "3", "--run_program", "echo RESULT: %(x)")
    folder = laptop.folder / "runs" / "small" / "1"
    assert [path.name for path in folder.glob("database.db*")] == ["database.db"]


def test_the_same_seed_gives_the_same_random_points(laptop: Place) -> None:
    words = ("--max_eval", "6", "--model", "SOBOL", "--run_program", "echo RESULT: %(x)")
    laptop.run(*SEARCH, *words)
    laptop.run(*SEARCH, *words)
    first, second = laptop.results("small", 1), laptop.results("small", 2)
    assert [row["x"] for row in first] == [row["x"] for row in second]


def test_a_trial_that_ends_frees_its_own_slot(laptop: Place) -> None:
    """A batch barrier would let two slots wait two seconds for the slow trial."""
    program = 'if [ "$HEADWAY_TRIAL" = 0 ]; then sleep 2.5; else sleep 0.1; fi; echo RESULT: %(x)'
    laptop.run(*SEARCH, "--max_eval", "14", "--model", "SOBOL", "--run_program", program)
    query = (
        "SELECT json_extract(measured, '$.program_started_at'),"
        " json_extract(measured, '$.program_ended_at') FROM attempt ORDER BY trial_id"
    )
    times = laptop.rows("small", query)
    slow_end = times[0][1]
    assert sum(end < slow_end for _, end in times) >= 8


def test_a_failing_program_is_tried_twice_and_then_failed(laptop: Place) -> None:
    program = "echo x >> tries; echo RESULT: 1; exit 7"
    started = laptop.start(*SEARCH, "--max_eval", "2", "--run_program", program)
    code, output = started.wait()
    assert code == 3, output
    assert len(lines_of(laptop.folder / "tries")) == 4
    rows = laptop.results("small")
    assert [row["status"] for row in rows] == ["FAILED", "FAILED"]
    assert {row["exit_code"] for row in rows} == {"7"}
    assert "exit code 7" in rows[0]["reason"]


def test_too_many_failures_stop_the_search(laptop: Place) -> None:
    words = ("--max_eval", "50", "--max_failed_jobs", "3", "--retries", "0")
    code, output = laptop.start(*SEARCH, *words, "--run_program", "exit 1").wait()
    assert code == 4, output
    failed = [row for row in laptop.results("small") if row["status"] == "FAILED"]
    assert 4 <= len(failed) <= 8


def test_values_reach_the_program_as_one_argument(laptop: Place, tmp_path: Path) -> None:
    odd = 'a b|it\'s|$HOME;|"q"|back\\slash|*'
    laptop.script("count.sh", ['printf "%s\\n" "$#:$1" >> seen', "echo RESULT: 1"])
    choices = odd.replace("|", ",")
    laptop.run(
        *SEARCH,
        *("--parameter", "word", "choice", choices, "--max_eval", "24", "--model", "SOBOL"),
        *("--run_program", "./count.sh %(word)"),
    )
    seen = {line.partition(":")[2] for line in lines_of(tmp_path / "seen")}
    assert {line.partition(":")[0] for line in lines_of(tmp_path / "seen")} == {"1"}
    assert seen <= set(odd.split("|"))
    assert len(seen) > 3


def test_the_run_folder_is_its_owners_only_and_says_what_was_asked(laptop: Place) -> None:
    laptop.run(*SEARCH, "--max_eval", "2", "--run_program", "echo RESULT: 1")
    run_dir = laptop.folder / "runs" / "small" / "1"
    assert run_dir.stat().st_mode & 0o077 == 0
    spec = json.loads((run_dir / "spec.json").read_text())
    assert spec["spec"]["max_eval"] == 2
    events = [json.loads(line) for line in (run_dir / "head.log").read_text().splitlines()]
    assert any(event["event"] == "trial completed" for event in events)


def test_metrics_infos_and_artifacts_are_kept(laptop: Place) -> None:
    program = (
        "echo METRIC: loss=0.5 step=1; echo METRIC: loss=0.25 step=2 split=VALIDATION; "
        'echo OO-Info: flavour: sweet; echo data > "out$HEADWAY_TRIAL"; '
        'echo "ARTIFACT: out$HEADWAY_TRIAL model"; echo SEM-RESULT: 0.1; echo RESULT: 1'
    )
    laptop.run(*SEARCH, "--max_eval", "2", "--run_program", program)
    assert {row["flavour"] for row in laptop.results("small")} == {"sweet"}
    shown = laptop.json("show", "small", "0")
    assert "model" in json.dumps(shown)
    metrics = laptop.rows("small", "SELECT name, value, step, split FROM metric WHERE trial_id = 1")
    assert sorted(metrics) == [("loss", 0.25, 2, "VALIDATION"), ("loss", 0.5, 1, "TRAIN")]
    assert laptop.rows("small", "SELECT DISTINCT sem FROM outcome") == [(0.1,)]


def test_gaps_are_told_from_starts_and_ends() -> None:
    assert longest_gap([0, 0, 1.5, 3.0], [1.0, 2.0, 2.5, 4.0], slots=2) == 1.0
