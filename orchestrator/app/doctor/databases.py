"""The database as it is seen from here."""

from __future__ import annotations

from pathlib import Path

from db.errors import DatabaseError, OlderSchema
from db.filesystems import filesystem_type, is_shared
from db.sql.engine import check_version, connect, is_sqlite, mask, parse_url, sqlite_url
from db.sql.reach import reach
from orchestrator.app.doctor.findings import Finding, failed, ok, warning

# A head writes several times for each trial.
SLOW_MS = 100.0


def look_at_database(db_url: str | None, folder: Path) -> Finding:
    """Say whether a search could keep its data in a database; nothing in it is changed.

    Args:
        db_url: The database; None: an SQLite file in the folder of a run.
        folder: Where one is tried then; removed by whoever made it.
    """
    try:
        if db_url is None:
            connect(sqlite_url(folder / "database.db")).dispose()
            return ok("database", "SQLite works in the run folder")
        return _file(db_url) if is_sqlite(db_url) else _answering(db_url)
    except OlderSchema as error:
        return failed("database", error.message.rstrip("."), error.hint)
    except DatabaseError as error:
        where = "" if db_url is None else f"{mask(db_url)}: "
        says = f"{where}{error.message.rstrip('.')}"
        remedy = "Does it run, and are host, port, name and password of --db_url right?"
        return failed("database", says, error.hint or remedy)


def _file(db_url: str) -> Finding:
    path = Path(parse_url(db_url).database or "")
    kind = filesystem_type(path)
    if is_shared(kind):
        says = f"{path} lies on a network file system ({kind}), where two hosts would damage it"
        return failed("database", says, "Leave --db_url out, or name a server.")
    if path.is_file():
        return _answering(db_url)
    if not path.parent.is_dir():
        return failed("database", f"there is no folder {path.parent}", "Give another --db_url.")
    return ok("database", f"{path} is not there yet: the first search makes it")


def _answering(db_url: str) -> Finding:
    found = reach(db_url)
    where = mask(db_url)
    if found.version is not None:
        check_version(db_url, found.version)
    elif not found.is_empty:
        says = f"{where} holds tables that are not Headway's"
        return failed("database", says, "Give Headway a database of its own.")
    elif found.may_create is False:
        says = f"{where} is empty, and its user may not make tables in it"
        remedy = "Its owner can allow that: GRANT CREATE ON SCHEMA public TO the user."
        return failed("database", says, remedy)
    state = f"schema {found.version}" if found.version else "empty: the first search sets it up"
    says = f"{where} answers in {found.milliseconds:.1f} ms ({state})"
    if found.milliseconds > SLOW_MS:
        return warning("database", says, "It is far away or busy, and each trial waits for it.")
    return ok("database", says)
