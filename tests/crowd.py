"""Many processes that begin the same thing at the same moment."""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from typing import Any, TypeVar

T = TypeVar("T")
PATIENCE_SECONDS = 240.0
# Gets its number, and what waits until all are there.
Member = Callable[[int, Callable[[], object]], T]
# Copies of this process: nothing is imported again, so that hundreds start in a second.
_fork = multiprocessing.get_context("fork")


class CrowdError(Exception):
    """A member failed; the text is its traceback."""


def together(count: int, member: Member[T]) -> list[T]:
    """Run `member` in `count` processes at once and return what they returned, in their order.

    No connection to a database may be open: the copies would share it.

    Raises:
        CrowdError: One of them failed; the others have been ended.
    """
    barrier = _fork.Barrier(count)
    children, ends = [], []
    for number in range(count):
        end, other = _fork.Pipe(duplex=False)
        child = _fork.Process(target=_run, args=(member, number, barrier, other), daemon=True)
        child.start()
        other.close()
        children.append(child)
        ends.append(end)
    try:
        return [_answer(end) for end in ends]
    finally:
        for child in children:
            child.terminate()
            child.join()


def _answer(end: Connection) -> Any:
    if not end.poll(PATIENCE_SECONDS):
        raise CrowdError("a process does not come to an end")
    try:
        is_good, answer = end.recv()
    except EOFError:
        raise CrowdError("a process died without a word") from None
    if not is_good:
        raise CrowdError(answer)
    return answer


def _run(member: Member[object], number: int, barrier: Barrier, answers: Connection) -> None:
    """In the child."""
    try:
        answer = (True, member(number, lambda: barrier.wait(PATIENCE_SECONDS)))
    except BaseException:  # noqa: BLE001 - whatever it is, the parent waits for an answer
        barrier.abort()
        answer = (False, traceback.format_exc())
    answers.send(answer)
