"""A full disk stops submission with one message; nothing is used up, and it goes on by itself."""

from __future__ import annotations

import contextlib
import errno
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from db.errors import DatabaseFull, DatabaseUnavailable
from orchestrator.steps.space import AGAIN_SECONDS, Space
from tests.steps.scripted import Clock
from tests.steps.world import World


@pytest.fixture
def transport() -> str:
    """The same for both."""
    return "spool"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "headway-test", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Leave no room at all."""
    path = folder / "big"
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    return path


class Heard:
    """What was noted."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, dict[str, object]]] = []

    def __call__(self, text: str, /, **fields: object) -> None:
        self.notes.append((text, fields))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("time.monotonic", clock)
    return clock


def test_a_full_disk_is_told_once_and_that_there_is_room_again_once(
    small_disk: Path, clock: Clock
) -> None:
    heard = Heard()
    space = Space([small_disk], note=heard)
    assert space.has_room()
    big = fill(small_disk)
    for _ in range(3):
        assert not space.has_room()
        clock.now += AGAIN_SECONDS
    ((text, fields),) = heard.notes
    assert text == "nothing is submitted until there is room again"
    assert fields["why"] == "No space left on device"
    assert fields["look"] == f"df -h {small_disk}; df -i {small_disk}"
    big.unlink()
    assert space.has_room()
    assert [text for text, _ in heard.notes][1:] == ["there is room again: submission goes on"]
    assert list(small_disk.iterdir()) == []


def test_a_full_disk_is_looked_at_only_now_and_then(small_disk: Path, clock: Clock) -> None:
    space = Space([small_disk], note=Heard())
    big = fill(small_disk)
    assert not space.has_room()
    big.unlink()
    assert not space.has_room()
    clock.now += AGAIN_SECONDS
    assert space.has_room()


def test_a_folder_that_is_gone_is_no_room(tmp_path: Path, clock: Clock) -> None:
    heard = Heard()
    space = Space([tmp_path / "gone"], note=heard)
    assert not space.has_room()
    assert heard.notes[0][1]["why"] == "No such file or directory"


def test_a_quota_names_the_command_that_shows_it(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    heard = Heard()
    space = Space([tmp_path], note=heard)
    monkeypatch.setattr(space, "_write", refuse)  # no file system with quotas is at hand
    assert not space.has_room()
    assert heard.notes[0][1]["look"] == f"quota -s; df -h {tmp_path}"


def test_while_the_disk_is_full_nothing_is_submitted_and_no_trial_is_used_up(
    world: World, small_disk: Path
) -> None:
    world.space = Space([world.run_dir, small_disk], note=world.note)
    big = fill(small_disk)
    world.ticks(10, seconds=AGAIN_SECONDS)
    assert world.cluster.orders == []
    assert world.states() == []
    assert world.statuses() == ["CANDIDATE", "CANDIDATE"]
    big.unlink()
    world.ticks(3, seconds=AGAIN_SECONDS)
    assert world.states() == ["SUBMITTED", "SUBMITTED"]
    assert [level for _, fields in world.notes if (level := fields["level"]) == "error"] == [
        "error"
    ]


def test_sqlite_on_a_full_disk_is_a_database_that_is_away(small_disk: Path, clock: Clock) -> None:
    from db.sql.engine import connect, sqlite_url, translated

    engine = connect(sqlite_url(small_disk / "database.db"))
    big = fill(small_disk)
    more = "CREATE TABLE more AS SELECT zeroblob(900000)"
    with pytest.raises(DatabaseFull) as caught, translated(), engine.begin() as connection:
        connection.exec_driver_sql(more)
    heard = Heard()
    space = Space([small_disk], note=heard)
    assert space.explains(caught.value)
    for _ in range(3):
        clock.now += AGAIN_SECONDS
        with pytest.raises(DatabaseUnavailable):
            space.require()
    big.unlink()
    with pytest.raises(DatabaseUnavailable):
        space.require()
    clock.now += AGAIN_SECONDS
    space.require()
    assert space.is_full, "until the head has written again"
    assert space.has_room()
    assert len(heard.notes) == 2
    engine.dispose()


def test_a_database_that_is_away_for_another_reason_is_not_the_disks_fault(
    tmp_path: Path, clock: Clock
) -> None:
    space = Space([tmp_path], note=Heard())
    assert not space.explains(DatabaseUnavailable("locked"))
    assert space.has_room()


def test_an_sqlite_file_that_wants_more_than_there_is_waits_too(
    tmp_path: Path, clock: Clock
) -> None:
    space = Space([tmp_path], note=Heard())
    assert space.explains(DatabaseFull("database or disk is full"))
    with pytest.raises(DatabaseUnavailable):
        space.require()
    clock.now += AGAIN_SECONDS
    space.require()


def test_a_head_with_nothing_to_submit_looks_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    looks: list[str] = []
    monkeypatch.setattr(Space, "_write", lambda _, probe: looks.append(probe.name))
    space = Space([tmp_path], note=lambda *_, **__: None)
    for _ in range(20):
        assert space.has_room(is_needed=False)
        clock.now += 0.5
    assert 2 <= len(looks) <= 3
    before = len(looks)
    assert space.has_room(is_needed=True)
    assert len(looks) == before + 1
