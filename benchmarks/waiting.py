"""Figure (p): what a head takes that only waits for 1 000 running trials."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import BenchmarkError, Row, Table
from benchmarks.place import Place, headway_command
from benchmarks.simulated import crowd
from db.errors import DatabaseError
from db.sql.reading.experiments import find_key
from db.sql.reading.reader import open_reader
from orchestrator.reports.snapshot import Snapshot, SnapshotReader

# Its start is over then, and its own view has calmed down.
CALM_SECONDS = 40.0
PATIENCE_SECONDS = 300.0
_TICKS = os.sysconf("SC_CLK_TCK")
_CHILDREN = (13, 14)  # user and system time of ended children, /proc/PID/stat
_KB_PER_MB = 1024
_HOUR = 3600.0
_NOTE = (
    "A real head, with the options that a user gets, in a terminal that is none (plain lines). The "
    "commands that tell of the cluster ask the private Slurm; sbatch and squeue answer from a file, "
    "and one process stands for all workers (claims, START reports, a heartbeat of each every "
    "15 s): 1 000 real ones need more memory than this machine has. Each value is of one window."
)


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What a head took in one window.

    Attributes:
        cpu: Share of a core of the head's own process, in percent.
        commands_cpu: The same of the commands that it called.
        memory_mb: The most memory that it ever had.
        threads: Its threads at the end of the window.
        calls: Slurm's commands, projected to an hour.
    """

    cpu: float
    commands_cpu: float
    memory_mb: float
    threads: int
    calls: float


def measure(place: Place, *, repeats: int, small: bool) -> list[Table]:
    """Let a head wait with either kind of database."""
    trials, seconds = (50, 10.0) if small else (1000, 60.0)
    tables = []
    for system, database in (("SQLite", ""), ("PostgreSQL", place.postgres_url)):
        name = f"waiting{os.getpid()}{system.lower()}"
        with _waiting_head(place, name, trials, database) as (pid, url):
            _await_running(url, name, trials)
            time.sleep(CALM_SECONDS if not small else 5.0)
            taken = [_watch(pid, url, name, seconds) for _ in range(repeats)]
        tables.append(
            Table(f"(p) a head that waits for {trials} trials, {system}", _rows(taken), (_NOTE,))
        )
    return tables


def _rows(taken: list[Taken]) -> list[Row]:
    return [
        Row(what="the head", values=[t.cpu for t in taken], unit="% of a core", goal="under 1 %"),
        Row(what="Slurm's commands", values=[t.commands_cpu for t in taken], unit="% of a core"),
        Row(
            what="memory, at most",
            values=[t.memory_mb for t in taken],
            unit="MB",
            goal="under 200 MB",
        ),
        Row(what="threads", values=[float(t.threads) for t in taken], unit="", goal="at most 8"),
        Row(
            what="Slurm calls an hour",
            values=[t.calls for t in taken],
            unit="",
            goal="at most 1200",
        ),
    ]


@contextmanager
def _waiting_head(place: Place, name: str, trials: int, database: str) -> Iterator[tuple[int, str]]:
    """Start a head on a queue where everything runs at once; gives its process and its database."""
    root = place.folder / "runs"
    folder, run_dir = place.folder / name, root / name / "1"
    environment = place.environment()
    if database:
        environment["HEADWAY_DB_URL"] = database
    command = [
        *headway_command(),
        *("run", "--experiment_name", name, "--run_dir", str(root), "--model", "SOBOL"),
        *("--parameter", "x", "range", "0", "1", "--seed", "1", "--max_eval", str(trials)),
        *("--num_parallel_jobs", str(trials), "--run_program", "sleep 100000; echo RESULT: $x"),
    ]
    with crowd(folder, run_dir) as commands, (folder / "head.out").open("wb") as output:
        environment["PATH"] = f"{commands}:{environment['PATH']}"
        head = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment
        )
        try:
            yield head.pid, database or f"sqlite:///{run_dir}/database.db"
        finally:
            head.send_signal(signal.SIGTERM)  # it leaves, and cancels nothing
            head.wait(60)
    shutil.rmtree(run_dir)


def _await_running(url: str, name: str, trials: int) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while (found := _look(url, name)) is None or found.running_count < trials:
        if time.monotonic() > until:
            count = "no experiment" if found is None else f"{found.running_count} of {trials}"
            raise BenchmarkError(f"after {PATIENCE_SECONDS:.0f} s there is {count} running")
        time.sleep(1)


def _look(url: str, name: str) -> Snapshot | None:
    try:
        with open_reader(url) as reader:
            with reader.read() as connection:
                key = find_key(connection, name, 1)
            return None if key is None else SnapshotReader(reader, key).read()
    except DatabaseError:
        return None  # the head is about to make it


def _watch(pid: int, url: str, name: str, seconds: float) -> Taken:
    own, children, calls = _cpu_seconds(pid), _children_seconds(pid), _calls(url, name)
    began = time.monotonic()
    time.sleep(seconds)
    watched = time.monotonic() - began
    share = 100 / watched
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    told = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return Taken(
        cpu=share * (_cpu_seconds(pid) - own),
        commands_cpu=share * (_children_seconds(pid) - children),
        memory_mb=int(told["VmHWM"].split()[0]) / _KB_PER_MB,
        threads=int(told["Threads"]),
        calls=(_calls(url, name) - calls) * _HOUR / watched,
    )


def _calls(url: str, name: str) -> int:
    """How often the head has called Slurm's commands so far, by its own word."""
    found = _look(url, name)
    if found is None or found.vitals is None:
        raise BenchmarkError("the head does not tell how it is")
    return sum(found.vitals.calls.values())


def _cpu_seconds(pid: int) -> float:
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


def _children_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(fields[place]) for place in _CHILDREN) / _TICKS
