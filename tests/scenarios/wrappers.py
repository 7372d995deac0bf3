"""Stand-ins for Slurm's commands, first on PATH, that hang, fail, lie or count."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path


class Wrappers:
    """A folder that comes before all others on PATH; empty at first.

    A wrapper may be put in place, changed and removed while a head runs. `$REAL` in its text is the
    command itself.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._calls = folder.with_name("calls")
        folder.mkdir()

    def environment(self) -> dict[str, str]:
        """Return what a command needs in its environment to meet the wrappers."""
        return {"PATH": f"{self.folder}:{os.environ['PATH']}"}

    def put(self, command: str, *lines: str) -> None:
        """Wrap a command; each call is counted, then the lines run in sh."""
        real = shutil.which(command)
        text = ["#!/bin/sh", f"REAL={real}", f"echo {command} >> {self._calls}", *lines, ""]
        path = self.folder / f".{command}"
        path.write_text("\n".join(text))
        path.chmod(0o755)
        path.rename(self.folder / command)

    def count(self, command: str) -> None:
        """Let a command do its work and count its calls."""
        self.put(command, 'exec "$REAL" "$@"')

    def remove(self, command: str) -> None:
        """Let a command be itself again."""
        (self.folder / command).unlink()

    def calls(self) -> Counter[str]:
        """Return how often each wrapped command was called."""
        return Counter(self._calls.read_text().split() if self._calls.exists() else [])
