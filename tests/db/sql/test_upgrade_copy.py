"""The copy that an upgrade keeps of an SQLite file: it has its name only when it is whole."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from db.sql import upgrade
from db.sql.engine import SCHEMA_VERSION, sqlite_url
from db.sql.upgrade import upgrade_database
from tests.db.released import VERSIONS, load


class Killed(BaseException):
    """What happens to a process at the worst moment; it cleans nothing up."""


@pytest.fixture
def released(tmp_path: Path) -> str:
    url = sqlite_url(tmp_path / "database.db")
    load(VERSIONS[-1], url)
    return url


def copies(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("database.db.before-*"))


def test_an_upgrade_that_is_killed_while_it_copies_leaves_no_half_copy(
    released: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(_source: Path, copy: Path) -> None:
        copy.write_bytes(b"half of it")
        monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)  # nobody is there to do it
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(upgrade, "_copy_pages", die)
        with pytest.raises(Killed):
            upgrade_database(released)
    monkeypatch.undo()
    assert copies(tmp_path) == []
    assert upgrade_database(released).after == SCHEMA_VERSION
    assert copies(tmp_path) == [f"database.db.before-{SCHEMA_VERSION}"]
    with sqlite3.connect(tmp_path / copies(tmp_path)[0]) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert copy.execute("SELECT version_num FROM alembic_version").fetchone() == (VERSIONS[-1],)
    copy.close()
    assert (tmp_path / "database.db.copying").exists() is False


def test_an_older_copy_is_never_written_over(released: str, tmp_path: Path) -> None:
    older = tmp_path / f"database.db.before-{SCHEMA_VERSION}"
    older.write_text("of an earlier upgrade")
    upgrade_database(released)
    assert older.read_text() == "of an earlier upgrade"
    assert copies(tmp_path) == [older.name, f"{older.name}-2"]
