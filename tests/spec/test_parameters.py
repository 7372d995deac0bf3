from __future__ import annotations

import math
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from orchestrator.errors import UsageError
from orchestrator.spec.parameters import (
    ChoiceParameter,
    FixedParameter,
    Parameter,
    RangeParameter,
    parse_parameter,
)

ANY: TypeAdapter[Parameter] = TypeAdapter(Parameter)
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,20}", fullmatch=True)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
WORDS = st.text(st.characters(exclude_characters=",", exclude_categories=["Cs"]), min_size=1).map(
    str.strip
)


def read(line: str) -> Parameter:
    return parse_parameter(shlex.split(line))


def complaint(line: str) -> str:
    with pytest.raises(UsageError) as caught:
        read(line)
    return str(caught.value)


def test_a_range_is_of_floats_unless_it_says_otherwise() -> None:
    assert read("x range -100 10") == RangeParameter(name="x", lower=-100.0, upper=10.0)
    assert read("x range -100 10 int") == RangeParameter(
        name="x", value_type="int", lower=-100, upper=10
    )


@pytest.mark.parametrize("end", ["float true", "LOG true", "log_scale=true", "float log", "True"])
def test_a_log_scale_can_be_asked_for_in_several_ways(end: str) -> None:
    parameter = read(f"lr range 1e-5 1 {end}")

    assert parameter == RangeParameter(name="lr", lower=1e-5, upper=1.0, log_scale=True)


@pytest.mark.parametrize("end", ["", "float", "float false", "LOG false", "log_scale=false"])
def test_without_asking_there_is_no_log_scale(end: str) -> None:
    assert read(f"lr range 1e-5 1 {end}") == RangeParameter(name="lr", lower=1e-5, upper=1.0)


@pytest.mark.parametrize(
    ("values", "value_type", "choices", "is_ordered"),
    [
        ("1,2,4", "int", (1, 2, 4), True),
        ("4,1,-2", "int", (-2, 1, 4), True),
        ("0.5,2,1e-3", "float", (0.001, 0.5, 2.0), True),
        ("1,2,4,8,16,hallo", "str", ("1", "2", "4", "8", "16", "hallo"), False),
        ("007,010", "str", ("007", "010"), False),
        ("nan,inf", "str", ("nan", "inf"), False),
        ("true,false", "str", ("true", "false"), False),
        ("a, b", "str", ("a", "b"), False),
        ("-O2,-O3", "str", ("-O2", "-O3"), False),
    ],
)
def test_the_values_of_a_choice_say_of_what_type_they_are(
    values: str, value_type: str, choices: tuple[object, ...], is_ordered: bool
) -> None:
    parameter = parse_parameter(["c", "choice", values])

    assert isinstance(parameter, ChoiceParameter)
    assert (parameter.value_type, parameter.choices) == (value_type, choices)
    assert [type(choice) for choice in parameter.choices] == [type(choice) for choice in choices]
    assert parameter.is_ordered is is_ordered


def test_the_type_of_a_choice_can_be_given() -> None:
    assert read("c choice 1,2 str") == ChoiceParameter(
        name="c", value_type="str", choices=("1", "2")
    )
    assert read("c choice true,FALSE bool") == ChoiceParameter(
        name="c", value_type="bool", choices=(True, False)
    )


@pytest.mark.parametrize(
    ("word", "value"), [("5", 5), ("0.5", 0.5), ("a b", "a b"), ("", ""), ("-1e-3", -0.001)]
)
def test_a_fixed_parameter_has_the_type_of_its_value(word: str, value: object) -> None:
    parameter = parse_parameter(["f", "fixed", word])

    assert isinstance(parameter, FixedParameter)
    assert parameter.value == value
    assert type(parameter.value) is type(value)


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("x", "too short"),
        ("x rang 1 2", "Did you mean range?"),
        ("9x range 1 2", "'9x' is not a name"),
        ("a-b range 1 2", "'a-b' is not a name"),
        ("x range 1", "needs LOW and HIGH"),
        ("x range 1 a", "'a' is not a number"),
        ("x range 1 nan", "'nan' is not a number"),
        ("x range 1 1e999", "'1e999' is not a number"),
        ("x range 1.5 3 int", "'1.5' is not a whole number"),
        ("x range 2 2", "low to high"),
        ("x range 3 2 int", "3 to 2"),
        ("x range 0 2 LOG true", "above 0"),
        ("x range 1 2 str", "int or float"),
        ("x range 1 2 itn", "'itn'"),
        ("x range 0 99999999999999999999 int", "2**53"),
        ("x choice", "separated by commas"),
        ("x choice a,,b", "empty value"),
        ("x choice a,b,a", "'a' is there twice"),
        ("x choice 1,1.0", "there twice"),
        ("x choice 1,2 integer", "'integer' is not a type"),
        ("x choice a,b int", "'a' is not a whole number"),
        ("x choice a b", "'b' is not a type"),
        ("x fixed", "needs its value"),
    ],
)
def test_a_wrong_parameter_is_refused_in_one_line(line: str, part: str) -> None:
    text = complaint(line)

    assert text.startswith("--parameter")
    assert part in text
    assert "\n" not in text


@pytest.mark.parametrize("line", ["b choice true,false bool", "f fixed 2.0", "s fixed 2 str"])
def test_a_type_survives_the_way_through_json(line: str) -> None:
    assert repr(ANY.validate_json(ANY.dump_json(read(line)))) == repr(read(line))


def test_a_parameter_never_changes_and_has_no_other_fields() -> None:
    parameter = read("x range 0 1")

    with pytest.raises(ValidationError):
        parameter.name = "y"
    with pytest.raises(ValidationError):
        ANY.validate_python({"kind": "fixed", "name": "x", "value_type": "int", "valu": 3})
    with pytest.raises(ValidationError):
        RangeParameter(name="x", lower=0, upper=math.inf)


def test_only_values_of_its_own_type_are_in_a_parameter() -> None:
    whole, number = read("x range 0 5 int"), read("x range 0 5")

    assert whole.contains(3)
    assert not whole.contains(3.0)
    assert not whole.contains(True)
    assert not whole.contains(6)
    assert number.contains(3.5)
    assert not number.contains("3")
    assert not read("x choice 1,2").contains(True)
    assert not read("x fixed 1").contains(1.0)


@given(NAMES, st.tuples(FLOATS, FLOATS).filter(lambda ends: ends[0] < ends[1]))
def test_a_range_of_floats_is_read_as_it_was_written(name: str, ends: tuple[float, float]) -> None:
    parameter = parse_parameter([name, "range", repr(ends[0]), repr(ends[1])])

    assert parameter == RangeParameter(name=name, lower=ends[0], upper=ends[1])
    assert ANY.validate_json(ANY.dump_json(parameter)) == parameter


@given(st.lists(WORDS.filter(bool), min_size=1, unique=True))
def test_a_choice_of_texts_is_read_as_it_was_written(values: list[str]) -> None:
    parameter = parse_parameter(["c", "choice", ",".join(values), "str"])

    assert isinstance(parameter, ChoiceParameter)
    assert parameter.choices == tuple(values)
    assert ANY.validate_json(ANY.dump_json(parameter)) == parameter


@given(st.lists(st.text()))
def test_no_words_make_the_parser_stumble(words: list[str]) -> None:
    try:
        parameter = parse_parameter(words)
    except UsageError as error:
        text = str(error)
    else:
        assert ANY.validate_json(ANY.dump_json(parameter)) == parameter
        return
    assert len(text.splitlines()) == 1
