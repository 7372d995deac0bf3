"""How likely a host is defective."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.health.posterior import PAROLE_PRIOR, PRIOR, Fleet, Mark, probability_defective

S, B, U, W = Mark.SUCCEEDED, Mark.BLAMED, Mark.UNEXPLAINED, Mark.WEAK
FLEET = Fleet(flake_rate=0.01, bad_rate=0.1, weak_rate=0.1)
marks_of_a_host = st.lists(st.sampled_from([S, B, U, W]), min_size=1, max_size=20)
fleets = st.builds(
    Fleet,
    flake_rate=st.floats(0.0005, 0.2),
    bad_rate=st.floats(0.0005, 0.95),
    weak_rate=st.floats(0.0005, 0.95),
)


def test_without_any_evidence_the_prior_holds() -> None:
    assert probability_defective([], FLEET) == PRIOR
    assert probability_defective([], FLEET, prior=PAROLE_PRIOR) == PAROLE_PRIOR


def test_a_host_that_only_succeeds_is_not_defective() -> None:
    assert probability_defective([S], FLEET) == 0.0


def test_one_failure_is_weighed_as_by_hand() -> None:
    # The mean of Beta(1.5, 1) is 0.6; a sound host loses one of a hundred.
    odds = 0.6 / 0.01 * PRIOR / (1 - PRIOR)
    assert probability_defective([B], FLEET) == pytest.approx(odds / (1 + odds), rel=0.01)


def test_three_failures_are_weighed_as_by_hand() -> None:
    # Half for a host that is defective from the start, a quarter each for the two later places;
    # the mean of the k-th power of the rate is 1.5 / (k + 1.5).
    ratio = sum(w * 1.5 / (k + 1.5) / 0.01**k for w, k in ((0.5, 3), (0.25, 2), (0.25, 1)))
    odds = ratio * PRIOR / (1 - PRIOR)
    found = probability_defective([B, B, B], FLEET)
    assert found / (1 - found) == pytest.approx(odds, rel=0.01)


@settings(max_examples=60, deadline=None)
@given(marks_of_a_host, fleets, st.sampled_from([PRIOR, PAROLE_PRIOR]))
def test_it_is_a_probability_whatever_is_known(
    marks: list[Mark], fleet: Fleet, prior: float
) -> None:
    assert 0.0 <= probability_defective(marks, fleet, prior=prior) <= 1.0


@settings(max_examples=60, deadline=None)
@given(marks_of_a_host, fleets, st.sampled_from([B, U, W]))
def test_a_failure_never_speaks_for_a_host_nor_a_success_against_it(
    marks: list[Mark], fleet: Fleet, failure: Mark
) -> None:
    better = probability_defective([*marks, S], fleet)
    worse = probability_defective([*marks, failure], fleet)
    assert better <= worse


def test_a_host_that_dies_is_found_by_what_came_last() -> None:
    assert probability_defective([*[S] * 17, B, B, B], FLEET) > 0.95
    # The same failures long ago, and well ever since.
    assert probability_defective([B, B, B, *[S] * 17], FLEET) < 0.5


def test_an_unexplained_failure_says_little_where_many_trials_are_bad() -> None:
    bad = Fleet(flake_rate=0.01, bad_rate=0.8, weak_rate=0.1)
    good = Fleet(flake_rate=0.01, bad_rate=0.01, weak_rate=0.1)
    assert probability_defective([U, U, U], bad) < 0.1
    assert probability_defective([U, U, U], good) > 0.95


def test_weak_evidence_says_nothing_where_all_hosts_give_it() -> None:
    late = Fleet(flake_rate=0.01, bad_rate=0.1, weak_rate=0.95)
    assert probability_defective([W] * 20, late) < 2 * PRIOR


def test_a_weak_failure_is_a_quarter_of_an_unexplained_one() -> None:
    fleet = Fleet(flake_rate=1e-6, bad_rate=0.2, weak_rate=0.2)

    def evidence(mark: Mark, number: int) -> float:
        found = probability_defective([mark] * number, fleet)
        return math.log(found / (1 - found)) - math.log(PRIOR / (1 - PRIOR))

    assert evidence(W, 4) == pytest.approx(evidence(U, 1), abs=0.5)
    assert evidence(W, 1) < evidence(U, 1) / 3
