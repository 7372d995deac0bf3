"""A worker looks whether its node can do what Slurm promised, before a program is started."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from db.light_json import loads
from db.messages import BadMessageError, read_message, read_payload
from db.states import AttemptState, ReportKind
from tests.db.attempts import Store
from tests.worker.mounts import read_only, small
from tests.worker.runs import ROOT, TOKEN, Run, wait_until
from worker.reporting import LAST_RESORT

FAULTY = """
import os, sys, time
sys.path.append(sys.argv.pop(1))
exec(sys.argv.pop(1))
from worker import entry
os._exit(entry.main(sys.argv))
"""
HANGS = "from worker import preflight; preflight._write = lambda path: time.sleep(600)"


def work_with(run: Run, fault: str) -> int:
    """Run a Slurm task of whose node something is made to fail that cannot be had to order."""
    words = ["-c", FAULTY, str(ROOT), fault, run.job["run_dir"], TOKEN]
    with (run.folder / "0.log").open("wb") as log:
        return subprocess.run(
            [sys.executable, "-I", *words], stdout=log, stderr=log, timeout=60
        ).returncode


def left_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if "preflight" in path.name]


def test_a_sound_node_runs_the_program_and_nothing_is_left_of_the_look(run: Run) -> None:
    run.look_for(memory_mb=1)
    run.find_nothing()
    assert left_in(run.folder) == []
    assert run.log() == b"RESULT: 1\n"


def test_the_job_of_a_headway_that_did_not_look_runs_as_before(run: Run) -> None:
    del run.job["preflight"]
    run.find_nothing(SLURM_MEM_PER_NODE="999999999")


def test_a_local_worker_does_not_judge_the_machine_of_its_head(run: Run) -> None:
    run.look_for(memory_mb=999_999_999, gpus=64)
    assert run.try_program("echo RESULT: 1")["results"] == {"RESULT": 1.0}


@pytest.mark.parametrize("url", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_a_run_folder_that_cannot_be_written_is_told_through_the_database(
    request: pytest.FixtureRequest, run: Run, tmp_path: Path, url: str
) -> None:
    is_file = url == "sqlite"
    store = Store(
        f"sqlite:///{tmp_path}/a.db" if is_file else request.getfixturevalue("postgres_url")
    )
    store.fill()
    with read_only(run.folder, tmp_path / "seen") as seen:
        run.change(run_dir=str(seen), transport="direct", db_url=store.url, program="touch ran")
        assert run.work(is_slurm_task=True) == 0, run.log()
    (end,) = [report.payload for report in store.reports() if report.kind is ReportKind.END]
    assert (end["cause"], end["is_unfit"]) == ("NOT_STARTED", True)
    assert end["checks"] == {"failed": "run folder", "run_folder_error": "Read-only file system"}
    assert "cannot be written on this node: Read-only file system" in end["problems"][0]
    assert store.attempt().state is AttemptState.STARTED, "nobody else may run it meanwhile"
    assert not (run.folder / "ran").exists()


def test_a_run_folder_that_is_the_only_way_to_tell_leaves_the_report_in_the_log(
    run: Run, tmp_path: Path
) -> None:
    run.assign()
    with read_only(run.folder, tmp_path / "seen") as seen:
        run.change(run_dir=str(seen), report_patience_seconds=600)
        assert run.work(is_slurm_task=True) == 1
    (line,) = [line for line in run.log().splitlines() if line.startswith(LAST_RESORT.encode())]
    message = read_message(loads(line.decode()[len(LAST_RESORT) :]))
    payload = message["payload"]
    assert (payload["submission_token"], payload["array_index"]) == (TOKEN, 0)
    assert payload["checks"]["failed"] == "run folder"
    assert run.messages("START") == []


def test_a_run_folder_that_does_not_answer_is_not_waited_for(run: Run) -> None:
    run.look_for(seconds=0.5)
    run.change(program="touch ran")
    run.assign()
    assert work_with(run, HANGS) == 0, run.log()
    ending = run.ending()
    assert ending["checks"] == {
        "failed": "run folder",
        "run_folder_error": "no answer in 0.5 s",
        "no_answer_seconds": 0.5,
    }
    assert not (run.folder / "ran").exists()


def test_a_worker_that_is_killed_while_it_looks_leaves_no_file(run: Run) -> None:
    fault = (
        "write = os.write\n"
        "os.write = lambda to, data: os.kill(os.getpid(), 9) if len(data) == 4096 "
        "else write(to, data)"
    )
    run.look_for()
    assert work_with(run, fault) == -9
    assert left_in(run.folder) == []


def test_a_file_server_that_removes_no_open_file_is_nothing_against_the_node(run: Run) -> None:
    run.look_for()
    run.change(program="echo RESULT: 1")
    run.assign()
    fault = "from worker import preflight; preflight._remove_open = lambda path: False"
    assert work_with(run, fault) == 0
    assert run.ending()["results"] == {"RESULT": 1.0}
    assert left_in(run.folder) == []


@pytest.mark.parametrize("number", ["ENOSPC", "EDQUOT"])
def test_a_run_folder_without_room_is_nothing_against_the_node(run: Run, number: str) -> None:
    run.change(program="echo RESULT: 1")
    run.assign()
    fault = (
        "import errno; from worker import preflight\n"
        f"def full(path): raise OSError(errno.{number}, os.strerror(errno.{number}))\n"
        "preflight._write = full"
    )
    assert work_with(run, fault) == 0
    assert run.ending()["results"] == {"RESULT": 1.0}
    assert b"there is no room in the run folder" in run.log()


def test_a_full_folder_for_temporary_files_is_told_with_its_room(run: Run, tmp_path: Path) -> None:
    with small(tmp_path / "little") as folder:
        ending = run.find_defect(TMPDIR=str(folder))
    assert f"temporary files, {folder}, is full: 1.0 MiB are free" in ending["problems"][0]
    checks = ending["checks"]
    assert (checks["failed"], checks["tmp_folder"]) == ("temporary folder", str(folder))
    assert checks["tmp_free_bytes"] == 2**20


def test_a_folder_for_temporary_files_that_can_only_be_read_is_a_defect(
    run: Run, tmp_path: Path
) -> None:
    # Not of the run folder's own file system, which all nodes share.
    with (
        small(tmp_path / "disk", "32m") as disk,
        read_only(disk, tmp_path / "seen") as seen,
    ):
        ending = run.find_defect(TMPDIR=str(seen))
    assert ending["problems"] == [f"the folder for temporary files, {seen}, is read-only"]


def test_a_full_file_system_that_holds_the_run_too_is_nothing_against_the_node(
    tmp_path: Path,
) -> None:
    with small(tmp_path / "all") as folder:
        run = Run(folder)
        run.find_nothing(TMPDIR=str(folder))


def test_a_tmpdir_of_the_login_node_need_not_be_there(run: Run) -> None:
    run.find_nothing(TMPDIR="/nowhere/at/all")


def test_a_node_whose_memory_others_have_taken_says_how_much_is_left(run: Run) -> None:
    run.look_for(memory_mb=1)
    ending = run.find_defect(SLURM_MEM_PER_NODE="999999999")
    checks = ending["checks"]
    assert (checks["failed"], checks["memory_asked_mb"]) == ("memory", 999_999_999)
    left = checks["memory_available_mb"]
    assert isinstance(left, int)
    assert ending["problems"] == [
        f"only {left} MiB of memory are free on this node, 999999999 MiB were asked for"
    ]
    assert checks["tmp_free_bytes"], "what was measured before is told too"


def test_memory_that_was_asked_for_counts_where_slurm_says_nothing(run: Run) -> None:
    run.look_for(memory_mb=999_999_999)
    assert run.find_defect()["checks"]["failed"] == "memory"


def test_a_second_worker_on_a_bad_node_leaves_the_attempt_to_the_first(
    run: Run, tmp_path: Path
) -> None:
    store = Store(f"sqlite:///{tmp_path}/a.db")
    store.fill()
    store.change(state=AttemptState.STARTED, claim="another")
    run.look_for(memory_mb=999_999_999)
    run.change(transport="direct", db_url=store.url)
    assert run.work(is_slurm_task=True) == 0
    assert store.reports() == []
    assert run.messages("END") == []
    assert b"nothing to do" in run.log()


def test_a_bad_node_without_its_database_tells_the_spool(run: Run) -> None:
    run.look_for(memory_mb=999_999_999)
    run.change(
        transport="direct", db_url="sqlite:////nowhere/at/all.db", claim_patience_seconds=600
    )
    assert run.work(is_slurm_task=True) == 0, run.log()
    assert run.ending()["checks"]["failed"] == "memory"


@pytest.mark.parametrize("checks", [{"failed": ["memory"]}, {"bytes": float("nan")}, "memory"])
def test_measurements_that_no_worker_makes_are_refused(run: Run, checks: Any) -> None:
    ending = run.find_defect(SLURM_MEM_PER_NODE="999999999")
    assert read_payload(ReportKind.END, ending) == ending
    with pytest.raises(BadMessageError, match="checks"):
        read_payload(ReportKind.END, {**ending, "checks": checks})


TELLS = """
leave = os._exit
def left(code):
    os.write(1, " ".join(sys.modules).encode())
    leave(code)
