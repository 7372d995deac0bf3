"""A thousand running trials on one machine: a queue on paper, and one process for all workers.

The head is real, and so is all that it reads: what sbatch and squeue answer, claims, START reports
and a heartbeat of each worker every 15 s, through the spool or the database. Only the programs, and
with them 1 000 processes, are missing.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.place import HOME
from db.errors import DatabaseError
from db.records import Assignment, Claim
from worker.reporting import open_transport
from worker.stopping import Stopping

if TYPE_CHECKING:
    from worker.reporting import Transport

_NAME = re.compile(r"^#SBATCH --job-name=(\S+)", re.MULTILINE)
_ARRAY = re.compile(r"^#SBATCH --array=0-(\d+)", re.MULTILINE)
_BEAT_SECONDS = 15.0
# The head moves the script as soon as it has its answer.
_SBATCH = """#!/bin/sh
for script; do :; done
number=$(ls {folder}/jobs | wc -l)
cp "$script" {folder}/jobs/.new
mv {folder}/jobs/.new {folder}/jobs/$((number + 1))
echo $((number + 1))
"""
_SQUEUE = """#!/bin/sh
exec cat {folder}/queue
"""


@contextmanager
def crowd(folder: Path, run_dir: Path) -> Iterator[Path]:
    """Let workers be at work while the block runs; gives a folder of commands to put first on PATH.

    Args:
        folder: For the commands, and what they say; made here.
        run_dir: The run folder of the head.
    """
    (folder / "bin").mkdir(parents=True)
    for name, text in (("sbatch", _SBATCH), ("squeue", _SQUEUE)):
        path = folder / "bin" / name
        path.write_text(text.format(folder=folder))
        path.chmod(0o755)
    (folder / "jobs").mkdir()
    (folder / "queue").touch()
    command = [sys.executable, "-m", "benchmarks.simulated", str(folder), str(run_dir)]
    process = subprocess.Popen(command, cwd=HOME, stdin=subprocess.DEVNULL)
    try:
        yield folder / "bin"
    finally:
        process.terminate()
        process.wait(30)


class Workers:
    """The workers of all jobs in the queue."""

    def __init__(self, folder: Path, run_dir: Path, stopping: Stopping) -> None:
        self._folder = folder
        self._run_dir = run_dir
        self._stopping = stopping
        self._running: list[Assignment] = []
        self._seen: set[int] = set()

    def work(self) -> None:
        """Claim whatever is submitted, and give signs of life, until this process is told to end."""
        transport: Transport | None = None
        while not self._stopping.is_requested():
            self._stopping.sleep(0.2)
            for job, script in self._submitted():
                if transport is None:
                    told = json.loads((self._run_dir / "job.json").read_text(encoding="utf-8"))
                    transport = open_transport(told, self._stopping)
                self._begin(transport, job, script.read_text(encoding="utf-8"))
            if transport is not None and self._running:
                self._beat(transport)

    def _submitted(self) -> list[tuple[int, Path]]:
        """Return the scripts that came since the last look, with the ids of their jobs."""
        scripts = {int(path.name): path for path in (self._folder / "jobs").glob("[0-9]*")}
        new = sorted(scripts.keys() - self._seen)
        self._seen |= scripts.keys()
        return [(job, scripts[job]) for job in new]

    def _begin(self, transport: Transport, job: int, script: str) -> None:
        """Let all tasks of a job run."""
        name, array = _NAME.search(script), _ARRAY.search(script)
        assert name is not None
        tasks = [f"{job}_{i}" for i in range(int(array[1]) + 1)] if array else [f"{job}"]
        moment = int(time.time())
        rows = [
            f"{task}|RUNNING|node{place % 8 + 1}|None|{moment}|me|normal|alpha|{name[1]}\n"
            for place, task in enumerate(tasks)
        ]
        draft = self._folder / "queue.new"
        draft.write_text((self._folder / "queue").read_text() + "".join(rows), encoding="ascii")
        draft.rename(self._folder / "queue")
        token = name[1].rpartition("-")[2]
        for index, task in enumerate(tasks):
            self._claim(transport, token, index, task)

    def _claim(self, transport: Transport, token: str, index: int, task: str) -> None:
        claim: Claim = {
            "claim": os.urandom(8).hex(),
            "host": f"node{index % 8 + 1}",
            "slurm_job_id": task,
            "pid": 1,
            "started_at": "2030-01-02T03:04:05.000000+00:00",
        }
        found = transport.claim(token, index, claim)
        if found is not None:
            self._running.append(found)

    def _beat(self, transport: Transport) -> None:
        """Give a sign of life of each worker, spread over the time between two of them."""
        pause = _BEAT_SECONDS / len(self._running)
        for assignment in self._running:
            self._stopping.sleep(pause)
            if self._stopping.is_requested():
                return
            try:
                transport.beat(assignment)
            except (DatabaseError, OSError):
                continue  # a worker tries again 15 s later, too


if __name__ == "__main__":
    Workers(Path(sys.argv[1]), Path(sys.argv[2]), Stopping()).work()
