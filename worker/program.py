"""The user's program: started with bash in a process group of its own, watched until its end.

One loop waits for everything at once: output, the end of the program, signals to the worker, the
time limit, heartbeats. No threads.
"""

from __future__ import annotations

import os
import select
import time

from worker.stopping import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal

    from worker.heartbeat import Heartbeat
    from worker.output import Output
    from worker.stopping import Stopping

_READ_SIZE = 65536  # what a pipe of Linux holds
# What children that outlive the program get to close its pipes, and again after SIGTERM.
LINGER_SECONDS = 1.0
# How soon after the program a signal to the worker may come and still explain the program's end.
_ECHO_SECONDS = 0.2
_LOOK_SECONDS = 0.05  # how often to see whether the group is empty


class Ending:
    """How a program ended.

    Attributes:
        cause: By itself, by the time limit, or because the worker was told to stop.
        exit_code: Its exit code, unless a signal ended it.
        signal: The signal that ended it.
        wall_seconds: From its start to its end.
        user_seconds: Processor time of the program and the children it waited for.
        system_seconds: The same in the kernel.
        peak_memory_bytes: Resident memory of the largest single process among them.
    """

    def __init__(
        self, status: int, usage: object, *, cause: Literal["EXIT", "TIMEOUT", "TERMINATED"]
    ) -> None:
        code = os.waitstatus_to_exitcode(status)
        self.cause = cause
        self.exit_code = code if code >= 0 else None
        self.signal = -code if code < 0 else None
        self.wall_seconds = 0.0
        self.user_seconds: float = usage.ru_utime  # type: ignore[attr-defined]
        self.system_seconds: float = usage.ru_stime  # type: ignore[attr-defined]
        self.peak_memory_bytes: int = usage.ru_maxrss * 1024  # type: ignore[attr-defined]


class Program:
    """A running program.

    Attributes:
        pid: The process, which is also the id of its process group.
        started: When it was started, by the monotonic clock.
    """

    def __init__(self, text: str, environment: Mapping[str, str], null: int) -> None:
        """Start it in the current folder; raises OSError or ValueError if it cannot be started."""
        standard_output, writer = os.pipe()
        errors, errors_writer = os.pipe()
        actions = [
            (os.POSIX_SPAWN_DUP2, null, 0),
            (os.POSIX_SPAWN_DUP2, writer, 1),
            (os.POSIX_SPAWN_DUP2, errors_writer, 2),
        ]
        self.started = time.monotonic()
        try:
            self.pid = _spawn(text, environment, actions)
        finally:
            os.close(writer)
            os.close(errors_writer)
        self.standard_output = standard_output
        self.pipes = {standard_output, errors}

    def send(self, number: int) -> bool:
        """Send a signal to the whole group; False if nobody is left in it."""
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True  # somebody is left, who has become another user
        return True


def _spawn(text: str, environment: Mapping[str, str], actions: list[tuple[int, int, int]]) -> int:
    """Run the text with bash, or with sh where there is no bash."""
    # Python ignores these two; the program is to find them as every program does.
    defaults = [signal.SIGPIPE, signal.SIGXFSZ]
    try:
        return os.posix_spawnp(
            "bash",
            ["bash", "-c", text],
            environment,
            file_actions=actions,
            setpgroup=0,
            setsigdef=defaults,
        )
    except FileNotFoundError:
        return os.posix_spawn(
            "/bin/sh",
            ["sh", "-c", text],
            environment,
            file_actions=actions,
            setpgroup=0,
            setsigdef=defaults,
        )


