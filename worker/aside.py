"""Work that may hang, done beside the worker's one loop.

A database that is frozen, or a file system whose server is gone, keeps a call for longer than Slurm
leaves a job that it ends. Such calls are made in a thread: the loop goes on, and a worker that is
told to stop does not wait for them. A thread that never comes back ends with the process.
"""

from __future__ import annotations

import _thread  # `threading` costs a worker 3 ms
import os
import select
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from worker.stopping import Stopping

    T = TypeVar("T")

# What one way to the head gets once the worker was told to stop. With the program's grace of 20 s
# it must fit, for two ways, into the 30 s that Slurm leaves (KillWait, slurm.conf).
LAST_SECONDS = 3.0
# The action may itself be asleep until a signal comes, and then be the one that hears of it.
_LOOK_SECONDS = 0.5


def aside(action: Callable[[], T], stopping: Stopping, *, limit_seconds: float | None = None) -> T:
    """Do something that may hang; whatever it raises is raised here.

    After `limit_seconds`, and `LAST_SECONDS` after this process was told to stop, a TimeoutError is
    raised: the action may still work, now or later, so only what may be repeated can be done so.
    """
    answers: list[tuple[T | None, BaseException | None]] = []
    reader, writer = os.pipe()

    def work() -> None:
        try:
            answers.append((action(), None))
        except BaseException as error:  # noqa: BLE001 - it is raised in the main thread
            answers.append((None, error))
        finally:
            os.close(writer)  # wakes the main thread

    try:
        start(work)
        _wait(reader, answers, stopping, limit_seconds)
    finally:
        os.close(reader)
    if not answers:
        told = stopping.signal is not None
        message = "no answer yet, and told to stop" if told else f"no answer in {limit_seconds:g} s"
        raise TimeoutError(message)
    result, error = answers[0]
    if error is not None:
        raise error
    return result  # type: ignore[return-value]  # there is one, unless there is an error


def start(work: Callable[[], None]) -> None:
    """Do `work` in a thread, or at once where no thread can be had (a limit of processes)."""
    try:
        _thread.start_new_thread(work, ())
    except RuntimeError:
        work()


def _wait(reader: int, answers: list[T], stopping: Stopping, limit_seconds: float | None) -> None:
    """Wait until there is an answer, or until it took too long."""
    poller = select.poll()
    for descriptor in (reader, stopping.descriptor):
        poller.register(descriptor, select.POLLIN)
    deadline = None if limit_seconds is None else time.monotonic() + limit_seconds
    was_told = False
    while not answers:
        if not was_told and stopping.is_requested():
            was_told = True
            last = time.monotonic() + LAST_SECONDS
            deadline = last if deadline is None else min(deadline, last)
        stopping.look()  # else a second signal would keep the descriptor readable
        left = _LOOK_SECONDS if deadline is None else deadline - time.monotonic()
        if left <= 0:
            return
        poller.poll(min(left, _LOOK_SECONDS) * 1000)
