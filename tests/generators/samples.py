"""Spaces to test generators on, and what a program would answer."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.generators.base import Observation, Point
from orchestrator.spec.constraints import parse_constraint
from orchestrator.spec.objectives import Objective
from orchestrator.spec.parameters import ChoiceParameter, FixedParameter, RangeParameter
from orchestrator.spec.space import Space

ONE = (Objective(name="LOSS"),)
TWO = (Objective(name="LOSS"), Objective(name="SPEED-UP", minimize=False))

_MIXED = (
    RangeParameter(name="x", lower=-1, upper=2),
    RangeParameter(name="lambda", lower=1e-6, upper=1, log_scale=True),
    RangeParameter(name="n", value_type="int", lower=1, upper=9),
    RangeParameter(name="width", value_type="int", lower=1, upper=4096, log_scale=True),
    ChoiceParameter(name="kind", value_type="str", choices=("a b", "'c'", "$d")),
    ChoiceParameter(name="size", value_type="int", choices=(8, 16, 64), is_ordered=True),
    ChoiceParameter(name="flag", value_type="bool", choices=(True, False)),
    ChoiceParameter(name="only", value_type="float", choices=(0.5,)),
    FixedParameter(name="epochs", value_type="int", value=3),
)
MIXED = Space(parameters=_MIXED)
_PAIR = (
    RangeParameter(name="x", lower=0, upper=1),
    RangeParameter(name="y", lower=0, upper=1),
)
PLANE = Space(parameters=_PAIR)


def constrained(*texts: str, space: Space = PLANE) -> Space:
    """The space with constraints added."""
    constraints = tuple(parse_constraint(text, space.parameters) for text in texts)
    return Space(parameters=space.parameters, constraints=constraints)


def grid(size: int, *texts: str) -> Space:
    """A finite space of `size` times `size` points."""
    parameters = tuple(
        RangeParameter(name=name, value_type="int", lower=1, upper=size) for name in ("i", "j")
    )
    return constrained(*texts, space=Space(parameters=parameters))


def observe(points: Sequence[Point], *, first: int = 0) -> list[Observation]:
    """What became of the points, two objectives each."""
    return [
        Observation(trial=i, point=point, means=_means(point))
        for i, point in enumerate(points, start=first)
    ]


def _means(point: Point) -> dict[str, float]:
    numbers = [float(value) for value in point.values() if not isinstance(value, str)]
    return {"LOSS": sum((number - 0.4) ** 2 for number in numbers), "SPEED-UP": max(numbers)}


def keys(points: Sequence[Point]) -> set[tuple[object, ...]]:
    """The points as something that a set can hold."""
    return {tuple(point.values()) for point in points}