class Watch:
    """Watches one program until it and its group have ended."""

    def __init__(
        self, program: Program, *, output: Output, stopping: Stopping, heartbeat: Heartbeat
    ) -> None:
        self._program = program
        self._output = output
        self._stopping = stopping
        self._heartbeat = heartbeat
        self._cause: Literal["EXIT", "TIMEOUT", "TERMINATED"] = "EXIT"
        self._kill_at: float | None = None
        self._poller = select.poll()
        self._poller.register(stopping.descriptor, select.POLLIN)
        for pipe in program.pipes:
            self._poller.register(pipe, select.POLLIN)

    def until_end(self, *, limit_seconds: float | None, grace_seconds: float) -> Ending:
        """Relay its output until it ends, or until it has to be ended.

        Args:
            limit_seconds: How long it may run; None: as long as it likes.
            grace_seconds: What it gets between the first signal and SIGKILL.
        """
        program = self._program
        limit_at = None if limit_seconds is None else program.started + limit_seconds
        while True:
            pid, status, usage = os.wait4(program.pid, os.WNOHANG)
            if pid:
                break
            now = time.monotonic()
            self._heartbeat.tick(now)
            if limit_at is not None and now >= limit_at:
                self._begin_end("TIMEOUT", signal.SIGTERM, now + grace_seconds)
                limit_at = None
            if self._kill_at is not None and now >= self._kill_at:
                program.send(signal.SIGKILL)
                self._kill_at = now + grace_seconds + LINGER_SECONDS
            moments = (self._heartbeat.due_at(), limit_at, self._kill_at)
            self._relay(min(m for m in moments if m is not None) - now)
            self._forward(grace_seconds)
        ended = time.monotonic()
        self._settle(was_killed=os.WIFSIGNALED(status))
        ending = Ending(status, usage, cause=self._cause)
        ending.wall_seconds = ended - program.started
        return ending

    def _begin_end(
        self, cause: Literal["TIMEOUT", "TERMINATED"], number: int, kill_at: float
    ) -> None:
        """Tell the program to end; the first cause and the first deadline stay."""
        if self._kill_at is None:
            self._cause, self._kill_at = cause, kill_at
        self._program.send(number)
        self._program.send(signal.SIGCONT)  # a stopped program could not hear it

    def _forward(self, grace_seconds: float) -> None:
        """Pass on what the worker was told."""
        for number in self._stopping.look():
            self._begin_end("TERMINATED", number, time.monotonic() + grace_seconds)

    def _relay(self, seconds: float) -> None:
        """Wait for something to happen and take what was printed."""
        for descriptor, _ in self._poller.poll(max(0.0, seconds) * 1000):
            if descriptor in self._program.pipes:
                self._read(descriptor)

    def _read(self, descriptor: int) -> None:
        """Take what one pipe holds."""
        chunk = os.read(descriptor, _READ_SIZE)
        if chunk:
            is_output = descriptor == self._program.standard_output
            self._output.take(chunk, is_standard_output=is_output)
        else:
            self._close(descriptor)

    def _close(self, descriptor: int) -> None:
        """Give up a pipe."""
        self._poller.unregister(descriptor)
        self._program.pipes.discard(descriptor)
        os.close(descriptor)

    def _settle(self, *, was_killed: bool) -> None:
        """Deal with what the program has left behind: a signal's echo, output, children."""
        if was_killed and self._cause == "EXIT":
            self._hear_echo()
        if self._kill_at is None:
            self._wait_for_rest(time.monotonic() + LINGER_SECONDS, for_group=False)
            if self._program.send(signal.SIGTERM):
                self._program.send(signal.SIGCONT)
                self._wait_for_rest(time.monotonic() + LINGER_SECONDS, for_group=True)
        else:
            # It was told to end: its children have the same time for it as it had.
            self._wait_for_rest(self._kill_at, for_group=True)
        if self._program.send(signal.SIGKILL):
            self._wait_for_rest(time.monotonic() + _LOOK_SECONDS, for_group=True)
        for descriptor in tuple(self._program.pipes):
            self._close(descriptor)

    def _hear_echo(self) -> None:
        """See whether the signal that ended the program was meant for the worker too.

        scancel signals both; the program may be the quicker of the two to feel it.
        """
        if self._stopping.signal is None:
            self._stopping.sleep(_ECHO_SECONDS)
        if self._stopping.signal is not None:
            self._cause = "TERMINATED"

    def _wait_for_rest(self, deadline: float, *, for_group: bool) -> None:
        """Relay output until the pipes are closed and the group is empty, or the time is over."""
        while self._program.pipes or (for_group and self._program.send(0)):
            now = time.monotonic()
            if now >= deadline:
                return
            self._heartbeat.tick(now)
            self._relay(min(deadline - now, _LOOK_SECONDS))
            self._stopping.look()
