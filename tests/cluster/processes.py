"""Which processes there are, and signals to exactly the one that is meant."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """One process; the start time tells it from a later one with the same pid.

    Attributes:
        pid: Process id.
        parent: Process id of the parent.
        name: The kernel's name of the command, at most 15 characters.
        started: Start time in clock ticks since boot, field 22 of ``/proc/PID/stat``.
    """

    pid: int
    parent: int
    name: str
    started: int

    def is_alive(self) -> bool:
        """Tell whether it still runs; a zombie does not."""
        now = find_process(self.pid)
        return now is not None and now.started == self.started

    def send(self, signal_number: int) -> bool:
        """Send a signal and tell whether there was somebody to receive it."""
        if not self.is_alive():
            return False
        try:
            os.kill(self.pid, signal_number)
        except ProcessLookupError:
            return False
        return True

    def environment(self) -> dict[str, str]:
        """Return the environment it was started with; empty where it cannot be read."""
        try:
            raw = Path(f"/proc/{self.pid}/environ").read_bytes()
        except OSError:
            return {}
        words = (word.partition("=") for word in os.fsdecode(raw).split("\0"))
        return {key: value for key, equals, value in words if equals}

    def working_folder(self) -> Path | None:
        """Return where it works; None where that cannot be read."""
        try:
            return Path(f"/proc/{self.pid}/cwd").readlink()
        except OSError:
            return None


def find_process(pid: int) -> Process | None:
    """Return the process with this id, or None if it is gone or a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    # The name stands in brackets and may itself contain brackets and spaces.
    start, end = text.index("("), text.rindex(")")
    state, parent, *rest = text[end + 2 :].split()
    if state in ("Z", "X"):
        return None
    return Process(pid, int(parent), text[start + 1 : end], int(rest[17]))


def all_processes() -> list[Process]:
    """Return every process of this machine that is alive."""
    names = (entry.name for entry in Path("/proc").iterdir())
    found = (find_process(int(name)) for name in names if name.isdigit())
    return [process for process in found if process is not None]


def working_in(folder: Path) -> list[Process]:
    """Return the processes whose working folder this is, but for this one."""
    return [
        process
        for process in all_processes()
        if process.pid != os.getpid() and process.working_folder() == folder
    ]


def descendants(roots: Iterable[Process], processes: Iterable[Process]) -> list[Process]:
    """Return the children of ``roots`` among ``processes``, theirs, and so on, without the roots."""
    children: dict[int, list[Process]] = {}
    for process in processes:
        children.setdefault(process.parent, []).append(process)
    found: list[Process] = []
    waiting = [root.pid for root in roots]
    while waiting:
        below = children.get(waiting.pop(), [])
        found.extend(below)
        waiting.extend(child.pid for child in below)
    return found
