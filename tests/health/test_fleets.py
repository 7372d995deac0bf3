"""What the figures of `docs/hosts.md` rest on, on a small scale: simulated fleets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import median

import pytest

from benchmarks.fleets import POLICIES, Figures, Setting, simulate

TEN = Setting(hosts=10, defective=0.1, flake=0.01)


def searches(setting: Setting, policy: str = "Headway", number: int = 12) -> list[Figures]:
    return [simulate(setting, POLICIES[policy], seed=seed) for seed in range(number)]


def false(figures: Sequence[Figures]) -> float:
    """The share of sound hosts that were excluded."""
    return sum(one.false for one in figures) / sum(one.good for one in figures)


def wasted(figures: Sequence[Figures]) -> int:
    return sum(one.wasted for one in figures)


@pytest.mark.parametrize("bad", [0.0, 0.3, 0.6])
def test_sound_hosts_stay_and_defective_ones_are_found_however_bad_the_trials(bad: float) -> None:
    figures = searches(replace(TEN, bad=bad))
    found = [host for one in figures for host in one.found]
    excluded = [host for host in found if host.is_excluded]
    assert false(figures) < 0.01
    assert not any(one.trouble for one in figures)
    assert len(excluded) > 0.8 * len(found)
    assert median(host.telling for host in excluded) <= 3


@pytest.mark.parametrize("late", [0.5, 1.0])
def test_time_limits_and_flakes_exclude_no_sound_host(late: float) -> None:
    assert false(searches(Setting(hosts=10, defective=0, late=late, flake=0.01))) < 0.01


def test_what_people_do_without_headway_is_worse() -> None:
    setting = replace(TEN, bad=0.3)
    ours = searches(setting)
    assert wasted(ours) < wasted(searches(setting, "never exclude")) / 5
    assert wasted(ours) < wasted(searches(setting, "on NODE_FAIL"))
    assert false(searches(setting, "on first failure")) > 0.5


def test_black_holes_get_few_more_trials_once_their_first_failure_is_known() -> None:
    figures = searches(Setting(hosts=40, defective=0.1, flake=0.01, only="always"), number=6)
    later = [host.after_first for one in figures for host in one.found]
    assert max(later) <= 3


def test_a_long_search_on_flaky_hosts_excludes_hardly_any() -> None:
    setting = Setting(hosts=10, defective=0, bad=0.1, flake=0.03, trials_a_host=100)
    assert false(searches(setting, number=4)) <= 0.025
