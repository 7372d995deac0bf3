"""The file `head.lock`: made as a whole, broken by one, and a bar to the SQLite file beside it."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from db.errors import DatabaseInUse, LeaseLost
from db.sql import head_lock
from db.sql.engine import connect, open_existing, sqlite_url
from db.sql.head_lock import Held
from orchestrator.errors import HeadAliveError
from orchestrator.lease import HeadLock, this_process
from orchestrator.spec.experiment import Timing

TIMING = Timing(lease_expire_seconds=30)


def held_by(host: str, **changes: object) -> Held:
    holder = replace(this_process(), host=host)
    lock = Held(
        holder=holder, epoch=7, since="2030-01-02", expire_seconds=30, nonce=head_lock.new_nonce()
    )
    return replace(lock, **changes)  # type: ignore[arg-type]


def make_old(folder: Path, seconds: float) -> None:
    moment = time.time() - seconds
    os.utime(folder / "head.lock", (moment, moment))


def test_a_lock_says_who_has_it_and_for_how_long(tmp_path: Path) -> None:
    assert head_lock.find(tmp_path) is None
    lock = held_by("login2")
    assert head_lock.create(tmp_path, lock)
    make_old(tmp_path, 20)
    found = head_lock.find(tmp_path)
    assert found is not None
    assert (found.holder, found.epoch, found.nonce) == (lock.holder, 7, lock.nonce)
    assert 15 < found.age_seconds < 40
    assert [path.name for path in tmp_path.iterdir()] == ["head.lock"]


def test_who_may_read_the_database_may_read_the_lock(tmp_path: Path) -> None:
    connect(sqlite_url(tmp_path / "database.db")).dispose()
    assert head_lock.create(tmp_path, held_by("login2"))
    assert (tmp_path / "head.lock").stat().st_mode == (tmp_path / "database.db").stat().st_mode


def test_of_many_that_make_a_lock_at_once_one_has_it(tmp_path: Path) -> None:
    locks = [held_by(f"login{number}") for number in range(16)]
    with ThreadPoolExecutor(16) as threads:
        made = list(threads.map(lambda lock: head_lock.create(tmp_path, lock), locks))
    assert made.count(True) == 1
    found = head_lock.find(tmp_path)
    assert found is not None
    assert found.nonce == locks[made.index(True)].nonce


def test_only_the_lock_that_was_seen_is_removed(tmp_path: Path) -> None:
    stale, fresh = held_by("login2"), held_by("login3")
    assert head_lock.create(tmp_path, fresh)
    assert not head_lock.remove(tmp_path, stale)
    assert head_lock.renew(tmp_path, fresh)
    assert head_lock.remove(tmp_path, fresh)
    assert not head_lock.remove(tmp_path, fresh)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["", "{", "[]", '{"host": 1}'])
def test_a_lock_that_is_not_whole_is_somebodys_until_it_is_old(tmp_path: Path, text: str) -> None:
    (tmp_path / "head.lock").write_text(text)
    mine = HeadLock(tmp_path, TIMING, is_binding=True)
    with pytest.raises(HeadAliveError, match="an unknown host"):
        mine.take()
    make_old(tmp_path, 3600)
    mine.take()
    assert "an unknown host" not in (tmp_path / "head.lock").read_text()


def test_a_stale_lock_is_broken_by_one_of_many(tmp_path: Path) -> None:
    head_lock.create(tmp_path, held_by("login2"))
    make_old(tmp_path, 3600)
    mine = [HeadLock(tmp_path, TIMING, is_binding=True) for _ in range(8)]

    def takes(lock: HeadLock) -> bool:
        try:
            lock.take()
        except HeadAliveError:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(takes, mine)).count(True) == 1


def test_a_lock_that_was_taken_away_by_one_who_saw_the_stale_one_is_not_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other = HeadLock(tmp_path, TIMING, is_binding=True), held_by("login3")
    monkeypatch.setattr(time, "sleep", lambda _: head_lock.overwrite(tmp_path, other))
    with pytest.raises(HeadAliveError, match="at this moment"):
        mine.take()
    mine.release()
    assert "login3" in (tmp_path / "head.lock").read_text()


def test_a_lock_of_a_dead_process_of_this_host_is_taken_over_at_once(tmp_path: Path) -> None:
    dead = replace(this_process(), process_started=1)
    head_lock.create(tmp_path, held_by("", holder=dead))
    mine = HeadLock(tmp_path, TIMING, is_binding=True)
    mine.take()
    mine.tell(8)
    found = head_lock.find(tmp_path)
    assert found is not None
    assert (found.holder, found.epoch) == (this_process(), 8)
    mine.release()
    assert head_lock.find(tmp_path) is None


def test_a_head_whose_binding_lock_was_broken_stops(tmp_path: Path) -> None:
    mine = HeadLock(tmp_path, TIMING, is_binding=True)
    mine.take()
    make_old(tmp_path, 1000)
    mine.renew()
    found = head_lock.find(tmp_path)
    assert found is not None
    assert found.age_seconds < 500
    (tmp_path / "head.lock").unlink()  # by a person
    mine.renew()
    head_lock.overwrite(tmp_path, held_by("login2"))
    with pytest.raises(LeaseLost, match=r"head\.lock"):
        mine.renew()
    mine.release()
    assert "login2" in (tmp_path / "head.lock").read_text()


def test_where_it_only_tells_a_lock_keeps_nobody_away(tmp_path: Path) -> None:
    head_lock.create(tmp_path, held_by("login2"))
    mine = HeadLock(tmp_path, TIMING, is_binding=False)
    mine.take()
    mine.tell(3)
    assert "login2" not in (tmp_path / "head.lock").read_text()
    tmp_path.chmod(0o500)
    mine.renew()
    tmp_path.chmod(0o700)
    (tmp_path / "head.lock").unlink()
    HeadLock(tmp_path / "gone", TIMING, is_binding=False).tell(4)


def test_nobody_opens_a_shared_file_while_a_head_elsewhere_is_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = sqlite_url(tmp_path / "database.db")
    connect(url).dispose()
    head_lock.create(tmp_path, held_by("login2"))
    open_existing(url).dispose()
    monkeypatch.setattr(head_lock, "is_network", lambda _: True)
    for open_it in (connect, open_existing):
        with pytest.raises(DatabaseInUse, match=r"the head on login2 \(process \d+\) uses it"):
            open_it(url)
    make_old(tmp_path, 3600)
    open_existing(url).dispose()
    head_lock.overwrite(tmp_path, held_by(this_process().host))
    open_existing(url).dispose()
