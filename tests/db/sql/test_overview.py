"""How a search got better, found without reading all values."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
import sqlalchemy as sa

from db.sql import trials
from db.sql.reading import outcomes
from db.sql.reading.experiments import ObjectiveRow
from db.sql.reading.outcomes import Overview
from tests.db.sql.samples import Sample

RISING = [float(number) for number in range(50)]
MIXED = random.Random(1).choices(range(20), k=50)


def accept(sample: Sample, values: Sequence[float]) -> None:
    """Store one more trial with an outcome for each value."""
    with sample.store.write() as connection:
        keys = trials.insert(
            connection,
            sample.store.experiment_id,
            first_index=100,
            points=[{"x": 0.5}] * len(values),
            generation_id=1,
        )
        for key, value in zip(keys, values, strict=True):
            trials.add_outcomes(
                connection,
                key,
                attempt_id=sample.attempt_ids[0],
                means={sample.objective_ids["LOSS"]: value},
                sems={},
            )


def overview_of(sample: Sample, count: int, *, minimize: bool, moments: int) -> Overview:
    objective = ObjectiveRow(id=sample.objective_ids["LOSS"], name="LOSS", minimize=minimize)
    with sample.store.read() as connection:
        return outcomes.overview(connection, objective, count=count, moments=moments)


def records(values: Sequence[float], *, minimize: bool) -> list[tuple[int, int, float]]:
    """Return what was the best when it came: its number, the trial's index, the value."""
    best = min if minimize else max
    return [
        (place + 1, place + 100, value)
        for place, value in enumerate(values)
        if place == 0 or best(values[:place]) != best(values[: place + 1])
    ]


@pytest.mark.parametrize("minimize", [True, False])
@pytest.mark.parametrize("values", [RISING, MIXED, [1.0], [2.0, 2.0]])
def test_with_enough_moments_every_new_best_is_found(
    sample: Sample, values: list[float], *, minimize: bool
) -> None:
    accept(sample, values)
    found = overview_of(sample, len(values), minimize=minimize, moments=len(values))
    assert found.steps == records(values, minimize=minimize)
    assert found.count == len(values)


def test_with_few_moments_each_step_is_one_of_them_and_the_last_is_the_best(sample: Sample) -> None:
    accept(sample, RISING)
    found = overview_of(sample, 50, minimize=False, moments=5)
    assert len(found.steps) == 6
    assert set(found.steps) <= set(records(RISING, minimize=False))
    assert found.steps[0][2] == RISING[0]
    assert found.steps[-1] == (50, 149, 49.0)


def test_without_outcomes_there_is_nothing_to_see(sample: Sample) -> None:
    found = overview_of(sample, 0, minimize=True, moments=5)
    assert found == Overview(last_id=0, count=0, steps=[])


def test_news_begin_where_the_overview_ended(sample: Sample) -> None:
    accept(sample, [3.0, 1.0])
    last = overview_of(sample, 2, minimize=True, moments=5).last_id
    objective = ObjectiveRow(id=sample.objective_ids["LOSS"], name="LOSS", minimize=True)
    with sample.store.read() as connection:
        assert outcomes.since(connection, [objective], last).values == []
        assert last == connection.execute(sa.text("SELECT MAX(id) FROM outcome")).scalar()
