"""A run folder as the head makes it, and workers started in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from db.records import Assignment, EndPayload, ReportMessage, Value, WorkerJob
from db.spool import assignments, inbox, layout, lines
from worker.fitness import PROTOCOL, python_version

ROOT = Path(__file__).parents[2]
ENTRY = ROOT / "worker" / "entry.py"
TOKEN = "t0k3n"
PYTHON = (sys.executable, "-I", "-S", "-X", "utf8")


class Run:
    """One run folder with the spool transport, and the workers of its one submission."""

    def __init__(self, folder: Path, **job: Any) -> None:
        self.folder = folder
        self.spool = layout.spool_of(str(folder))
        layout.create(self.spool)
        self.job: WorkerJob = {
            "experiment_id": 1,
            "experiment_name": "e",
            "run_dir": str(folder),
            "transport": "spool",
            "db_url": None,
            "import_folders": [sysconfig.get_paths()["purelib"]],
            "program": "true",
            "working_folder": str(folder),
            "objectives": ["RESULT"],
            "worker_timeout_seconds": None,
            "grace_seconds": 1.0,
            "heartbeat_seconds": 15.0,
            "claim_patience_seconds": 1.0,
            "report_patience_seconds": 1.0,
            "protocol": PROTOCOL,
            "python": python_version(),
            "preflight": {"gpus": 0, "memory_mb": None, "command": None, "seconds": 30.0},
        }
        self.change(**job)

    def change(self, **job: Any) -> None:
        """Write `job.json` anew with some of its fields changed."""
        self.job = cast("WorkerJob", {**self.job, **job})
        (self.folder / "job.json").write_text(json.dumps(self.job))

    def look_for(self, **preflight: Any) -> None:
        """Change what a worker looks at before it claims."""
        self.change(preflight={**self.job["preflight"], **preflight})

    def assign(self, index: int = 0, **parameters: Value) -> Assignment:
        """Offer one attempt through the spool."""
        assignment: Assignment = {
            "attempt_id": index + 1,
            "attempt_token": f"a{index}",
            "number": 1,
            "trial_index": index,
            "parameters": parameters,
            "log_path": f"logs/{index}.log",
            "checkpoint_dir": str(self.folder / "checkpoints" / str(index)),
        }
        assignments.write_assignments(self.spool, TOKEN, {index: assignment})
        return assignment

    def log(self, index: int = 0) -> bytes:
        """Return what stands in an attempt's log."""
        return (self.folder / f"{index}.log").read_bytes()

    def start(
        self,
        index: int = 0,
        *,
        environ: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        is_slurm_task: bool = False,
    ) -> subprocess.Popen[bytes]:
        """Start a worker as the local cluster does, or as Slurm does."""
        place = {"SLURM_ARRAY_TASK_ID": str(index)} if is_slurm_task else {}
        command = [*PYTHON, str(ENTRY), self.job["run_dir"], TOKEN]
        with (self.folder / f"{index}.log").open("ab") as log:
            return subprocess.Popen(
                command if is_slurm_task else [*command, str(index)],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **place, **(environ or {})},
                cwd=cwd,
                start_new_session=True,
            )

    def work(self, index: int = 0, **options: Any) -> int:
        """Run a worker to its end and return its exit code."""
        return self.start(index, **options).wait(timeout=60)

    def messages(self, kind: str) -> list[ReportMessage]:
        """Return the reports of a kind that wait in the spool."""
        found = [message for _, message in inbox.read_reports(self.spool).reports]
        return [message for message in found if message["kind"] == kind]

    def ending(self) -> EndPayload:
        """Return the payload of the one END report."""
        (message,) = self.messages("END")
        return cast("EndPayload", message["payload"])

    def find_defect(self, **environ: str) -> EndPayload:
        """Run a Slurm task whose node is not fit, and return what it reported."""
        self.change(program=f"touch {self.folder}/ran; echo RESULT: 1")
        self.assign()
        assert self.work(environ=environ, is_slurm_task=True) == 0, self.log()
        ending = self.ending()
        assert not (self.folder / "ran").exists()
        assert (ending["cause"], ending["is_unfit"]) == ("NOT_STARTED", True)
        assert f"headway: {ending['problems'][0]}\n".encode() in self.log()
        return ending

    def find_nothing(self, **environ: str) -> EndPayload:
        """Run a Slurm task whose node is fit, and return what it reported."""
        self.change(program="echo RESULT: 1")
        self.assign()
        assert self.work(environ=environ, is_slurm_task=True) == 0, self.log()
        ending = self.ending()
        assert ending["results"] == {"RESULT": 1.0}, ending
        assert "checks" not in ending
        return ending

    def lines(self, index: int = 0) -> list[dict[str, Any]]:
        """Return an attempt's heartbeats and metrics."""
        return lines.read_lines(lines.lines_path(self.spool, f"a{index}"), 0)[0]

    def try_program(self, program: str, **parameters: Value) -> EndPayload:
        """Run one attempt of a program and return what was reported."""
        self.change(program=program)
        self.assign(0, **parameters)
        assert self.work() == 0, self.log()
        return self.ending()


def wait_until(question: Callable[[], bool], seconds: float = 20) -> None:
    """Wait until something has come true."""
    end = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.01)
