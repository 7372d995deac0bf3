"""Tables as text: CSV for spreadsheets and R, JSON for programs."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TextIO

from db.sql.reading.fields import Column, Kind, Row, Session, Table

# Name and version of the JSON form; the version changes when a reader would have to.
JSON_FORMAT = "headway-export"
JSON_VERSION = 1


def write_csv(table: Table, session: Session, stream: TextIO) -> None:
    """Write a table with a line of titles; what is not known is empty.

    Numbers are written so that reading gives the same number, times in ISO 8601 and UTC.

    Raises:
        OSError: The stream took no more.
        DatabaseError: The database gave no more.
    """
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(column.name for column in table.columns)
    form = line_writer(table.columns)
    for page in table.pages(session):
        writer.writerows(map(form, page))


def line_writer(columns: Sequence[Column]) -> Callable[[Row], Row]:
    """Return what makes the fields of a CSV line of a row."""
    forms = [
        (place, _FORMS[column.kind])
        for place, column in enumerate(columns)
        if column.kind in _FORMS
    ]

    def line(row: Row) -> Row:
        fields = list(row)
        for place, form in forms:
            value = fields[place]
            if value is not None:
                fields[place] = form(value)
        return fields

    return line


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds")


def _text(value: object) -> str:
    # Most readers of CSV end at a NUL.
    return str(value).replace("\0", "")


def _bool(value: object) -> str:
    return "true" if value else "false"


def json_text(value: object) -> str:
    """Return a value as one line of JSON; numbers that are not finite become words."""
    try:
        return _ENCODER.encode(value)
    except ValueError:
        return _ENCODER.encode(_finite(value))


def _finite(value: object) -> Any:
    match value:
        case float() if value - value != 0:
            return str(value)
        case Mapping():
            return {key: _finite(entry) for key, entry in value.items()}
        case list() | tuple():
            return [_finite(entry) for entry in value]
        case _:
            return value


def _default(value: object) -> str:
    return _time(value) if isinstance(value, datetime) else str(value)


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=_default)
_FORMS: dict[Kind, Callable[[Any], str]] = {
    Kind.TIME: _time,
    Kind.TEXT: _text,
    Kind.BOOL: _bool,
    Kind.JSON: json_text,
}


def write_json(
    experiment: Mapping[str, object], tables: Iterable[Table], session: Session, stream: TextIO
) -> None:
    """Write tables as one JSON document, one row a line.

    Args:
        experiment: What is known of the experiment as a whole.
        tables: Each becomes a list of objects under its name.
        session: Where to read.
        stream: Where to write.

    Raises:
        OSError: The stream took no more.
        DatabaseError: The database gave no more.
    """
    stream.write(f'{{\n"format": "{JSON_FORMAT}",\n"version": {JSON_VERSION},\n')
    stream.write(f'"experiment": {json_text(experiment)}')
    for table in tables:
        stream.write(f',\n"{table.name}": [')
        form = _object_writer(table)
        separator = "\n"
        for page in table.pages(session):
            stream.write(separator + ",\n".join(json_text(form(row)) for row in page))
            separator = ",\n"
        stream.write("\n]")
    stream.write("\n}\n")


def _object_writer(table: Table) -> Callable[[Row], dict[str, object]]:
    """Return what makes an object of a row: values that users have named are nested in groups.

    Within a group what is not known is left out; every other field, and every group, is always
    there.
    """

    def form(row: Row) -> dict[str, object]:
        plain: dict[str, object] = {}
        groups: dict[str, dict[str, object]] = {group: {} for group in table.groups}
        for column, value in zip(table.columns, row, strict=True):
            if column.group is None:
                plain[column.name] = value
            elif value is not None:
                groups[column.group][column.key] = value
        return plain | groups

    return form
