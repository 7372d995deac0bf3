"""A search whose database belongs to another host: what can be seen of it from here."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from db.sql import head_lock
from db.sql.head_lock import Held
from db.sql.reading.reader import open_reader
from orchestrator.cli import commands
from orchestrator.errors import HeadAliveError, UsageError
from orchestrator.lease import this_process
from orchestrator.reports import live_file
from orchestrator.reports.snapshot import SnapshotReader
from tests.reports.searches import Search
from tests.reports.test_vitals import WHOLE


@pytest.fixture
def elsewhere(search: Search, monkeypatch: pytest.MonkeyPatch) -> Search:
    """A head on login2 has the lock, and keeps live.json; the database itself holds rubbish."""
    with open_reader(search.url) as reader:
        shown = replace(SnapshotReader(reader, search.id).read(), vitals=WHOLE)
    live_file.write(search.run_dir, shown)
    search.engine.dispose()
    (search.run_dir / "database.db").write_text("whoever opens this has done wrong")
    monkeypatch.setattr(head_lock, "is_network", lambda path: True)
    holder = replace(this_process(), host="login2")
    lock = Held(holder=holder, epoch=1, since="", expire_seconds=30, nonce="n")
    assert head_lock.create(search.run_dir, lock)
    return search


def say(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert commands.dispatch(list(words)) == 0
    return capsys.readouterr().out


@pytest.mark.usefixtures("elsewhere")
def test_follow_shows_what_the_head_wrote_last(capsys: pytest.CaptureFixture[str]) -> None:
    shown = say(capsys, "follow", "demo", "--once")
    assert "demo/1" in shown
    assert "5/10" in shown


@pytest.mark.usefixtures("elsewhere")
def test_status_says_how_the_search_and_its_head_are(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(say(capsys, "status", "demo", "--json"))
    assert (found["status"], found["done"], found["head"]) == ("RUNNING", 5, "ALIVE")


@pytest.mark.usefixtures("elsewhere")
def test_other_commands_say_where_to_look() -> None:
    with pytest.raises(HeadAliveError, match=r"Look from login2, or here with `headway follow`"):
        commands.dispatch(["trials", "demo"])


@pytest.mark.usefixtures("elsewhere")
def test_a_reason_that_no_head_would_take_is_refused_before_it_is_asked() -> None:
    words = ["hosts", "include", "node7", "--experiment", "demo", "--reason", "two\nlines"]
    with pytest.raises(
        UsageError, match=r"^hosts: reason is not a line of at most 1000 characters"
    ):
        commands.dispatch(words)
