"""Figure (d): how long the command and the worker take to start."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Literal

from benchmarks.figures import BenchmarkError, Row, Table
from benchmarks.place import HOME, Place, headway_command
from benchmarks.planned import plan
from benchmarks.running import run

_STAMP = re.compile(rb"^STAMP (\d+\.\d+)$", re.MULTILINE)


def measure(place: Place, *, repeats: int, small: bool) -> list[Table]:
    """Start each several times, in turn."""
    times = repeats if small else 5 * repeats
    return [_commands(place, times), _workers(place, times)]


def _commands(place: Place, times: int) -> Table:
    bare = "python -I -c pass"
    sides = {
        bare: [sys.executable, "-I", "-c", "pass"],
        "headway --help": [*headway_command(), "--help"],
        "headway run --help": [*headway_command(), "run", "--help"],
    }
    found: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(times):
        for name, command in sides.items():
            done = run(command, environment=place.environment(), folder=place.folder)
            found[name].append(1000 * done.wall)
    return _table("(d) the command's start", bare, found, goal="at most 100 ms more")


def _table(title: str, bare: str, found: dict[str, list[float]], goal: str) -> Table:
    rows = [Row(what=name, values=values, unit="ms") for name, values in found.items()]
    rows += [
        Row(
            what=f"{name}, more than {bare}",
            values=[value - without for value, without in zip(values, found[bare], strict=True)],
            unit="ms",
            goal=goal,
        )
        for name, values in found.items()
        if name != bare
    ]
    return Table(title, rows)


def _workers(place: Place, times: int) -> Table:
    """Prepare attempts as a head does, then start their workers by hand."""
    bare = "python -I -c pass"
    sides = {
        "SQLite and spool": _Bench(place, times, transport="spool", database=""),
        "the same with its preflight": _Bench(
            place, times, transport="spool", database="", is_slurm_task=True
        ),
        "SQLite, direct": _Bench(place, times, transport="direct", database=""),
        "PostgreSQL, direct": _Bench(place, times, transport="direct", database=place.postgres_url),
    }
    starts: dict[str, Callable[[], float]] = {bare: lambda: _bare(place)}
    starts |= {f"worker, {name}": bench.start for name, bench in sides.items()}
    found: dict[str, list[float]] = {name: [] for name in starts}
    for _ in range(times):
        for name, start in starts.items():
            found[name].append(1000 * start())
    title = "(d) from the worker's start to its program's start"
    return _table(title, bare, found, goal="at most 150 ms more")


def _bare(place: Place) -> float:
    command = [sys.executable, "-I", "-c", "pass"]
    return run(command, environment=place.environment(), folder=place.folder).wall


class _Bench:
    """An experiment whose trials were planned and whose head has gone."""

    def __init__(
        self,
        place: Place,
        times: int,
        *,
        transport: Literal["direct", "spool"],
        database: str,
        is_slurm_task: bool = False,
    ) -> None:
        self._place = place
        # Slurm's tasks learn their place from it, and look at their node first.
        self._own = {"SLURM_ARRAY_TASK_ID": "0"} if is_slurm_task else {}
        parts = ("starts", transport, "server" if database else "", "task" if self._own else "")
        folder = place.folder / "-".join(filter(None, parts))
        folder.mkdir()
        self._run_dir, self._tokens = plan(folder, times, transport=transport, database=database)

    def start(self) -> float:
        """Start one worker; return the seconds until its program's first instruction."""
        entry = str(HOME / "worker" / "entry.py")
        token = self._tokens.pop()
        command = [sys.executable, "-I", "-S", entry, str(self._run_dir), token]
        began = time.time()
        done = subprocess.run(
            command if self._own else [*command, "0"],
            env=self._place.environment() | self._own,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        stamp = _STAMP.search(done.stdout)
        if done.returncode or stamp is None:
            raise BenchmarkError(f"the worker ran no program: {done.stdout.decode()}")
        return float(stamp[1]) - began
