"""Figure (a1): 200 trials that do nothing, one Slurm job each, 16 at once."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.figures import BenchmarkError, Row, Table
from benchmarks.place import Place
from benchmarks.running import Measured, machine_cpu, run

SLOTS = 16
_PEER = Path(__file__).with_name("peer_submitit.py")
_POLL_SECONDS = 0.1
_PATIENCE_SECONDS = 300.0


def measure(place: Place, *, repeats: int, small: bool) -> list[Table]:
    """Run Headway, submitit and a bare array in turn."""
    count = 48 if small else 200
    sides: dict[str, Callable[[], Measured]] = {
        "submitit map_array": lambda: _submitit(place, count),
        "sbatch --array of true": lambda: _bare(place, count),
        "headway, SQLite": lambda: _headway(place, count, ""),
        "headway, PostgreSQL": lambda: _headway(place, count, place.postgres_url),
    }
    found: dict[str, list[Measured]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, side in sides.items():
            place.rest()
            found[name].append(side())
    return [_walls(found, count), _processors(found, count)]


def _headway(place: Place, count: int, database: str) -> Measured:
    program = "echo RESULT: $x"
    found = place.headway(program=program, trials=count, slots=SLOTS, database=database)
    if len({trial.job_id for trial in found.trials}) != count:
        raise BenchmarkError("two trials shared a Slurm job")
    return found.measured


def _submitit(place: Place, count: int) -> Measured:
    place.peers += 1
    folder = place.folder / f"submitit{place.peers}"
    words = [sys.executable, "-I", str(_PEER), str(folder), str(count), str(SLOTS)]
    return run(words, environment=place.environment(), folder=place.folder)


def _bare(place: Place, count: int) -> Measured:
    """Submit an array and ask until the queue is empty; `sbatch --wait` would round up to 10 s."""
    began, started_at, machine = time.perf_counter(), time.time(), machine_cpu()
    array = f"--array=0-{count - 1}%{SLOTS}"
    place.slurm.run("sbatch", array, "--output=/dev/null", "--wrap", "true")
    while place.slurm.run("squeue", "--noheader", "--states=PENDING,RUNNING").stdout.strip():
        if time.perf_counter() - began > _PATIENCE_SECONDS:
            raise BenchmarkError("the bare array does not end")
        time.sleep(_POLL_SECONDS)
    return Measured(
        wall=time.perf_counter() - began,
        cpu=0.0,
        machine_cpu=machine_cpu() - machine,
        started_at=started_at,
        output="",
    )


def _walls(found: dict[str, list[Measured]], count: int) -> Table:
    rows = [
        Row(
            what=name,
            values=[one.wall for one in ones],
            goal="at most 0.5x" if name.startswith("headway") else "",
            compared_to="submitit map_array" if name.startswith("headway") else "",
        )
        for name, ones in found.items()
    ]
    return Table(f"(a1) {count} no-op trials, a Slurm job each, {SLOTS} slots: wall time", rows)


def _processors(found: dict[str, list[Measured]], count: int) -> Table:
    rows = [
        Row(
            what=name,
            values=[1000 * one.machine_cpu / count for one in ones],
            unit="ms",
            compared_to="" if name.startswith("submitit") else "submitit map_array",
        )
        for name, ones in found.items()
    ]
    rows += [
        Row(
            what=f"of it the command itself: {name}",
            values=[1000 * one.cpu / count for one in ones],
            unit="ms",
        )
        for name, ones in found.items()
        if not name.startswith("sbatch")
    ]
    notes = ("All processors of the machine together: Slurm's daemons and the jobs are in it.",)
    return Table(f"(a1) {count} no-op trials: CPU time a job", rows, notes)
