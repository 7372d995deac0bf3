"""The interface of a generator and the plain values that cross it.

A generator runs in a process of its own (`process`, `child`), so everything here can be written as
JSON. Points are dictionaries from parameter name to a value of the parameter's type.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from orchestrator.errors import HeadwayError

Value = int | float | str | bool
Point = dict[str, Value]


class GeneratorError(HeadwayError):
    """A generator could not answer; the strategy's fallback fills the slot."""


class GeneratorDeathError(GeneratorError):
    """The process of the generators ended; it is started again, so that it can be asked again."""


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What became of one trial.

    Attributes:
        trial: Index of the trial.
        point: Its parameters.
        means: Value of each objective; None if the trial gave no result.
        sems: Standard error of each objective that reported one.
    """

    trial: int
    point: Point
    means: dict[str, float] | None
    sems: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One call of a generator.

    Attributes:
        number: Number of the generation within the experiment, from 0.
        count: How many points are wanted.
        seed: Seed of this call, made of the experiment's seed and `number`.
        pending: Points that are given out and not yet observed.
        state: What the last batch of the same strategy node said in its `state`; None at first.
    """

    number: int
    count: int
    seed: int
    pending: Sequence[Point] = ()
    state: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The answer to an ask.

    Attributes:
        points: At least one point and at most as many as were asked for; each lies in the space
            and meets every constraint.
        state: What the generator needs to go on after a restart (JSON), or None.
        fit_seconds: Time spent on fitting a model.
        gen_seconds: Time spent on making the points.
        predictions: What the model expects (JSON), or None.
    """

    points: list[Point]
    state: dict[str, Any] | None = None
    fit_seconds: float = 0.0
    gen_seconds: float = 0.0
    predictions: dict[str, Any] | None = None


class Generator(Protocol):
    """Proposes points of one space.

    The same sequence of `tell` and `ask` with the same seeds and states gives the same points with
    the same library versions. A generator keeps nothing on disk: after a restart it is told all
    observations again. Not thread-safe.
    """

    def tell(self, observations: Sequence[Observation]) -> None:
        """Take note of ended trials.

        Each is told once, but for one: a trial that was told as failed may have a result after all,
        which then counts. In which order trials are told must not matter, since a restart tells
        them in the order of their ends.
        """
        ...

    def ask(self, ask: Ask) -> Batch:
        """Propose points.

        Raises:
            GeneratorError: No point could be made.
        """
        ...