os._exit = left
"""


def test_a_look_at_a_sound_node_imports_nothing(run: Run) -> None:
    run.change(program="true")
    run.assign()
    assert work_with(run, TELLS) == 0
    loaded = run.log().decode().split()
    assert "worker.preflight" in loaded
    assert not {"worker.commands", "worker.gpus", "subprocess", "pathlib"} & set(loaded)


def test_a_job_that_slurm_starts_again_looks_again(run: Run) -> None:
    run.change(program="echo ready; sleep 60")
    run.assign()
    worker = run.start(is_slurm_task=True)
    wait_until(lambda: b"ready" in run.log())
    worker.kill()  # its node died
    worker.wait(30)
    environ = {"SLURM_RESTART_COUNT": "1", "SLURM_MEM_PER_NODE": "999999999"}
    assert run.work(is_slurm_task=True, environ=environ) == 0, run.log()
    (end,) = run.messages("END")
    assert end["attempt_token"] == "a0.1"
    assert end["payload"]["checks"]["failed"] == "memory"


def test_a_bad_run_folder_without_its_database_leaves_the_report_in_the_log(
    run: Run, tmp_path: Path
) -> None:
    gone = "sqlite:////nowhere/at/all.db"
    run.change(transport="direct", db_url=gone)
    run.change(claim_patience_seconds=600, report_patience_seconds=600)
    with read_only(run.folder, tmp_path / "seen") as seen:
        run.change(run_dir=str(seen))
        assert run.work(is_slurm_task=True) == 1
    assert LAST_RESORT.encode() in run.log()
