"""Options that choose and sort the rows of a table: words separated by commas, and a column."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any

from orchestrator.errors import UsageError, did_you_mean

Row = Mapping[str, Any]


def split_words(text: str | None) -> list[str]:
    """Return the words of an option that takes several, separated by commas."""
    return [word.strip() for word in text.split(",")] if text is not None else []


def choose_words(option: str, text: str | None, known: Collection[str], *, what: str) -> list[str]:
    """Return the words of an option, each as it is known: upper and lower case are the same.

    Args:
        option: The option, for the error.
        text: What was given; None: nothing.
        known: The words that there are.
        what: What they are, for the error: "status".

    Raises:
        UsageError: A word is not known.
    """
    table = {word.upper(): word for word in known}
    chosen = []
    for word in split_words(text):
        name = word.upper().replace("-", "_")
        if name not in table:
            allowed = ", ".join(sorted(known)).lower()
            hint = did_you_mean(name.lower(), [entry.lower() for entry in known])
            raise UsageError(f"{option}: {word!r} is no {what}: {allowed}.", hint)
        chosen.append(table[name])
    return chosen


def sort_rows(
    rows: Iterable[Row], column: str | None, *, known: Sequence[str], is_reversed: bool
) -> list[dict[str, Any]]:
    """Return rows sorted by a column; those without a value come last, either way.

    Args:
        rows: In the order that they have without a column.
        column: What to sort by; None: nothing.
        known: The columns that there are.
        is_reversed: The other way round.

    Raises:
        UsageError: There is no such column.
    """
    found = [dict(row) for row in rows]
    if column is None:
        return found[::-1] if is_reversed else found
    check_column(column, known)
    with_value = [row for row in found if row[column] is not None]
    without = [row for row in found if row[column] is None]
    return sorted(with_value, key=lambda row: _key(row[column]), reverse=is_reversed) + without


def check_column(column: str, known: Sequence[str]) -> None:
    """Make sure that a table can be sorted by a column.

    Raises:
        UsageError: There is no such column.
    """
    if column not in known:
        hint = did_you_mean(column, known)
        raise UsageError(f"--sort: {column!r} is no column to sort by: {', '.join(known)}.", hint)


def _key(value: Any) -> Any:  # numbers, texts or times; a column holds one kind
    match value:
        case Enum():
            return value.name
        case Mapping():
            return sum(value.values())  # counts by kind
        case _:
            return value
