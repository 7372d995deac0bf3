"""Objectives: the values that a search makes small or large, and how outcomes compare."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from pydantic import ValidationError, field_validator

from orchestrator.errors import UsageError, did_you_mean
from orchestrator.spec.frozen import Frozen, usage_error
from orchestrator.spec.limits import LONGEST_NAME

OPTION = "--result_names"
DEFAULT_NAME = "RESULT"
# Words with which other lines of the worker's protocol begin (DESIGN section 7).
_TAKEN = re.compile(r"metric|artifact|oo-info|sem-.*", re.IGNORECASE)


class Objective(Frozen):
    """One value that every trial has to report.

    Attributes:
        name: As in the line `NAME: VALUE` that the program prints.
        minimize: Whether smaller is better.
    """

    name: str
    minimize: bool = True

    @field_validator("name")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", name) or len(name) > LONGEST_NAME:
            raise ValueError(
                f"{name!r} is not a name: letters, digits, _ and - only, a letter or _ first, "
                f"at most {LONGEST_NAME} characters"
            )
        if _TAKEN.fullmatch(name):
            raise ValueError(f"{name!r} means something else at the start of an output line")
        return name

    def cost(self, value: float) -> float:
        """Return the value with the sign that makes smaller better."""
        return value if self.minimize else -value

    def __str__(self) -> str:
        return f"{self.name}={'min' if self.minimize else 'max'}"


def parse_result_names(words: Sequence[str]) -> tuple[Objective, ...]:
    """Read `--result_names`: `LOSS`, `LOSS=min TIME=max`; nothing means `RESULT=min`.

    Raises:
        UsageError: A name or a direction is wrong, or a name is there twice.
    """
    objectives = tuple(_read(word) for word in words) or (Objective(name=DEFAULT_NAME),)
    names = [objective.name for objective in objectives]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{OPTION}: {name!r} is there twice; every name stands for one value")
    return objectives


def _read(word: str) -> Objective:
    name, equals, direction = word.partition("=")
    wanted = direction.lower() if equals else "min"
    if wanted not in {"min", "max"}:
        hint = did_you_mean(wanted, ("min", "max"))
        raise UsageError(f"{OPTION}: {direction!r} in {word!r} is not min or max.", hint)
    try:
        return Objective(name=name, minimize=wanted == "min")
    except ValidationError as error:
        raise usage_error(OPTION, error) from None


def pareto_front(
    objectives: Sequence[Objective], outcomes: Sequence[Mapping[str, float]]
) -> list[int]:
    """Return the places of the outcomes that no other one beats in everything.

    Of equal outcomes the first stands for all. With one objective it is the best outcome.

    Args:
        objectives: What counts.
        outcomes: A value for each objective, all finite.

    Returns:
        Indices into `outcomes`, in rising order.
    """
    costs = [tuple(o.cost(outcome[o.name]) for o in objectives) for outcome in outcomes]
    front: list[int] = []
    # In this order an outcome can only be beaten by one that came before it.
    for index in sorted(range(len(costs)), key=lambda i: (costs[i], i)):
        beaten = any(
            all(mine <= its for mine, its in zip(costs[kept], costs[index], strict=True))
            for kept in front
        )
        if not beaten:
            front.append(index)
    return sorted(front)


def best(objectives: Sequence[Objective], outcomes: Sequence[Mapping[str, float]]) -> int | None:
    """Return the place of the best outcome by the first objective, None if there is none.

    Ties are decided by the next objectives, then by who came first; so it lies on the Pareto front.
    """
    costs = [tuple(o.cost(outcome[o.name]) for o in objectives) for outcome in outcomes]
    return min(range(len(costs)), key=lambda i: (costs[i], i), default=None)
