"""What speaks for and against each host."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.health.evidence import WINDOW, Counts, Evidence
from orchestrator.health.failures import Blame
from orchestrator.health.posterior import Mark
from tests.health.endings import HOSTS, Trial, interleaved, searches

PAIRED, WEAK = Blame.PAIRED, Blame.WEAK


@pytest.fixture
def evidence() -> Evidence:
    return Evidence()


def test_a_trial_that_fails_here_and_succeeds_there_blames_this_host(evidence: Evidence) -> None:
    evidence.failed(1, "a", PAIRED)
    assert evidence.counts("a") == Counts(open=1)
    evidence.succeeded(1, "b")
    assert evidence.counts("a") == Counts(blamed=1, examples=((1, "b"),))
    assert evidence.counts("b") == Counts(succeeded=1)


def test_a_trial_that_fails_on_two_hosts_blames_neither(evidence: Evidence) -> None:
    evidence.failed(1, "a", PAIRED)
    evidence.failed(1, "b", PAIRED)
    evidence.closed(1)
    assert evidence.counts("a") == evidence.counts("b") == Counts()


def test_a_trial_that_succeeds_on_the_third_host_blames_both(evidence: Evidence) -> None:
    for host in "ab":
        evidence.failed(1, host, PAIRED)
    evidence.succeeded(1, "c")
    assert [evidence.counts(host).blamed for host in "abc"] == [1, 1, 0]


def test_a_failure_that_comes_after_a_success_elsewhere_is_blamed_at_once(
    evidence: Evidence,
) -> None:
    evidence.succeeded(1, "b")
    evidence.failed(1, "a", PAIRED)
    assert evidence.counts("a") == Counts(blamed=1, examples=((1, "b"),))


def test_a_host_that_does_better_at_the_second_try_is_not_blamed(evidence: Evidence) -> None:
    evidence.failed(1, "a", PAIRED)
    evidence.succeeded(1, "a")
    assert evidence.counts("a") == Counts(succeeded=1)


def test_a_trial_that_no_other_host_will_try_stays_unexplained(evidence: Evidence) -> None:
    evidence.failed(1, "a", PAIRED)
    assert evidence.open_trials("a") == {1}
    evidence.closed(1)
    assert evidence.open_trials("a") == set()
    assert evidence.counts("a") == Counts(unexplained=1)


@pytest.mark.parametrize("blame", [Blame.NONE, Blame.STRONG])
def test_what_is_nobodys_fault_or_says_all_by_itself_is_not_paired(
    evidence: Evidence, blame: Blame
) -> None:
    evidence.failed(1, "a", blame)
    evidence.succeeded(1, "b")
    assert evidence.counts("a") == Counts()


def test_two_failures_of_a_trial_on_one_host_are_one_and_the_stronger_one_counts(
    evidence: Evidence,
) -> None:
    evidence.failed(1, "a", WEAK)
    assert evidence.marks("a", with_open=True) == [Mark.WEAK]
    evidence.failed(1, "a", PAIRED)
    evidence.succeeded(1, "b")
    assert evidence.marks("a", with_open=True) == [Mark.BLAMED]


def test_only_the_newest_attempts_count(evidence: Evidence) -> None:
    for trial in range(5):
        evidence.failed(trial, "a", PAIRED)
        evidence.succeeded(trial, "b")
    for trial in range(5, 5 + WINDOW):
        evidence.succeeded(trial, "a")
    assert evidence.counts("a") == Counts(succeeded=WINDOW)


def test_what_was_forgotten_is_not_brought_up_again(evidence: Evidence) -> None:
    evidence.failed(1, "a", PAIRED)
    evidence.forget("a")
    evidence.succeeded(1, "b")
    assert evidence.counts("a") == Counts()


def test_the_rates_of_the_fleet_leave_the_host_itself_out(evidence: Evidence) -> None:
    before = evidence.fleet("a")
    for trial in range(9):
        evidence.failed(trial, "a", WEAK if trial % 2 else PAIRED)
        evidence.closed(trial)
    assert evidence.fleet("a") == before
    assert evidence.fleet("b").bad_rate > before.bad_rate
    assert evidence.fleet("b").weak_rate > before.weak_rate


def test_a_host_that_loses_all_does_not_spoil_the_rate_of_the_others(evidence: Evidence) -> None:
    for trial in range(50):
        evidence.failed(trial, "a", PAIRED)
        evidence.succeeded(trial, "b")
    assert evidence.fleet("c").flake_rate < 0.01


def test_a_fleet_that_loses_one_of_twenty_is_known_for_it_after_a_while(
    evidence: Evidence,
) -> None:
    for trial in range(4000):
        host = f"node{trial % 20}"
        if trial % 20 == trial // 20 % 20:
            evidence.failed(trial, host, PAIRED)
            host = f"node{(trial + 1) % 20}"
        evidence.succeeded(trial, host)
    assert evidence.fleet("node0").flake_rate == pytest.approx(0.05, rel=0.1)


def counted(trials: list[Trial], order: list[int]) -> dict[str, Counts]:
    evidence = Evidence()
    steps = {trial.number: iter(trial.steps(evidence, evidence.failed)) for trial in trials}
    for number in order:
        next(steps[number])()
    return {
        host: Counts(c.succeeded, c.blamed, c.unexplained, c.open, c.weak)
        for host in HOSTS
        for c in [evidence.counts(host)]
    }


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_it_does_not_matter_in_which_order_trials_tell(data: st.DataObject) -> None:
    trials = data.draw(searches(most=WINDOW))
    one, other = (data.draw(interleaved(trials)) for _ in range(2))
    assert counted(trials, one) == counted(trials, other)
