from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import UsageError
from orchestrator.spec.constraints import Constraint, parse_constraint, split_constraints
from orchestrator.spec.parameters import parse_parameter
from orchestrator.spec.values import Point

PARAMETERS = [
    parse_parameter(line.split())
    for line in (
        "int_param range -100 10 int",
        "a range 0 1",
        "lambda range 0 1",
        "lr range 1e-5 1 LOG true",
        "size choice 1,2,4",
        "kind choice adam,sgd,is",
        "flag choice true,false bool",
        "five fixed 5",
    )
]
POINT: Point = {
    "int_param": 5,
    "a": 0.25,
    "lambda": 0.5,
    "lr": 0.1,
    "size": 2,
    "kind": "adam",
    "flag": True,
    "five": 5,
}


def read(text: str) -> Constraint:
    return parse_constraint(text, PARAMETERS)


@pytest.mark.parametrize(
    ("text", "coefficients", "bound"),
    [
        ("20*int_param >= 100\n", {"int_param": -20.0}, -100.0),
        ("a + lambda <= 1", {"a": 1.0, "lambda": 1.0}, 1.0),
        ("2*(a - lambda)/4 < five - 3", {"a": 0.5, "lambda": -0.5}, 2.0),
        ("-a > +lambda - 1", {"lambda": 1.0, "a": 1.0}, 1.0),
        ("size + a <= 3", {"size": 1.0, "a": 1.0}, 3.0),
        ("lr + a <= 1", {"lr": 1.0, "a": 1.0}, 1.0),
        ("a - a + lr <= 1", {"lr": 1.0}, 1.0),
    ],
)
def test_a_linear_constraint_is_brought_to_one_form(
    text: str, coefficients: dict[str, float], bound: float
) -> None:
    constraint = read(text)

    assert (constraint.coefficients, constraint.bound) == (coefficients, bound)
    assert constraint.text == text.strip()


@pytest.mark.parametrize(
    "text",
    ["a*lambda < 1", "sqrt(a) < 1", "0 < a < 1", "a != 1", "int_param == 3", "a < 1 or lr < 1"],
)
def test_what_is_not_linear_is_checked_on_candidates_only(text: str) -> None:
    constraint = read(text)

    assert constraint.coefficients is None
    assert constraint.bound is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20*int_param >= 100", True),
        ("int_param < 5", False),
        ("int_param <= 5", True),
        ("a + lambda <= 0.75", True),
        ("a*lambda < 0.125", False),
        ("abs(int_param - 7) <= 2", True),
        ("sqrt(a) > lambda", False),
        ("max(a, lambda, lr) == max(a, lambda)", None),
        ("0.2 < a < 0.3", True),
        ("0.3 < a < 0.4", False),
        ("kind == 'adam'", True),
        ("kind != 'adam'", False),
        ("kind == 'sgd' or a < 0.5", True),
        ("not (kind == 'adam' and a < 0.5)", False),
        ("int_param % 2 == 1", True),
        ("int_param // 2 == 2", True),
        ("size**2 <= 4", True),
        ("flag == True", True),
        ("kind == 'is' or lambda < 0.6", True),
        ("flag != False", True),
    ],
)
def test_a_constraint_holds_where_the_user_would_say_so(text: str, expected: bool | None) -> None:
    if expected is None:
        with pytest.raises(UsageError, match="chance"):
            read(text)
    else:
        assert read(text).holds(POINT) is expected


def test_a_text_may_be_a_word_of_python() -> None:
    assert read("kind == 'is'").holds({**POINT, "kind": "is"})


def test_rounding_does_not_break_a_bound() -> None:
    parameters = [parse_parameter([name, "range", "0", "1"]) for name in ("x", "y", "z")]
    constraint = parse_constraint("x + y + z <= 0.6", parameters)

    assert 0.1 + 0.2 + 0.3 > 0.6
    assert constraint.holds({"x": 0.1, "y": 0.2, "z": 0.3})


@pytest.mark.parametrize("text", ["1/(a - 0.25) < 1", "log(a - 1) < 1", "exp(9999*five) > a"])
def test_where_an_expression_has_no_value_the_constraint_does_not_hold(text: str) -> None:
    assert read(text).holds(POINT) is False


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("in_param < 1", "Did you mean int_param?"),
        ("zz < 1", "the parameters are int_param, a"),
        ("1 > 2", "constants only"),
        ("five > 2", "constants only"),
        ("int_param >= 11", "can never hold"),
        ("a + lambda > 2.5", "can never hold"),
        ("a = 1", "single ="),
        ("a", "not a comparison"),
        ("a + 1", "not a comparison"),
        ("a <", "cannot be read"),
        ("a^2 < 1", "write **"),
        ("a & 1 < 1", "only + - * /"),
        ("kind + 1 < 2", "nothing to calculate with"),
        ("abs(kind) < 2", "nothing to calculate with"),
        ("kind < 'b'", "by == or !="),
        ("a < 'b'", "by == or !="),
        ("a == 0.5", "chance"),
        ("a in (1, 2)", "cannot be read"),
        ("abs() < a", "only these functions"),
        ("pow(a, 2) < 1", "only these functions"),
        ("a.real < 1", "not allowed"),
        ("lambda[0] < 1", "'lambda[0]'"),
        ("1or a < 1", "cannot be read"),
        ("__import__('os').system('true') < a", "only these functions"),
        ("(lambda: 1)() < a", "cannot be read"),
        ("[1][0] < a", "not allowed"),
        ("(" * 500 + "a" + ")" * 500 + " < 1", "cannot be read"),
        ("+".join(["a"] * 3000) + " < 1", "longer than"),
    ],
)
def test_a_wrong_constraint_is_refused_in_one_line(text: str, part: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(text)

    assert str(caught.value).startswith("--experiment_constraints: ")
    assert part in str(caught.value)


def test_several_constraints_stand_on_lines_or_between_semicolons() -> None:
    assert split_constraints("a < 1; b < 2\n\nc < 3\n") == ["a < 1", "b < 2", "c < 3"]


FACTORS = st.integers(-1000, 1000).map(lambda number: number / 8)


@given(FACTORS, FACTORS, st.floats(0, 1), st.integers(-100, 10))
def test_the_linear_form_says_the_same_as_the_text(
    first: float, second: float, a: float, whole: int
) -> None:
    bound = 2000.0
    constraint = read(f"{first}*a + {second}*int_param <= {bound} + lambda*0")
    left = sum(
        factor * {"a": a, "int_param": whole}[name]
        for name, factor in (constraint.coefficients or {}).items()
    )

    assert constraint.holds({**POINT, "a": a, "int_param": whole}) is (left <= bound)
    assert Constraint.model_validate_json(constraint.model_dump_json()) == constraint


@given(st.text("ablmd<>=+-*/()[]{}.,:;'\"1 \n\t~^&|%!@x0eE", max_size=40))
def test_no_text_makes_the_parser_stumble(text: str) -> None:
    try:
        constraint = read(text)
    except UsageError:
        return
    assert constraint.holds(POINT) in {True, False}
