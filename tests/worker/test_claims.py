"""Who may run an attempt, and what the worker needs of the world around it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from db.spool import assignments
from tests.worker.runs import ENTRY, TOKEN, Run
from worker.attempt import slurm_job_id
from worker.environment import time_left


def test_of_many_workers_exactly_one_runs_the_program(run: Run) -> None:
    run.change(program="echo ran >> ran; echo RESULT: 1")
    run.assign()
    workers = [run.start() for _ in range(8)]
    assert [worker.wait(30) for worker in workers] == [0] * 8
    assert (run.folder / "ran").read_text() == "ran\n"
    assert run.log().count(b"nothing to do") == 7


def test_a_withdrawn_attempt_is_not_run(run: Run) -> None:
    run.change(program="touch ran")
    run.assign()
    assert assignments.withdraw(run.spool, TOKEN, 0)
    assert run.work() == 0
    assert not (run.folder / "ran").exists()
    assert run.messages("END") == []
    assert b"superseded" in run.log()


def test_an_unreadable_assignment_is_reported_by_submission_and_index(run: Run) -> None:
    path = Path(run.spool) / "assignments" / f"{TOKEN}_0.json"
    path.write_text("{")
    assert run.work() == 0
    (message,) = run.messages("END")
    assert message["attempt_id"] == 0
    payload = message["payload"]
    assert (payload["submission_token"], payload["array_index"]) == (TOKEN, 0)
    assert payload["cause"] == "NOT_STARTED"


def test_a_worker_without_a_job_file_fails(run: Run, tmp_path: Path) -> None:
    (tmp_path / "job.json").unlink()
    worker = run.start()
    try:
        run.change()
        run.assign()
        assert worker.wait(30) == 0  # it came late, as on NFS
    finally:
        worker.kill()
    assert run.ending()["cause"] == "EXIT"


def test_a_slurm_task_learns_its_index_from_slurm(run: Run) -> None:
    run.assign(3)
    run.assign(0)
    environ = {
        "SLURM_ARRAY_JOB_ID": "77",
        "SLURM_ARRAY_TASK_ID": "3",
        "SLURM_JOB_ID": "80",
        "SLURMD_NODENAME": "node7",
    }
    subprocess.run(
        [sys.executable, "-I", "-S", ENTRY, run.folder, TOKEN],
        env={**os.environ, **environ},
        check=True,
        capture_output=True,
    )
    (message,) = run.messages("END")
    assert message["attempt_id"] == 4
    assert message["payload"]["slurm_job_id"] == "77_3"
    assert message["payload"]["host"] == "node7"


def test_a_job_is_named_as_squeue_names_it() -> None:
    assert slurm_job_id({}) is None
    assert slurm_job_id({"SLURM_JOB_ID": "5"}) == "5"


def test_the_nearer_limit_is_the_time_left() -> None:
    assert time_left(None, {}) is None
    assert time_left(90.9, {}) == 90
    assert time_left(90.0, {"SLURM_JOB_END_TIME": "1"}) == 0


def test_wrong_arguments_are_refused() -> None:
    done = subprocess.run([sys.executable, "-I", "-S", ENTRY, "x"], capture_output=True)
    assert done.returncode == 2
    assert done.stderr.startswith(b"usage: ")


def test_a_users_own_modules_change_nothing(run: Run, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    (trap / "worker").mkdir(parents=True)
    for name in ("db.py", "worker/__init__.py", "json.py", "orchestrator.py", "tenacity.py"):
        (trap / name).write_text("raise SystemExit(f'{__file__} was imported')\n")
    run.change(program='echo "OO-Info: path: $PYTHONPATH"', working_folder=str(trap))
    run.assign()
    assert run.work(cwd=trap, environ={"PYTHONPATH": str(trap)}) == 0, run.log()
    assert run.ending()["infos"] == {"path": str(trap)}
