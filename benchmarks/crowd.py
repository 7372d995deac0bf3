"""How fast many processes do the same thing at the same time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from benchmarks.figures import BenchmarkError
from tests.crowd import CrowdError, together

# Gets its number; what it does before its first `yield` is not timed.
Course = Callable[[int], Iterator[None]]


def rate(course: Course, *, processes: int, steps: int) -> float:
    """Let `processes` processes take `steps` steps each; return the steps a second of them all.

    A step is what a course does between one `yield` and the next. All begin together, when the last
    one has come to its first `yield`; the clock stops when the last one has finished.

    Raises:
        BenchmarkError: One of them failed.
    """

    def member(number: int, wait: Callable[[], object]) -> tuple[float, float]:
        taken = course(number)
        next(taken)
        wait()
        began = time.monotonic()
        for _ in range(steps):
            next(taken)
        return began, time.monotonic()

    try:
        found = together(processes, member)
    except CrowdError as error:
        raise BenchmarkError(str(error)) from error
    began, ended = min(first for first, _ in found), max(last for _, last in found)
    return processes * steps / (ended - began)
