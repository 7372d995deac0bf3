"""Describes the tables and views in Markdown: the second half of docs/database.md.

    python -m db.description docs/database.md

writes that half anew, from the comments of the code; what stands above the mark stays.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterable
from enum import Enum
from pathlib import Path
from types import ModuleType

import sqlalchemy as sa

from db.sql.columns import Code, UtcDateTime
from db.sql.tables import Base
from db.views import WINDOWS

MARK = (
    "<!-- From here on written by `make docs`, from the comments in db/sql/tables and db/views. -->"
)
# The tables in the order in which a newcomer meets them.
CHAPTERS: dict[str, tuple[str, ...]] = {
    "The heart": ("experiment", "trial", "outcome", "attempt"),
    "What was asked for": (
        "parameter",
        "parameter_constraint",
        "objective",
        "generation_node",
        "spec_version",
        "code_file",
    ),
    "Who proposed the points": ("generation", "strategy_snapshot"),
    "What came along the way": ("submission", "report", "metric", "artifact"),
    "Hosts": ("host", "exclusion"),
    "The head, and analyses": ("event", "head_lease", "card"),
}
# A member of an enum and its comment, as db/states.py writes them.
_MEMBER = re.compile(r"^    ([A-Z_]+) = .*  # (.+)$", re.MULTILINE)
# The length of a text, but not the digits of a time.
_NUMBER = re.compile(r"(?<!DATETIME)\(\d+\)")
_ON_DELETE = {"CASCADE": ", goes with it", "SET NULL": ", becomes NULL without it"}
_DIALECTS = {
    system: sa.make_url(f"{system.lower()}://").get_dialect()()
    for system in ("SQLite", "PostgreSQL", "MariaDB")
}


def render() -> str:
    """Return the description of all tables and views."""
    blocks = [*_kinds()]
    for chapter, names in CHAPTERS.items():
        blocks.append(f"## Tables: {chapter[0].lower()}{chapter[1:]}")
        for name in names:
            blocks += _table(Base.metadata.tables[name])
    for window in WINDOWS:
        blocks += _window(window)
    return "\n\n".join(blocks) + "\n"


def fill(page: str) -> str:
    """Return the page with the description below the mark made anew."""
    return fill_below(MARK, page, render())


def fill_below(mark: str, page: str, text: str) -> str:
    """Return a page with another text below a mark.

    Raises:
        ValueError: The page has no mark.
    """
    above, found, _ = page.partition(mark)
    if not found:
        raise ValueError(f"the page lacks the line {mark}")
    return f"{above}{mark}\n\n{text}"


def enum_of(column: sa.Column[object]) -> type[Enum] | None:
    """Return the enum whose members a column may hold, if it is such a column."""
    if isinstance(column.type, sa.Enum):
        return column.type.enum_class
    return column.type.enum if isinstance(column.type, Code) else None


def meanings(enum: type[Enum]) -> dict[str, str]:
    """Return what the source says of each member, by its name."""
    return dict(_MEMBER.findall(inspect.getsource(enum)))


def _kinds() -> Iterable[str]:
    """Say how each kind of column is stored."""
    yield "## Kinds of columns"
    found: dict[str, tuple[str, ...]] = {}
    for table in Base.metadata.sorted_tables:
        for column in table.columns:
            texts = (str(column.type.compile(dialect)) for dialect in _DIALECTS.values())
            shown = tuple(f"`{_NUMBER.sub('(n)', text)}`" for text in texts)
            found[_NUMBER.sub("(n)", _kind(column))] = shown
    yield _grid(("kind", *_DIALECTS), ((kind, *found[kind]) for kind in sorted(found)))


def _kind(column: sa.Column[object]) -> str:
    """Return the kind of a column in a word or two."""
    kind = column.type
    if isinstance(kind, Code):
        return "code"
    if isinstance(kind, UtcDateTime):
        return "time"
    if isinstance(kind, sa.String) and kind.length:
        return f"{'word' if enum_of(column) else 'name'} ({kind.length})"
    names = {
        sa.JSON: "JSON",
        sa.Text: "text",
        sa.Double: "float",
        sa.Boolean: "yes/no",
        sa.BigInteger: "large integer",
        sa.Integer: "integer",
    }
    return next(word for base, word in names.items() if isinstance(kind, base))


def _table(table: sa.Table) -> Iterable[str]:
    yield f"### `{table.name}`"
    yield _cell(table.comment)
    yield _grid(("column", "kind", "NULL", "key", "meaning"), map(_column, table.columns))
    for column in table.columns:
        enum = enum_of(column)
        if enum:
            yield _words(column.name, enum)
    rules = [*_rules(table)]
    if rules:
        yield "Rules and indexes:"
        yield "\n".join(f"- {rule}" for rule in rules)


def _column(column: sa.Column[object]) -> tuple[str, ...]:
    keys = ["primary"] if column.primary_key else []
    keys += [f"→ `{key.target_fullname}`{_fate(key)}" for key in column.foreign_keys]
    keys += ["unique"] if column.unique else []
    null = "yes" if column.nullable else ""
    return f"`{column.name}`", _kind(column), null, "; ".join(keys), _cell(column.comment)


def _fate(key: sa.ForeignKey) -> str:
    return _ON_DELETE[key.ondelete] if key.ondelete else ""


def _words(column: str, enum: type[Enum]) -> str:
    found = meanings(enum)
    lines = (
        f"- `{member.value}`{f' {name}' if isinstance(member.value, int) else ''}: {found[name]}"
        for name, member in enum.__members__.items()
    )
    return f"`{column}` is checked to be one of:\n\n" + "\n".join(lines)


def _rules(table: sa.Table) -> Iterable[str]:
    """Say what is unique over several columns, what else is checked, and what has an index."""
    constraints = sorted(table.constraints, key=lambda each: str(each.name))
    for constraint in constraints:
        if isinstance(constraint, sa.UniqueConstraint) and len(constraint.columns) > 1:
            yield f"Unique together: {_names(constraint.columns)}"
    for constraint in constraints:
        if isinstance(constraint, sa.CheckConstraint) and not _is_of_enum(constraint, table):
            yield f"Checked: `{constraint.sqltext}`"
    for index in sorted(table.indexes, key=lambda each: str(each.name)):
        where = index.dialect_options["postgresql"]["where"]
        condition = "" if where is None else f", only where `{where}` (MariaDB: all rows)"
        yield f"Index `{index.name}`: {_names(index.columns)}{condition}"


def _is_of_enum(constraint: sa.CheckConstraint, table: sa.Table) -> bool:
    """Whether a check is the one that holds an enum's words."""
    text = str(constraint.sqltext)
    return any(re.search(rf"\b{c.name}\W+IN\b", text) for c in table.columns if enum_of(c))


def _names(columns: Iterable[sa.Column[object]]) -> str:
    return ", ".join(f"`{column.name}`" for column in columns)


def _window(window: ModuleType) -> Iterable[str]:
    """Describe the views that are another system's tables."""
    yield f"## Views: {window.SYSTEM}"
    first, _, rest = (inspect.getdoc(window) or "").partition("\n\n")
    yield "\n\n".join(filter(None, (first, rest, f"After {window.SOURCE}.")))
    for name in window.VIEWS:
        yield f"### `{name}`"
        yield _cell(window.COMMENTS[name])
        rows = ((f"`{column}`", _cell(text)) for column, text in window.COLUMNS[name].items())
        yield _grid(("column", "meaning"), rows)


def _grid(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str | None) -> str:
    """Return a comment such that Markdown shows it as it stands."""
    assert text, "every table, column and view has its comment"
    return re.sub(r"([|*_<>\\])", r"\\\1", text)


def main() -> None:
    """Write the description into the page that the command line names."""
    page = Path(sys.argv[1])
    page.write_text(fill(page.read_text()))


if __name__ == "__main__":
    main()
