"""Runs the real command in a folder of its own, and looks at what it left there."""

from __future__ import annotations

import csv
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.cluster.processes import working_in

ROOT = Path(__file__).resolve().parents[2]
HEADWAY = (sys.executable, "-I", str(ROOT / "headway.py"))


@dataclass
class Started:
    """A head that runs; a `with` block leaves none behind, however it ends."""

    process: subprocess.Popen[str]
    folder: Path

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.kill()

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """End the head as nothing else can; its generator processes die with it."""
        self.process.kill()
        self.process.communicate(timeout=30)

    def wait(self, seconds: float = 120) -> tuple[int, str]:
        """Return its exit code and all it printed."""
        output, _ = self.process.communicate(timeout=seconds)
        return self.process.returncode, output


@dataclass
class Place:
    """A folder in which a user types commands; a `with` block leaves nothing running in it."""

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    started: list[Started] = field(default_factory=list, repr=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for head in self.started:
            head.kill()
        # Of a test that failed: programs that nobody would tell to end any more.
        for process in working_in(self.folder):
            process.send(signal.SIGKILL)

    def start(self, *words: str) -> Started:
        """Start a command and do not wait for it."""
        return self.execute(*HEADWAY, *words)

    def execute(self, *command: str) -> Started:
        """Start any program."""
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env=clean_environment() | dict(self.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.started.append(Started(process, self.folder))
        return self.started[-1]

    def run(self, *words: str, seconds: float = 120) -> str:
        """Run a command that has to succeed and return all it printed."""
        code, output = self.start(*words).wait(seconds)
        assert code == 0, output
        return output

    def json(self, *words: str) -> Any:
        """Run a command with `--json` and return what it says."""
        return json.loads(self.run(*words, "--json"))

    def results(self, name: str, number: int = 1) -> list[dict[str, str]]:
        """Read results.csv."""
        path = self.folder / "runs" / name / str(number) / "results.csv"
        with path.open(newline="") as stream:
            return list(csv.DictReader(stream))

    def rows(self, name: str, query: str) -> list[tuple[Any, ...]]:
        """Ask the SQLite database of the first run of an experiment."""
        path = self.folder / "runs" / name / "1" / "database.db"
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
            return connection.execute(query).fetchall()

    def script(self, name: str, lines: Sequence[str]) -> Path:
        """Write a program for trials to run."""
        path = self.folder / name
        path.write_text("\n".join(["#!/bin/bash", *lines, ""]))
        path.chmod(0o755)
        return path


def clean_environment() -> dict[str, str]:
    """Return the environment without what other tests or the developer set for Headway."""
    return {name: text for name, text in os.environ.items() if not name.startswith("HEADWAY_")}


def wait_until(is_so: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until something is so, or fail."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def lines_of(path: Path) -> list[str]:
    """Return the lines of a file that may not be there yet."""
    return path.read_text().splitlines() if path.exists() else []


def longest_gap(starts: Sequence[float], ends: Sequence[float], slots: int) -> float:
    """Return the longest time that a slot stood idle while trials remained, in seconds.

    The first `slots` trials begin together; from then on the n-th end makes room for the n-th of
    the remaining starts.
    """
    later = sorted(starts)[slots:]
    return max(start - end for start, end in zip(later, sorted(ends), strict=False))
