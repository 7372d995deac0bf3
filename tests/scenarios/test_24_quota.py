"""A run folder without room: submission stops with one message, and no trial is used up by it."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.slurm import PrivateSlurm
from tests.main_job.runs import Place, lines_of, wait_until
from tests.scenarios.evidence import SEEN, Evidence, jobs_left

TRIALS, SLOTS = 10, 2
COMMAND = (
    *("run", "--experiment_name", "quota", "--max_eval", str(TRIALS)),
    *("--num_parallel_jobs", str(SLOTS)),
    *("--parameter", "x", "range", "0", "1", "float", "--model", "SOBOL", "--seed", "1"),
    *("--timing", "poll_max_seconds=4", "--timing", "calls_burst=1000"),
)
PROGRAM = f"{SEEN}; sleep 1; echo RESULT: %(x)"
ON_SLURM = ("--partition", "alpha", "--mem_gb", "0.1", "--worker_timeout", "5")
FULL = "nothing is submitted until there is room again"
ROOM = "there is room again: submission goes on"
# Longer than the head takes to notice, long enough for many trials to be burnt.
FULL_SECONDS = 6.0


@pytest.fixture
def quota(tmp_path: Path) -> Iterator[Path]:
    """A file system of four megabytes, which is where runs are kept."""
    folder = tmp_path / "runs"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "headway-test", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextlib.contextmanager
def filled(folder: Path) -> Iterator[None]:
    """Leave no room in a file system while the block runs."""
    path = folder / "big"
    try:
        with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        yield
    finally:
        path.unlink()


def told(output: str, text: str) -> int:
    return sum(text in line for line in output.splitlines())


def fill_for_a_while(place: Place, quota: Path) -> None:
    """Once some trials are done, leave no room, and then again what there was."""
    wait_until(lambda: len(lines_of(place.folder / "seen")) >= 4)
    with filled(quota):
        time.sleep(FULL_SECONDS)


def assert_told_once(output: str) -> None:
    assert (told(output, FULL), told(output, ROOM)) == (1, 1), output


@pytest.mark.postgres
def test_a_full_quota_stops_submission_instead_of_burning_trials(
    login_node: Place, slurm_cluster: PrivateSlurm, postgres_url: str, quota: Path
) -> None:
    needs_room = f'head -c 50000 /dev/zero > "$HEADWAY_CHECKPOINT_DIR/state" && {PROGRAM}'
    words = (*COMMAND, *ON_SLURM, "--db_url", postgres_url, "--run_program", needs_room)
    head = login_node.start(*words)
    fill_for_a_while(login_node, quota)
    code, output = head.wait()
    assert code == 0, output
    evidence = Evidence(login_node, "quota", postgres_url)
    evidence.assert_exactly(TRIALS)
    # Jobs that were on their way when it happened may have failed; each tried again afterwards.
    assert len(evidence.attempts()) <= TRIALS + SLOTS
    assert not [row for row in evidence.attempts() if row[-1] == "SUBMIT"]
    assert_told_once(output)
    assert jobs_left(slurm_cluster, "quota") == []


@pytest.mark.slow
def test_a_full_disk_under_sqlite_and_local_workers_is_waited_for(
    laptop: Place, quota: Path
) -> None:
    head = laptop.start(*COMMAND, "--force_local_execution", "--run_program", PROGRAM)
    fill_for_a_while(laptop, quota)
    code, output = head.wait()
    assert code == 0, output
    evidence = Evidence(laptop, "quota")
    evidence.assert_each_once(TRIALS)
    assert {(number, state) for _, number, state, _ in evidence.attempts()} == {(1, "SUCCEEDED")}
    assert_told_once(output)
    assert "went away" not in output
