"""The one renderer of all tables: a rich table on a terminal, aligned text elsewhere, JSON or CSV."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum, IntEnum
from typing import Any, TextIO

from orchestrator.reports.texts import NOTHING, duration, size, text

Row = Mapping[str, Any]
# Cells up to this length are not broken into lines.
_SHORT = 24
_GAP = 2  # between two columns
# Words of states in colours; those that are not here stay plain.
_STYLES = {
    "COMPLETED": "green",
    "SUCCEEDED": "green",
    "FINISHED": "green",
    "FAILED": "red",
    "LOST": "red",
    "INTERRUPTED": "yellow",
    "STOPPED": "yellow",
    "STOPPING": "yellow",
    "ABANDONED": "yellow",
    "UNKNOWN": "magenta",
    "RUNNING": "cyan",
    "STARTED": "cyan",
    "EXCLUDED": "red",
    "SUSPECT": "yellow",
    "PAROLE": "yellow",
}


def print_rows(
    rows: Sequence[Row],
    columns: Sequence[str],
    *,
    stream: TextIO,
    verbatim: Collection[str] = (),
) -> None:
    """Print rows as a table.

    Args:
        rows: What to print.
        columns: The fields to show, in order; a field that ends in `_seconds` is a time span.
        stream: Where to; a terminal gets lines and colours unless `NO_COLOR` is set.
        verbatim: Columns that users have named: their names say nothing about their values, and
            stay as they are.
    """
    cells = [
        [text(row.get(c)) if c in verbatim else cell(row.get(c), c) for c in columns]
        for row in rows
    ]
    titles = [column if column in verbatim else title(column) for column in columns]
    to_right = [_is_numeric(rows, column) for column in columns]
    if stream.isatty():
        _print_rich(titles, cells, to_right, stream=stream)
        return
    for line in _aligned([titles, *cells], to_right):
        print(line, file=stream)


def print_record(record: Row, *, stream: TextIO, fields: Iterable[str] | None = None) -> None:
    """Print one row as lines of `name  value`, those without a value left out."""
    names = [name for name in (fields or record) if record.get(name) not in (None, {}, [])]
    width = max((len(title(name)) for name in names), default=0)
    for name in names:
        print(f"{title(name):<{width}}  {cell(record[name], name)}", file=stream)


def print_json(value: object, *, stream: TextIO) -> None:
    """Print rows or a record as JSON: times in ISO 8601 and UTC, words of enums."""
    json.dump(plain(value), stream, indent=2, ensure_ascii=False, allow_nan=False)
    stream.write("\n")


def print_csv(rows: Iterable[Row], columns: Sequence[str], *, stream: TextIO) -> None:
    """Print rows as CSV with a line of titles: times in ISO 8601 and UTC, what is unknown empty.

    Args:
        rows: What to print; objects and lists in them become JSON.
        columns: Titles that are there in any case, first; the rows' other fields follow.
        stream: Where to.
    """
    found = list(rows)
    titles = list(dict.fromkeys([*columns, *(name for row in found for name in row)]))
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(titles)
    writer.writerows([_field(row.get(name)) for name in titles] for row in found)


def _field(value: object) -> str:
    match plain(value):
        case None:
            return ""
        case str() as said:
            return said
        case float() as number:
            return repr(number)
        case said:
            return json.dumps(said, ensure_ascii=False, allow_nan=False)


def plain(value: object) -> Any:  # JSON has no type of its own
    """Return a value that JSON can hold; numbers that are not finite become words."""
    match value:
        case Mapping():
            return {str(key): plain(entry) for key, entry in value.items()}
        case list() | tuple():
            return [plain(entry) for entry in value]
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="microseconds")
        case Enum():
            return value.name if isinstance(value, IntEnum) else value.value
        case float() if not math.isfinite(value):
            return str(value)
        case _:
            return value


def cell(value: object, column: str) -> str:
    """Return one value as it stands in a table."""
    if column.endswith("_seconds") and isinstance(value, int | float):
        return duration(value)
    if (column == "bytes" or column.endswith("_bytes")) and isinstance(value, int):
        return size(value)
    if column.endswith("_mb") and isinstance(value, int):
        return size(value * 2**20)
    return text(value)


def title(column: str) -> str:
    """Return the heading of a field: its name as a person writes it."""
    for ending in ("_seconds", "_at", "_bytes", "_mb"):
        column = column.removesuffix(ending)
    return column.replace("_", " ") if column.islower() else column


def _is_numeric(rows: Sequence[Row], column: str) -> bool:
    found = [row.get(column) for row in rows if row.get(column) is not None]
    return bool(found) and all(
        isinstance(value, int | float) and not isinstance(value, bool | Enum) for value in found
    )


def _aligned(lines: Sequence[Sequence[str]], to_right: Sequence[bool]) -> Iterable[str]:
    widths = [max(len(entry) for entry in column) for column in zip(*lines, strict=True)]
    for line in lines:
        padded = [
            entry.rjust(width) if right else entry.ljust(width)
            for entry, width, right in zip(line, widths, to_right, strict=True)
        ]
        yield "  ".join(padded).rstrip()


def _print_rich(
    titles: Sequence[str],
    cells: Sequence[Sequence[str]],
    to_right: Sequence[bool],
    *,
    stream: TextIO,
) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    widths = [max(len(entry) for entry in entries) for entries in zip(titles, *cells, strict=True)]
    for title, width, right in zip(titles, widths, to_right, strict=True):
        table.add_column(
            Text(title),
            justify="right" if right else "left",
            min_width=min(width, _SHORT),
            overflow="fold",
        )
    for line in cells:
        table.add_row(*[Text(entry, style=style_of(entry)) for entry in line])
    # Better a line that goes on in the next one than words cut in two.
    least = sum(min(width, _SHORT) + _GAP for width in widths)
    console = Console(file=stream)
    if least > console.width:
        console = Console(file=stream, width=least)
    console.print(table)


def style_of(entry: str) -> str:
    """Return the colour of a state's word, or no colour."""
    return "dim" if entry == NOTHING else _STYLES.get(entry, "")
