"""How a search got better: kept up to date outcome by outcome, however many there are."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass

from db.sql.reading.experiments import ObjectiveRow
from db.sql.reading.outcomes import News, Overview
from orchestrator.spec.objectives import Objective, pareto_front

_Scored = tuple[int, tuple[float, ...]]


@dataclass(frozen=True)
class Best:
    """The best value of one objective, and the trial that has it."""

    objective: ObjectiveRow
    value: float
    trial: int


class History:
    """The outcomes of one experiment in short: the best values, their course, the front.

    Attributes:
        last_id: Key of the last outcome that was added.
        count: How many trials have been added.
        best: The best of each objective, in their order; empty before the first outcome.
    """

    def __init__(self, objectives: Sequence[ObjectiveRow]) -> None:
        self.last_id = 0
        self.count = 0
        self.best: tuple[Best, ...] = ()
        self._rows = tuple(objectives)
        self._objectives = [Objective(name=row.name, minimize=row.minimize) for row in objectives]
        # (number of the trial in the order of acceptance, value) of each new best of the first
        self._steps: list[tuple[int, float]] = []
        self._front: list[_Scored] = []

    def begin(self, overview: Overview) -> None:
        """Take note of all that there is so far, of the only objective."""
        self.count, self.last_id = overview.count, overview.last_id
        self._steps = [(moment, value) for moment, _, value in overview.steps]
        self.best = tuple(
            Best(self._rows[0], value, index) for _, index, value in overview.steps[-1:]
        )

    def add(self, news: News) -> None:
        """Take note of outcomes that were accepted since the last call."""
        best = list(self.best)
        for index, values in news.values:
            self.count += 1
            for place, (row, value) in enumerate(zip(self._rows, values, strict=True)):
                if place >= len(best):
                    best.append(Best(row, value, index))
                elif value < best[place].value if row.minimize else value > best[place].value:
                    best[place] = Best(row, value, index)
                else:
                    continue
                if place == 0:
                    self._steps.append((self.count, value))
        self.best = tuple(best)
        self.last_id = news.last_id
        if len(self._rows) > 1 and news.values:
            self._move_front(news)

    def _move_front(self, news: News) -> None:
        candidates = self._hopeful([*self._front, *news.values])
        names = [objective.name for objective in self._objectives]
        outcomes = [dict(zip(names, values, strict=True)) for _, values in candidates]
        self._front = [candidates[place] for place in pareto_front(self._objectives, outcomes)]

    def _hopeful(self, candidates: list[_Scored]) -> list[_Scored]:
        """Leave out what one good all-rounder beats: nearly all of a hundred thousand, quickly."""
        signs = [1.0 if row.minimize else -1.0 for row in self._rows]
        columns = list(zip(*(values for _, values in candidates), strict=True))
        # Halved, so that the difference of two large numbers does not overflow.
        spans = [max(column) / 2 - min(column) / 2 or 1.0 for column in columns]
        weights = [sign / span for sign, span in zip(signs, spans, strict=True)]
        champion = min(
            (values for _, values in candidates),
            key=lambda values: sum(map(operator.mul, values, weights)),
        )
        return [
            (index, values)
            for index, values in candidates
            if values == champion
            or any(
                sign * value < sign * best
                for sign, value, best in zip(signs, values, champion, strict=True)
            )
        ]

    @property
    def front(self) -> tuple[int, ...]:
        """Indices of the trials on the Pareto front; empty with one objective."""
        return tuple(index for index, _ in self._front)

    def front_means(self) -> list[tuple[int, dict[str, float]]]:
        """Return index and values of the trials on the front, the best of the first one first."""
        first = self._objectives[0]
        names = [objective.name for objective in self._objectives]
        ordered = sorted(self._front, key=lambda pair: (first.cost(pair[1][0]), pair[0]))
        return [(index, dict(zip(names, values, strict=True))) for index, values in ordered]

    def course(self, width: int) -> list[float]:
        """Return the best value so far of the first objective at `width` moments or fewer."""
        points = min(width, self.count)
        course = []
        step = 0
        for place in range(points):
            moment = 1 + (self.count - 1) * place // max(1, points - 1)
            while step + 1 < len(self._steps) and self._steps[step + 1][0] <= moment:
                step += 1
            course.append(self._steps[step][1])
        return course
