"""File systems with a fault of their own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def _mount(*words: str) -> None:
    done = subprocess.run(["mount", *words], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")


@contextmanager
def small(folder: Path, size: str = "1m") -> Iterator[Path]:
    """A file system with little room, in a new folder."""
    folder.mkdir()
    _mount("-t", "tmpfs", "-o", f"size={size},mode=700", "headway-test", str(folder))
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def read_only(original: Path, folder: Path) -> Iterator[Path]:
    """What lies in a folder, shown in another one, where nothing can be written."""
    folder.mkdir()
    _mount("--bind", str(original), str(folder))
    try:
        _mount("-o", "remount,ro,bind", str(folder))
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
