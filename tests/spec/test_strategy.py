from __future__ import annotations

import pytest

from orchestrator.errors import UsageError
from orchestrator.spec.strategy import (
    Strategy,
    StrategyNode,
    default_random_steps,
    parse_strategy,
)


def make(steps: int, model: str, explicit: str | None = None, max_eval: int = 100) -> Strategy:
    return parse_strategy(num_random_steps=steps, model=model, explicit=explicit, max_eval=max_eval)


@pytest.mark.parametrize(("steps", "needed"), [(1, 1), (2, 2), (3, 2), (20, 10)])
def test_a_model_starts_when_half_of_the_random_steps_have_a_result(
    steps: int, needed: int
) -> None:
    assert make(steps, "TPE").nodes == (
        StrategyNode(generator="SOBOL", num_trials=steps),
        StrategyNode(generator="TPE", num_trials=None, min_observed=needed),
    )


def test_without_random_steps_the_model_begins() -> None:
    assert make(0, "tpe").nodes == (StrategyNode(generator="TPE"),)


def test_a_model_that_does_not_learn_needs_no_random_steps() -> None:
    assert make(10, "UNIFORM").nodes == (StrategyNode(generator="UNIFORM"),)


def test_the_model_is_kept_where_all_trials_are_random_since_a_resume_may_ask_for_more() -> None:
    assert str(make(200, "TPE", max_eval=10)) == "SOBOL=200, TPE"


def test_an_explicit_strategy_wins_and_its_last_step_goes_on() -> None:
    strategy = make(5, "TPE", "sobol=10, TPE=20,BOTORCH_MODULAR=30")

    assert [(node.generator, node.num_trials, node.min_observed) for node in strategy.nodes] == [
        ("SOBOL", 10, 0),
        ("TPE", 20, 5),
        ("BOTORCH_MODULAR", None, 15),
    ]


@pytest.mark.parametrize(
    "text", ["", "SOBOL=10,", "SOBOL=x", "SOBOL=0,TPE", "SOBOL=-1", "=3", "SOBOL,TPE", "SOBOL=,T"]
)
def test_a_strategy_that_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--generation_strategy"):
        make(5, "TPE", text)


def test_a_step_that_is_never_reached_is_refused() -> None:
    with pytest.raises(UsageError, match="never reached"):
        make(5, "TPE", "SOBOL=10,TPE", max_eval=10)


def test_random_steps_below_zero_are_refused() -> None:
    with pytest.raises(UsageError, match="--num_random_steps"):
        make(-1, "TPE")


@pytest.mark.parametrize(
    ("free", "max_eval", "steps"), [(1, 100, 5), (6, 100, 12), (6, 10, 5), (3, 1, 1)]
)
def test_the_number_of_random_steps_grows_with_the_space_and_leaves_half_to_the_model(
    free: int, max_eval: int, steps: int
) -> None:
    assert default_random_steps(free_parameters=free, max_eval=max_eval) == steps
