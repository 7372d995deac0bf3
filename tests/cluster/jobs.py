"""What runs on the nodes of a private Slurm: slurmstepd and the processes of jobs."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Collection
from pathlib import Path

from tests.cluster.daemons import wait_until
from tests.cluster.processes import Process, all_processes, descendants

PROC = Path("/proc")
PATIENCE_SECONDS = 5
# A step that nobody sees yet (it has neither socket nor script) shows within a part of a second.
QUIET_ROUNDS, ROUND_SECONDS = 5, 0.1


def kill_steps(folder: Path, nodes: Collection[str]) -> None:
    """End all steps on these nodes with SIGKILL, as a power cut would; other clusters' stay."""
    # Again and again: a slurmd that died a moment ago may have left a step that is just being born.
    quiet = 0
    while quiet < QUIET_ROUNDS:
        processes = all_processes()
        steps = step_daemons(folder, nodes, processes)
        inside = descendants(steps, processes) + orphans(folder, nodes, processes)
        # The step's daemon first, so that it cannot report the death of its processes.
        _kill([*steps, *inside])
        quiet = 0 if steps or inside else quiet + 1
        time.sleep(ROUND_SECONDS)


def _kill(processes: Collection[Process]) -> None:
    for process in processes:
        process.send(signal.SIGKILL)
    wait_until(
        lambda: not any(process.is_alive() for process in processes),
        timeout_seconds=PATIENCE_SECONDS,
    )


def step_daemons(
    folder: Path, nodes: Collection[str], processes: Collection[Process]
) -> list[Process]:
    """Return the slurmstepd processes of these nodes.

    They are no children of their slurmd (it forks twice) and overwrite their environment, but each
    listens on the socket ``spool/NODE/NODE_JOB.STEP`` of its cluster.
    """
    ours = _sockets(tuple(f"{folder}/spool/{node}/" for node in nodes))
    candidates = (process for process in processes if process.name == "slurmstepd")
    return [process for process in candidates if ours & _open_files(process)]


def orphans(folder: Path, nodes: Collection[str], processes: Collection[Process]) -> list[Process]:
    """Return the processes that were started by a job on these nodes, by their environment.

    Finds those that left their job's process tree. This process and those it comes from are never
    among them: tests that pretend to be inside a job set the same variables.
    """
    spared = _self_and_ancestors(processes)
    configuration = str(folder / "slurm.conf")
    found = []
    for process in processes:
        environment = process.environment()
        if (
            process.pid not in spared
            and "SLURM_JOB_ID" in environment
            and environment.get("SLURM_CONF") == configuration
            and environment.get("SLURMD_NODENAME") in nodes
        ):
            found.append(process)
    return found


def _self_and_ancestors(processes: Collection[Process]) -> set[int]:
    parents = {process.pid: process.parent for process in processes}
    pid = os.getpid()
    found = {pid}
    while (pid := parents.get(pid, 0)) and pid not in found:
        found.add(pid)
    return found


def _sockets(prefixes: tuple[str, ...]) -> set[str]:
    """Return what ``/proc/PID/fd`` shows for the Unix sockets whose path starts so."""
    found = set()
    # Columns: Num RefCount Protocol Flags Type St Inode Path; the path may be missing.
    for line in (PROC / "net" / "unix").read_text(errors="replace").splitlines()[1:]:
        columns = line.split(maxsplit=7)
        if len(columns) == 8 and columns[7].startswith(prefixes):
            found.add(f"socket:[{columns[6]}]")
    return found


def _open_files(process: Process) -> set[str]:
    found = set()
    # It may end meanwhile, or belong to another account and so to another cluster.
    with contextlib.suppress(OSError):
        for entry in (PROC / str(process.pid) / "fd").iterdir():
            found.add(str(entry.readlink()))
    return found
