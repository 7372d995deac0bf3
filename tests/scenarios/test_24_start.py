"""Scenario 24: a worker's start is kind to the file system, and a job leaves two files at most."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.cluster.slurm import PrivateSlurm
from tests.db.attempts import TOKEN, Store
from tests.main_job.runs import Place
from tests.worker.runs import ENTRY, Run

MAX_OPENED = 500
# Writes down each file that the worker opens, and in the end the libraries that were loaded.
WATCHED = """
import os, runpy, sys
seen = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
def watch(event, arguments):
    if event == "open" and isinstance(arguments[0], str):
        os.write(seen, (arguments[0] + "\\n").encode())
leave = os._exit
def left(code):
    with open("/proc/self/maps") as maps:
        paths = {line.split()[-1] for line in maps if ".so" in line}
    os.write(seen, "".join(f"{path}\\n" for path in sorted(paths)).encode())
    leave(code)
os._exit = left
sys.addaudithook(watch)
sys.argv[:] = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
TRIALS = 12
COMMAND = (
    *("run", "--experiment_name", "kind", "--partition", "alpha", "--mem_gb", "0.1"),
    *("--max_eval", str(TRIALS), "--num_parallel_jobs", "4", "--worker_timeout", "5"),
    *("--parameter", "x", "range", "0", "1", "float", "--model", "SOBOL", "--seed", "1"),
    *("--run_program", "echo METRIC: a=1; echo RESULT: %(x)"),
)
# The database and its companions, what the head says of itself, results.csv and the like.
FILES_OF_A_RUN = 12


def opened(run: Run) -> list[str]:
    """Run a worker and return the files that it has opened, itself and its libraries included."""
    seen = run.folder / "opened"
    words = [str(seen), str(ENTRY), str(run.folder), TOKEN, "0"]
    command = [sys.executable, "-I", "-S", "-X", "utf8", "-c", WATCHED, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return seen.read_text().splitlines()


def test_a_worker_opens_few_files(tmp_path: Path) -> None:
    run = Run(tmp_path, program="echo RESULT: 1")
    run.assign()
    files = opened(run)
    assert run.ending()["results"] == {"RESULT": 1.0}
    assert str(tmp_path / "job.json") in files
    assert len(files) < MAX_OPENED / 4


@pytest.mark.postgres
def test_a_worker_that_talks_to_postgresql_opens_few_files(
    tmp_path: Path, postgres_url: str
) -> None:
    store = Store(postgres_url)
    store.fill()
    run = Run(tmp_path, program="echo RESULT: 1", transport="direct", db_url=postgres_url)
    files = opened(run)
    assert len(store.reports()) == 2
    assert any("psycopg2" in path for path in files)
    assert len(files) < MAX_OPENED


@pytest.mark.slurm
def test_a_job_leaves_two_files_at_most(login_node: Place, slurm_cluster: PrivateSlurm) -> None:
    login_node.run(*COMMAND)
    run_dir = login_node.folder / "runs" / "kind" / "1"
    logs = [path for path in files_in(run_dir) if path.suffix == ".log" and "logs" in path.parts]
    assert len(logs) == TRIALS, "a log an attempt"
    others = len(list(files_in(run_dir))) - FILES_OF_A_RUN
    assert others <= 2 * TRIALS


def files_in(folder: Path) -> Iterable[Path]:
    return (path for path in folder.rglob("*") if path.is_file())
