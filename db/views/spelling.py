"""A view told once: columns with their meaning, in an SQL that each database spells its own way.

In expressions, words in braces stand for what SQLite and PostgreSQL write differently:

    {epoch:t.created_at}   whole seconds since 1970, rounded down
    {millis:t.created_at}  whole milliseconds since 1970, rounded down
    {json:t.parameters}    the text of a JSON column as it was stored; NULL where it holds nothing
    {member:p.fixed_value} the text of a JSON object's member "value"
    {first:p.choices}      the text of a JSON list's first entry
    {length:p.choices}     the number of a JSON list's entries
    {keys:c.coefficients}  rows `k` with the names (`k.key`) in a JSON object, for a FROM
    {entries:t.parameters} rows `v` (`v.key`, `v.value`) of a JSON object, for a FROM
    {plain:v.value}        the value in such a row, truth values as 1 and 0: on SQLite a number or a
                           text as it is, on PostgreSQL, where a column has one type, as a text
    {number:o.mean}        a float as a JSON number that is read back without loss
    {quoted:e.name}        a text as a JSON string; the word null for NULL
    {joined:v.pair}        all texts of a group, with commas between them

Everything else is SQL that both understand, in the versions that clusters have: no `->` (SQLite
3.38), no `true`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

# What several systems ask of our tables: experiment e, trial t.
# No two experiments have the same: Ax's loader finds one by its name and fails where two have it.
NAME = "CASE WHEN e.run_number = 1 THEN e.name ELSE e.name || '/' || CAST(e.run_number AS TEXT) END"
HAS_OUTCOME = 'EXISTS (SELECT 1 FROM "outcome" o WHERE o.trial_id = t.id)'
# The call g that proposed a trial, and the step n that it counts for.
JOIN_STEP = """LEFT JOIN "generation" g ON g.id = t.generation_id
    LEFT JOIN "generation_node" n ON n.experiment_id = g.experiment_id AND n.position = g.node"""
_BRACES = re.compile(r"\{(\w+):([^{}]*)\}")


class Column(NamedTuple):
    """One column of a view.

    Attributes:
        expression: Its value.
        meaning: What it is, in a sentence.
    """

    expression: str
    meaning: str


@dataclass(frozen=True, kw_only=True)
class View:
    """One view.

    Attributes:
        comment: What it is, in a sentence.
        columns: By name, in their order.
        source: Where the rows come from: FROM and all that follows it.
    """

    comment: str
    columns: Mapping[str, Column]
    source: str

    def texts(self) -> dict[str, str]:
        """Return the SELECT of each database."""
        columns = ",\n    ".join(f'{each.expression} AS "{n}"' for n, each in self.columns.items())
        return {
            dialect: _spelled(f"SELECT {columns}\n{self.source}", words)
            for dialect, words in _WORDS.items()
        }

    def meanings(self) -> dict[str, str]:
        """Return what each column is."""
        return {name: each.meaning for name, each in self.columns.items()}


# SQLAlchemy keeps times in SQLite as 2030-01-02 03:04:05.678901, and strftime rounds the fraction.
_SQLITE_EPOCH = "CAST(strftime('%s', substr({0}, 1, 19)) AS INTEGER)"
# Two paths make a JSON list of two texts as they were stored; one would make an SQL value, which
# keeps 15 digits and turns true into 1. The second entry is always null.
_SQLITE_PART = "substr(json_extract({0}, {1}), 2, length(json_extract({0}, {1})) - 7)"
# 17 digits, but far from 1 SQLite's own rounding needs more of them. Without an exponent pandas,
# by which Ax reads, drops what lies beyond 15 decimals.
_SQLITE_NUMBER = (
    "CASE WHEN {0} IS NULL THEN NULL WHEN {0} = 0 THEN '0.0'"
    " WHEN abs({0}) BETWEEN 1 AND 1e99 THEN printf('%!.17g', {0})"
    " WHEN abs({0}) BETWEEN 1e-99 AND 1 THEN printf('%!.16e', {0})"
    " ELSE printf('%!.20e', {0}) END"
)
_POSTGRES_NUMBER = (
    "CASE WHEN {0} <> 0 AND abs({0}) < 1"
    " THEN trim(to_char(CAST(CAST({0} AS TEXT) AS NUMERIC), '9.9999999999999999EEEE'))"
    " ELSE CAST({0} AS TEXT) END"
)
_JSON = "nullif(CAST({0} AS TEXT), 'null')"

_WORDS: dict[str, dict[str, str]] = {
    "sqlite": {
        "epoch": _SQLITE_EPOCH,
        "millis": f"({_SQLITE_EPOCH} * 1000 + CAST(substr({{0}}, 21, 3) AS INTEGER))",
        "json": _JSON,
        "member": _SQLITE_PART.replace("{1}", "'$.value', '$.none'"),
        "first": _SQLITE_PART.replace("{1}", "'$[0]', '$[9999999]'"),
        "length": "json_array_length({0})",
        "keys": "json_each({0}) k",
        "entries": "json_each({0}) v",
        "plain": "{0}",
        "number": _SQLITE_NUMBER,
        "quoted": "json_quote({0})",
        "joined": "group_concat({0}, ',')",
    },
    "postgresql": {
        "epoch": "CAST(floor(extract(epoch FROM {0})) AS BIGINT)",
        "millis": "CAST(floor(extract(epoch FROM {0}) * 1000) AS BIGINT)",
        "json": _JSON,
        "member": "CAST({0} -> 'value' AS TEXT)",
        "first": "CAST({0} -> 0 AS TEXT)",
        "length": "json_array_length({0})",
        "keys": "json_object_keys(CASE json_typeof({0}) WHEN 'object' THEN {0} END) k (key)",
        "entries": "json_each({0}) v (key, value)",
        "plain": "CASE WHEN json_typeof({0}) <> 'boolean' THEN {0} #>> '{}'"
        " WHEN {0} #>> '{}' = 'true' THEN '1' ELSE '0' END",
        "number": _POSTGRES_NUMBER,
        "quoted": "coalesce(CAST(to_json(CAST({0} AS TEXT)) AS TEXT), 'null')",
        "joined": "string_agg({0}, ',')",
    },
}


def _spelled(text: str, words: Mapping[str, str]) -> str:
    """Replace the words in braces."""
    return _BRACES.sub(lambda found: words[found[1]].replace("{0}", found[2]), text)
