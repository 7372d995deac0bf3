from __future__ import annotations

from collections import Counter
from itertools import count, cycle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.generators.base import GeneratorError
from orchestrator.generators.points import Picker, value_at
from orchestrator.spec.parameters import ChoiceParameter, RangeParameter
from tests.generators.samples import constrained, grid, keys

shares = st.floats(0, 1)
whole = st.integers(-(2**53), 2**53)


def spread(parameter: RangeParameter | ChoiceParameter, steps: int = 6000) -> Counter[object]:
    return Counter(value_at(parameter, (i + 0.5) / steps) for i in range(steps))


@given(whole, whole, shares)
def test_every_share_of_a_whole_range_is_one_of_its_numbers(a: int, b: int, share: float) -> None:
    lower, upper = min(a, b), max(a, b) + (a == b)
    parameter = RangeParameter.model_construct(
        name="n", value_type="int", lower=lower, upper=upper, log_scale=False
    )
    assert parameter.contains(value_at(parameter, share))


@given(st.floats(-1e300, 1e300), st.floats(-1e300, 1e300), shares)
def test_every_share_of_a_range_lies_in_it(a: float, b: float, share: float) -> None:
    lower, upper = min(a, b), max(a, b) + (a == b)
    parameter = RangeParameter.model_construct(
        name="x", value_type="float", lower=lower, upper=upper, log_scale=False
    )
    assert parameter.contains(value_at(parameter, share))


@given(st.floats(1e-300, 1e300), st.floats(1, 1e6), shares)
def test_every_share_of_a_range_on_a_log_scale_lies_in_it(
    lower: float, factor: float, share: float
) -> None:
    parameter = RangeParameter.model_construct(
        name="x", value_type="float", lower=lower, upper=lower * factor, log_scale=True
    )
    assert parameter.contains(value_at(parameter, share))


@given(st.integers(1, 2**53), st.integers(1, 2**53), shares)
def test_whole_numbers_on_a_log_scale_lie_in_their_range(a: int, b: int, share: float) -> None:
    parameter = RangeParameter.model_construct(
        name="n", value_type="int", lower=min(a, b), upper=max(a, b), log_scale=True
    )
    assert parameter.contains(value_at(parameter, share))


def test_whole_numbers_have_the_same_room_both_ends_included() -> None:
    die = RangeParameter(name="n", value_type="int", lower=1, upper=6)
    assert spread(die) == dict.fromkeys(range(1, 7), 1000)


def test_choices_have_the_same_room() -> None:
    choice = ChoiceParameter(name="c", value_type="str", choices=("a", "b", "c"))
    assert spread(choice) == dict.fromkeys("abc", 2000)


def test_a_log_scale_gives_each_decade_the_same_room() -> None:
    rate = RangeParameter(name="x", lower=1e-3, upper=1, log_scale=True)
    decades = Counter(sum(float(str(v)) < e for e in (0.01, 0.1)) for v in spread(rate).elements())
    assert decades == {0: 2000, 1: 2000, 2: 2000}


def test_a_log_scale_of_whole_numbers_reaches_both_ends() -> None:
    width = RangeParameter(name="n", value_type="int", lower=1, upper=64, log_scale=True)
    counts = spread(width)
    assert counts[1] > counts[2] > counts[8] > counts[64] > 0


def test_the_last_free_point_is_found_when_chance_never_hits_it() -> None:
    space = grid(200)
    *most, last = space.points()
    picker = Picker(space)
    picker.tell(most)
    assert picker.pick(cycle([[0.0, 0.0]]), count=1)[0] == [last]


def test_points_that_chance_hardly_hits_are_found_in_a_finite_space() -> None:
    space = grid(200, "i >= 200", "j >= 199")
    points, _ = Picker(space).pick(cycle([[0.3, 0.3]]), count=2)
    assert keys(points) == {(200, 199), (200, 200)}


def test_the_rows_that_were_taken_are_counted_rejected_ones_too() -> None:
    rows = iter([[0.9, 0.9], [0.2, 0.2], [0.2, 0.2], [0.1, 0.3]])
    points, taken = Picker(constrained("x + y < 1")).pick(rows, count=2)
    assert points == [{"x": 0.2, "y": 0.2}, {"x": 0.1, "y": 0.3}]
    assert taken == 4


def test_constraints_that_leave_almost_nothing_are_given_up_in_time() -> None:
    rows = ([(i % 97) / 97, (i % 89) / 89] for i in count())
    with pytest.raises(GeneratorError, match="nothing of the space"):
        Picker(constrained("x*y > 0.9999999")).pick(rows, count=1)
