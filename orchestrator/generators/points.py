"""From rows of the unit cube to points of a space, and the care that no point comes twice."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice

from orchestrator.generators.base import GeneratorError, Point, Value
from orchestrator.spec.parameters import ChoiceParameter, FixedParameter, RangeParameter
from orchestrator.spec.space import Space

Parameter = RangeParameter | ChoiceParameter | FixedParameter
Row = Sequence[float]
Key = tuple[Value | None, ...]

# Where the constraints leave less than this share of the space, a search needs other parameters.
MOST_ROWS = 20_000
# So many rows without a new point say that a finite space is nearly used up, or that constraints
# leave little of it: then look at all of it.
PATIENCE = 200
# A space of more points than this is not listed; it costs seconds and is never used up in practice.
MOST_LISTED = 50_000


def value_at(parameter: Parameter, share: float) -> Value:
    """Return the value of a parameter at `share` (0 to 1) of its range.

    Every whole number of a range has the same room, both ends included; on a log scale a number
    has the room that its rounding to the nearest gives it.
    """
    if isinstance(parameter, FixedParameter):
        return parameter.value
    if isinstance(parameter, ChoiceParameter):
        last = len(parameter.choices) - 1
        return parameter.choices[min(int(share * (last + 1)), last)]
    if parameter.value_type == "int":
        return _whole_at(parameter, share)
    lower, upper = float(parameter.lower), float(parameter.upper)
    if parameter.log_scale:
        value = math.exp(math.log(lower) + share * (math.log(upper) - math.log(lower)))
    else:
        value = lower * (1 - share) + upper * share
    return min(max(value, lower), upper)


def _whole_at(parameter: RangeParameter, share: float) -> int:
    lower, upper = int(parameter.lower), int(parameter.upper)
    if parameter.log_scale:
        low, high = math.log(lower - 0.5), math.log(upper + 0.5)
        value = round(math.exp(low + share * (high - low)))
    else:
        value = lower + int(share * (upper - lower + 1))
    return min(max(value, lower), upper)


class Picker:
    """Turns rows of the unit cube into points that are allowed and new.

    A point that was told or is pending comes again only when the space has no other left.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        self._names = space.names()
        self._told: set[Key] = set()

    @property
    def dimensions(self) -> int:
        """Length of a row; at least 1, since no sequence has 0 dimensions."""
        return max(1, len(self.space.free()))

    def tell(self, points: Iterable[Point]) -> None:
        """Take note of points that were used."""
        self._told.update(map(self._key, points))

    def point_at(self, row: Row) -> Point:
        """Return the point of the space that a row of the unit cube stands for."""
        shares = iter(row)
        return {
            each.name: value_at(each, 0.0 if isinstance(each, FixedParameter) else next(shares))
            for each in self.space.parameters
        }

    def is_new(self, point: Point, given: Iterable[Point]) -> bool:
        """Whether a point was neither told nor is among the given ones."""
        return not self._is_used(point, set(map(self._key, given)))

    def pick(
        self, rows: Iterator[Row], *, count: int, given: Sequence[Point] = ()
    ) -> tuple[list[Point], int]:
        """Take points from rows.

        Args:
            rows: Rows without end.
            count: How many points are wanted.
            given: Points that are pending or were given out just now.

        Returns:
            The points, and how many rows they took.

        Raises:
            GeneratorError: The constraints leave nothing, or nearly nothing.
        """
        given_keys = set(map(self._key, given))
        points: list[Point] = []
        taken = 0
        while len(points) < count:
            point, rows_taken = self._pick_one(rows, given_keys)
            taken += rows_taken
            if point is None:
                break
            given_keys.add(self._key(point))
            points.append(point)
        if not points:
            raise self._nothing_left()
        return points, taken

    def _pick_one(self, rows: Iterator[Row], given: set[Key]) -> tuple[Point | None, int]:
        repeated: Point | None = None
        for taken, row in enumerate(islice(rows, MOST_ROWS), start=1):
            point = self.point_at(row)
            if self.space.allows(point):
                if not self._is_used(point, given):
                    return point, taken
                repeated = point
            if taken >= PATIENCE and self._can_be_listed:
                return self._pick_from_list(row[0], given), taken
        return repeated, MOST_ROWS

    def _is_used(self, point: Point, given: set[Key]) -> bool:
        key = self._key(point)
        return key in self._told or key in given

    def _pick_from_list(self, share: float, given: set[Key]) -> Point | None:
        unused = [point for point in self._allowed if not self._is_used(point, given)]
        points = unused or self._allowed
        return points[min(int(share * len(points)), len(points) - 1)] if points else None

    @property
    def _can_be_listed(self) -> bool:
        return (self.space.cardinality() or MOST_LISTED + 1) <= MOST_LISTED

    @cached_property
    def _allowed(self) -> list[Point]:
        return list(self.space.points())

    def _key(self, point: Point) -> Key:
        return tuple(point.get(name) for name in self._names)

    def _nothing_left(self) -> GeneratorError:
        texts = "; ".join(constraint.text for constraint in self.space.constraints)
        return GeneratorError(
            f"the constraints leave (almost) nothing of the space: {texts or 'there are none'}",
            "Widen the ranges or loosen a constraint.",
        )
