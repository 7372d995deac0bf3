"""The head's side of the generator process. Nothing here makes the head wait.

A writer thread encodes and writes, a reader thread for each started process reads; they meet the
head in a queue, and an eventfd says that something is in it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Self

from orchestrator.generators import wire
from orchestrator.generators.base import (
    Ask,
    Batch,
    GeneratorDeathError,
    GeneratorError,
    Observation,
)
from orchestrator.spec.objectives import Objective
from orchestrator.spec.space import Space

_CHILD = Path(__file__).with_name("child.py")
# A process without handlers ends at once on SIGTERM; what does not gets SIGKILL after this.
_GRACE_SECONDS = 1.0
# A point that is the end of a process will be so again; twice may be chance, or a lack of memory
# that passes.
_DEATHS = 3
# So much of the log is searched for the last words of a process that died.
_TAIL_BYTES = 4096
_WRITTEN_AT_ONCE = 1000


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of an ask.

    Attributes:
        generator: Who was asked.
        ask: What was asked.
        result: The batch, or why there is none.
    """

    generator: str
    ask: Ask
    result: Batch | GeneratorError


@dataclass(eq=False)
class _Child:
    """One started process; `log_start` is where its words begin in the log."""

    process: subprocess.Popen[bytes]
    log_start: int


@dataclass(frozen=True)
class _Event:
    """A line from a child, its end (no line), or why an ask could not be handed on."""

    child: _Child | None
    line: bytes | None = None
    error: str = ""


