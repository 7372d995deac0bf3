"""Figure (o): what viewers cost: a look at many trials, a viewer's CPU, and the head's writes beside ten.

`python -m benchmarks.viewer` runs it alone: it needs PostgreSQL, no Slurm.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pty
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.figures import BenchmarkError, Row, Table, percentile
from benchmarks.load import load, set_up_search
from benchmarks.place import Place, headway_command
from db.sql import events, leases
from db.sql.leases import Holder
from db.sql.reading.reader import open_reader
from db.sql.store import Store
from db.states import EventKind
from orchestrator.app.runs import Run
from orchestrator.reports.frames import frame
from orchestrator.reports.looks import Look
from orchestrator.reports.snapshot import SnapshotReader
from tests.cluster.postgres import PrivatePostgres

VIEWERS = 10
HOLDER = Holder(host="here", boot_id="b", pid=1, process_started=2)
_TICKS = os.sysconf("SC_CLK_TCK")
# The head writes about as often as trials end.
_BETWEEN_WRITES_SECONDS = 0.02
SLURM = ("sbatch", "squeue", "sacct", "scontrol", "scancel", "sinfo", "sdiag", "sacctmgr")


def measure(place: Place | None, *, repeats: int, small: bool) -> list[Table]:
    """Fill both kinds of database, look at them, and write beside viewers."""
    del place
    count = 5_000 if small else 100_000
    seconds = 5.0 if small else 20.0
    folder = Path(tempfile.mkdtemp(prefix="headway-viewer-", dir="/tmp"))
    tables = []
    try:
        with PrivatePostgres() as server:
            for system, url in (("SQLite", None), ("PostgreSQL", server.clone())):
                run = set_up_search(folder / system, database=url)
                load(run, count)
                with run.engine.begin() as connection:
                    leases.take(connection, run.stored.id, holder=HOLDER, old=None, seconds=36000)
                tables.append(_measured(run, system, count, repeats=repeats, seconds=seconds))
                run.engine.dispose()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return tables


def _measured(run: Run, system: str, count: int, *, repeats: int, seconds: float) -> Table:
    firsts, refreshes, frames = _looks(run, repeats)
    alone, with_one, with_ten = [], [], []
    shares: list[float] = []
    calls = 0
    for _ in range(repeats):
        alone += _writes(run, seconds)
        with _viewers(run, 1) as viewers:
            began, before = time.monotonic(), viewers.cpu()
            with_one += _writes(run, seconds)
            shares.append(100 * (viewers.cpu() - before) / (time.monotonic() - began))
            calls += viewers.calls()
        with _viewers(run, VIEWERS) as viewers:
            with_ten += _writes(run, seconds)
            calls += viewers.calls()
    rows = [
        Row(what="first look", values=firsts, unit="ms", goal="under 1 s"),
        Row(what="refresh", values=refreshes, unit="ms", goal="under 1 s"),
        Row(what="one frame of 160x50, drawn", values=frames, unit="ms"),
        Row(what="a viewer's share of a core", values=shares, unit="%", goal="under 5 %"),
        Row(what="Slurm calls of all viewers", values=[float(calls)], unit="calls", goal="0"),
    ]
    for name, found in (("alone", alone), ("beside 1 viewer", with_one), ("beside 10", with_ten)):
        rows += [
            Row(what=f"a write of the head {name}, {word}", values=[value], unit="ms", goal=goal)
            for word, value, goal in (
                ("p50", percentile(found, 0.5), ""),
                ("p99", percentile(found, 0.99), ""),
                ("longest", max(found), "100 ms more than alone at most"),
            )
        ]
    note = (
        f"{count} finished trials. Viewers are `headway follow` on terminals of 160x50. A write is "
        "a transaction with the check of the lease and one event, durable, 50 a second at most. "
        f"All of this, ten viewers too, on {os.cpu_count()} cores."
    )
    return Table(f"(o) viewers, {system}", rows, (note,))


def _looks(run: Run, repeats: int) -> tuple[list[float], list[float], list[float]]:
    """Read the first moment and later ones, and draw them; in milliseconds."""
    firsts: list[float] = []
    refreshes: list[float] = []
    frames: list[float] = []
    with open_reader(run.db_url) as reader:
        for _ in range(5 * repeats):
            snapshots = SnapshotReader(reader, run.stored.id)
            for times in (firsts, refreshes, refreshes):
                began = time.perf_counter()
                snapshot = snapshots.read()
                times.append(1000 * (time.perf_counter() - began))
            began = time.perf_counter()
            frame(snapshot, 160, 50, Look(has_keys=True))
            frames.append(1000 * (time.perf_counter() - began))
    return firsts, refreshes, frames


def _writes(run: Run, seconds: float) -> list[float]:
    """Write as a head does for a while; how long each write took, in milliseconds."""
    store = Store(run.engine, run.stored.id, 1)
    times = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.perf_counter()
        with store.write() as connection:
            events.append(connection, [events.row(run.stored.id, EventKind.TUNED, {})])
        times.append(1000 * (time.perf_counter() - began))
        time.sleep(_BETWEEN_WRITES_SECONDS)
    return times


class _Viewers:
    """Viewers on terminals of their own, whose Slurm commands only count."""

    def __init__(self, run: Run, folder: Path) -> None:
        self._run = run
        self._counted = folder / "calls"
        self._commands = folder / "bin"
        self._commands.mkdir()
        for command in SLURM:
            path = self._commands / command
            path.write_text(f"#!/bin/sh\necho {command} >> {self._counted}\nexit 1\n")
            path.chmod(0o755)
        self.processes: list[subprocess.Popen[bytes]] = []
        self._drains: list[threading.Thread] = []
        self._seen: list[threading.Event] = []

    def add(self) -> None:
        """Start one."""
        controller, terminal = pty.openpty()
        _resize(terminal)
        environment = dict(os.environ) | {
            "PATH": f"{self._commands}:{os.environ['PATH']}",
            "HEADWAY_DB_URL": self._run.db_url,
            "TERM": "xterm-256color",
            "LANG": "C.UTF-8",
        }
        process: subprocess.Popen[Any] = subprocess.Popen(
            [*headway_command(), "follow", self._run.label],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            env=environment,
            start_new_session=True,
        )
        os.close(terminal)
        seen = threading.Event()
        drain = threading.Thread(target=_drain, args=(controller, seen), daemon=True)
        drain.start()
        self.processes.append(process)
        self._drains.append(drain)
        self._seen.append(seen)

    def wait(self) -> None:
        """Wait until all of them show the search."""
        for seen, process in zip(self._seen, self.processes, strict=True):
            if not seen.wait(120) or process.poll() is not None:
                raise BenchmarkError("a viewer does not show the search")

    def cpu(self) -> float:
        """Return the CPU seconds of all of them so far."""
        return sum(_cpu_of(process.pid) for process in self.processes)

    def calls(self) -> int:
        """Return how often one of them called a command of Slurm."""
        return len(self._counted.read_text().split()) if self._counted.exists() else 0

    def end(self) -> None:
        """End them."""
        for process in self.processes:
            process.terminate()
        for process, drain in zip(self.processes, self._drains, strict=True):
            process.wait(30)
            drain.join(30)


@contextlib.contextmanager
def _viewers(run: Run, count: int) -> Iterator[_Viewers]:
    with tempfile.TemporaryDirectory(prefix="headway-viewers-", dir="/tmp") as folder:
        viewers = _Viewers(run, Path(folder))
        try:
            for _ in range(count):
                viewers.add()
            viewers.wait()
            yield viewers
        finally:
            viewers.end()


def _resize(terminal: int) -> None:
    import fcntl
    import struct
    import termios

    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 160, 0, 0))


def _drain(controller: int, seen: threading.Event) -> None:
    """Take what a viewer draws, until it has ended."""
    with contextlib.suppress(OSError):
        while piece := os.read(controller, 65536):
            if b"ended last" in piece:
                seen.set()
    os.close(controller)


def _cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.viewer", description=__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="of each run (%(default)s)")
    parser.add_argument("--small", action="store_true", help="fewer trials, to try it out")
    given = parser.parse_args()
    for table in measure(None, repeats=given.repeats, small=given.small):
        print(table.text(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
