"""The two generator processes as the record sees them: who knew what when it was asked.

An ask on record names everything that a replay needs. What a process was told is written down with
the first ask after it, so that the record grows by each result once for each process, and by all of
them once more when a new head starts (docs/replay.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from orchestrator.generators.base import Ask, Observation
from orchestrator.generators.process import GeneratorProcess


@dataclass(eq=False)
class Desk:
    """One generator process.

    Attributes:
        name: `model` answers for the strategy, `fallback` where the model cannot.
        process: The process.
        unrecorded: Trials that it was told since its last ask on record, in order; a trial that
            gave no result as the complement of its index.
    """

    name: Literal["model", "fallback"]
    process: GeneratorProcess
    unrecorded: list[int] = field(default_factory=list)

    def tell(self, observations: Sequence[Observation]) -> None:
        """Tell the process, and remember that the record has to say so."""
        self.process.tell(observations)
        self.unrecorded += [o.trial if o.means is not None else ~o.trial for o in observations]

    def forget(self, asked: Asked) -> None:
        """Follow the commit of an ask: what it had been told is on record now."""
        del self.unrecorded[: asked.told]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """An ask that is out.

    Attributes:
        desk: Which process has it.
        ask: What was asked.
        generator: Who was asked.
        node: The step of the strategy that its points count for.
        reason: Why the fallback was asked; None if the step's own generator was.
        pending: Trials whose points were pending, in order.
        state_from: The generation whose state it was handed; None: none.
        incarnation: Which process of this head it went to, from 1: it grows when one dies.
        told: How many entries of the desk's `unrecorded` were told before it.
        since: When it was handed over (monotonic).
    """

    desk: Desk
    ask: Ask
    generator: str
    node: int
    reason: str | None
    pending: Sequence[int]
    state_from: int | None
    incarnation: int
    told: int
    since: float

    def payload(self, *, head: int) -> dict[str, Any]:
        """Return what the event of this ask says; its points are in their trials.

        Args:
            head: The epoch of the head that asked.
        """
        told = self.desk.unrecorded[: self.told]
        return {
            "generation": self.ask.number,
            "step": self.node,
            "generator": self.generator,
            "process": self.desk.name,
            "head": head,
            "incarnation": self.incarnation,
            "requested": self.ask.count,
            "seed": self.ask.seed,
            "state_from": self.state_from,
            "told": [index if index >= 0 else ~index for index in told],
            "told_failed": [~index for index in told if index < 0],
            "pending": list(self.pending),
            "fallback_reason": self.reason,
        }


class Known:
    """Which trials the generators of this head have been told, a byte for each trial."""

    _FAILED, _HAS_RESULT = 1, 2

    def __init__(self) -> None:
        self._words = bytearray()

    def add(self, observations: Iterable[Observation]) -> None:
        """Note what was told."""
        for observation in observations:
            missing = observation.trial + 1 - len(self._words)
            if missing > 0:
                self._words.extend(bytes(missing))
            self._words[observation.trial] = self._word(observation)

    def holds(self, observation: Observation) -> bool:
        """Whether this was told; a result that came after a failure is something new."""
        is_there = observation.trial < len(self._words)
        return is_there and self._words[observation.trial] >= self._word(observation)

    def _word(self, observation: Observation) -> int:
        return self._FAILED if observation.means is None else self._HAS_RESULT
