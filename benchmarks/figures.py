"""Figures and the tables that they are printed in."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field


class BenchmarkError(Exception):
    """A run that was timed did not do what it should have done."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measured thing.

    Attributes:
        what: What was measured.
        values: One value a repetition.
        unit: Of the values.
        goal: What was aimed at, in words.
        compared_to: Another row's name; the ratio of the medians is printed.
    """

    what: str
    values: Sequence[float]
    unit: str = "s"
    goal: str = ""
    compared_to: str = ""

    @property
    def median(self) -> float:
        """The middle value."""
        return statistics.median(self.values)


@dataclass(frozen=True)
class Table:
    """Rows under one heading, with what has to be known to read them."""

    title: str
    rows: list[Row] = field(default_factory=list)
    notes: tuple[str, ...] = ()

    def text(self) -> str:
        """Return it in Markdown."""
        lines = [
            f"### {self.title}",
            "",
            "| what | median | lowest to highest | ratio | goal |",
            "| --- | ---: | ---: | ---: | --- |",
            *(self._line(row) for row in self.rows),
            "",
            *(f"{note}\n" for note in self.notes),
        ]
        return "\n".join(lines)

    def _line(self, row: Row) -> str:
        low, high = shown(min(row.values), row.unit), shown(max(row.values), row.unit)
        span = f"{low} to {high}, n={len(row.values)}"
        return f"| {row.what} | {shown(row.median, row.unit)} | {span} | {self._ratio(row)} | {row.goal} |"

    def _ratio(self, row: Row) -> str:
        other = next((other for other in self.rows if other.what == row.compared_to), None)
        if other is None or not other.median:
            return ""
        return f"{row.median / other.median:.2f}x of {other.what}"


@dataclass(frozen=True)
class Grid:
    """Lines of cells under a head, where one figure a line does not tell enough.

    Attributes:
        title: Its heading.
        head: What stands in each column; all but the first are set to the right.
        lines: The cells, as they are printed.
        notes: What has to be known to read it.
    """

    title: str
    head: tuple[str, ...]
    lines: Sequence[tuple[str, ...]]
    notes: tuple[str, ...] = ()

    def text(self) -> str:
        """Return it in Markdown."""
        rule = ("---", *("---:" for _ in self.head[1:]))
        rows = (f"| {' | '.join(cells)} |" for cells in (self.head, rule, *self.lines))
        notes = (f"{note}\n" for note in self.notes)
        return "\n".join((f"### {self.title}", "", *rows, "", *notes))


def shown(value: float, unit: str) -> str:
    """Write a value with three digits and its unit."""
    return f"{value:.0f} {unit}" if abs(value) >= 100 else f"{value:.3g} {unit}"


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` of all values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
