"""What is searched and by which generators, as the options of `headway run` give it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from orchestrator.errors import UsageError
from orchestrator.spec.constraints import Constraint, parse_constraint, split_constraints
from orchestrator.spec.encoding import decode_text
from orchestrator.spec.parameters import Parameter, parse_parameter
from orchestrator.spec.space import Space
from orchestrator.spec.strategy import Strategy, StrategyNode, default_random_steps, parse_strategy


def read_space(namespace: argparse.Namespace) -> Space:
    """Read the parameters and the constraints.

    Raises:
        UsageError: One of them is wrong, or no point can meet the constraints.
    """
    parameters: list[Parameter] = []
    for words in namespace.parameter:
        parameter = read_parameter(words)
        if parameter.name in [other.name for other in parameters]:
            raise UsageError(f"--parameter {parameter.name}: the name is there twice")
        parameters.append(parameter)
    constraints = [
        constraint
        for words in namespace.experiment_constraints
        for constraint in read_constraints(words, parameters)
    ]
    space = Space(parameters=tuple(parameters), constraints=tuple(constraints))
    space.check_not_empty()
    return space


def read_parameter(words: Sequence[str]) -> Parameter:
    """Read one parameter; the whole of it in quotes is one word.

    Raises:
        UsageError: It is wrong.
    """
    return parse_parameter(words if len(words) > 1 else words[0].split())


def read_constraints(words: Sequence[str], parameters: Sequence[Parameter]) -> list[Constraint]:
    """Read what comes after one `--experiment_constraints`.

    Raises:
        UsageError: It holds none, or a wrong one.
    """
    constraints: list[Constraint] = []
    for text in map(decode_text, words):
        parts = split_constraints(text)
        if not parts:
            raise UsageError(f"--experiment_constraints: {text!r} holds no comparison")
        constraints += [parse_constraint(part, parameters) for part in parts]
    return constraints


def read_model(namespace: argparse.Namespace) -> str:
    """Return the generator that `--model` stands for.

    Raises:
        UsageError: It is unknown or not installed.
    """
    from orchestrator.generators.strategy import resolve_model

    return resolve_model(namespace.model or "auto")


def read_strategy(namespace: argparse.Namespace, space: Space) -> tuple[Strategy, list[str]]:
    """Make the strategy of generators that exist and are installed.

    Returns:
        The strategy, and what the user should know about it.

    Raises:
        UsageError: A generator is unknown or not installed, or a number makes no sense.
    """
    from orchestrator.generators.strategy import resolve_model

    max_eval, explicit = namespace.max_eval, namespace.generation_strategy
    steps = namespace.num_random_steps
    if explicit is not None:
        wished = parse_strategy(num_random_steps=0, model="", explicit=explicit, max_eval=max_eval)
        nodes = [_resolved(node, resolve_model) for node in wished.nodes]
        unused = [f"--{name}" for name in ("model", "num_random_steps") if vars(namespace)[name]]
        said = [f"{', '.join(unused)}: no effect beside --generation_strategy"] if unused else []
        return Strategy(nodes=tuple(nodes)), said
    model = read_model(namespace)
    if steps is None:
        steps = default_random_steps(free_parameters=len(space.free()), max_eval=max_eval)
    strategy = parse_strategy(num_random_steps=steps, model=model, explicit=None, max_eval=max_eval)
    if len(strategy.nodes) > 1 and steps >= max_eval:
        what = f"all of the {max_eval} trials are random, {model} proposes none"
        return strategy, [f"--num_random_steps {steps}: {what}"]
    return strategy, []


def _resolved(node: StrategyNode, resolve: Callable[..., str]) -> StrategyNode:
    name = resolve(node.generator, option="--generation_strategy")
    return node.model_copy(update={"generator": name})


def space_notices(space: Space, max_eval: int) -> list[str]:
    """Say when there are fewer points than trials."""
    count = space.cardinality()
    if count is None or count >= max_eval:
        return []
    return [f"--max_eval {max_eval}: the space has only {count} different points; some will repeat"]
