"""`headway db check`: whether what a database says fits together."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from db.sql import checks
from db.sql.checks import Finding
from db.sql.reading.reader import Transaction, open_reader
from orchestrator.cli.outputs import answer
from orchestrator.cli.stores import find_database, named, told
from orchestrator.spec.space import Space

_SHARED = ("name", "kind", "value_type")
_OWN = {
    "range": ("lower", "upper", "log_scale"),
    "choice": ("choices", "is_ordered"),
    "fixed": (),
}
# The checks of points, beside those that the database does itself.
_POINTS = ("space", "parameters", "parameter-hash")


def check(given: argparse.Namespace) -> int:
    """Check one experiment or all of a database; 1 if anything is wrong."""
    where = find_database(
        given.experiment, called="EXP", run_root=given.run_dir, db_url=given.db_url
    )
    with told(where.label):
        reader = open_reader(where.url)
    with named(where.label), reader, reader.read() as connection:
        names = checks.labels(connection)
        keys = sorted(names) if where.experiment_id is None else [where.experiment_id]
        found = list(checks.find_all(connection, where.experiment_id))
        count = 0
        for key in keys:
            points = _Points(connection, key, names[key])
            found += points.check()
            count += points.count
    value = _record(where.label, found, experiments=len(keys), trials=count)
    answer(
        given,
        value,
        say=lambda: _print(where.label, found, experiments=len(keys), trials=count),
        table=[_row(finding) | {"is_warning": finding.is_warning} for finding in found],
        columns=("check", "experiment", "trial", "attempt", "message", "is_warning"),
    )
    return 1 if any(not finding.is_warning for finding in found) else 0


class _Points:
    """The points of one experiment, against its space and their hashes.

    Attributes:
        count: How many there were.
    """

    def __init__(self, connection: Transaction, experiment_id: int, label: str) -> None:
        self._connection = connection
        self._key = experiment_id
        self._label = label
        self.count = 0

    def check(self) -> list[Finding]:
        """Go through them, page by page; of each kind of breach the first ones are told."""
        found: list[Finding] = []
        space = None
        try:
            space = self._space()
        except (ValueError, LookupError) as error:
            why = str(error.errors()[0]["msg"]) if isinstance(error, ValidationError) else error
            found.append(self._finding("space", None, f"its space makes no sense: {why}"))
        counts = dict.fromkeys(_POINTS, 0)
        for point in checks.stored_points(self._connection, self._key):
            self.count += 1
            for name, message in _faults(point, space):
                counts[name] += 1
                if counts[name] <= checks.MOST:
                    found.append(self._finding(name, point.index, message))
        for name, number in counts.items():
            if number > checks.MOST:
                rest = number - checks.MOST
                found.append(self._finding(name, None, f"{rest} more trials have this fault"))
        return found

    def _finding(self, name: str, trial: int | None, message: str) -> Finding:
        return Finding(
            check=name, experiment=self._label, trial=trial, attempt=None, message=message
        )

    def _space(self) -> Space:
        stored = checks.stored_space(self._connection, self._key)
        constraints = [
            {name: row[name] for name in ("text", "coefficients", "bound")}
            for row in stored["constraints"]
        ]
        parameters = [_parameter(row) for row in stored["parameters"]]
        space = Space.model_validate({"parameters": parameters, "constraints": constraints})
        for constraint in space.constraints:
            constraint.names()  # can be read at all
        return space


def _parameter(row: dict[str, Any]) -> dict[str, Any]:
    """Make what the spec calls a parameter of its row."""
    kind = str(row["kind"])
    fields = {name: row[name] for name in (*_SHARED, *_OWN[kind])}
    if kind == "fixed":
        stored = row["fixed_value"]
        fields["value"] = stored.get("value") if isinstance(stored, dict) else None
    return {name: value for name, value in fields.items() if value is not None}


def _faults(point: checks.StoredPoint, space: Space | None) -> Iterator[tuple[str, str]]:
    """Say what is wrong with one point; nothing if all is well."""
    if point.parameters is None:
        yield "parameters", "its parameters are no JSON object"
        return
    if not point.fits_hash:
        yield "parameter-hash", "its parameter_hash is not that of its parameters"
    if space is not None and not space.allows(point.parameters):
        yield "parameters", _why_not(point.parameters, space)


def _why_not(point: dict[str, Any], space: Space) -> str:
    """Say why a point is not of a space."""
    names = space.names()
    missing = [name for name in names if name not in point]
    unknown = [name for name in point if name not in names]
    if missing or unknown:
        return f"its parameters lack {missing} and have {unknown}; they should be {names}"
    for parameter in space.parameters:
        if not parameter.contains(point[parameter.name]):
            return f"{parameter.name} = {point[parameter.name]!r} is not in its {parameter.kind}"
    broken = next(c.text for c in space.constraints if not c.holds(point))
    return f"its parameters do not meet the constraint {broken}"


def _place(finding: Finding) -> str:
    parts = [
        finding.experiment,
        None if finding.trial is None else f"trial {finding.trial}",
        None if finding.attempt is None else f"attempt {finding.attempt}",
    ]
    return " ".join(part for part in parts if part is not None)


def _print(label: str, found: list[Finding], *, experiments: int, trials: int) -> None:
    for finding in found:
        word = "warning" if finding.is_warning else "wrong"
        place = _place(finding) or label
        print(f"{word}: {place}: {finding.message} [{finding.check}]")
    breaches = sum(not finding.is_warning for finding in found)
    kinds = len(checks.CHECKS) + len(_POINTS) + 2  # the file itself and its foreign keys
    what = f"{_number(experiments, 'experiment')}, {_number(trials, 'trial')}, {kinds} checks"
    verdict = _number(breaches, "breach") + " found" if breaches else "all fits together"
    print(f"{label}: {what}: {verdict}.")


def _number(count: int, noun: str) -> str:
    plural = noun + ("es" if noun.endswith("ch") else "s")
    return f"{count} {noun if count == 1 else plural}"


def _record(label: str, found: list[Finding], *, experiments: int, trials: int) -> dict[str, Any]:
    return {
        "database": label,
        "experiments": experiments,
        "trials": trials,
        "breaches": [_row(finding) for finding in found if not finding.is_warning],
        "warnings": [_row(finding) for finding in found if finding.is_warning],
    }


def _row(finding: Finding) -> dict[str, Any]:
    return {name: value for name, value in vars(finding).items() if name != "is_warning"}
