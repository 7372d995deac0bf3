"""Experiments side by side: a row each, and in what their specs differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from db.sql.reading import activity, costs, outcomes
from db.sql.reading.experiments import ExperimentRow
from db.sql.reading.reader import Transaction
from orchestrator.reports.rows import Row, counts

# What differs between any two runs, and says nothing about what was searched.
_NOT_COMPARED = frozenset({"name", "schema_version"})


def comparison_row(connection: Transaction, experiment: ExperimentRow) -> Row:
    """Return what one experiment reached and what it cost."""
    used = costs.costs(connection, experiment.id)
    best = _best(connection, experiment)
    return {
        "experiment": f"{experiment.name}/{experiment.run_number}",
        "uuid": experiment.uuid,
        "status": str(experiment.status),
        **counts(experiment.trials),
        "total": sum(experiment.trials.values()),
        "best": {name: value for name, (value, _) in best.items()},
        "best_trials": {name: trial for name, (_, trial) in best.items()},
        "goals": {o.name: "min" if o.minimize else "max" for o in experiment.objectives},
        "wall_seconds": _wall_seconds(experiment, activity.clock(connection)),
        "median_run_seconds": used.median_run_seconds,
        "attempts": used.attempts,
        "failures": {
            failure.failure_class.value: failure.count
            for failure in activity.failures(connection, experiment.id)
        },
        "cpu_hours": used.cpu_hours,
        "gpu_hours": used.gpu_hours,
        "attempts_of_unknown_cost": used.unknown,
        "hosts": used.hosts,
        "generators": costs.generators(connection, experiment.id),
        "group": experiment.group,
        "description": experiment.description,
        "participant": experiment.participant,
        "metadata": experiment.user_metadata or {},
        "created_at": experiment.created_at,
        "ended_at": experiment.ended_at,
        "run_dir": experiment.run_dir,
    }


def _best(connection: Transaction, experiment: ExperimentRow) -> dict[str, tuple[float, int]]:
    """Return the best value of each objective, and the trial that has it."""
    found = {}
    for objective in experiment.objectives:
        others = [other for other in experiment.objectives if other != objective]
        for scored in outcomes.best(connection, [objective, *others]):
            found[objective.name] = scored.means[objective.name], scored.index
    return found


def _wall_seconds(experiment: ExperimentRow, now: datetime) -> float:
    """From the set-up to the end of the last head, or to now."""
    return ((experiment.ended_at or now) - experiment.created_at).total_seconds()


def differences(specs: Mapping[str, Mapping[str, Any]]) -> list[Row]:
    """Return every entry of the specs that is not the same in all of them.

    Args:
        specs: The frozen specs, by what the experiments are called.

    Returns:
        Rows with `entry`, a dotted path such as `space.parameters.x.upper`, and `values` by
        experiment, None where a spec has no such entry.
    """
    flat = {label: dict(_flatten(spec)) for label, spec in specs.items()}
    entries = dict.fromkeys(entry for values in flat.values() for entry in values)
    rows: list[Row] = [
        {"entry": entry, "values": {label: values.get(entry) for label, values in flat.items()}}
        for entry in entries
        if entry not in _NOT_COMPARED
    ]
    return [row for row in rows if not _all_equal(list(row["values"].values()))]


def _all_equal(values: Sequence[object]) -> bool:
    # 1 and 1.0 and True are equal in Python, but not the same request.
    return all((type(v), v) == (type(values[0]), values[0]) for v in values[1:])


def _flatten(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Go through the leaves; in lists of named things the name stands in the path."""
    prefix = f"{path}." if path else ""
    match value:
        case {"nodes": [*nodes]} if path == "strategy":
            yield path, ", ".join(_step(node) for node in nodes)
        case Mapping():
            for key, entry in value.items():
                yield from _flatten(entry, f"{prefix}{key}")
        case [*entries] if entries and all(isinstance(e, dict) and "name" in e for e in entries):
            for entry in entries:
                rest = {key: inner for key, inner in entry.items() if key != "name"}
                yield from _flatten(rest, f"{prefix}{entry['name']}")
        case [*entries] if entries and all(isinstance(e, dict) and "text" in e for e in entries):
            yield path, [entry["text"] for entry in entries]
        case []:
            return
        case _:
            yield path, value


def _step(node: Mapping[str, Any]) -> str:
    number = node.get("num_trials")
    return str(node["generator"]) + ("" if number is None else f"={number}")
