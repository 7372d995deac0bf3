"""Which hosts new jobs avoid."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.health.bursts import BURST_A_RUNNING, FIRST_BURST, HOMELESS, LEFT
from orchestrator.health.failures import Blame
from orchestrator.health.verdicts import LOST_BY_ONE_TOO_MANY, Verdict, Verdicts, most
from tests.health.endings import HOSTS, Trial, interleaved, searches

PAIRED, WEAK, STRONG = Blame.PAIRED, Blame.WEAK, Blame.STRONG
FOUR = ("a", "b", "c", "d")


@pytest.fixture
def verdicts() -> Verdicts:
    return Verdicts()


def fail(verdicts: Verdicts, trial: int, host: str, blame: Blame = PAIRED) -> None:
    verdicts.failed(trial, host, blame, why="the program ended with exit code 1")


def move(verdicts: Verdicts, trial: int, *hosts: str, to: str | None = None) -> None:
    """Let a trial fail on hosts, and succeed on another one or never."""
    for host in hosts:
        fail(verdicts, trial, host)
    if to is None:
        verdicts.closed(trial)
    else:
        verdicts.succeeded(trial, to)


def names(found: list[Verdict]) -> list[str]:
    return [verdict.host for verdict in found]


def told(trials: list[Trial], order: list[int]) -> Iterator[Verdicts]:
    """Tell a search step by step; yields after each."""
    verdicts = Verdicts()
    steps = {
        trial.number: iter(trial.steps(verdicts, functools.partial(fail, verdicts)))
        for trial in trials
    }
    for number in order:
        next(steps[number])()
        yield verdicts


def test_the_first_failure_makes_a_host_suspect_until_another_one_has_told(
    verdicts: Verdicts,
) -> None:
    fail(verdicts, 1, "a")
    assert verdicts.newly_excluded(FOUR) == []
    (suspect,) = verdicts.suspects(FOUR)
    assert suspect.host == "a"
    assert suspect.reason == (
        "of its newest trials 1 failed here and had not been tried elsewhere yet; "
        "the last failure: the program ended with exit code 1"
    )
    fail(verdicts, 1, "b")
    assert verdicts.newly_excluded(FOUR) == []
    assert verdicts.suspects(FOUR) == []


def test_a_host_that_loses_what_others_do_is_excluded_with_its_evidence(
    verdicts: Verdicts,
) -> None:
    for trial in (1, 2):
        move(verdicts, trial, "a", to="b")
    (verdict,) = verdicts.newly_excluded(FOUR)
    assert verdict.host == "a"
    assert verdict.reason.startswith("of its newest trials 2 failed here and succeeded on another")
    stored = verdict.evidence
    assert stored["probability"] >= 0.95
    assert (stored["blamed"], stored["succeeded"]) == (2, 0)
    assert stored["examples"] == [
        {"trial_id": 1, "succeeded_on": "b"},
        {"trial_id": 2, "succeeded_on": "b"},
    ]
    assert verdicts.excluded() == {"a"}
    assert verdicts.newly_excluded(FOUR) == []


@pytest.mark.parametrize("before", [0, 10_000])
def test_one_flake_excludes_nobody(verdicts: Verdicts, before: int) -> None:
    for trial in range(before):
        verdicts.succeeded(trial, "b")
    move(verdicts, before, "a", to="b")
    assert verdicts.newly_excluded(FOUR) == []
    assert verdicts.suspects(FOUR) == []


def test_a_strong_failure_excludes_at_once_in_its_own_words(verdicts: Verdicts) -> None:
    verdicts.succeeded(1, "a")
    verdicts.failed(2, "a", STRONG, why="its node failed (NODE_FAIL)")
    (verdict,) = verdicts.newly_excluded(FOUR)
    assert (verdict.host, verdict.probability) == ("a", 1.0)
    assert verdict.reason == "its node failed (NODE_FAIL)"


def test_a_host_that_worked_before_is_suspect_where_failures_are_rare(verdicts: Verdicts) -> None:
    for trial in range(100):
        verdicts.succeeded(trial, FOUR[trial % 4])
    fail(verdicts, 100, "a")
    verdicts.newly_excluded(FOUR)
    assert names(verdicts.suspects(FOUR)) == ["a"]


def test_a_host_that_worked_before_is_not_suspect_where_most_trials_are_bad(
    verdicts: Verdicts,
) -> None:
    for trial in range(200):
        move(verdicts, trial, *(() if trial % 5 == 0 else "ab"), to="a" if trial % 5 == 0 else None)
    fail(verdicts, 200, "a")
    verdicts.newly_excluded(FOUR)
    assert verdicts.suspects(FOUR) == []
    move(verdicts, 200, "b")
    # Unless the log of the failure says that it is the host.
    verdicts.failed(201, "a", PAIRED, why="a GPU was lost", points_to_host=True)
    verdicts.newly_excluded(FOUR)
    assert names(verdicts.suspects(FOUR)) == ["a"]
    move(verdicts, 201, to="b")
    verdicts.newly_excluded(FOUR)
    assert verdicts.suspects(FOUR) == []


@pytest.mark.parametrize("blame", [PAIRED, WEAK])
def test_trials_that_fail_everywhere_exclude_nobody(verdicts: Verdicts, blame: Blame) -> None:
    for trial in range(200):
        for host in (FOUR[trial % 4], FOUR[(trial + 1) % 4]):
            fail(verdicts, trial, host, blame)
        verdicts.closed(trial)
        assert verdicts.newly_excluded(FOUR) == []


def test_time_limits_that_all_hosts_meet_exclude_nobody(verdicts: Verdicts) -> None:
    # Each trial runs into the limit, and succeeds with more time on another host.
    for trial in range(200):
        fail(verdicts, trial, FOUR[trial % 4], WEAK)
        verdicts.succeeded(trial, FOUR[(trial + 1 + trial // 4 % 3) % 4])
        assert verdicts.newly_excluded(FOUR) == []


def test_a_host_where_jobs_get_lost_again_and_again_is_excluded_at_last(
    verdicts: Verdicts,
) -> None:
    for trial in range(100):
        verdicts.succeeded(trial, FOUR[1 + trial % 3])
    for trial in range(100, 103):
        fail(verdicts, trial, "a", WEAK)
        verdicts.succeeded(trial, "b")
    assert verdicts.newly_excluded(FOUR) == []
    for trial in range(103, 115):
        fail(verdicts, trial, "a", WEAK)
        verdicts.succeeded(trial, "b")
    assert names(verdicts.newly_excluded(FOUR)) == ["a"]


@pytest.mark.parametrize(("before", "lengths"), [(0, 1), (0, 10), (100, 10), (1000, 50)])
def test_a_black_hole_gets_at_most_three_more_trials(
    verdicts: Verdicts, before: int, lengths: int
) -> None:
    """It ends each trial at once, the others after so many of its own."""
    for trial in range(before):
        verdicts.succeeded(trial, FOUR[trial % 4])
    elsewhere: list[tuple[int, int]] = []
    hits = 0
    for moment in range(20 * lengths):
        for _, trial in [each for each in elsewhere if each[0] == moment]:
            verdicts.succeeded(trial, "b")
        verdicts.newly_excluded(FOUR)
        if "a" not in {*names(verdicts.suspects(FOUR)), *verdicts.excluded()}:
            fail(verdicts, before + hits, "a")
            elsewhere.append((moment + lengths, before + hits))
            hits += 1
    assert verdicts.excluded() == {"a"}
    assert hits <= 1 + 3


def test_a_black_hole_is_found_also_where_no_trial_tries_again(verdicts: Verdicts) -> None:
    for trial in range(20):
        verdicts.succeeded(trial, FOUR[1 + trial % 3])
    hits = 0
    while not verdicts.newly_excluded(FOUR):
        move(verdicts, 100 + hits, "a")
        hits += 1
    assert verdicts.excluded() == {"a"}
    assert 2 <= hits <= 4


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(0, 8))
def test_never_more_than_a_quarter_and_never_the_last_host_is_kept_out(
    data: st.DataObject, known: int
) -> None:
    trials = data.draw(searches())
    hosts = HOSTS[:known]
    for verdicts in told(trials, data.draw(interleaved(trials))):
        verdicts.newly_excluded(hosts)
        out = {*verdicts.excluded(), *names(verdicts.suspects(hosts))}
        assert out <= set(hosts)
        assert len(out) <= max(1, known // 4)
        assert not hosts or len(out) < known


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_same_story_told_again_leads_to_the_same_verdicts(data: st.DataObject) -> None:
    trials = data.draw(searches())
    order = data.draw(interleaved(trials))

    def decisions() -> list[tuple[list[Verdict], list[Verdict]]]:
        return [(v.newly_excluded(HOSTS), v.suspects(HOSTS)) for v in told(trials, order)]

    assert decisions() == decisions()


def test_of_equally_suspect_hosts_the_same_one_comes_first(verdicts: Verdicts) -> None:
    for host in reversed(FOUR):
        fail(verdicts, ord(host), host)
    verdicts.newly_excluded(FOUR)
    assert names(verdicts.suspects(FOUR)) == ["a"]


def test_a_suspect_gives_way_to_an_excluded_host(verdicts: Verdicts) -> None:
    fail(verdicts, 1, "b")
    verdicts.newly_excluded(FOUR)
    assert names(verdicts.suspects(FOUR)) == ["b"]
    fail(verdicts, 2, "a", STRONG)
    assert names(verdicts.newly_excluded(FOUR)) == ["a"]
    assert verdicts.suspects(FOUR) == []


def test_what_others_excluded_counts_as_well(verdicts: Verdicts) -> None:
    verdicts.keep_out("d")
    fail(verdicts, 1, "a", STRONG)
    assert verdicts.newly_excluded(FOUR) == []
    # Unless jobs of this experiment could not get it anyway.
    assert names(verdicts.newly_excluded(FOUR[:3])) == ["a"]


def test_nothing_is_decided_where_nobody_knows_the_hosts(verdicts: Verdicts) -> None:
    fail(verdicts, 1, "a", STRONG)
    assert verdicts.newly_excluded(()) == []
    assert verdicts.suspects(()) == []
    # It is made up for when they are known.
    assert names(verdicts.newly_excluded(FOUR)) == ["a"]


@pytest.mark.parametrize("way", ["strong", "paired"])
def test_a_host_on_parole_is_judged_by_what_it_does_from_now_on(
    verdicts: Verdicts, way: str
) -> None:
    for trial in (1, 2):
        move(verdicts, trial, "a", to="b")
    assert names(verdicts.newly_excluded(FOUR)) == ["a"]
    verdicts.released("a")
    assert verdicts.newly_excluded(FOUR) == []
    assert verdicts.on_parole() == {"a"}
    if way == "strong":
        fail(verdicts, 3, "a", STRONG)
    else:
        move(verdicts, 3, "a", to="b")
    assert names(verdicts.newly_excluded(FOUR)) == ["a"]


def test_hosts_on_parole_count_towards_the_quarter(verdicts: Verdicts) -> None:
    verdicts.released("a")
    fail(verdicts, 1, "b", STRONG)
    assert verdicts.newly_excluded(FOUR) == verdicts.suspects(FOUR) == []
    fail(verdicts, 2, "a", STRONG)
    assert names(verdicts.newly_excluded(FOUR)) == ["a"]


def test_a_host_on_parole_passes_with_one_success(verdicts: Verdicts) -> None:
    fail(verdicts, 1, "a", STRONG)
    verdicts.newly_excluded(FOUR)
    verdicts.released("a")
    verdicts.succeeded(2, "a")
    assert verdicts.on_parole() == set()
    # One flake is nothing special from then on.
    move(verdicts, 3, "a", to="b")
    assert verdicts.newly_excluded(FOUR) == []


def test_a_host_that_a_person_let_in_is_on_no_parole(verdicts: Verdicts) -> None:
    fail(verdicts, 1, "a", STRONG)
    verdicts.newly_excluded(FOUR)
    verdicts.released("a", on_parole=False)
    move(verdicts, 2, "a", to="b")
    assert verdicts.newly_excluded(FOUR) == []
    assert verdicts.on_parole() == verdicts.excluded() == set()


def test_a_program_that_never_succeeds_is_trouble(verdicts: Verdicts) -> None:
    for trial in range(FIRST_BURST):
        assert verdicts.trouble(FOUR, running=0) is None
        move(verdicts, trial, FOUR[trial % 4], FOUR[(trial + 1) % 4])
    assert verdicts.trouble(FOUR, running=0) == (
        f"{FIRST_BURST} different trials failed in a row, on 4 hosts: "
        "the program or something that all hosts share is at fault"
    )
    # What still runs may succeed: what fails often does so sooner.
    assert verdicts.trouble(FOUR, running=FIRST_BURST // BURST_A_RUNNING + 1) is None
    verdicts.succeeded(FIRST_BURST, "a")
    assert verdicts.trouble(FOUR, running=0) is None


@pytest.mark.parametrize(
    "once_more",
    [
        pytest.param(lambda v, n: fail(v, n, FOUR[n % 4], WEAK), id="time-limits"),
        pytest.param(lambda v, n: fail(v, n, FOUR[n % 4], Blame.NONE), id="preemptions"),
        pytest.param(lambda v, n: fail(v, n, "a"), id="one-host"),
        pytest.param(lambda v, n: fail(v, n % 5, FOUR[n % 4]), id="few-trials"),
    ],
)
def test_what_more_of_the_same_may_cure_is_no_trouble(
    verdicts: Verdicts, once_more: Callable[[Verdicts, int], None]
) -> None:
    for number in range(10 * FIRST_BURST):
        once_more(verdicts, number)
        verdicts.newly_excluded(FOUR)
        assert verdicts.trouble(FOUR, running=0) is None


@pytest.mark.parametrize(("bad", "longest"), [(1, 20), (6, 30)])
def test_the_worse_the_trials_were_the_longer_a_row_is_no_trouble(
    verdicts: Verdicts, bad: int, longest: int
) -> None:
    for trial in range(500):
        if trial % 10 < bad:
            move(verdicts, trial, "a", "b")
        else:
            verdicts.succeeded(trial, "a")
    number = 500
    while verdicts.trouble(FOUR, running=0) is None:
        move(verdicts, number, FOUR[number % 4], FOUR[(number + 1) % 4])
        number += 1
    assert number - 500 == pytest.approx(longest, abs=5)


@pytest.mark.parametrize(("hosts", "is_told"), [(("a",), True), (FOUR, False), ((), False)])
def test_what_fails_on_one_host_only_is_trouble_if_there_is_no_other(
    verdicts: Verdicts, hosts: tuple[str, ...], is_told: bool
) -> None:
    for trial in range(FIRST_BURST):
        move(verdicts, trial, "a")
    told = verdicts.trouble(hosts, running=0)
    assert (told is not None) is is_told
    assert told is None or f"{FIRST_BURST} different trials failed in a row, on 1 host: " in told


def test_more_defective_hosts_than_may_be_kept_out_are_trouble(verdicts: Verdicts) -> None:
    for host in "ac":
        for trial in range(2):
            move(verdicts, 10 * ord(host) + trial, host, to="b")
    assert names(verdicts.newly_excluded(FOUR)) == ["a"]
    for trial in range(LOST_BY_ONE_TOO_MANY):
        assert verdicts.trouble(FOUR, running=0) is None
        move(verdicts, trial, "c", to="b")
        assert verdicts.newly_excluded(FOUR) == []
    assert verdicts.trouble(FOUR, running=0) == (
        "c lost trial after trial, and of 4 hosts no more may be kept out than a "
        "(if it is only these: headway hosts exclude c)"
    )
    verdicts.succeeded(100, "c")
    assert verdicts.trouble(FOUR, running=0) is None


def test_a_check_that_no_host_passes_is_trouble(verdicts: Verdicts) -> None:
    for trial in range(HOMELESS):
        assert verdicts.trouble(FOUR, running=16) is None
        for host in FOUR[:LEFT]:
            verdicts.failed(trial, host, STRONG, why="preflight failed: no licence")
    assert verdicts.trouble(FOUR, running=16) == (
        "10 trials in a row found no host that could run them, though each tried 3 times or more"
    )


def test_a_power_cut_is_no_trouble(verdicts: Verdicts) -> None:
    hosts = [f"node{number}" for number in range(100)]
    for trial in range(400):
        verdicts.failed(trial, hosts[trial % 100], STRONG, why="its node failed (NODE_FAIL)")
    assert len(verdicts.newly_excluded(hosts)) == 25
    assert verdicts.trouble(hosts, running=0) is None


@pytest.mark.parametrize(
    ("hosts", "may"), [(0, 0), (1, 0), (2, 1), (3, 1), (7, 1), (8, 2), (100, 25)]
)
def test_a_quarter_of_the_hosts_may_be_kept_out_but_never_the_last(hosts: int, may: int) -> None:
    assert most(hosts) == may
