"""Rows that only ever get more, in an order that counts: outcomes, events, metrics, files.

What the target has of them is what the source had at an earlier time: the
two are read side by side until they part, and what follows is new. A row that was committed late
stands in the source before others that were copied earlier; so from where they part on, rows are
told by their content.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Any

import sqlalchemy as sa

from db.sql.copying.keyed import refer
from db.sql.copying.plain import PAGE, TABLES, Row, keys_of, named, parts
from db.sql.copying.sides import Copying, Side, diverged

ORDERED = ("outcome", "event", "metric", "artifact", "strategy_snapshot", "code_file")
# What holds keys of attempts inside JSON: these fields of an event's payload and of the evidence
# against a host. All else in JSON goes by the index of a trial or the number of a generation.
KEY_FIELDS = ("attempt", "by", "attempts")
_MARK = "attempt with token "


def copy_ordered_rows(copying: Copying) -> None:
    """Add what is new, in the order of the source."""
    for name in ORDERED:
        mine = _read(copying, copying.source, name)
        theirs = iter(()) if copying.is_new else _read(copying, copying.target, name)
        missing = _missing(mine, theirs, name)
        while page := list(islice(missing, PAGE)):
            for row in page:
                if "experiment_id" in row:
                    row["experiment_id"] = copying.target.experiment_id
            if name == "event":
                with_keys(copying.target, page, "payload")
            refer(copying, page)
            copying.insert(name, page)


def _read(copying: Copying, side: Side, name: str) -> Iterator[Row]:
    """Go through the rows of one side, oldest first."""
    table, trial = TABLES[name], TABLES["trial"]
    if "experiment_id" in table.c:
        is_mine = table.c.experiment_id == side.experiment_id
    else:
        trials = sa.select(trial.c.id).where(trial.c.experiment_id == side.experiment_id)
        is_mine = table.c.trial_id.in_(trials)
    query = named(table).where(is_mine).order_by(table.c.id).limit(PAGE)
    read = copying.read if side is copying.source else side.rows
    rows = read(query)
    while rows:
        last = rows[-1]["id"]
        if name == "event":
            with_tokens(side, rows, "payload")
        yield from rows
        rows = read(query.where(table.c.id > last))


def _missing(mine: Iterator[Row], theirs: Iterator[Row], name: str) -> Iterator[Row]:
    """Give the rows of the source that the target lacks."""
    rest: Counter[bytes] = Counter()
    in_step = True
    for row in mine:
        if in_step:
            other = next(theirs, None)
            if other is not None and _content(row) == _content(other):
                continue
            in_step = False
            if other is not None:
                rest = Counter(_digest(each) for each in chain([other], theirs))
        mark = _digest(row) if rest else b""
        if rest and rest[mark] > 0:
            rest[mark] -= 1
        else:
            yield row
    if (in_step and next(theirs, None) is not None) or rest.total() > 0:
        raise diverged(f"its {name} rows")


def _content(row: Row) -> list[Any]:
    """Return what a row says, without the keys that it has in its own database."""
    return [value for name, value in row.items() if name not in {"id", "experiment_id"}]


def _digest(row: Row) -> bytes:
    return hashlib.blake2b(repr(_content(row)).encode(), digest_size=16).digest()


def with_tokens(side: Side, rows: Sequence[Row], column: str) -> None:
    """Put tokens in place of the keys of attempts in a JSON column."""
    documents = _documents(rows, column)
    keys = {key for document in documents.values() for key in _named(document) if _is_key(key)}
    attempt = TABLES["attempt"]
    tokens: dict[Any, Any] = {}
    for part in parts(sorted(keys)):
        query = sa.select(attempt.c.id, attempt.c.token).where(attempt.c.id.in_(part))
        tokens |= {key: f"{_MARK}{token}" for key, token in side.connection.execute(query)}
    _replace(rows, column, documents, tokens)


def with_keys(side: Side, rows: Sequence[Row], column: str) -> None:
    """Put the keys of this side in place of the tokens of attempts in a JSON column."""
    documents = _documents(rows, column)
    marked = {
        name.removeprefix(_MARK)
        for document in documents.values()
        for name in _named(document)
        if isinstance(name, str) and name.startswith(_MARK)
    }
    keys = keys_of(side.connection, "attempt_id", marked, side.experiment_id)
    _replace(rows, column, documents, {f"{_MARK}{token}": key for token, key in keys.items()})


def _documents(rows: Sequence[Row], column: str) -> dict[int, dict[str, Any]]:
    """Read those JSON texts that may name attempts, by the place of their row."""
    found = {}
    for place, row in enumerate(rows):
        text = row[column]
        if text and any(f'"{field}"' in text for field in KEY_FIELDS):
            document = json.loads(text)
            if isinstance(document, dict):
                found[place] = document
    return found


def _named(document: dict[str, Any]) -> Iterator[Any]:
    for field in KEY_FIELDS:
        value = document.get(field)
        yield from value if isinstance(value, list) else [value]


def _is_key(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _replace(
    rows: Sequence[Row],
    column: str,
    documents: dict[int, dict[str, Any]],
    names: dict[Any, Any],
) -> None:
    for place, document in documents.items():
        for field in KEY_FIELDS:
            value = document.get(field)
            if isinstance(value, list):
                others = [_other(each, names) for each in value]
                document[field] = [each for each in others if each is not None]
            elif value is not None:
                document[field] = _other(value, names)
        rows[place][column] = json.dumps(document)


def _other(value: Any, names: dict[Any, Any]) -> Any:
    """Return the other name of an attempt; None if its experiment is not there.

    A key that is nobody's in the source stays: without it a second copy would find another row.
    """
    if isinstance(value, str) and value.startswith(_MARK):
        return names.get(value)
    return names.get(value, value) if _is_key(value) else value
