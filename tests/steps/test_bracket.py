"""A limit that nobody tells, found from what is taken and what is refused."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.steps.bracket import Bracket


@given(limit=st.integers(1, 500), first=st.integers(1, 500))
def test_a_limit_is_found_with_few_refusals(limit: int, first: int) -> None:
    bracket = Bracket()
    refusals = 0
    level = min(first, limit)
    assert bracket.refuse(level, level, limit + first)
    while (size := bracket.trial_size()) > 0:
        assert bracket.safe is not None
        assert bracket.safe <= limit
        if bracket.safe + size <= limit:
            bracket.take(bracket.safe + size, bracket.safe + size)
        else:
            refusals += 1
            assert bracket.refuse(bracket.safe, bracket.safe, size)
    assert bracket.safe == bracket.top == limit
    assert refusals <= 10


def test_what_is_taken_proves_the_least_that_is_there() -> None:
    bracket = Bracket()
    bracket.refuse(16, 16, 11)
    assert not bracket.take(15, 20)
    assert (bracket.safe, bracket.top) == (16, 26)


def test_a_refusal_below_the_safe_level_is_no_step_down_from_it() -> None:
    bracket = Bracket()
    bracket.tell(20)
    assert bracket.refuse(12, 13, 2)
    assert (bracket.safe, bracket.top) == (12, 14)
    bracket.doubt(20)
    assert (bracket.safe, bracket.top) == (12, 20)


def test_more_than_was_told_shows_that_it_was_told_wrong() -> None:
    bracket = Bracket()
    bracket.tell(5)
    assert bracket.take(9, 9)
    assert (bracket.safe, bracket.top) == (9, None)
    bracket.doubt(5)
    assert bracket.top is None
