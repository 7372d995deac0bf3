"""What lies in the spool and no worker wrote never ends the head, and nothing of it is lost."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from db.spool import inbox, layout, lines
from db.spool.reports import write_report
from orchestrator.errors import HeadwayError
from orchestrator.steps.mailbox import Mailbox
from tests.health.payloads import end
from tests.steps.worker import Worker
from tests.steps.world import World, attempts_of, status_of


@pytest.fixture
def transport() -> str:
    """Mail comes through the spool."""
    return "spool"


def spool_of(world: World) -> Path:
    return world.run_dir / "spool"


def rejected(world: World) -> list[str]:
    found = (path.name for path in (spool_of(world) / "rejected").iterdir())
    return sorted(name for name in found if not name.endswith(".reason"))


def foreign(world: World) -> list[tuple[str, str]]:
    rows = world.rows("event", kind="foreign")
    return [(row["payload"]["file"], row["payload"]["reason"]) for row in rows]


def look(world: World) -> None:
    """Do a tick that reads metrics and heartbeats too."""
    world.clock.now += 10
    world.tick()


@pytest.mark.parametrize(
    "payload",
    [
        {"nonsense": True},
        {**end(), "results": {"LOSS": "nan", "ACC": 1.0}},
        {**end(), "measured": None},
        {**end(), "host": "h" * 300},
    ],
)
def test_a_poison_report_is_moved_aside_and_the_head_goes_on(
    world: World, workers: list[Worker], payload: dict[str, Any]
) -> None:
    path = write_report(str(spool_of(world)), workers[0].message("END", payload))
    workers[1].end()
    world.ticks(3)
    assert (status_of(world, 0), status_of(world, 1)) == ("RUNNING", "COMPLETED")
    assert rejected(world) == [Path(path).name]
    ((file, reason),) = foreign(world)
    assert file == Path(path).name
    assert (spool_of(world) / "rejected" / f"{file}.reason").read_text() == f"{reason}\n"
    assert len(world.noted("foreign mail was left out")) == 1
    workers[0].end()
    world.tick()
    assert status_of(world, 0) == "COMPLETED"


def test_a_report_with_an_unknown_token_is_kept_aside(world: World, workers: list[Worker]) -> None:
    workers[0].send("END", end(), token="unknown")
    world.ticks(2)
    assert status_of(world, 0) == "RUNNING"
    assert len(rejected(world)) == 1
    assert [reason for _, reason in foreign(world)] == [
        "no attempt of this experiment has its token"
    ]
    assert world.rows("event", kind="foreign")[0]["payload"]["kind"] == "END"


def test_a_token_counts_and_the_key_beside_it_does_not(world: World, workers: list[Worker]) -> None:
    message = workers[0].message("END", end())
    write_report(str(spool_of(world)), {**message, "attempt_id": 2})
    world.tick()
    assert (status_of(world, 0), status_of(world, 1)) == ("COMPLETED", "RUNNING")


def test_strange_things_among_the_reports_are_moved_aside(world: World) -> None:
    folder = spool_of(world) / "reports"
    (folder / "README").write_text("hello")
    (folder / os.fsdecode(b"\xff.json")).write_text("{}")
    (folder / "folder.json").mkdir()
    (folder / "link.json").symlink_to(folder)
    os.mkfifo(folder / "pipe.json")
    world.ticks(2)
    assert len(rejected(world)) == len(foreign(world)) == 5
    assert list(folder.iterdir()) == []
    assert len(world.noted("foreign mail was left out")) == 1


def test_what_cannot_be_moved_is_told_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, target: str) -> None:
        raise OSError(16, "Device or resource busy")

    (spool_of(world) / "reports" / "README").write_text("hello")
    monkeypatch.setattr(os, "rename", refuse)
    for _ in range(3):
        look(world)
    assert len(foreign(world)) == 1
    assert not rejected(world)


NOTHING: dict[str, Any] = {"metrics": []}
BAD_LINES: list[dict[str, Any]] = [
    {"kind": "HEARTBEAT"},
    {"kind": "HEARTBEAT", "attempt_token": 5, "attempt_id": "x", "at": None},
    {"kind": "METRIC", "attempt_token": "?"},
    {"kind": "HEARTBEAT", "attempt_token": "somebody else's", "attempt_id": 1, "at": "now"},
    {},
]


@pytest.mark.parametrize("bad", BAD_LINES)
def test_a_malformed_line_is_told_and_the_others_count(
    world: World, workers: list[Worker], bad: dict[str, Any]
) -> None:
    token = workers[0].assignment["attempt_token"]
    if bad.get("attempt_token") == "?":
        bad = bad | {"attempt_token": token}
    for line in (bad, beat_of(workers[0])):
        lines.append_line(str(spool_of(world)), token, line)
    before = world.rows("attempt")[0]["heartbeat_at"]
    look(world)
    assert world.rows("attempt")[0]["heartbeat_at"] > before
    assert [file for file, _ in foreign(world)] == [f"{token}.jsonl"]
    workers[0].end()
    world.tick()
    assert rejected(world) == [f"{token}.jsonl"], "with the bad line in it"


def beat_of(worker: Worker) -> dict[str, Any]:
    """A heartbeat whose node believes in the year 1999."""
    token = worker.assignment["attempt_token"]
    return {"attempt_id": 2, "attempt_token": token, "kind": "HEARTBEAT", "at": "1999-12-31"}


def test_a_heartbeat_is_its_tokens_and_gets_the_time_at_which_it_was_seen(
    world: World, workers: list[Worker]
) -> None:
    before = [row["heartbeat_at"] for row in world.rows("attempt")]
    worker = workers[0]
    lines.append_line(str(spool_of(world)), worker.assignment["attempt_token"], beat_of(worker))
    look(world)
    after = [row["heartbeat_at"] for row in world.rows("attempt")]
    assert after[0] > before[0]
    assert after[1] == before[1], "the key that the line gives is that of the second attempt"


def test_lines_of_nobody_are_moved_aside_whole(world: World, workers: list[Worker]) -> None:
    message = workers[0].message("METRIC", {"metrics": []}, token="unknown")
    for _ in range(3):
        lines.append_line(str(spool_of(world)), "unknown", message)
    look(world)
    look(world)
    assert rejected(world) == ["unknown.jsonl"]
    assert len(foreign(world)) == 1


def test_an_end_waits_until_all_its_measurements_are_there(
    world: World, workers: list[Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    at = "2030-01-02T03:04:05+00:00"
    metric = {"name": "m", "value": 1.0, "split": "TRAIN", "level": "STEP", "step": 1, "at": at}
    spool, token = str(spool_of(world)), workers[0].assignment["attempt_token"]
    for sequence in range(10):
        message = workers[0].message("METRIC", {"metrics": [metric]})
        lines.append_line(spool, token, {**message, "sequence": sequence})
    size = len(json.dumps(message)) + 2
    monkeypatch.setattr(lines, "_MAX_READ", 4 * size)
    workers[0].end()
    world.tick()
    assert status_of(world, 0) == "RUNNING"
    world.ticks(4)
    assert status_of(world, 0) == "COMPLETED"
    assert len(world.rows("metric")) == 10


@pytest.mark.parametrize("limit", ["of one file", "of one look"])
def test_many_lines_are_read_in_several_looks_one_right_after_the_other(
    world: World, workers: list[Worker], monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    spool, before = str(spool_of(world)), [row["heartbeat_at"] for row in world.rows("attempt")]
    for worker in workers:
        token = worker.assignment["attempt_token"]
        for number in range(3 if limit == "of one file" else 0):
            lines.append_line(
                spool, token, {**worker.message("METRIC", NOTHING), "sequence": number}
            )
        lines.append_line(spool, token, beat_of(worker))
    if limit == "of one file":
        monkeypatch.setattr(lines, "_MAX_READ", 300)
    else:
        monkeypatch.setattr(inbox, "MAX_TOTAL", 1)
    look(world)
    world.ticks(4)
    after = [row["heartbeat_at"] for row in world.rows("attempt")]
    assert all(new > old for new, old in zip(after, before, strict=True))


def test_lines_that_cannot_be_opened_are_moved_aside(
    world: World, workers: list[Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str, offset: int) -> None:
        raise OSError(13, "Permission denied")

    token = workers[0].assignment["attempt_token"]
    lines.append_line(str(spool_of(world)), token, beat_of(workers[0]))
    with monkeypatch.context() as patched:
        patched.setattr(lines, "read_lines", refuse)  # root may open everything
        look(world)
    assert rejected(world) == [f"{token}.jsonl"]
    workers[0].end()
    world.tick()
    assert status_of(world, 0) == "COMPLETED"


def test_a_line_that_was_cut_off_does_not_hold_up_the_end(
    world: World, workers: list[Worker]
) -> None:
    token = workers[0].assignment["attempt_token"]
    Path(lines.lines_path(str(spool_of(world)), token)).write_text('{"kind": "MET')
    workers[0].end()
    world.tick()
    assert status_of(world, 0) == "COMPLETED"


def test_a_spool_that_others_may_write_is_refused_at_the_start(world: World) -> None:
    spool_of(world).chmod(0o777)
    with pytest.raises(HeadwayError, match=r"others may write .* chmod -R go-w") as caught:
        Mailbox(world.run_dir)
    assert "\n" not in str(caught.value)


def test_a_spool_that_others_may_write_is_not_read_until_it_is_safe_again(
    world: World, workers: list[Worker]
) -> None:
    (spool_of(world) / "reports").chmod(0o772)
    workers[0].end()
    for _ in range(3):
        look(world)
    assert status_of(world, 0) == "RUNNING"
    (told,) = world.noted("reports of workers wait")
    assert "others may write" in told["why"]
    assert "chmod" in told["remedy"]
    (spool_of(world) / "reports").chmod(0o700)
    look(world)
    assert status_of(world, 0) == "COMPLETED"
    assert len(world.noted("the spool is read again")) == 1


def test_nobody_is_given_up_while_his_report_may_lie_in_a_spool_that_is_not_read(
    world: World, workers: list[Worker]
) -> None:
    (spool_of(world) / "reports").chmod(0o772)
    workers[0].end()
    world.finish_job(workers[0])
    world.look(6)
    assert attempts_of(world, 0) == [("STARTED", None)]
    (spool_of(world) / "reports").chmod(0o700)
    look(world)
    assert attempts_of(world, 0) == [("SUCCEEDED", None)]


def test_nobody_is_given_up_while_there_are_more_reports_than_one_look_reads(
    world: World, workers: list[Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "MAX_FILES", 0)
    workers[0].end()
    world.finish_job(workers[0])
    world.look(6)
    assert attempts_of(world, 0) == [("STARTED", None)]
    monkeypatch.undo()


def test_a_spool_that_somebody_removed_is_made_again(world: World, workers: list[Worker]) -> None:
    spool = spool_of(world)
    spool.rename(world.run_dir / "gone")
    look(world)
    assert layout.find_danger(str(spool)) == ""
    workers[0].end()
    world.ticks(2)
    assert attempts_of(world, 0) == [("SUCCEEDED", None)]


def test_a_report_that_cannot_be_deleted_is_dealt_with_once(
    world: World, workers: list[Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(paths: list[str]) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(layout, "delete", refuse)
    workers[0].end()
    world.ticks(3)
    assert status_of(world, 0) == "COMPLETED"
    assert world.mailbox.collect(with_lines=True).messages == []
