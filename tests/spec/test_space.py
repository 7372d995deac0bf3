from __future__ import annotations

import pytest
from pydantic import ValidationError

from orchestrator.errors import UsageError
from orchestrator.spec.constraints import parse_constraint
from orchestrator.spec.parameters import parse_parameter
from orchestrator.spec.space import Space


def make(parameters: list[str], constraints: list[str] | None = None) -> Space:
    read = tuple(parse_parameter(line.split()) for line in parameters)
    return Space(
        parameters=read,
        constraints=tuple(parse_constraint(text, read) for text in constraints or []),
    )


def test_a_space_knows_its_parameters_in_order() -> None:
    space = make(["b range 0 1", "f fixed 5", "a choice x,y"])

    assert space.names() == ["b", "f", "a"]
    assert [parameter.name for parameter in space.free()] == ["b", "a"]
    assert space.fixed() == {"f": 5}


def test_two_parameters_of_one_name_are_refused() -> None:
    with pytest.raises(ValidationError, match="there twice"):
        make(["a range 0 1", "a choice x,y"])


def test_a_space_without_parameters_is_refused() -> None:
    with pytest.raises(ValidationError):
        Space(parameters=())


def test_a_point_is_allowed_if_every_parameter_and_constraint_agrees() -> None:
    space = make(["a range 0 10 int", "b range 0 1", "f fixed x"], ["a + b <= 5"])

    assert space.allows({"a": 4, "b": 1.0, "f": "x"})
    assert not space.allows({"a": 5, "b": 1.0, "f": "x"})
    assert not space.allows({"a": 11, "b": 0.0, "f": "x"})
    assert not space.allows({"a": 4, "b": 0.0, "f": "y"})
    assert not space.allows({"a": 4, "b": 0.0})
    assert not space.allows({"a": 4, "b": 0.0, "f": "x", "c": 1})


@pytest.mark.parametrize(
    ("parameters", "count"),
    [
        (["a range 0 9 int", "b choice x,y", "f fixed 1"], 20),
        (["a range -3 3 int"], 7),
        (["f fixed 1"], 1),
        (["a range 0 9 int", "b range 0 1"], None),
    ],
)
def test_a_space_knows_how_many_points_it_has(parameters: list[str], count: int | None) -> None:
    assert make(parameters).cardinality() == count


def test_the_points_of_a_finite_space_can_be_gone_through() -> None:
    space = make(["a range 0 2 int", "b choice x,y"], ["a != 1"])

    assert list(space.points()) == [
        {"a": 0, "b": "x"},
        {"a": 0, "b": "y"},
        {"a": 2, "b": "x"},
        {"a": 2, "b": "y"},
    ]
    assert all(space.allows(point) for point in space.points())


@pytest.mark.parametrize(
    ("parameters", "constraints"),
    [
        (["a range 0 10"], ["a >= 5", "a <= 3"]),
        (["a range 0 10", "b range 0 10"], ["a >= 5", "a <= b", "b <= 3"]),
        (["a range 0 10 int"], ["a*a == 7"]),
        (["a choice 1,2,4", "b range 0 9 int"], ["a >= 3", "b > a + 1", "b < 6"]),
    ],
)
def test_constraints_that_contradict_each_other_are_found(
    parameters: list[str], constraints: list[str]
) -> None:
    with pytest.raises(UsageError, match="no point meets all of"):
        make(parameters, constraints).check_not_empty()


@pytest.mark.parametrize(
    ("parameters", "constraints"),
    [
        (["a range 0 10"], ["a >= 5", "a <= 5"]),
        (["a range 0 10", "b range 0 10"], ["a >= 5", "a <= b", "b <= 7"]),
        (["a range 0 10 int"], ["a*a == 9"]),
        (["a range 0 1", "k choice x,y"], ["k == 'x'", "a < 0.5"]),
    ],
)
def test_constraints_that_leave_something_pass(
    parameters: list[str], constraints: list[str]
) -> None:
    make(parameters, constraints).check_not_empty()


def test_a_space_survives_the_way_through_json() -> None:
    space = make(["a range 0 1", "c choice 1,2,hallo", "f fixed 2.0"], ["2*a <= 1", "a*a < 1"])

    assert Space.model_validate_json(space.model_dump_json()) == space
