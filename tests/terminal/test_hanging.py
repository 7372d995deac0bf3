"""The live view while the database does not answer: it says so, and hears its keys."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.reports.searches import Search, fill
from tests.terminal.tmux import Terminal


@pytest.mark.postgres
def test_a_database_that_hangs_is_told_and_the_view_can_be_left(
    postgres_url: str, tmp_path: Path, terminal: Terminal
) -> None:
    search = Search(url=postgres_url, run_dir=tmp_path / "runs" / "demo" / "1")
    fill(search)
    search.lease(3600)
    search.write_documents()
    terminal.headway("follow", "demo")
    terminal.wait_for("demo/1  RUNNING", "q quit")
    with search.engine.begin() as connection:
        connection.execute(sa.text("LOCK TABLE experiment IN ACCESS EXCLUSIVE MODE"))
        terminal.wait_for("the database has not answered for ", "demo/1  RUNNING")
        terminal.press("q")
        terminal.wait_for("Look again: headway follow demo/1", "ready>")
    search.engine.dispose()
