"""Points that fill the space evenly and know nothing of results: SOBOL, HALTON, UNIFORM.

Sobol: I. M. Sobol', 1967, scrambled as by A. Owen; Halton: J. H. Halton, 1960; both as scipy has
them (scipy.stats.qmc).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from orchestrator.generators.base import Ask, Batch, Generator, GeneratorError, Observation
from orchestrator.generators.points import Picker, Row
from orchestrator.spec.space import Space

# A power of two: scipy warns of a first draw that would spoil the balance of Sobol's sequence.
_ROWS_AT_ONCE = 64


class QmcGenerator(Generator):
    """SOBOL and HALTON: one sequence for each step of the strategy.

    The state says which sequence (`seed`) and how far it was used (`position`, in rows of the unit
    cube, rejected ones included), so that a restart goes on where the last batch ended.
    """

    def __init__(self, space: Space, *, sequence: Literal["SOBOL", "HALTON"]) -> None:
        self._picker = Picker(space)
        self._sequence = sequence

    def tell(self, observations: Sequence[Observation]) -> None:
        self._picker.tell(observation.point for observation in observations)

    def ask(self, ask: Ask) -> Batch:
        began = time.perf_counter()
        seed, position = _place(ask)
        try:
            rows = self._rows(seed, position)
            points, taken = self._picker.pick(rows, count=ask.count, given=ask.pending)
        except ValueError as error:  # scipy's: too many dimensions, or the end of the sequence
            raise GeneratorError(f"{self._sequence} cannot go on: {error}") from error
        return Batch(
            points=points,
            state={"seed": seed, "position": position + taken},
            gen_seconds=time.perf_counter() - began,
        )

    def _rows(self, seed: int, position: int) -> Iterator[Row]:
        import numpy as np
        from scipy.stats import qmc

        engine: Any = {"SOBOL": qmc.Sobol, "HALTON": qmc.Halton}[self._sequence](
            self._picker.dimensions, scramble=True, seed=np.random.default_rng(seed)
        )
        if position:
            engine.fast_forward(position)
        while True:
            yield from engine.random(_ROWS_AT_ONCE).tolist()


class UniformGenerator(Generator):
    """UNIFORM: every ask is seeded by itself and draws independent points."""

    def __init__(self, space: Space) -> None:
        self._picker = Picker(space)

    def tell(self, observations: Sequence[Observation]) -> None:
        self._picker.tell(observation.point for observation in observations)

    def ask(self, ask: Ask) -> Batch:
        began = time.perf_counter()
        rows = uniform_rows(self._picker.dimensions, ask.seed)
        points, _ = self._picker.pick(rows, count=ask.count, given=ask.pending)
        return Batch(points=points, gen_seconds=time.perf_counter() - began)


def uniform_rows(dimensions: int, seed: int | tuple[int, ...]) -> Iterator[Row]:
    """Yield independent rows of the unit cube without end, the same for the same seed."""
    import numpy as np

    generator = np.random.default_rng(seed)
    while True:
        yield from generator.random((_ROWS_AT_ONCE, dimensions)).tolist()


def _place(ask: Ask) -> tuple[int, int]:
    """Return seed and position of the sequence to go on with; the first ask begins one."""
    state = ask.state or {}
    seed, position = state.get("seed"), state.get("position")
    if isinstance(seed, int) and isinstance(position, int) and position >= 0:
        return seed, position
    return ask.seed, 0
