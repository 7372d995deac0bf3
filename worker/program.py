"""The user's program: started with bash in a process group of its own, watched until its end.

One loop waits for everything at once: output, the end of the program, signals to the worker, the
time limit, heartbeats. It does nothing that may hang; that is done in threads (`worker.aside`).
"""

from __future__ import annotations

import os
import select
import time

from worker.environment import time_left
from worker.offspring import Guard, adopt_orphans, reap, send_to, strays
from worker.stopping import STOP_SIGNALS, signal

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
_LOOK_SECONDS = 0.05  # how often to see whether the group is empty
# A process that is not gone so long after SIGKILL hangs in the kernel (a dead file server).
_UNKILLABLE_SECONDS = 3.0
# A loop that comes so much later than it wanted to was frozen with its program: that is no time in
# which the program could run. It looks often enough to know about how long that was.
_FROZEN_SECONDS = 5.0
_TURN_SECONDS = 5.0
# Slurm's warning leaves the program until so long before the end of its job, if that is known, and
# if it is the warning: Slurm sends the same signal long before the end to a job that it preempts.
_REPORT_SECONDS = 10.0
_WARNING_SECONDS = 180.0


class Ending:
    """How a program ended.

    Args of the constructor:
        status: Of wait(2); None if it could not even be killed.
        usage: Of wait4(2).

    Attributes:
        cause: By itself, by the time limit, or because the worker was told to stop.
        exit_code: Its exit code, unless a signal ended it.
        signal: The signal that ended it.
        problems: What the user is to know about it.
        wall_seconds: From its start to its end.
        user_seconds: Processor time of the program and the children it waited for.
        system_seconds: The same in the kernel.
        peak_memory_bytes: Resident memory of the largest single process among them.
    """

    def __init__(
        self, status: int | None, usage: object, *, cause: Literal["EXIT", "TIMEOUT", "TERMINATED"]
    ) -> None:
        code = -signal.SIGKILL if status is None else os.waitstatus_to_exitcode(status)
        self.cause = cause
        self.problems: list[str] = []
        if status is None:
            self.problems.append("the program could not even be killed: it hangs in the kernel")
        self.exit_code = code if code >= 0 else None
        self.signal = -code if code < 0 else None
        self.wall_seconds = 0.0
        self.user_seconds: float = getattr(usage, "ru_utime", 0.0)
        self.system_seconds: float = getattr(usage, "ru_stime", 0.0)
        self.peak_memory_bytes: int = getattr(usage, "ru_maxrss", 0) * 1024


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
        adopt_orphans()
        self.started = time.monotonic()
        try:
            self.pid = _spawn(text, environment, actions)
        finally:
            os.close(writer)
            os.close(errors_writer)
        self.standard_output = standard_output
        self.pipes = {standard_output, errors}
        self.guard = Guard(self.pid, null)

    def send_to_strays(self, number: int) -> bool:
        """Send a signal to orphans that have left the group; False if there are none."""
        reap(self.pid)
        return send_to(strays(self.pid, self.guard.pid or 0), number)

    def send_to_all(self, number: int) -> bool:
        """Send a signal to the group and to what has left it; False if nobody is there."""
        is_stray_there = self.send_to_strays(number)
        return self.send(number) or is_stray_there

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
    """Watches one program until it and all that it started have ended."""

    def __init__(
        self, program: Program, *, output: Output, stopping: Stopping, heartbeat: Heartbeat
    ) -> None:
        self._program = program
        self._output = output
        self._stopping = stopping
        self._heartbeat = heartbeat
        self._cause: Literal["EXIT", "TIMEOUT", "TERMINATED"] = "EXIT"
        self._limit_at: float | None = None
        self._kill_at: float | None = None
        self._is_killed = False
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
        if limit_seconds is not None:
            self._limit_at = program.started + limit_seconds
        while True:
            pid, status, usage = os.wait4(program.pid, os.WNOHANG)
            now = time.monotonic()
            if pid or self._is_beyond_killing(now):
                break
            self._heartbeat.tick(now)
            self._enforce(now, grace_seconds)
            moments = (self._heartbeat.due_at(), self._limit_at, self._next_kill())
            next_at = min(moment for moment in moments if moment is not None)
            seconds = min(max(0.0, next_at - now), _TURN_SECONDS)
            self._relay(seconds)
            self._forward(grace_seconds)
            reap(program.pid)
            self._excuse(time.monotonic() - now, seconds)
        self._settle()
        ending = Ending(status if pid else None, usage, cause=self._cause)
        ending.wall_seconds = now - program.started
        return ending

    def _enforce(self, now: float, grace_seconds: float) -> None:
        """Keep the time limit, and the end of the grace."""
        if self._limit_at is not None and now >= self._limit_at:
            self._limit_at = None
            self._begin_end("TIMEOUT", signal.SIGTERM, now + grace_seconds)
        if self._kill_at is not None and now >= self._kill_at and not self._is_killed:
            self._program.send_to_all(signal.SIGKILL)
            self._is_killed = True

    def _next_kill(self) -> float | None:
        """Return when the grace ends, or the waiting for a program that was killed."""
        if self._kill_at is None or not self._is_killed:
            return self._kill_at
        return self._kill_at + _UNKILLABLE_SECONDS

    def _is_beyond_killing(self, now: float) -> bool:
        """Tell whether not even SIGKILL has helped."""
        moment = self._next_kill()
        return self._is_killed and moment is not None and now >= moment

    def _excuse(self, seconds: float, planned_seconds: float) -> None:
        """Give back the time in which this process was frozen, and the program with it.

        Args:
            seconds: How long this turn took.
            planned_seconds: How long it was to take at most.
        """
        is_late = seconds - planned_seconds >= _FROZEN_SECONDS
        if self._limit_at is not None and (is_late or self._stopping.was_continued):
            self._limit_at += seconds
        if self._kill_at is not None and is_late:
            # Not after each SIGCONT: Slurm sends one with SIGTERM, and the grace is short.
            self._kill_at += seconds
        self._stopping.was_continued = False

    def _begin_end(
        self, cause: Literal["TIMEOUT", "TERMINATED"], number: int, kill_at: float
    ) -> None:
        """Tell the program to end; the first cause and the earliest deadline stay."""
        if self._kill_at is None:
            self._cause, self._kill_at = cause, kill_at
        self._kill_at = min(self._kill_at, kill_at)
        self._program.send(number)
        self._program.send(signal.SIGCONT)  # a stopped program could not hear it

    def _forward(self, grace_seconds: float) -> None:
        """Pass on what the worker was told."""
        for number in self._stopping.look():
            if number in STOP_SIGNALS:
                kill_at = time.monotonic() + _grace_after(number, grace_seconds)
                self._begin_end("TERMINATED", number, kill_at)
            else:
                self._program.send(number)

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

    def _settle(self) -> None:
        """Deal with what the program has left behind: output, children, daemons."""
        program = self._program
        if self._kill_at is None:
            self._wait_for_rest(time.monotonic() + LINGER_SECONDS, for_all=False)
            if program.send_to_all(signal.SIGTERM):
                program.send_to_all(signal.SIGCONT)
                self._wait_for_rest(time.monotonic() + LINGER_SECONDS, for_all=True)
        else:
            # It was told to end: its children have the same time for it as it had.
            program.send_to_strays(signal.SIGTERM)
            self._wait_for_rest(self._kill_at, for_all=True)
        if program.send_to_all(signal.SIGKILL):
            self._wait_for_rest(time.monotonic() + LINGER_SECONDS, for_all=True)
        self._wait_for_rest(time.monotonic() + _LOOK_SECONDS, for_all=False)
        for descriptor in tuple(program.pipes):
            self._close(descriptor)
        program.guard.dismiss()

    def _wait_for_rest(self, deadline: float, *, for_all: bool) -> None:
        """Relay output until the pipes are closed and nobody is left, or the time is over."""
        while self._program.pipes or for_all:
            now = time.monotonic()
            if for_all and not self._program.send_to_all(0):
                # What holds the pipes now is out of reach: it gets no more than any other rest.
                deadline, for_all = min(deadline, now + LINGER_SECONDS), False
            if now >= deadline:
                return
            self._heartbeat.tick(now)
            self._relay(min(deadline - now, _LOOK_SECONDS))
            self._stopping.look()


def _grace_after(number: int, grace_seconds: float) -> float:
    """Return how long the program gets once a signal has come."""
    left = time_left(None, os.environ) if number == signal.SIGUSR2 else None
    if left is None or left > _WARNING_SECONDS:
        return grace_seconds
    return max(grace_seconds, left - _REPORT_SECONDS)
