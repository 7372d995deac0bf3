"""How a search got better, outcome by outcome."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from db.sql.reading.experiments import ObjectiveRow
from db.sql.reading.outcomes import News
from orchestrator.reports.history import History

LOSS = ObjectiveRow(id=1, name="LOSS", minimize=True)
SPEED = ObjectiveRow(id=2, name="SPEED", minimize=False)


def history_of(*pieces: list[tuple[float, ...]]) -> History:
    history = History([LOSS, SPEED][: len(pieces[0][0])])
    index = 0
    for piece in pieces:
        history.add(News(last_id=index, values=list(enumerate(piece, start=index))))
        index += len(piece)
    return history


def test_the_best_value_and_its_trial_are_kept() -> None:
    history = history_of([(5.0,), (3.0,)], [(4.0,), (1.5,)], [(1.5,)])
    assert [(best.value, best.trial) for best in history.best] == [(1.5, 3)]
    assert history.course(5) == [5.0, 3.0, 3.0, 1.5, 1.5]


def test_a_course_is_thinned_to_its_width_and_keeps_both_ends() -> None:
    history = history_of([(float(100 - n),) for n in range(100)])
    course = history.course(10)
    assert (len(course), course[0], course[-1]) == (10, 100.0, 1.0)


def test_there_is_nothing_before_the_first_outcome() -> None:
    history = History([LOSS])
    assert (history.best, history.course(10), history.front) == ((), [], ())


def test_each_objective_has_its_best_and_the_front_holds_both() -> None:
    history = history_of([(5.0, 1.0), (3.0, 2.0)], [(4.0, 9.0), (6.0, 0.0)])
    assert [(best.value, best.trial) for best in history.best] == [(3.0, 1), (9.0, 2)]
    assert history.front == (1, 2)
    assert history.front_means() == [
        (1, {"LOSS": 3.0, "SPEED": 2.0}),
        (2, {"LOSS": 4.0, "SPEED": 9.0}),
    ]


numbers = st.integers(0, 9).map(float)


@given(st.lists(st.tuples(numbers, numbers), min_size=1), st.integers(1, 5))
def test_the_front_is_the_same_in_pieces_and_at_once(
    values: list[tuple[float, ...]], size: int
) -> None:
    pieces = [values[start : start + size] for start in range(0, len(values), size)]
    assert history_of(*pieces).front == history_of(values).front
    assert history_of(*pieces).best == history_of(values).best
