"""One background service: started in the foreground mode of its program, ended by its pid file."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from tests.cluster.processes import Process, find_process

LOG_LINES_SHOWN = 15
POLL_SECONDS = 0.02


class ServiceError(Exception):
    """A private service could not be started or did not do as told; the text says why."""


class Service(Protocol):
    """One or more daemons that a ``with`` block starts and stops."""

    def start(self) -> None:
        """Start it.

        Raises:
            ServiceError: It failed.
        """
        ...

    def stop(self) -> None:
        """Stop it."""
        ...

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop it."""
        self.stop()


def wait_until(ready: Callable[[], bool], *, timeout_seconds: float) -> bool:
    """Poll until ``ready`` says yes; return False if the time is up before."""
    deadline = time.monotonic() + timeout_seconds
    while not ready():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


@dataclass(kw_only=True)
class Daemon:
    """A program that runs until it is told to end.

    Its pid file is written here, not by the program, and holds the pid and the start time: nothing
    but that very process ever gets a signal, also from another Python than the one that started it.

    Attributes:
        name: Names the pid file and the log.
        command: Program and arguments, in the mode that does not fork away.
        folder: Has the folders ``run`` and ``log``.
        environment: Added to the environment of this process.
        user: Account to run as, where it is not the own one; its group has the same name.
    """

    name: str
    command: tuple[str, ...]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    _child: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)

    @property
    def pid_file(self) -> Path:
        """The file with pid and start time."""
        return self.folder / "run" / f"{self.name}.pid"

    @property
    def log(self) -> Path:
        """The file that takes both output streams."""
        return self.folder / "log" / f"{self.name}.log"

    def process(self) -> Process | None:
        """Return the running process, or None."""
        if self._child is not None:
            self._child.poll()
        try:
            pid, started = map(int, self.pid_file.read_text().split())
        except (FileNotFoundError, ValueError):
            return None
        process = find_process(pid)
        return process if process is not None and process.started == started else None

    def is_running(self) -> bool:
        """Tell whether it runs."""
        return self.process() is not None

    def start(self) -> None:
        """Start it, unless it runs.

        Raises:
            ServiceError: The program is not there or died at once.
        """
        if self.is_running():
            return
        with self.log.open("ab") as log:
            try:
                self._child = self._popen(log.fileno())
            except OSError as error:
                raise ServiceError(f"{self.name} could not be started: {error}") from error
        process = find_process(self._child.pid)
        if process is None:
            raise self.failure("ended at once")
        self.pid_file.write_text(f"{process.pid} {process.started}\n")

    def _popen(self, log: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            # Ctrl-C in the terminal is for the tests; they stop the service themselves.
            start_new_session=True,
            cwd=self.folder,
            env={**os.environ, **self.environment},
            user=self.user,
            group=self.user,
            extra_groups=None if self.user is None else (),
        )

    def wait_ready(self, ready: Callable[[], bool], *, timeout_seconds: float = 30) -> None:
        """Wait until ``ready`` says yes.

        Raises:
            ServiceError: It died, or the time is up; the text ends with the last lines of its log.
        """
        arrived = wait_until(
            lambda: not self.is_running() or ready(), timeout_seconds=timeout_seconds
        )
        if not self.is_running():
            raise self.failure("ended while starting")
        if not arrived:
            raise self.failure(f"was not ready after {timeout_seconds:g} s")

    def failure(self, what: str) -> ServiceError:
        """Return an error that says what happened and shows the end of the log."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        shown = "\n".join(f"    {line}" for line in lines[-LOG_LINES_SHOWN:])
        return ServiceError(f"{self.name} {what}; last lines of {self.log}:\n{shown}")

    def send(self, signal_number: int) -> bool:
        """Send a signal and tell whether it runs."""
        process = self.process()
        return process is not None and process.send(signal_number)

    def stop(self, signal_number: int = signal.SIGTERM, *, patience_seconds: float = 10) -> None:
        """End it with ``signal_number``, and with SIGKILL if that takes too long; idempotent."""
        process = self.process()
        if process is not None:
            process.send(signal_number)
            # A stopped process sees no other signal but SIGKILL.
            process.send(signal.SIGCONT)
            if not wait_until(lambda: not process.is_alive(), timeout_seconds=patience_seconds):
                process.send(signal.SIGKILL)
                wait_until(lambda: not process.is_alive(), timeout_seconds=patience_seconds)
        if self._child is not None:
            # Not longer than a moment: it is dead, this only collects the exit code.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(timeout=1)
            self._child = None
        self.pid_file.unlink(missing_ok=True)


def running_daemons(folder: Path) -> list[str]:
    """Return the names of all daemons that have a pid file in ``folder`` and run."""
    names = sorted(path.stem for path in (folder / "run").glob("*.pid"))
    return [name for name in names if Daemon(name=name, command=(), folder=folder).is_running()]
