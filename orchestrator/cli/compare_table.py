"""What `headway compare` prints."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from db.sql.reading import experiments
from orchestrator.cli.answers import find_row
from orchestrator.cli.filters import sort_rows
from orchestrator.cli.outputs import answer
from orchestrator.cli.places import Place, find, open_place
from orchestrator.errors import UsageError
from orchestrator.reports.comparison import comparison_row, differences
from orchestrator.reports.rows import Row
from orchestrator.reports.tables import print_rows

_COLUMNS = (
    "experiment",
    "status",
    "best",
    "best_trials",
    "completed",
    "failed",
    "other",
    "attempts",
    "failures",
    "wall_seconds",
    "median_run_seconds",
    "cpu_hours",
    "gpu_hours",
    "hosts",
    "generators",
)
_SORTS = (
    "experiment",
    "status",
    "total",
    "completed",
    "failed",
    "attempts",
    "wall_seconds",
    "median_run_seconds",
    "cpu_hours",
    "gpu_hours",
    "created_at",
    "ended_at",
)
_OTHERS = ("early_stopped", "running", "waiting", "abandoned")


def compare(given: argparse.Namespace) -> int:
    """One row an experiment, and the differences of what was asked for."""
    places = [find(text, run_root=given.run_dir, db_url=given.db_url) for text in given.experiments]
    rows: list[Row] = []
    specs: dict[str, dict[str, Any]] = {}
    for place, label in zip(places, _labels(given.experiments, places), strict=True):
        row, spec = _read(place)
        for known in rows:
            if known["uuid"] == row["uuid"]:
                raise UsageError(f"compare: {place.label} is there twice")
        rows.append({**row, "experiment": label})
        specs[label] = spec
    different = differences(specs)
    rows = sort_rows(rows, given.sort, known=_SORTS, is_reversed=given.reverse)
    value = {"experiments": rows, "differences": different}
    answer(given, value, say=lambda: _print(rows, different), table=rows)
    return 0


def _labels(texts: Sequence[str], places: Sequence[Place]) -> list[str]:
    """Return what to call the experiments: NAME/N, or what the user wrote if that is not unique."""
    labels = [place.label for place in places]
    return [
        label if labels.count(label) == 1 else text
        for label, text in zip(labels, texts, strict=True)
    ]


def _read(place: Place) -> tuple[Row, dict[str, Any]]:
    with open_place(place) as reader, reader.read() as connection:
        experiment = find_row(connection, place)
        return comparison_row(connection, experiment), experiments.spec(connection, experiment.id)


def _print(rows: Sequence[Row], different: Sequence[Row]) -> None:
    shown = [
        {**row, "hosts": len(row["hosts"]), "other": sum(row[name] for name in _OTHERS)}
        for row in rows
    ]
    columns = [name for name in _COLUMNS if any(row[name] not in (None, {}) for row in shown)]
    print_rows(shown, columns, stream=sys.stdout)
    unknown = sum(row["attempts_of_unknown_cost"] for row in rows)
    if unknown:
        print(f"The hours lack {unknown} attempts whose time or request is not known.")
    if not different:
        print("\nTheir specs are the same.")
        return
    print("\nTheir specs differ in:")
    labels = [row["experiment"] for row in rows]
    lines = [{"entry": row["entry"], **row["values"]} for row in different]
    print_rows(lines, ["entry", *labels], stream=sys.stdout, verbatim=labels)
