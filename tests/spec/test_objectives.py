from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import UsageError
from orchestrator.spec.objectives import Objective, best, pareto_front, parse_result_names

LOSS, SPEED = Objective(name="LOSS"), Objective(name="SPEED", minimize=False)


def outcome(loss: float, speed: float) -> dict[str, float]:
    return {"LOSS": loss, "SPEED": speed}


def test_without_names_there_is_one_result_to_be_made_small() -> None:
    assert parse_result_names([]) == (Objective(name="RESULT", minimize=True),)


def test_each_name_may_have_a_direction() -> None:
    assert parse_result_names(["LOSS", "SPEED=max", "top-1=MIN"]) == (
        LOSS,
        SPEED,
        Objective(name="top-1", minimize=True),
    )


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["A", "A=max"], "'A' is there twice"),
        (["A=mni"], "Did you mean min?"),
        (["A="], "'' in 'A=' is not min or max"),
        (["1A"], "'1A' is not a name"),
        (["a b"], "'a b' is not a name"),
        (["METRIC"], "means something else"),
        (["SEM-LOSS"], "means something else"),
        (["OO-Info"], "means something else"),
        (["artifact=max"], "means something else"),
    ],
)
def test_a_wrong_name_is_refused_in_one_line(words: list[str], part: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_result_names(words)

    assert str(caught.value).startswith("--result_names")
    assert part in str(caught.value)


def test_the_best_is_chosen_by_the_first_objective_then_by_the_next() -> None:
    outcomes = [outcome(2, 9), outcome(1, 1), outcome(1, 5), outcome(1, 5)]

    assert best((LOSS, SPEED), outcomes) == 2
    assert best((SPEED,), outcomes) == 0
    assert best((LOSS,), []) is None


def test_the_front_holds_what_nothing_else_beats_in_everything() -> None:
    outcomes = [outcome(1, 1), outcome(2, 5), outcome(3, 4), outcome(1, 1), outcome(0, 0)]

    assert pareto_front((LOSS, SPEED), outcomes) == [0, 1, 4]


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=30))
def test_the_front_is_what_comparing_all_with_all_says(pairs: list[tuple[int, int]]) -> None:
    outcomes = [outcome(loss, speed) for loss, speed in pairs]
    front = pareto_front((LOSS, SPEED), outcomes)

    def beats(a: tuple[int, int], b: tuple[int, int]) -> bool:
        return a[0] <= b[0] and a[1] >= b[1] and a != b

    unbeaten = {pair for pair in pairs if not any(beats(other, pair) for other in pairs)}
    assert {pairs[index] for index in front} == unbeaten
    assert len(front) == len(unbeaten)
    if pairs:
        assert best((LOSS, SPEED), outcomes) in front
