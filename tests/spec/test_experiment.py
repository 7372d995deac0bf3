from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from orchestrator.spec.constraints import parse_constraint
from orchestrator.spec.experiment import ExperimentSpec, Timing
from orchestrator.spec.objectives import parse_result_names
from orchestrator.spec.parameters import parse_parameter
from orchestrator.spec.resources import Resources
from orchestrator.spec.space import Space
from orchestrator.spec.strategy import parse_strategy


def make(**changes: Any) -> ExperimentSpec:
    parameters = tuple(
        parse_parameter(line.split())
        for line in ("x range 0 1", "n range 1 9 int", "c choice 1,2,hallo", "f fixed 2.0")
    )
    fields: dict[str, Any] = {
        "name": "first",
        "program": "./p '%(x)' ü",
        "working_folder": "/work",
        "space": Space(
            parameters=parameters, constraints=(parse_constraint("x + n <= 9", parameters),)
        ),
        "objectives": parse_result_names(["LOSS", "SPEED=max"]),
        "strategy": parse_strategy(num_random_steps=3, model="TPE", explicit=None, max_eval=10),
        "resources": Resources(partition="alpha", memory_mb=512, exclude=("n1",)),
        "executor": "slurm",
        "num_parallel_jobs": 2,
        "max_eval": 10,
        "seed": 1,
        "worker_timeout_seconds": 30.0,
        "user_metadata": {"a": "b"},
    }
    return ExperimentSpec(**(fields | changes))


def test_a_specification_survives_the_way_through_json() -> None:
    spec = make()

    assert ExperimentSpec.from_json(spec.to_json()) == spec
    assert ExperimentSpec.model_validate(json.loads(spec.to_json())) == spec


def test_a_specification_of_a_later_headway_is_refused() -> None:
    later = json.loads(make().to_json()) | {"schema_version": 2}

    with pytest.raises(ValueError, match="schema_version"):
        ExperimentSpec.from_json(json.dumps(later))


@pytest.mark.parametrize("name", ["", "a/b", "../a", ".a", "-a", "a b", "a\n", "ü", "a" * 101])
def test_a_name_that_cannot_be_a_folder_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="is not a name"):
        make(name=name)


def test_a_result_and_a_parameter_never_share_a_name() -> None:
    with pytest.raises(ValidationError, match="both a parameter and a result"):
        make(objectives=parse_result_names(["x"]))


@pytest.mark.parametrize(
    "changes",
    [
        {"max_eval": 0},
        {"num_parallel_jobs": 0},
        {"seed": -1},
        {"program": ""},
        {"objectives": ()},
        {"executor": "cloud"},
        {"worker_timeout_seconds": 0},
        {"db_url": "postgresql://user:secret@host/name"},
    ],
)
def test_a_specification_that_makes_no_sense_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        make(**changes)


def test_the_numbers_of_the_design_are_the_defaults() -> None:
    timing = Timing()

    assert (timing.lease_renew_seconds, timing.lease_expire_seconds) == (5, 30)
    assert (timing.heartbeat_seconds, timing.dead_seconds) == (15, 120)
    assert (timing.calls_per_minute, timing.calls_burst) == (20, 40)


def test_a_lease_that_ends_before_it_is_renewed_is_refused() -> None:
    with pytest.raises(ValidationError, match="twice"):
        Timing(lease_renew_seconds=20)
