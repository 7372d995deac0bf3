"""A head is a good guest on a login node: small while it waits, quick to go, sparing with calls."""

from __future__ import annotations

import json
import shlex
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cluster.slurm import PrivateSlurm
from tests.main_job.runs import HEADWAY, Place, Started, lines_of, wait_until
from tests.scenarios.evidence import SEEN, Evidence, jobs_left
from tests.scenarios.wrappers import Wrappers

SLOTS = 8
COMMAND = (
    *("run", "--experiment_name", "guest", "--partition", "alpha", "--mem_gb", "0.1"),
    *("--worker_timeout", "10", "--num_parallel_jobs", str(SLOTS), "--max_eval", "12"),
    *("--parameter", "x", "range", "0", "1", "float", "--model", "SOBOL", "--seed", "1"),
    # Each trial runs until it is told that it may end.
    *("--run_program", f"{SEEN}; until test -e done; do sleep 0.2; done; echo RESULT: %(x)"),
)
MOST_MB, MOST_THREADS = 200, 8


@dataclass(frozen=True)
class Taken:
    """What a process took while it was watched, without its children."""

    cpu_percent: float
    memory_mb: float
    threads: int


def watch(pid: int, seconds: float) -> Taken:
    """Watch a process for a while."""
    before, began = cpu_seconds(pid), time.monotonic()
    time.sleep(seconds)
    percent = 100 * (cpu_seconds(pid) - before) / (time.monotonic() - began)
    status = Path(f"/proc/{pid}/status").read_text()
    told = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    memory_mb = int(told["VmHWM"].split()[0]) / 1024
    return Taken(cpu_percent=percent, memory_mb=memory_mb, threads=int(told["Threads"]))


def cpu_seconds(pid: int) -> float:
    """What the threads of a process have taken so far, to the nanosecond."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


def pid_of_head(place: Place) -> int:
    return int(json.loads((place.folder / "runs/guest/1/head.lock").read_text())["pid"])


def is_busy(place: Place) -> bool:
    return len(lines_of(place.folder / "seen")) == SLOTS


# The whole limit is for the long look: on a machine under load a short one says less.
@pytest.mark.parametrize(
    ("seconds", "most_percent"), [(6, 3.0), pytest.param(120, 1.0, marks=pytest.mark.slow)]
)
def test_a_head_that_waits_takes_next_to_nothing_as_a_job_too(
    login_node: Place, slurm_cluster: PrivateSlurm, seconds: float, most_percent: float
) -> None:
    script = login_node.script("head.sh", [f"exec {shlex.join((*HEADWAY, *COMMAND))}"])
    folder = str(login_node.folder)
    words = ("--partition", "beta", "--chdir", folder, "--output", "head.out", str(script))
    slurm_cluster.run("sbatch", *words)
    wait_until(lambda: is_busy(login_node))
    time.sleep(3)  # its start is over, and what the first jobs brought
    taken = watch(pid_of_head(login_node), seconds)
    (login_node.folder / "done").touch()
    wait_until(lambda: "Results:" in (login_node.folder / "head.out").read_text())
    assert Evidence(login_node, "guest").statuses() == {"COMPLETED": 12}
    assert taken.threads <= MOST_THREADS, taken
    assert taken.memory_mb < MOST_MB, taken
    assert taken.cpu_percent < most_percent, taken


def busy_head(place: Place, wrappers: Wrappers) -> Started:
    """Start a head, and wait until its slots are full and it knows that."""
    wrappers.count("scancel")
    head = place.start(*COMMAND)
    wait_until(lambda: is_busy(place))
    # A job that it does not know to have begun, it would take back.
    started = "SELECT count(*) FROM attempt WHERE state = 'STARTED'"
    wait_until(lambda: Evidence(place, "guest").rows(started) == [(SLOTS,)])
    return head


def has_logged(place: Place, text: str) -> bool:
    return text in (place.folder / "runs/guest/1/head.log").read_text()


def test_ctrl_c_once_ends_gently_and_cancels_nothing(
    login_node: Place, slurm_cluster: PrivateSlurm, wrappers: Wrappers
) -> None:
    head = busy_head(login_node, wrappers)
    head.interrupt()
    wait_until(lambda: has_logged(login_node, "no new trials, running ones finish"))
    (login_node.folder / "done").touch()
    code, output = head.wait()
    assert code == 130, output
    assert Evidence(login_node, "guest").statuses()["COMPLETED"] == SLOTS
    assert is_busy(login_node), "no other trial was begun"
    assert wrappers.calls()["scancel"] == 0
    wait_until(lambda: jobs_left(slurm_cluster, "guest") == [])


def test_ctrl_c_twice_ends_all_jobs_with_one_call_at_once(
    login_node: Place, slurm_cluster: PrivateSlurm, wrappers: Wrappers
) -> None:
    head = busy_head(login_node, wrappers)
    head.interrupt()
    wait_until(lambda: has_logged(login_node, "no new trials, running ones finish"))
    head.interrupt()
    code, output = head.wait(60)
    assert code == 130, output
    wait_until(lambda: jobs_left(slurm_cluster, "guest") == [])
    assert wrappers.calls()["scancel"] == 1
    assert Evidence(login_node, "guest").statuses()["ABANDONED"] == SLOTS