class GeneratorProcess:
    """All generators of one experiment in a process of their own.

    Not thread-safe. To be started and polled in the main thread: the kernel ends the process
    together with the *thread* that started it (PR_SET_PDEATHSIG, prctl(2)). A process that dies is
    started again by `poll`, and a second time, before it has answered something, by the next ask. It
    is given up when two asks in a row were its end.

    Args:
        space: What to search.
        objectives: What to make small or large.
        log_path: Takes the standard error of the process; its folder exists. `log_to` changes it.
        import_folders: Where libraries lie that Python's `-I` would not find.
        warm: The generator whose library the process imports first of all.
    """

    def __init__(
        self,
        space: Space,
        objectives: Sequence[Objective],
        *,
        log_path: Path,
        import_folders: Sequence[str] = (),
        warm: str | None = None,
    ) -> None:
        self._setup = wire.dump_line(
            {
                "space": space.model_dump(mode="json"),
                "objectives": [each.model_dump(mode="json") for each in objectives],
            }
        )
        self._log_path = log_path
        self._import_folders = tuple(import_folders)
        self._warm = warm
        self._child: _Child | None = None
        self._readers: list[Thread] = []
        self._outstanding: tuple[str, Ask] | None = None
        self._may_restart = True
        self._deaths = 0  # while an ask waited, since the last answer
        self._incarnation = 0
        self._last_error = "the generator process was not started"
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._events: SimpleQueue[_Event] = SimpleQueue()
        self._ready = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK | os.EFD_SEMAPHORE)
        self._journal = os.memfd_create("headway-observations")
        self._told = 0  # bytes in the journal; only the writer thread touches it
        self._journal_error = ""
        self._writer = Thread(target=self._write, name="generator-writer", daemon=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start the process; when that fails, every ask is answered with the reason."""
        self._writer.start()
        self._start_child()

    def fileno(self) -> int:
        """Return a file descriptor that is readable when `poll` has something to do.

        It stays the same when the process is started again.
        """
        return self._ready

    @property
    def is_busy(self) -> bool:
        """Whether an ask waits for its answer."""
        return self._outstanding is not None

    @property
    def incarnation(self) -> int:
        """How often the process was started; a new one is told everything at its first ask."""
        return self._incarnation

    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._child is not None and self._child.process.poll() is None

    def tell(self, observations: Sequence[Observation]) -> None:
        """Take note of ended trials; asks from now on know them."""
        if observations:
            self._jobs.put(partial(self._append, tuple(observations)))

    def warm(self, generator: str) -> None:
        """Import the library of a generator as soon as the process has nothing else to do."""
        self._jobs.put(
            partial(self._send, self._child, lambda: wire.dump_line({"warm": generator}))
        )

    def log_to(self, log_path: Path) -> None:
        """Let the process write its standard error to another file from now on.

        A process that is started before the run folder exists imports its libraries meanwhile.
        """
        self._log_path = log_path
        if self._child is not None:
            self._child.log_start = 0
        self._jobs.put(
            partial(self._send, self._child, lambda: wire.dump_line({"log": str(log_path)}))
        )

    def ask(self, generator: str, ask: Ask) -> None:
        """Ask for points; the answer comes by `poll`.

        Raises:
            RuntimeError: The last ask is not answered yet.
        """
        if self._outstanding is not None:
            raise RuntimeError("the generator process was asked while it was busy")
        self._outstanding = generator, ask
        if self._child is None and self._deaths < _DEATHS:
            self._start_child()
        if self._child is None:
            self._post(_Event(None, error=self._last_error))
            return
        self._jobs.put(partial(self._send_ask, self._child, generator, ask))

    def poll(self) -> Answer | None:
        """Return the answer if there is one; start a process again that has died."""
        while (event := self._next_event()) is not None:
            answer = self._handle(event)
            if answer is not None:
                return answer
        return None

    def close(self) -> None:
        """End the process; an ask that waits is never answered. May be called twice."""
        if self._ready < 0:
            return
        if self._child is not None:
            _end(self._child.process)
        self._jobs.put(None)
        threads = [*self._readers, *([self._writer] if self._writer.is_alive() else [])]
        for thread in threads:
            thread.join(_GRACE_SECONDS)
        if not any(thread.is_alive() for thread in threads):
            os.close(self._ready)
            os.close(self._journal)
        self._ready = -1
        self._child = None
        self._last_error = "the generator process was closed"

    def _start_child(self) -> None:
        command = [sys.executable, "-I", str(_CHILD), str(os.getpid()), str(self._journal)]
        try:
            with self._log_path.open("ab") as log:
                process = subprocess.Popen(
                    [*command, *self._import_folders],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    pass_fds=(self._journal,),
                    start_new_session=True,  # Ctrl-C in the terminal is the head's business
                )
                child = _Child(process, log.tell())
        except OSError as error:
            self._last_error = f"the generator process could not be started: {error}"
            return
        self._child = child
        self._incarnation += 1
        reader = Thread(target=self._read, args=(child,), name="generator-reader", daemon=True)
        reader.start()
        self._readers = [*filter(Thread.is_alive, self._readers), reader]
        self._jobs.put(partial(self._send, child, lambda: self._setup))
        if self._warm is not None:
            self.warm(self._warm)

    def _handle(self, event: _Event) -> Answer | None:
        if event.child is not self._child:
            return None  # last words of a process that was replaced
        if event.error:
            return self._answered(GeneratorError(event.error))
        if event.line is None:
            return self._buried()
        self._may_restart = True
        self._deaths = 0
        try:
            return self._answered(wire.load_answer(event.line))
        except (ValueError, TypeError) as error:
            return self._answered(GeneratorError(f"the generator process talks nonsense: {error}"))

    def _answered(self, result: Batch | GeneratorError) -> Answer | None:
        if self._outstanding is None:
            return None
        (generator, ask), self._outstanding = self._outstanding, None
        return Answer(generator=generator, ask=ask, result=result)

    def _buried(self) -> Answer | None:
        """Deal with the end of the process."""
        child, self._child = self._child, None
        assert child is not None
        code = child.process.wait()
        _close_input(child.process)
        self._last_error = f"the generator process {_manner_of_death(code)}"
        words = _last_line(self._log_path, child.log_start)
        hint = f"Its last words: {words}" if words else f"Its log: {self._log_path}"
        self._deaths += self._outstanding is not None
        if self._may_restart:
            self._may_restart = False
            self._start_child()
        kind = GeneratorDeathError if self._deaths < _DEATHS else GeneratorError
        return self._answered(kind(self._last_error, hint))

    def _next_event(self) -> _Event | None:
        if self._ready < 0:
            return None
        try:
            os.eventfd_read(self._ready)
        except BlockingIOError:
            return None
        return self._events.get()

    def _post(self, event: _Event) -> None:
        self._events.put(event)
        os.eventfd_write(self._ready, 1)

    # In the reader thread of a child.

    def _read(self, child: _Child) -> None:
        assert child.process.stdout is not None
        with child.process.stdout as lines:
            for line in lines:
                if line.endswith(b"\n"):  # else it died in the midst of it
                    self._post(_Event(child, line))
        # Wait without taking the exit code away from the head's own wait.
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, child.process.pid, os.WEXITED | os.WNOWAIT)
        self._post(_Event(child))

    # In the writer thread.

    def _write(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()

    def _append(self, observations: Sequence[Observation]) -> None:
        try:
            for start in range(0, len(observations), _WRITTEN_AT_ONCE):
                some = observations[start : start + _WRITTEN_AT_ONCE]
                lines = b"".join(map(wire.dump_observation, some))
                while lines:
                    written = os.write(self._journal, lines)
                    lines = lines[written:]
                    self._told += written
        except (OSError, ValueError, TypeError) as error:
            self._journal_error = f"results could not be told to the generator process: {error}"

    def _send_ask(self, child: _Child, generator: str, ask: Ask) -> None:
        if self._journal_error:
            self._post(_Event(child, error=self._journal_error))
            return
        self._send(child, lambda: wire.dump_ask(generator, ask, told=self._told))

    def _send(self, child: _Child | None, make_line: Callable[[], bytes]) -> None:
        if child is None:
            return
        assert child.process.stdin is not None
        try:
            line = make_line()
        except (ValueError, TypeError) as error:
            self._post(_Event(child, error=f"an ask cannot be written as JSON: {error}"))
            return
        with contextlib.suppress(OSError, ValueError):  # it died, as its reader will say
            child.process.stdin.write(line)
            child.process.stdin.flush()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    _close_input(process)


def _close_input(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    with contextlib.suppress(OSError):  # what was left to write goes nowhere
        process.stdin.close()


def _manner_of_death(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:  # a real-time signal has no name
        return f"was killed by signal {-code}"


def _last_line(path: Path, start: int) -> str:
    """Return the last line that is not empty after `start` bytes of a file, or an empty text."""
    try:
        with path.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            log.seek(max(start, end - _TAIL_BYTES))
            lines = log.read().decode(errors="replace").split("\n")
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
