from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from orchestrator.errors import UsageError
from orchestrator.generators.strategy import (
    known_names,
    make_generator,
    node_for,
    resolve_model,
)
from orchestrator.spec.strategy import Strategy, StrategyNode
from tests.generators.samples import ONE, PLANE

ROOT = Path(__file__).parents[2]
BOTORCH = all(find_spec(name) for name in ("ax", "torch"))

CHAIN = Strategy(
    nodes=(
        StrategyNode(generator="SOBOL", num_trials=3),
        StrategyNode(generator="TPE", num_trials=4, min_observed=2),
        StrategyNode(generator="BOTORCH_MODULAR", min_observed=5),
    )
)


@pytest.mark.parametrize(
    ("proposed", "observed", "expected"),
    [
        ([], 0, (0, None)),
        ([2], 9, (0, None)),
        ([3], 0, (1, "TPE waits for 2 observed trials, 0 so far")),
        ([3, 0], 1, (1, "TPE waits for 2 observed trials, 1 so far")),
        ([3, 0], 2, (1, None)),
        ([3, 3, 0], 2, (1, None)),
        ([3, 4], 4, (2, "BOTORCH_MODULAR waits for 5 observed trials, 4 so far")),
        ([3, 4, 0], 5, (2, None)),
        ([3, 4, 1000], 900, (2, None)),
        ([9, 4, 0], 5, (2, None)),
    ],
)
def test_steps_are_filled_in_their_order(
    proposed: list[int], observed: int, expected: tuple[int, str | None]
) -> None:
    assert node_for(CHAIN, proposed, observed) == expected


def test_the_last_step_goes_on_when_all_are_full() -> None:
    full = Strategy(nodes=(StrategyNode(generator="SOBOL", num_trials=1),))
    assert node_for(full, [1], 0) == (0, None)


def test_one_trial_is_not_called_trials() -> None:
    waiting = Strategy(nodes=(StrategyNode(generator="TPE", min_observed=1),))
    assert node_for(waiting, [], 0)[1] == "TPE waits for 1 observed trial, 0 so far"


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("SOBOL", "SOBOL"),
        ("sobol", "SOBOL"),
        (" tpe ", "TPE"),
        ("MOTPE", "TPE"),
        ("PseudoRandom", "UNIFORM"),
        ("auto", "BOTORCH_MODULAR" if BOTORCH else "TPE"),
    ],
)
def test_names_and_aliases_are_known_in_any_case(given: str, name: str) -> None:
    assert resolve_model(given) == name


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("SOBEL", ["--model SOBEL", "unknown model", "Did you mean SOBOL?", "UNIFORM"]),
        ("", ["--model", "unknown model", "TPE"]),
        ("xyz", ["--model xyz", "allowed are auto, BOTORCH"]),
        ("CMAES", ["--model CMAES", "not yet available", "TPE"]),
        ("saasbo", ["--model saasbo", "not yet available"]),
        ("RANDOMFOREST", ["not yet available"]),
    ],
)
def test_a_model_that_is_not_there_is_refused_in_one_line(given: str, words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        resolve_model(given)
    text = str(caught.value)
    assert "\n" not in text
    assert all(word in text for word in words), text


def test_the_option_in_the_error_is_the_one_the_user_gave() -> None:
    with pytest.raises(UsageError, match="--generation_strategy TPI: unknown"):
        resolve_model("TPI", option="--generation_strategy")


@pytest.mark.skipif(BOTORCH, reason="the extra botorch is installed")
@pytest.mark.parametrize("given", ["BOTORCH_MODULAR", "botorch"])
def test_a_model_without_its_extra_says_how_to_install_it(given: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve_model(given)
    assert "pip install 'headway[botorch]'" in str(caught.value)
    assert f"--model {given}: " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_known_name_but_the_extras_makes_a_generator() -> None:
    for name in known_names():
        if BOTORCH or not name.startswith("BOTORCH"):
            assert make_generator(name, PLANE, ONE) is not None


def test_the_registry_imports_nothing_heavy() -> None:
    script = (
        "import sys; sys.path.append(sys.argv[1]); import orchestrator.generators.process, "
        "orchestrator.generators.strategy as s; s.resolve_model('auto'); "
        "print(sorted({'numpy', 'scipy', 'optuna', 'ax', 'torch', 'pandas'} & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-I", "-c", script, str(ROOT)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == "[]\n"
