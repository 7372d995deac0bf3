"""Runs a command and measures it: wall time, its own CPU time, and the whole machine's."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import BenchmarkError

_IDLE_FIELDS = (3, 4)  # idle and iowait of the first line of /proc/stat, proc(5)
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One run of a command.

    Attributes:
        wall: Seconds from its start to its end.
        cpu: CPU seconds of it and of all its children that it waited for.
        machine_cpu: CPU seconds that the whole machine spent meanwhile: Slurm's daemons and the
            jobs too, and whatever else runs here.
        started_at: Seconds since 1970.
        output: What it printed.
    """

    wall: float
    cpu: float
    machine_cpu: float
    started_at: float
    output: str


def run(
    command: Sequence[str], *, environment: Mapping[str, str], folder: Path, allow: int = 0
) -> Measured:
    """Run a command to its end.

    Raises:
        BenchmarkError: It ended with another exit code than `allow`.
    """
    with tempfile.TemporaryFile() as output:
        machine = machine_cpu()
        started_at, began = time.time(), time.perf_counter()
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            cwd=folder,
        )
        try:
            _, status, usage = os.wait4(child.pid, 0)
        except BaseException:
            child.kill()
            child.wait()
            raise
        wall = time.perf_counter() - began
        spent = machine_cpu() - machine
        child.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read().decode(errors="replace")
    if child.returncode != allow:
        words = " ".join(command)
        raise BenchmarkError(f"{words}\nended with exit code {child.returncode}:\n{text}")
    cpu = usage.ru_utime + usage.ru_stime
    return Measured(wall=wall, cpu=cpu, machine_cpu=spent, started_at=started_at, output=text)


def machine_cpu() -> float:
    """Return how many CPU seconds all processors together have worked since the start."""
    fields = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:9]
    busy = (int(text) for place, text in enumerate(fields) if place not in _IDLE_FIELDS)
    return sum(busy) / _TICKS
