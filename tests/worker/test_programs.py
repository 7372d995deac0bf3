"""Programs that end by themselves, in every way a program can."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from db.records import Measured
from db.spool import layout
from tests.worker.runs import ENTRY, TOKEN, Run, wait_until


def test_a_result_is_reported(run: Run) -> None:
    ending = run.try_program("echo RESULT: %(x); echo trouble >&2", x=0.25)
    assert ending["results"] == {"RESULT": 0.25}
    assert (ending["cause"], ending["exit_code"], ending["signal"]) == ("EXIT", 0, None)
    assert sorted(ending["tail"].splitlines()) == ["RESULT: 0.25", "trouble"]
    assert sorted(run.log().splitlines()) == [b"RESULT: 0.25", b"trouble"]
    assert ending["measured"]["peak_memory_bytes"] > 1_000_000


def test_a_start_is_reported_before_the_end(run: Run) -> None:
    run.try_program("true")
    (start,) = run.messages("START")
    (end,) = run.messages("END")
    assert start["attempt_token"] == end["attempt_token"] == "a0"
    assert start["created_at"] < end["created_at"]
    assert start["payload"]["claim"]


def test_an_exit_code_after_a_result_is_kept(run: Run) -> None:
    ending = run.try_program("echo RESULT: 1; exit 3")
    assert (ending["results"], ending["exit_code"]) == ({"RESULT": 1.0}, 3)


def test_the_signal_that_ended_a_program_is_kept(run: Run) -> None:
    ending = run.try_program("echo RESULT: 1; kill -SEGV $$")
    assert (ending["cause"], ending["exit_code"], ending["signal"]) == ("EXIT", None, 11)


def test_nan_is_a_problem_and_no_result(run: Run) -> None:
    ending = run.try_program("echo RESULT: nan")
    assert ending["results"] == {}
    assert ending["problems"] == ["RESULT: nan is not a finite number"]


def test_errors_are_not_read_for_results(run: Run) -> None:
    assert run.try_program("echo RESULT: 1 >&2")["results"] == {}


def test_binary_output_does_no_harm(run: Run) -> None:
    ending = run.try_program("head -c 100000 /dev/urandom; printf '\\0\\377\\nRESULT: 1'")
    assert ending["results"] == {"RESULT": 1.0}
    assert len(ending["tail"].encode()) <= 4096
    assert "\0" not in ending["tail"]
    assert run.log().endswith(b"\0\xff\nRESULT: 1")


def test_two_hundred_megabytes_go_through_quickly(run: Run) -> None:
    started = time.monotonic()
    ending = run.try_program("yes 'a line of output' | head -c 200000000; echo; echo RESULT: 1")
    assert ending["results"] == {"RESULT": 1.0}
    assert len(run.log()) > 200_000_000
    assert time.monotonic() - started < 15
    (run.folder / "0.log").unlink()


def test_a_program_may_close_its_output_and_go_on(run: Run) -> None:
    ending = run.try_program("echo RESULT: 1; exec >&- 2>&-; sleep 0.3; exit 4")
    assert (ending["results"], ending["exit_code"]) == ({"RESULT": 1.0}, 4)
    assert ending["measured"]["wall_seconds"] > 0.3


@pytest.mark.parametrize("descriptors", [(1,), (0, 1, 2)])
def test_a_worker_without_output_still_reports(run: Run, descriptors: tuple[int, ...]) -> None:
    run.change(program="echo RESULT: 1; echo RESULT: 2 >&2")
    run.assign()
    closing = " ".join(f"{descriptor}>&-" for descriptor in descriptors)
    command = f'exec "$@" {closing}'
    arguments = [sys.executable, "-I", "-S", str(ENTRY), str(run.folder), TOKEN, "0"]
    done = subprocess.run(["bash", "-c", command, "bash", *arguments], capture_output=True)
    assert done.returncode == 0
    assert run.ending()["results"] == {"RESULT": 1.0}


def test_a_program_that_cannot_start_is_reported(run: Run) -> None:
    run.change(working_folder=str(run.folder / "nowhere"))
    ending = run.try_program("echo RESULT: 1")
    assert (ending["cause"], ending["results"]) == ("NOT_STARTED", {})
    assert "nowhere" in ending["problems"][0]


def test_a_missing_library_costs_the_trial_and_not_its_report(run: Run) -> None:
    (run.folder / "checkpoints").touch()  # there is trouble, and nothing to try it again with
    run.change(import_folders=[])
    ending = run.try_program("echo RESULT: 1")
    assert (ending["cause"], ending["results"]) == ("NOT_STARTED", {})
    assert "tenacity" in ending["problems"][0]


def test_a_program_finds_its_surroundings(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    monkeypatch.setenv("HEADWAY_PARAM_old", "1")
    run.change(worker_timeout_seconds=100.5)
    ending = run.try_program(
        'echo "OO-Info: x: $HEADWAY_PARAM_x"; echo "OO-Info: path: $PYTHONPATH";'
        'echo "OO-Info: old: ${HEADWAY_PARAM_old:-none}"; echo "OO-Info: cwd: $PWD";'
        'echo "OO-Info: file: $(cat "$HEADWAY_PARAMS_FILE")";'
        'echo "OO-Info: trial: $HEADWAY_TRIAL $HEADWAY_ATTEMPT $HEADWAY_TIME_LEFT";'
        'echo "OO-Info: dir: $(ls -d "$HEADWAY_CHECKPOINT_DIR")"',
        x=0.5,
        name="a b",
    )
    assert ending["infos"] == {
        "x": "0.5",
        "path": "/somewhere",
        "old": "none",
        "cwd": str(run.folder),
        "file": '{"x": 0.5, "name": "a b"}',
        "trial": "0 1 100",
        "dir": str(run.folder / "checkpoints" / "0"),
    }


def test_an_empty_checkpoint_folder_is_tidied_away(run: Run) -> None:
    run.try_program("true")
    assert list((run.folder / "checkpoints").iterdir()) == []


def test_a_checkpoint_is_kept(run: Run) -> None:
    run.try_program('touch "$HEADWAY_CHECKPOINT_DIR/state"')
    folder = run.folder / "checkpoints" / "0"
    assert [path.name for path in folder.iterdir()] == ["state"]


def test_a_program_is_killed_by_a_closed_pipe_as_everywhere(run: Run) -> None:
    # Python ignores SIGPIPE, and a program would inherit that: `yes | head` would complain.
    ending = run.try_program('yes | head -1; echo "OO-Info: status: ${PIPESTATUS[0]}"')
    assert ending["infos"] == {"status": "141"}


def test_artifacts_are_found_from_the_working_folder(run: Run) -> None:
    ending = run.try_program("echo 12345 > 'a b.txt'; echo ARTIFACT: a b.txt; echo ARTIFACT: c d")
    path = str(run.folder / "a b.txt")
    assert ending["artifacts"] == [{"name": "a b.txt", "path": path, "bytes": 6}]
    assert ending["problems"] == ["ARTIFACT: no file 'c d'"]


def test_metrics_and_heartbeats_come_while_the_program_runs(run: Run) -> None:
    until_told = "while [ ! -e go ]; do sleep 0.05; done"
    run.change(
        heartbeat_seconds=0.1,
        program=f"for i in 1 2 3; do echo METRIC: a=$i step=$i; sleep 0.2; done; {until_told}",
    )
    run.assign()
    worker = run.start()
    wait_until(lambda: [line["kind"] for line in run.lines()].count("HEARTBEAT") >= 3)
    (run.folder / "go").touch()
    assert worker.wait(20) == 0
    metrics = [record for record in run.lines() if record["kind"] == "METRIC"]
    assert [m["value"] for r in metrics for m in r["payload"]["metrics"]] == [1, 2, 3]
    assert [record["sequence"] for record in metrics] == list(range(len(metrics)))


def measure_with(run: Run, nvidia_smi: str) -> Measured:
    """Run one trial on a node where this is nvidia-smi, and return what it measured."""
    folder = run.folder / "bin"
    folder.mkdir()
    (folder / "nvidia-smi").write_text(f"#!/bin/sh\n{nvidia_smi}\n")
    (folder / "nvidia-smi").chmod(0o755)
    run.change(program="sleep 0.5; echo RESULT: 1", heartbeat_seconds=0.1)
    run.assign()
    environ = {"PATH": f"{folder}:{os.environ['PATH']}", "CUDA_VISIBLE_DEVICES": "0,1"}
    assert run.work(environ=environ) == 0
    assert run.ending()["results"] == {"RESULT": 1.0}
    return run.ending()["measured"]


@pytest.mark.parametrize("answer", ["[N/A], 50", "nan, nan", "inf, 1", "\\377\\376, 50", ""])
def test_what_nvidia_smi_cannot_tell_costs_no_result(run: Run, answer: str) -> None:
    assert "gpu_memory_bytes" not in measure_with(run, f"printf '{answer}\\n'")


def test_gpus_are_watched_where_a_job_has_some(run: Run) -> None:
    measured = measure_with(run, "echo '1024, 50'; echo '512, 30'")
    assert measured["gpu_memory_bytes"] == 1536 * 1024 * 1024
    assert measured["gpu_utilization_percent"] == pytest.approx(40)


def test_a_report_that_the_disk_refuses_ends_up_in_the_log(run: Run) -> None:
    run.change(program="rm -rf spool/reports; touch spool/reports; echo RESULT: 1")
    run.assign()
    assert run.work() == 1
    (line,) = [line for line in run.log().splitlines() if line.startswith(b"HEADWAY-REPORT: ")]
    assert b'"results": {"RESULT": 1.0}' in line


def test_a_report_gets_through_as_soon_as_the_disk_takes_it(run: Run) -> None:
    run.change(program="mv spool/reports away; echo RESULT: 1", report_patience_seconds=20)
    run.assign()
    worker = run.start()
    time.sleep(1)
    (run.folder / "away").rename(layout.part(run.spool, layout.REPORTS))
    assert worker.wait(30) == 0
    assert run.ending()["results"] == {"RESULT": 1.0}
