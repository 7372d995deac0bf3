"""Databases as released schemas made them.

`sql/released/` holds dumps of one search of four trials, made by the code of that schema with
`headway run --force_local_execution` (iterdump, pg_dump --inserts, mariadb-dump); the working
folder is written @WORK@ in them. The dump of MariaDB comes from a server that speaks latin1.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

import psycopg2
import pymysql
from pymysql.constants import CLIENT

from db.sql.engine import parse_url

FOLDER = Path(__file__).parent / "sql" / "released"
VERSIONS = sorted({path.name.partition(".")[0] for path in FOLDER.iterdir()})


def load(version: str, url: str, *, work: Path | str = "@WORK@") -> None:
    """Fill an empty database.

    Args:
        version: One of `VERSIONS`.
        url: The database.
        work: The working folder of the search, with `runs` in it.
    """
    system = parse_url(url).get_backend_name()
    match system:
        case "sqlite":
            _load_sqlite(url, _text(version, "sqlite", work))
        case "postgresql":
            _load_postgres(url, _text(version, "postgresql", work))
        case _:
            _load_mariadb(url, _text(version, "mariadb", work))


def write_run_folder(version: str, work: Path) -> Path:
    """Make the run folder of the search below `work`, without a database; return it."""
    folder = work / "runs" / "old" / "1"
    folder.mkdir(parents=True)
    text = (FOLDER / f"{version}.spec.json").read_text(encoding="utf-8")
    (folder / "spec.json").write_text(text.replace("@WORK@", str(work)), encoding="utf-8")
    return folder


def _text(version: str, system: str, work: Path | str) -> str:
    text = (FOLDER / f"{version}.{system}.sql").read_text(encoding="utf-8")
    return text.replace("@WORK@", str(work))


def _load_sqlite(url: str, text: str) -> None:
    connection = sqlite3.connect(url.removeprefix("sqlite:///"))
    connection.executescript(text)
    connection.close()


def _load_postgres(url: str, text: str) -> None:
    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute(text)
    connection.close()


def _load_mariadb(url: str, text: str) -> None:
    parsed = parse_url(url)
    connection = pymysql.connect(
        host=parsed.host,
        port=parsed.port or 3306,
        user=parsed.username,
        password=str(parsed.password),
        database=parsed.database,
        client_flag=CLIENT.MULTI_STATEMENTS,
        autocommit=True,
    )
    with connection, connection.cursor() as cursor:
        cursor.execute(text)
        while cursor.nextset():
            pass
