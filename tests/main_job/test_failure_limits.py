"""What failures cost: more time for a trial, or the end of the search, which says why."""

from __future__ import annotations

import json

from tests.main_job.runs import Place

SEARCH = (
    *("run", "--experiment_name", "small", "--force_local_execution", "--max_eval", "40"),
    *("--parameter", "x", "range", "0", "10", "--model", "SOBOL", "--num_parallel_jobs", "1"),
    *("--retries", "0"),
)
STOP_REASON = "SELECT status, stop_reason FROM experiment"


def test_a_search_that_fails_too_often_says_what_failed_most_and_a_resume_counts_anew(
    laptop: Place,
) -> None:
    program = "[ $((HEADWAY_TRIAL % 4)) = 3 ] && exit 9; [ -e repaired ] && echo RESULT: 1"
    started = laptop.start(*SEARCH, "--max_failed_jobs", "2", "--run_program", program)
    code, output = started.wait()
    assert code == 4, output
    why = (
        "3 trials failed, and --max_failed_jobs allows 2; most often (3 of 3 attempts that failed): "
        "the program ended with exit code 1"
    )
    assert f"warning: no new trials: {why}" in output
    assert f"({why}). Trials: 3 failed." in output
    ((status, reason),) = laptop.rows("small", STOP_REASON)
    assert status == "FAILED"
    assert reason == why
    said = laptop.rows("small", "SELECT payload FROM event WHERE kind IN ('stop', 'exit')")
    assert {json.loads(payload)["reason"] for (payload,) in said} == {reason}
    (laptop.folder / "repaired").touch()
    code, output = laptop.start("resume", "small", "--max_eval", "11").wait()
    assert code == 0, output
    statuses = [row["status"] for row in laptop.results("small")]
    assert statuses == ["FAILED"] * 4 + ["COMPLETED"] * 3 + ["FAILED"] + ["COMPLETED"] * 3


def test_a_share_of_failures_ends_a_search_when_ten_trials_have_ended(laptop: Place) -> None:
    program = "[ $((HEADWAY_TRIAL % 3)) = 0 ] || exit 1; echo RESULT: 1"
    started = laptop.start(*SEARCH, "--max_failure_rate", "50%", "--run_program", program)
    code, output = started.wait()
    assert code == 4, output
    assert "6 of 10 trials failed, and --max_failure_rate allows 50 %" in output
    assert len(laptop.results("small")) <= 12


def test_a_trial_that_runs_out_of_time_gets_twice_as_much(laptop: Place) -> None:
    program = "[ $HEADWAY_ATTEMPT = 1 ] && sleep 60; echo RESULT: $HEADWAY_TIME_LEFT"
    words = ("--max_eval", "1", "--worker_timeout", "0.05", "--run_program", program)
    laptop.run(*SEARCH[:-2], *words)
    (row,) = laptop.results("small")
    assert (row["status"], float(row["RESULT"])) == ("COMPLETED", 6)
    rows = laptop.rows("small", "SELECT failure_class, failure_action FROM attempt ORDER BY number")
    assert rows == [("TIMEOUT", "tried again with 0.1 min for the program"), (None, None)]
