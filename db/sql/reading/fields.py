"""What the tables for other programs are made of: typed columns, and rows in pages.

A row is a tuple with one value a column, None where nothing is known. Files (`db.export`), pandas
frames (`db.frames`) and `results.csv` are made of the same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

# So many rows are read at once and held in memory.
PAGE = 1000
# Opens a reading transaction; a table asks for one a page or for one in all.
Session = Callable[[], AbstractContextManager[sa.Connection]]
Row = Sequence[Any]
Pages = Iterator[Sequence[Row]]


class Kind(StrEnum):
    """The type of a column's values."""

    INT = "int"  # at most 64 bits
    FLOAT = "float"
    TEXT = "text"
    BOOL = "bool"
    TIME = "time"  # an aware datetime in UTC
    JSON = "json"  # whatever JSON holds, as Python's dict, list, …


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: Its title; no other column of the table has it.
        kind: Type of its values.
        meaning: What it says, with its unit.
        group: In a nested form (JSON) the field that holds it, e.g. `parameters`; else None.
        key: Its name within the group: what the user calls it, where the title may have a prefix.
    """

    name: str
    kind: Kind
    meaning: str
    group: str | None = None
    key: str = ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """One table of one experiment.

    Attributes:
        name: What users call it, e.g. `trials`.
        columns: Its columns, in order.
        pages: Reads the rows, page by page, in transactions of the given session.
        groups: All groups that its columns may belong to, also those without a column here.
    """

    name: str
    columns: tuple[Column, ...]
    pages: Callable[[Session], Pages]
    groups: tuple[str, ...] = ()


def unique_titles(taken: set[str], prefix: str, names: Sequence[str]) -> list[str]:
    """Return a title for each name that users have given, so that no two columns have one title.

    A name that stands for something else already gets a prefix: a parameter `host` is
    `parameter_host`.

    Args:
        taken: Titles that are not free; the new ones are added.
        prefix: Put before a name that is taken, as often as needed.
        names: The names.
    """
    chosen = []
    for name in names:
        title = name
        while title in taken:
            title = f"{prefix}_{title}"
        taken.add(title)
        chosen.append(title)
    return chosen


def streamed(session: Session, query: sa.Select[Any]) -> Pages:
    """Read the rows of one query in pages, without ever holding all of them."""
    with session() as connection:
        result = connection.execute(query, execution_options={"yield_per": PAGE})
        yield from result.partitions()
