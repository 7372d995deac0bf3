"""The space that an experiment searches: parameters and constraints."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Self

from pydantic import Field, model_validator

from orchestrator.errors import UsageError
from orchestrator.spec.constraints import Constraint
from orchestrator.spec.frozen import Frozen
from orchestrator.spec.parameters import (
    ChoiceParameter,
    FixedParameter,
    Parameter,
    RangeParameter,
)
from orchestrator.spec.values import Point, Value

# So many points are looked at one by one to see whether any meets the constraints.
FEW_POINTS = 20_000


class Space(Frozen):
    """Parameters, in the order they were given, and constraints.

    Attributes:
        parameters: At least one, with different names.
        constraints: Comparisons that every point has to meet.
    """

    parameters: tuple[Parameter, ...] = Field(min_length=1)
    constraints: tuple[Constraint, ...] = ()

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = self.names()
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"{name!r} is there twice")
        return self

    def names(self) -> list[str]:
        """The names of all parameters, fixed ones too, in order."""
        return [parameter.name for parameter in self.parameters]

    def free(self) -> list[RangeParameter | ChoiceParameter]:
        """The parameters that vary, in order."""
        return [p for p in self.parameters if not isinstance(p, FixedParameter)]

    def fixed(self) -> Point:
        """The values of the fixed parameters."""
        return {p.name: p.value for p in self.parameters if isinstance(p, FixedParameter)}

    def allows(self, point: Mapping[str, Value]) -> bool:
        """Whether a point has exactly these parameters, in range, and meets all constraints."""
        return (
            set(point) == set(self.names())
            and all(p.contains(point[p.name]) for p in self.parameters)
            and all(constraint.holds(point) for constraint in self.constraints)
        )

    def cardinality(self) -> int | None:
        """How many points there are, constraints left aside; None for infinitely many."""
        counts = [_count(parameter) for parameter in self.parameters]
        finite = [count for count in counts if count is not None]
        return math.prod(finite) if len(finite) == len(counts) else None

    def points(self) -> Iterator[Point]:
        """Go through all points that meet the constraints, the last parameter fastest.

        Raises:
            ValueError: There are infinitely many.
        """
        values = [_values(parameter) for parameter in self.parameters]
        for combination in itertools.product(*values):
            point = dict(zip(self.names(), combination, strict=True))
            if all(constraint.holds(point) for constraint in self.constraints):
                yield point

    def check_not_empty(self) -> None:
        """Make sure that a point can exist, as far as a quick look can tell.

        Small finite spaces are gone through; for others the ranges are narrowed by one linear
        constraint after the other, which finds `a >= 5` together with `a <= 3` and chains of such.

        Raises:
            UsageError: The constraints contradict each other.
        """
        cardinality = self.cardinality()
        if cardinality is not None and cardinality <= FEW_POINTS:
            empty = next(self.points(), None) is None
        else:
            empty = _narrowed(self) is None
        if empty:
            texts = "; ".join(constraint.text for constraint in self.constraints)
            raise UsageError(f"--experiment_constraints: no point meets all of: {texts}")


def _count(parameter: Parameter) -> int | None:
    match parameter:
        case RangeParameter(value_type="int", lower=lower, upper=upper):
            return int(upper) - int(lower) + 1
        case ChoiceParameter(choices=choices):
            return len(choices)
        case FixedParameter():
            return 1
        case _:
            return None


def _values(parameter: Parameter) -> range | tuple[Value, ...]:
    match parameter:
        case RangeParameter(value_type="int", lower=lower, upper=upper):
            return range(int(lower), int(upper) + 1)
        case ChoiceParameter(choices=choices):
            return choices
        case FixedParameter(value=value):
            return (value,)
        case _:
            raise ValueError(f"{parameter.name!r} has infinitely many values")


def _narrowed(space: Space) -> dict[str, tuple[float, float]] | None:
    """Narrow the ranges by the linear constraints; None if nothing is left."""
    box: dict[str, tuple[float, float]] = {}
    for parameter in space.parameters:
        if isinstance(parameter, RangeParameter):
            box[parameter.name] = (float(parameter.lower), float(parameter.upper))
        elif parameter.value_type in {"int", "float"}:
            numbers = [float(value) for value in _values(parameter)]
            box[parameter.name] = (min(numbers), max(numbers))
    for _ in range(2 * len(space.constraints)):
        for constraint in space.constraints:
            if constraint.coefficients is None or constraint.bound is None:
                continue
            for name, factor in constraint.coefficients.items():
                others = sum(
                    min(f * box[n][0], f * box[n][1])
                    for n, f in constraint.coefficients.items()
                    if n != name
                )
                low, high = box[name]
                end = (constraint.bound - others) / factor
                low, high = (low, min(high, end)) if factor > 0 else (max(low, end), high)
                if low > high + 1e-9 * max(1.0, abs(low), abs(high)):
                    return None
                box[name] = (min(low, high), high)
    return box
