"""The strategy: which generator proposes how many trials, and when the next one takes over."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import Field

from orchestrator.errors import UsageError
from orchestrator.spec.frozen import Frozen

# Generators that do not look at results: they need none, and random steps before them are no use.
BLIND = frozenset({"SOBOL", "HALTON", "UNIFORM", "PSEUDORANDOM", "FACTORIAL", "GRID", "QMC"})
FEWEST_RANDOM_STEPS = 5  # fewer results than that teach a model nothing (Ax's own lower limit)
FEWEST_RESULTS = 2  # a Gaussian process cannot be fitted to one point
RANDOM_STEPS_A_PARAMETER = 2  # Ax's choice too (ax.generation_strategy.dispatch_utils)


class StrategyNode(Frozen):
    """One step of a strategy.

    Attributes:
        generator: Its name, e.g. SOBOL or TPE.
        num_trials: How many trials it gives; None: all the rest.
        min_observed: How many trials of earlier steps must have a result before it starts. Until
            then the fallback fills free slots.
    """

    generator: str
    num_trials: int | None = Field(default=None, ge=1)
    min_observed: int = Field(default=0, ge=0)


class Strategy(Frozen):
    """The steps in order; only the last has no number of trials."""

    nodes: tuple[StrategyNode, ...] = Field(min_length=1)

    def __str__(self) -> str:
        return ", ".join(
            node.generator if node.num_trials is None else f"{node.generator}={node.num_trials}"
            for node in self.nodes
        )


def default_random_steps(*, free_parameters: int, max_eval: int) -> int:
    """How many random steps a search begins with when the user does not say."""
    wanted = max(FEWEST_RANDOM_STEPS, RANDOM_STEPS_A_PARAMETER * free_parameters)
    return max(1, min(wanted, max_eval // 2))


def parse_strategy(
    *, num_random_steps: int, model: str, explicit: str | None, max_eval: int
) -> Strategy:
    """Make the strategy from the options.

    The last step goes on for as long as trials are wanted, also when a resume asks for more.

    Args:
        num_random_steps: Trials by SOBOL before the model takes over.
        model: Name of the generator after that.
        explicit: The text of `--generation_strategy`, e.g. `SOBOL=10,TPE=20`; wins if given.
        max_eval: How many trials are wanted in all.

    Raises:
        UsageError: A number or the text makes no sense.
    """
    if explicit is not None:
        return _chain(_read_steps(explicit, max_eval=max_eval))
    if num_random_steps < 0:
        raise UsageError(
            f"--num_random_steps: {num_random_steps} is below 0; give 0 to let the model begin"
        )
    if num_random_steps == 0 or model.upper() in BLIND:
        return _chain([(model.upper(), None)])
    return _chain([("SOBOL", num_random_steps), (model.upper(), None)])


def _read_steps(text: str, *, max_eval: int) -> list[tuple[str, int | None]]:
    where = f"--generation_strategy: {text!r}"
    steps: list[tuple[str, int | None]] = []
    for part in text.split(","):
        name, equals, number = (piece.strip() for piece in part.partition("="))
        if not name or (equals and not (number.isascii() and number.isdigit() and int(number))):
            raise UsageError(
                f"{where} is not understood at {part.strip()!r}; give for example SOBOL=10,TPE=20"
            )
        steps.append((name.upper(), int(number) if equals else None))
    if any(number is None for _, number in steps[:-1]):
        raise UsageError(f"{where}: only the last step may come without a number of trials")
    before = sum(number or 0 for _, number in steps[:-1])
    if before >= max_eval and len(steps) > 1:
        raise UsageError(
            f"{where}: its last step is never reached, since --max_eval is {max_eval} "
            f"and {before} trials come before"
        )
    return [*steps[:-1], (steps[-1][0], None)]


def _chain(steps: Sequence[tuple[str, int | None]]) -> Strategy:
    nodes: list[StrategyNode] = []
    before = 0
    for generator, number in steps:
        needed = (
            0 if generator in BLIND else min(before, max(FEWEST_RESULTS, math.ceil(before / 2)))
        )
        nodes.append(StrategyNode(generator=generator, num_trials=number, min_observed=needed))
        before += number or 0
    return Strategy(nodes=tuple(nodes))
