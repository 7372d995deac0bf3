"""Draws lines as SVG, by hand: a few figures a release are no reason for a plotting library."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

WIDTH, HEIGHT = 330, 220
LEFT, TOP, GAP, BOTTOM = 50, 30, 70, 70
# Told apart also without colour: by the dashes.
STYLES = (("#0072b2", ""), ("#d55e00", "8 4"), ("#999999", "2 3"), ("#009e73", "10 3 2 3"))


@dataclass(frozen=True)
class Line:
    """One line.

    Attributes:
        name: As the legend calls it.
        values: One for each place across.
    """

    name: str
    values: Sequence[float]


@dataclass(frozen=True)
class Panel:
    """Lines over one axis.

    Attributes:
        title: What they show, with its unit.
        across: The places, which ascend.
        lines: The same ones in the same order in each panel of a drawing.
        top: The highest value of the axis.
        is_log: Whether it is logarithmic, and then begins at 1.
    """

    title: str
    across: Sequence[float]
    lines: Sequence[Line]
    top: float
    is_log: bool = False

    def height(self, value: float) -> float:
        """Return where a value lies, 0 at the bottom to 1 at the top."""
        share = math.log(max(1.0, value)) / math.log(self.top) if self.is_log else value / self.top
        return min(1.0, share)

    def ticks(self) -> list[float]:
        """Return the values that the axis names."""
        if self.is_log:
            return [10.0**power for power in range(round(math.log10(self.top)) + 1)]
        return [self.top * step / 4 for step in range(5)]


def drawing(panels: Sequence[Panel], *, below: str) -> str:
    """Return panels side by side with one legend.

    Args:
        panels: At least one.
        below: What is across, with its unit.
    """
    width = LEFT + len(panels) * (WIDTH + GAP)
    height = TOP + HEIGHT + BOTTOM
    inside = [part for place, panel in enumerate(panels) for part in _panel(panel, place, below)]
    inside += _legend(panels[0].lines, height - 12)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="12">'
    )
    ground = f'<rect width="{width}" height="{height}" fill="white"/>'
    return "\n".join((head, ground, *inside, "</svg>", ""))


def _panel(panel: Panel, place: int, below: str) -> Iterator[str]:
    left, floor = LEFT + place * (WIDTH + GAP), TOP + HEIGHT
    first, last = panel.across[0], panel.across[-1]
    steps = [left + WIDTH * (value - first) / (last - first) for value in panel.across]
    yield _text(left, TOP - 12, panel.title, anchor="start")
    for tick in panel.ticks():
        y = floor - HEIGHT * panel.height(tick)
        yield f'<path d="M{left} {y:.1f}h{WIDTH}" stroke="#dddddd"/>'
        yield _text(left - 6, y + 4, f"{tick:g}", anchor="end")
    for x, value in zip(steps, panel.across, strict=True):
        yield _text(x, floor + 16, f"{value:g}")
    yield _text(left + WIDTH / 2, floor + 34, below)
    for line, (colour, dashes) in zip(panel.lines, STYLES, strict=False):
        heights = [floor - HEIGHT * panel.height(value) for value in line.values]
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(steps, heights, strict=True))
        yield f'<polyline points="{points}" {_stroke(colour, dashes)}/>'


def _legend(lines: Sequence[Line], y: float) -> Iterator[str]:
    places = [LEFT + number * 180 for number in range(len(lines) + 1)]
    for (x, _), line, (colour, dashes) in zip(pairwise(places), lines, STYLES, strict=False):
        yield f'<path d="M{x} {y - 4}h30" {_stroke(colour, dashes)}/>'
        yield _text(x + 36, y, line.name, anchor="start")


def _stroke(colour: str, dashes: str) -> str:
    return f'fill="none" stroke="{colour}" stroke-width="2.5" stroke-dasharray="{dashes or "none"}"'


def _text(x: float, y: float, text: str, *, anchor: str = "middle") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'
