"""A short command beside the program: it gets a time limit, and its last words are read.

Not `subprocess`, which costs a worker 10 ms to import and does not hear that it was told to stop.
"""

from __future__ import annotations

import contextlib
import os
import select
import time

from worker.output import TAIL_BYTES, write_all
from worker.stopping import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from worker.stopping import Stopping

_READ_SIZE = 65536  # what a pipe of Linux holds
_READS = 4  # at once: one that never stops printing must not keep its limit from being seen
_LOOK_SECONDS = 0.5
# A process that is not gone so long after SIGKILL hangs in the kernel: in a driver, for example.
_UNKILLABLE_SECONDS = 3.0
_KILLED_SECONDS = 0.005
_LONGEST_LINE = 300
_LOG = 2


class Answer:
    """What came of a command.

    Attributes:
        code: Its exit code, or the signal that ended it as a negative number; None if it had not
            ended within its limit, or when this process was told to stop.
        text: The end of what it printed, errors too, at most 4 KB.
        seconds: How long it took.
    """

    def __init__(self, code: int | None, printed: bytes, seconds: float) -> None:
        self.code = code
        self.text = printed.decode("utf-8", "replace").replace("\0", "\ufffd")
        self.seconds = seconds

    def last_line(self) -> str:
        """Return the last line that holds anything, fit for a terminal; empty if there is none."""
        shown = "".join(sign if sign.isprintable() or sign == "\n" else " " for sign in self.text)
        lines = [line.strip() for line in shown.split("\n")]
        return next((line for line in reversed(lines) if line), "")[:_LONGEST_LINE]

    def ending(self) -> str:
        """Say how it ended, to follow its name: `exit code 1`."""
        if self.code is None:
            return f"no answer in {self.seconds:.0f} s"
        return f"signal {-self.code}" if self.code < 0 else f"exit code {self.code}"


def ask(
    words: list[str],
    environment: Mapping[str, str],
    *,
    seconds: float,
    stopping: Stopping,
    is_logged: bool = False,
) -> Answer:
    """Run a command in a process group of its own until it ends, at most for so long.

    Whatever it leaves running in that group is killed then.

    Args:
        words: The command and its arguments; looked for on PATH.
        environment: What it finds around it.
        seconds: Its time limit.
        stopping: Nobody waits for it once this process was told to stop.
        is_logged: What it prints goes to the attempt's log too.

    Raises:
        OSError: It cannot be started; FileNotFoundError if there is no such command.
    """
    started = time.monotonic()
    command = _Command(words, environment, is_logged=is_logged)
    has_ended = False
    try:
        has_ended = command.wait(started + seconds, stopping)
    finally:
        code = command.close()
    return Answer(code if has_ended else None, command.printed, time.monotonic() - started)


class _Command:
    """A command that runs.

    Attributes:
        printed: The end of what it has printed so far.
    """

    def __init__(
        self, words: list[str], environment: Mapping[str, str], *, is_logged: bool
    ) -> None:
        self.printed = b""
        self._is_logged = is_logged
        self._is_closed = False
        self._reader, writer = os.pipe()
        os.set_blocking(self._reader, False)
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, writer, 1),
            (os.POSIX_SPAWN_DUP2, writer, 2),
        ]
        # Python ignores these two; a command is to find them as every command does.
        defaults = [signal.SIGPIPE, signal.SIGXFSZ]
        try:
            self._pid = os.posix_spawnp(
                words[0],
                words,
                environment,
                file_actions=actions,
                setpgroup=0,
                setsigdef=defaults,
            )
        except BaseException:
            os.close(self._reader)
            raise
        finally:
            os.close(writer)

    def wait(self, deadline: float, stopping: Stopping) -> bool:
        """Read what it prints until it ends; False if it does not, until the deadline or a stop."""
        poller = select.poll()
        for descriptor in (self._reader, stopping.descriptor):
            poller.register(descriptor, select.POLLIN)
        while True:
            # First: a child that ends after this look wakes the poll below.
            was_told = stopping.is_requested()
            # Not taken leave of yet: until then its number, which is its group's, stays its own.
            ended = os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if self._read() and not self._is_closed:
                self._is_closed = True  # by all who could write: the end is still to come
                poller.unregister(self._reader)
            left = deadline - time.monotonic()
            if ended is not None or left <= 0 or was_told:
                return ended is not None
            poller.poll(min(left, _LOOK_SECONDS) * 1000)

    def _read(self) -> bool:
        """Take what the pipe holds; tell whether it is closed."""
        for _ in range(_READS):
            try:
                chunk = os.read(self._reader, _READ_SIZE)
            except BlockingIOError:
                return False
            if not chunk:
                return True
            if self._is_logged:
                write_all(_LOG, chunk)
            self.printed = (self.printed + chunk)[-TAIL_BYTES:]
        return False

    def close(self) -> int | None:
        """Kill what is left of it; returns how it ended, None if it cannot be killed."""
        os.close(self._reader)
        # Nobody is left in its group, or somebody who has become another user.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._pid, signal.SIGKILL)
        end = time.monotonic() + _UNKILLABLE_SECONDS
        while True:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() >= end:
                return None
            time.sleep(_KILLED_SECONDS)
