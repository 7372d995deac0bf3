"""Requests to a head: what arrives is what was asked, and nothing else is believed."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from db.messages import BadMessageError
from db.spool import commands, inbox, layout
from db.spool.commands import RequestKind, new_request


@pytest.fixture
def spool(tmp_path: Path) -> str:
    folder = layout.spool_of(str(tmp_path))
    layout.create(folder)
    return folder


def left(spool: str) -> list[str]:
    return [path.name for path in Path(layout.part(spool, layout.COMMANDS)).iterdir()]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (RequestKind.STOP, {"now": True}),
        (RequestKind.TUNE, {"num_parallel_jobs": 7, "max_eval": 90}),
        (RequestKind.EXCLUDE, {"hosts": ("node1", "n'2"), "reason": "heiß", "seconds": 1.5}),
        (RequestKind.INCLUDE, {"hosts": ("node1",), "reason": "repaired"}),
    ],
)
def test_a_request_arrives_as_it_was_asked(
    spool: str, kind: RequestKind, values: dict[str, Any]
) -> None:
    request = new_request(kind, **values)
    path = commands.ask(spool, request)
    assert Path(path).stat().st_mode & 0o777 == 0o600
    assert commands.find(spool).requests == [(path, request)]
    assert commands.find(spool, skip={path}).requests == []


def test_the_answer_is_that_the_file_is_gone(spool: str) -> None:
    path = commands.ask(spool, new_request(RequestKind.STOP))
    assert commands.answer_to(path) is None
    commands.done(path)
    assert commands.answer_to(path) == ""
    assert left(spool) == []


def test_a_refusal_tells_why_and_can_be_forgotten(spool: str) -> None:
    path = commands.ask(spool, new_request(RequestKind.STOP))
    commands.refuse(path, "not today")
    assert commands.answer_to(path) == "not today"
    assert commands.find(spool).requests == []
    commands.forget_answer(path)
    assert left(spool) == []


def test_a_request_can_be_taken_back_only_before_it_was_dealt_with(spool: str) -> None:
    path = commands.ask(spool, new_request(RequestKind.STOP))
    assert commands.withdraw(path)
    assert not commands.withdraw(path)
    assert commands.find(spool).requests == []


def test_a_request_that_the_head_puts_aside_was_not_done(spool: str) -> None:
    path = commands.ask(spool, new_request(RequestKind.STOP))
    assert inbox.set_aside(spool, path, "kind is not one of START")
    assert commands.answer_to(path) == "kind is not one of START"
    for reason in Path(layout.part(spool, layout.REJECTED)).glob("*.reason"):
        reason.unlink()  # there was no room for it
    assert commands.answer_to(path) == "the head could not read the request"


def test_what_no_head_would_take_is_not_even_asked(spool: str) -> None:
    for reason in ("two\nlines", "x" * 1001):
        with pytest.raises(BadMessageError, match="reason is not a line of at most 1000"):
            commands.ask(spool, new_request(RequestKind.INCLUDE, hosts=("a",), reason=reason))
    assert left(spool) == []


def test_requests_are_read_in_the_order_in_which_they_were_asked(spool: str) -> None:
    asked = [commands.ask(spool, new_request(RequestKind.TUNE, max_eval=n)) for n in (1, 2, 3)]
    assert [path for path, _ in commands.find(spool).requests] == asked


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "DELETE"},
        {"kind": None},
        {"by": "a\nb"},
        {"by": 7},
        {"now": "yes"},
        {"num_parallel_jobs": 0},
        {"num_parallel_jobs": True},
        {"num_parallel_jobs": 10**6},
        {"max_eval": 2.5},
        {"max_eval": 2**31},
        {"hosts": "node1"},
        {"hosts": [""]},
        {"hosts": ["a\0"]},
        {"hosts": ["n"] * 10_001},
        {"reason": "x" * 1001},
        {"seconds": -1},
        {"seconds": 1e300},
    ],
)
def test_what_no_command_would_ask_is_no_request(change: dict[str, Any]) -> None:
    sound = asdict(new_request(RequestKind.TUNE, num_parallel_jobs=2))
    assert commands.read_request(sound).num_parallel_jobs == 2
    with pytest.raises(BadMessageError, match=str(next(iter(change)))):
        commands.read_request(sound | change)


def test_files_that_are_none_are_told_apart_from_those_that_are(spool: str) -> None:
    folder = Path(layout.part(spool, layout.COMMANDS))
    (folder / "a.json").write_text("{")
    (folder / "b.json").write_text("[]")
    (folder / "c.json").symlink_to("/etc/passwd")
    (folder / ".d.json.1.tmp").write_text("half")
    path = commands.ask(spool, new_request(RequestKind.STOP))
    found = commands.find(spool)
    assert [found_path for found_path, _ in found.requests] == [path]
    assert sorted(Path(fault).name for fault in found.faults) == ["a.json", "b.json", "c.json"]


def test_keys_of_a_later_headway_are_left_out(spool: str) -> None:
    sound = asdict(new_request(RequestKind.STOP)) | {"mood": "good"}
    assert commands.read_request(json.loads(json.dumps(sound))).kind == RequestKind.STOP
