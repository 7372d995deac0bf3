"""Other systems' documented schemas, as views over our tables, so that their readers work unchanged.

SQLite and PostgreSQL have them; other databases hold the tables only. They are no data: an upgrade
drops them, brings the tables up to date and makes them anew.

A window is a module with `SYSTEM` and `SOURCE` (whose tables, and where they are documented),
`VIEWS` (text by dialect), `COMMENTS` (a sentence a view) and `COLUMNS` (a sentence a column, in the
order of the columns).
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import sqlalchemy as sa

from db.errors import DatabaseError
from db.views import aepsych, ax, dashai, machinable

WINDOWS = (ax, aepsych, dashai, machinable)
# View by name, in the order of creation; the text of each by dialect.
VIEWS: dict[str, dict[str, str]] = {
    name: texts for window in WINDOWS for name, texts in window.VIEWS.items()
}
# Names of views that a release had and a later one has no more: an upgrade drops them, too.
RETIRED: tuple[str, ...] = ()
DIALECTS = ("sqlite", "postgresql")
# A view of the user may have such a name. Ours can be told by this remark, and on PostgreSQL,
# which keeps no remarks, by having a comment.
_MARK = "-- made by Headway"
_OURS = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'view' AND instr(sql, :mark) > 0",
    "postgresql": "SELECT c.relname FROM pg_class c WHERE c.relkind = 'v'"
    " AND c.relnamespace = CAST(current_schema() AS regnamespace)"
    " AND obj_description(c.oid, 'pg_class') IS NOT NULL",
}
_DEPENDENT = "2BP01"  # PostgreSQL's dependent_objects_still_exist
_MISSING = re.compile(r"no such table: (?:main\.)?(.+)")


def create(connection: sa.Connection) -> None:
    """Make all views, where the database gets them.

    Raises:
        DatabaseError: Something of the user has the name of one.
    """
    dialect = connection.dialect.name
    if dialect not in DIALECTS:
        return
    inspector = sa.inspect(connection)
    taken = {*inspector.get_table_names(), *inspector.get_view_names()} & VIEWS.keys()
    if taken:
        raise DatabaseError(
            f"the database holds {', '.join(sorted(taken))}, but Headway makes views of that name.",
            "Rename what is yours, then do this again.",
        )
    for name, texts in VIEWS.items():
        text = texts[dialect].strip()
        connection.exec_driver_sql(f'CREATE VIEW "{name}" AS {_MARK}\n{text}')
    if dialect == "postgresql":
        # All in one call: there are hundreds.
        connection.exec_driver_sql(";".join(_comments()))


def _comments() -> list[str]:
    """Return the statements that say what each view and column is."""
    statements = []
    for window in WINDOWS:
        for view, comment in window.COMMENTS.items():
            statements.append(f'COMMENT ON VIEW "{view}" IS {_literal(comment)}')
            statements += [
                f'COMMENT ON COLUMN "{view}"."{column}" IS {_literal(text)}'
                for column, text in window.COLUMNS[view].items()
            ]
    return statements


def _literal(text: str) -> str:
    quoted = text.replace("'", "''")
    return f"'{quoted}'"


def drop(connection: sa.Connection) -> None:
    """Remove every view of the database that is ours, also one of an older version.

    Raises:
        DatabaseError: A view of the user reads one of them; the text names both.
    """
    dialect = connection.dialect.name
    if dialect not in DIALECTS:
        return
    marks = {"mark": _MARK} if dialect == "sqlite" else {}
    marked = set(connection.execute(sa.text(_OURS[dialect]), marks).scalars())
    names = [name for name in (*RETIRED, *VIEWS) if name in marked]
    for name in reversed(names):
        with _dependent_named():
            connection.exec_driver_sql(f'DROP VIEW "{name}"')
    if dialect == "sqlite" and names:
        _check_readers(connection, set(names))


@contextlib.contextmanager
def _dependent_named() -> Iterator[None]:
    """Say what on PostgreSQL hangs on a view that is to go.

    Raises:
        DatabaseError: Something does.
    """
    try:
        yield
    except sa.exc.DBAPIError as error:
        if getattr(error.orig, "pgcode", None) != _DEPENDENT:
            raise
        diagnosis = getattr(error.orig, "diag", None)
        detail = getattr(diagnosis, "message_detail", None) or str(error.orig)
        raise _in_the_way(detail.partition("\n")[0]) from error


def _check_readers(connection: sa.Connection, dropped: set[str]) -> None:
    """Find what on SQLite reads a view that has gone.

    SQLite lets such a view go, and then fails at the first table that a migration renames.

    Raises:
        DatabaseError: Something does.
    """
    for name in sa.inspect(connection).get_view_names():
        view = sa.table(name)
        try:
            # SQLite reads the text of the view before it looks for rows.
            connection.execute(sa.select(sa.literal(1)).select_from(view).limit(0))
        except sa.exc.OperationalError as error:
            missing = _MISSING.search(str(error.orig))
            if missing and missing[1] in dropped:
                raise _in_the_way(f"view {name} depends on view {missing[1]}") from error


def _in_the_way(what: str) -> DatabaseError:
    return DatabaseError(
        f"{what}, which is Headway's and has to be made anew; nothing was changed.",
        "Drop your view, upgrade, then create it again.",
    )
