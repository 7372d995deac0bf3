"""`headway db replay`: whether fresh generators give the points on record again."""

from __future__ import annotations

import argparse
import json
from typing import Any

from db.sql.reading import experiments
from orchestrator.app.replaying import Result, replay_experiment
from orchestrator.cli.outputs import answer
from orchestrator.cli.places import find, open_place
from orchestrator.errors import HeadwayError
from orchestrator.reports.texts import text
from orchestrator.spec.experiment import ExperimentSpec


def replay(given: argparse.Namespace) -> int:
    """Ask everything again; 0 if all points are those on record, else 1.

    Raises:
        UsageError: There is no such experiment.
        HeadwayError: Its record does not say enough.
    """
    place = find(given.experiment, run_root=given.run_dir, db_url=given.db_url)
    with open_place(place) as reader:
        with reader.read() as connection:
            stored = experiments.spec(connection, place.experiment_id)
        try:
            spec = ExperimentSpec.from_json(json.dumps(stored))
        except ValueError:
            raise HeadwayError(f"{place.label}: its spec is not one of this Headway.") from None
        try:
            result = replay_experiment(reader, place.experiment_id, spec)
        except HeadwayError as error:
            raise HeadwayError(f"{place.label}: {error.message}", error.hint) from None
    value = {"experiment": place.label, "equal": result.is_equal} | result.record()
    answer(given, value, say=lambda: print("\n".join(_lines(place.label, result))))
    return 0 if result.is_equal else 1


def _lines(label: str, result: Result) -> list[str]:
    if result.asks:
        asks = f"{result.asks_equal} of {result.asks} asks"
        points = f"{result.points_equal} of {result.points} points"
        lines = [f"{label}: {asks} and {points} are equal."]
    else:
        lines = [f"{label}: no generator has given a point yet; there is nothing to ask again."]
    if result.failed_asks:
        lines.append(f"Left out: {_count(result.failed_asks)} that failed when first asked.")
    if result.incomplete_asks:
        lines.append(
            f"Left out: {_count(result.incomplete_asks)} of an earlier Headway, which did not "
            "write down enough."
        )
    lines += _problems(result)
    if result.versions and not result.is_equal:
        lines += [_version_line(name, each) for name, each in result.versions.items()]
    return lines


def _count(asks: int) -> str:
    return f"{asks} ask" if asks == 1 else f"{asks} asks"


def _problems(result: Result) -> list[str]:
    lines = []
    if (found := result.difference) is not None:
        where = f"First difference: generation {found.generation} ({found.generator})"
        if found.trial is None:
            what = f"{found.recorded} points recorded, {found.again} asked again"
        else:
            what = (
                f"trial {found.trial}, {found.parameter}: recorded {_exact(found.recorded)}, "
                f"asked again {_exact(found.again)}"
            )
        lines.append(f"{where}, {what}.")
    if (lost := result.unanswered) is not None:
        lines.append(f"Not answered: generation {lost.generation} ({lost.generator}): {lost.why}")
    return lines


def _exact(value: Any) -> str:
    """Return a value with all its digits: a small difference has to be seen."""
    return "nothing" if value is None else repr(value)


def _version_line(name: str, each: dict[str, Any]) -> str:
    now = "not installed" if each["now"] is None else each["now"]
    return f"{name} was {' and '.join(each['recorded'])}, now {text(now)}: points may differ."
