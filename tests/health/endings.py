"""Ways in which trials may end on hosts, for tests that hold for all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from hypothesis import strategies as st

from orchestrator.health.failures import Blame

HOSTS = tuple(f"node{number}" for number in range(8))


class Listener(Protocol):
    """Whatever is told how attempts ended."""

    def succeeded(self, trial: int, host: str) -> None: ...

    def closed(self, trial: int) -> None: ...


@dataclass(frozen=True)
class Trial:
    """The hosts where a trial failed, one after the other, and where it succeeded, if anywhere."""

    number: int
    failed_on: tuple[tuple[str, Blame], ...]
    succeeded_on: str | None

    def steps(
        self, listener: Listener, fail: Callable[[int, str, Blame], None]
    ) -> list[Callable[[], None]]:
        """Return what is told of it, in order."""

        def failed(host: str, blame: Blame) -> Callable[[], None]:
            return lambda: fail(self.number, host, blame)

        steps = [failed(host, blame) for host, blame in self.failed_on]
        if self.succeeded_on is None:
            return [*steps, lambda: listener.closed(self.number)]
        host = self.succeeded_on
        return [*steps, lambda: listener.succeeded(self.number, host)]


@st.composite
def searches(draw: st.DrawFn, most: int = 20) -> list[Trial]:
    """Trials that met some hosts; each failed at most once on each."""
    found = []
    for number in range(draw(st.integers(0, most))):
        hosts = draw(st.lists(st.sampled_from(HOSTS), unique=True, min_size=1, max_size=4))
        succeeds = draw(st.booleans())
        blames = draw(st.lists(st.sampled_from(Blame), min_size=len(hosts), max_size=len(hosts)))
        failed = list(zip(hosts, blames, strict=True))
        last = failed.pop()[0] if succeeds else None
        found.append(Trial(number, tuple(failed), last))
    return found


@st.composite
def interleaved(draw: st.DrawFn, trials: list[Trial]) -> list[int]:
    """An order in which the steps of these trials may be told: a trial's number for each."""
    numbers = [trial.number for trial in trials for _ in range(len(trial.failed_on) + 1)]
    return draw(st.permutations(numbers))
