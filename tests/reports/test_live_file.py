"""live.json: what a viewer sees that must not open the database."""

from __future__ import annotations

import errno
import json
import os
import stat
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from db.errors import DatabaseUnavailable
from db.sql import head_lock
from db.sql.head_lock import Held
from db.sql.reading.reader import open_reader
from db.states import ExperimentStatus
from orchestrator.lease import this_process
from orchestrator.reports import live_file
from orchestrator.reports.live_file import FILE_NAME, LiveFile, LiveFileReader
from orchestrator.reports.snapshot import HeadHealth, Snapshot, SnapshotReader
from tests.reports.searches import Search, fill, local_search
from tests.reports.test_vitals import WHOLE


def snapshot_of(search: Search) -> Snapshot:
    with open_reader(search.url) as reader:
        return SnapshotReader(reader, search.id).read()


def without_lease(snapshot: Snapshot) -> Snapshot:
    """The same without what grows older."""
    return replace(snapshot, lease=None)


def test_a_snapshot_comes_back_as_it_was(two_goals: Search) -> None:
    fill(two_goals)
    two_goals.lease(25)
    running = snapshot_of(two_goals).running[0]
    two_goals.metric(running.trial_index + 1, running.id, 0.25, 3)
    shown = replace(snapshot_of(two_goals), vitals=WHOLE)
    assert shown.running[0].metric == ("loss", 0.25, 3)
    live_file.write(two_goals.run_dir, shown)
    found = live_file.read(two_goals.run_dir)
    assert without_lease(found) == without_lease(shown)
    assert found.health == HeadHealth.ALIVE
    assert found.lease is not None
    assert 15 < found.lease.seconds_left <= 25


@pytest.fixture
def local(tmp_path: Path) -> Search:
    """A search with a living head, whose snapshot is on disk."""
    search = local_search(tmp_path)
    fill(search)
    search.lease(25)
    live_file.write(search.run_dir, snapshot_of(search))
    search.engine.dispose()
    return search


def test_only_the_owner_may_read_it(local: Search) -> None:
    assert stat.S_IMODE((local.run_dir / FILE_NAME).stat().st_mode) == 0o600


def test_a_head_that_writes_no_more_is_dead_in_the_end(local: Search) -> None:
    path = local.run_dir / FILE_NAME
    reader = LiveFileReader(local.run_dir)
    assert reader.read().health == HeadHealth.ALIVE
    old = time.time() - 40
    os.utime(path, (old, old))
    found = reader.read()
    assert found.health == HeadHealth.DEAD
    assert found.sign_seconds is not None
    assert found.sign_seconds > 40


def test_a_head_that_lives_and_cannot_write_is_not_called_dead(local: Search) -> None:
    holder = replace(this_process(), host="login2")
    lock = Held(holder=holder, epoch=1, since="", expire_seconds=30, nonce="n")
    assert head_lock.create(local.run_dir, lock)
    path, reader = local.run_dir / FILE_NAME, LiveFileReader(local.run_dir)
    year_ago = time.time() - 365 * 86400
    os.utime(path, (year_ago, year_ago))
    with pytest.raises(DatabaseUnavailable, match=r"365d .* ago, though its head on login2 is al"):
        reader.read()
    os.utime(local.run_dir / head_lock.FILE_NAME, (year_ago, year_ago))
    assert reader.read().health == HeadHealth.DEAD


def test_a_head_that_was_killed_is_dead_though_its_lock_is_still_fresh(local: Search) -> None:
    lock = Held(holder=this_process(), epoch=1, since="", expire_seconds=30, nonce="n")
    assert head_lock.create(local.run_dir, lock)
    for name, age in ((FILE_NAME, 45), (head_lock.FILE_NAME, 42)):
        old = time.time() - age
        os.utime(local.run_dir / name, (old, old))
    assert live_file.read(local.run_dir).health == HeadHealth.DEAD


def test_the_clock_that_counts_is_the_one_of_the_file_system(
    local: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: 0.0)  # this host's is far behind
    found = live_file.read(local.run_dir)
    assert found.lease is not None
    assert 15 < found.lease.seconds_left <= 25


def test_looking_again_and_again_makes_no_files(local: Search) -> None:
    reader = LiveFileReader(local.run_dir)
    reader.read()
    before = local.run_dir.stat().st_mtime_ns
    for _ in range(5):
        reader.read()
    assert local.run_dir.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "live.json cannot be read: No such file"),
        ("", "live.json is not as this Headway writes it"),
        ('{"format": 1, "snapshot": {"name": 3}}', "live.json is not as this Headway writes it"),
        ("[" * 100_000, "live.json is not as this Headway writes it"),
        ("[1]", "live.json is not as this Headway writes it"),
        ('{"format": 99, "snapshot": {}}', "another version of Headway .format 99."),
    ],
)
def test_a_file_that_is_of_no_use_is_told_and_waited_for(
    local: Search, text: str | None, said: str
) -> None:
    path = local.run_dir / FILE_NAME
    whole = path.read_text()
    path.unlink()
    if text is not None:
        path.write_text(text)
    reader = LiveFileReader(local.run_dir)
    with pytest.raises(DatabaseUnavailable, match=said):
        reader.read()
    path.write_text(whole)
    assert reader.read().name == "demo/1"


def test_a_field_that_a_newer_head_wrote_is_left_out(local: Search) -> None:
    path = local.run_dir / FILE_NAME
    found: dict[str, Any] = json.loads(path.read_text())
    found["snapshot"]["mood"] = "sunny"
    path.write_text(json.dumps(found))
    assert live_file.read(local.run_dir).done == 5


def test_the_head_writes_it_every_two_seconds_and_at_the_end(
    local: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with open_reader(local.url) as reader:
        read = SnapshotReader(reader, local.id).read
        live = LiveFile(local.run_dir, read, note=lambda *_, **__: None)
        written = []
        for _ in range(5):
            written.append(live.update())
            now[0] += 1
        local.end(ExperimentStatus.FINISHED)
        assert written == [True, False, True, False, True]
        assert live.update(force=True)
    assert live_file.read(local.run_dir).health == HeadHealth.ENDED


def refuse(*_: object) -> None:
    raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))


def test_a_full_disk_is_noted_once_and_the_old_file_stays(
    local: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes: list[str] = []
    with open_reader(local.url) as reader:
        live = LiveFile(
            local.run_dir,
            SnapshotReader(reader, local.id).read,
            note=lambda text, **_: notes.append(text),
        )
        with monkeypatch.context() as patched:
            patched.setattr(os, "rename", refuse)
            assert not live.update(force=True)
            assert not live.update(force=True)
        assert live_file.read(local.run_dir).name == "demo/1"
        assert [path.name for path in local.run_dir.glob(".*.tmp")] == []
        assert live.update(force=True)
    assert notes == ["live.json could not be written", "live.json is current again"]
