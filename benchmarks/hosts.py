"""Figure (m): which hosts are excluded on simulated fleets, beside what people do without Headway.

`python -m benchmarks hosts` prints the tables; `python -m benchmarks.hosts FILE.svg` draws.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

from benchmarks.figures import Grid, percentile
from benchmarks.fleets import DEFECTS, POLICIES, Figures, Found, Setting, simulate
from benchmarks.plots import Line, Panel, drawing

BAD = (0.0, 0.3, 0.6)
FLAKE = 0.01
# How many searches a line rests on, for each repetition that was asked for.
SEARCHES = {10: 20, 100: 4, 1000: 1}
SIDE_BY_SIDE = Setting(hosts=100, defective=0.1, flake=FLAKE)
_NOTE = (
    "Simulated: hosts with two slots, 12 trials a host, each lost by a sound host once in a hundred "
    "times and tried again once, elsewhere; a defective host loses trials at once, and Slurm "
    "notices one in ten of these. The columns of failures are medians over the defective hosts that "
    "were found; failures of trials that fail everywhere tell nothing of a host, and the second "
    "one leaves them out."
)


def measure(_place: object, *, repeats: int, small: bool) -> list[Grid]:
    """Simulate fleets of all sizes, all defects one by one, and all policies side by side."""
    sizes = (10, 100) if small else (10, 100, 1000)
    return [_ours(sizes, repeats), _each_defect(repeats), _side_by_side(repeats)]


def _run(setting: Setting, policy: str, repeats: int) -> list[Figures]:
    seeds = range(repeats * SEARCHES[setting.hosts])
    return [simulate(setting, POLICIES[policy], seed=seed) for seed in seeds]


def _ours(sizes: Sequence[int], repeats: int) -> Grid:
    head = (
        *("hosts", "defective", "bad trials", "sound hosts excluded", "defective hosts found"),
        *("failures until then", "of sound trials", "sound trials lost", "stopped"),
    )
    lines = []
    for setting in _settings(sizes):
        figures = _run(setting, "Headway", repeats)
        found = [each for one in figures for each in one.found]
        lines.append(
            (
                f"{setting.hosts}",
                f"{setting.defective:.0%}",
                f"{setting.bad:.0%}",
                _false(figures),
                *_how_found(found),
                _lost(setting, figures),
                f"{sum(one.trouble for one in figures)} of {len(figures)}",
            )
        )
    return Grid("(m) Headway on fleets of all sizes", head, lines, (_NOTE,))


def _settings(sizes: Sequence[int]) -> Iterator[Setting]:
    for hosts in sizes:
        for defective in (0.0, 0.1) if hosts == 10 else (0.0, 0.02, 0.1):
            for bad in BAD:
                yield Setting(hosts=hosts, defective=defective, bad=bad, flake=FLAKE)


def _each_defect(repeats: int) -> Grid:
    head = (
        *("a defective host loses", "bad trials", "found", "failures until then"),
        *("of sound trials", "begun after the first failure", "95 of 100 hosts at most"),
    )
    names = {
        "always": "every trial",
        "sometimes": "half",
        "gpu": "those for GPUs (half)",
        "dying": "ever more",
    }
    lines = []
    for defect in DEFECTS:
        for bad in BAD:
            setting = replace(SIDE_BY_SIDE, bad=bad, only=defect)
            found = [each for one in _run(setting, "Headway", repeats) for each in one.found]
            later = [each.after_first for each in found]
            lines.append(
                (
                    names[defect],
                    f"{bad:.0%}",
                    *_how_found(found),
                    f"{median(later):g}",
                    f"{percentile(later, 0.95):g}",
                )
            )
    return Grid("(m) 100 hosts, 10 of them defective in one way", head, lines)


def _side_by_side(repeats: int) -> Grid:
    head = (
        *("policy", "bad trials", "sound hosts excluded", "defective hosts found"),
        *("attempts lost on defective hosts", "sound trials lost", "wall"),
    )
    lines = []
    for bad in BAD:
        setting = replace(SIDE_BY_SIDE, bad=bad)
        for policy in POLICIES:
            figures = _run(setting, policy, repeats)
            found = [each for one in figures for each in one.found]
            lines.append(
                (
                    policy,
                    f"{bad:.0%}",
                    _false(figures),
                    _how_found(found)[0],
                    f"{_mean([one.wasted for one in figures]):.0f}",
                    _lost(setting, figures),
                    f"{_mean([one.wall for one in figures]):.1f}",
                )
            )
    note = "1200 trials; the wall time is in lengths of a trial, 6 at best."
    return Grid("(m) 100 hosts, 10 of them defective, four policies", head, lines, (note,))


def _false(figures: Sequence[Figures]) -> str:
    return f"{sum(one.false for one in figures) / sum(one.good for one in figures):.2%}"


def _how_found(found: Sequence[Found]) -> tuple[str, str, str]:
    """Return how many were found, and after how many failures."""
    done = [each for each in found if each.is_excluded]
    if not done:
        return (f"0 of {len(found)}" if found else "-", "-", "-")
    failures = f"{median(each.failures for each in done):g}"
    telling = f"{median(each.telling for each in done):g}"
    return (f"{len(done)} of {len(found)}", failures, telling)


def _lost(setting: Setting, figures: Sequence[Figures]) -> str:
    sound = setting.hosts * setting.trials_a_host * (1 - setting.bad)
    return f"{_mean([one.lost for one in figures]) / sound:.2%}"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def draw(path: Path, repeats: int) -> None:
    """Draw what each policy does to sound hosts and loses on defective ones, by the bad trials."""
    shares = [step / 10 for step in range(7)]
    false, wasted = [], []
    for policy in POLICIES:
        figures = [_run(replace(SIDE_BY_SIDE, bad=bad), policy, repeats) for bad in shares]
        good = [[100 * one.false / one.good for one in ones] for ones in figures]
        lost = [[float(one.wasted) for one in ones] for ones in figures]
        false.append(Line(policy, [_mean(each) for each in good]))
        wasted.append(Line(policy, [_mean(each) for each in lost]))
    across = [100 * share for share in shares]
    panels = (
        Panel("sound hosts excluded, %", across, false, top=100),
        Panel("attempts lost on 10 defective hosts", across, wasted, top=1000, is_log=True),
    )
    path.write_text(drawing(panels, below="trials that fail everywhere, %"), encoding="utf-8")


if __name__ == "__main__":
    draw(Path(sys.argv[1]), repeats=3)
