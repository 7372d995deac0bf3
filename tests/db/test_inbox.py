"""What the head finds in the spool, and what it makes of things that no worker wrote."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from db.records import ReportMessage
from db.spool import inbox, layout, lines
from db.spool.inbox import read_reports
from db.spool.reports import write_report
from tests.health.payloads import end


@pytest.fixture
def spool(tmp_path: Path) -> str:
    folder = layout.spool_of(str(tmp_path))
    layout.create(folder)
    return folder


def message(second: int = 0, *, token: str = "a7", sequence: int = 0) -> ReportMessage:
    return {
        "attempt_id": 7,
        "attempt_token": token,
        "kind": "END",
        "sequence": sequence,
        "created_at": f"2030-01-02T03:04:{second:02d}.000001+00:00",
        "payload": {**end(results={"RESULT": float(second)})},
    }


def names(spool: str, part: str) -> set[str]:
    return {path.name for path in Path(spool, part).iterdir()}


def test_reports_come_oldest_first_and_stay_until_they_are_deleted(spool: str) -> None:
    for second in (2, 0, 1):
        write_report(spool, message(second))
    found = read_reports(spool).reports
    assert [report["payload"]["results"]["RESULT"] for _, report in found] == [0, 1, 2]
    layout.delete([path for path, _ in found])
    layout.delete([path for path, _ in found])
    assert read_reports(spool).reports == []


def test_a_repeated_report_replaces_itself(spool: str) -> None:
    assert write_report(spool, message()) == write_report(spool, message())
    write_report(spool, message(sequence=1))
    write_report(spool, message(token="a8"))
    assert len(read_reports(spool).reports) == 3


def test_an_unfinished_file_is_neither_a_report_nor_a_fault(spool: str) -> None:
    Path(spool, "reports", ".x.json.1.tmp").write_text("{")
    found = read_reports(spool)
    assert (found.reports, found.faults, found.is_all) == ([], {}, True)


@pytest.mark.parametrize("limit", ["MAX_FILES", "MAX_TOTAL"])
def test_what_is_too_much_for_one_look_is_left_for_the_next(
    spool: str, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, limit, 2 if limit == "MAX_FILES" else 800)
    paths = [write_report(spool, message(second)) for second in range(3)]
    first = read_reports(spool)
    assert [path for path, _ in first.reports] == paths[:2]
    assert not first.is_all
    layout.delete(paths[:2])
    second = read_reports(spool)
    assert [path for path, _ in second.reports] == paths[2:]
    assert second.is_all


BAD: dict[str, Any] = {
    "torn": '{"attempt_id": 1',
    "empty": "",
    "list": "[]",
    "kind": {**message(), "kind": "OTHER"},
    "nan": json.dumps({**message(), "payload": {"x": float("nan")}}),
    "deep": "[" * 100_000,
    "binary": b"\xff\xfe",
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_report_has_a_fault_and_is_kept_aside(spool: str, name: str) -> None:
    content = BAD[name] if isinstance(BAD[name], str | bytes) else json.dumps(BAD[name])
    data = content if isinstance(content, bytes) else content.encode()
    write_report(spool, message())
    path = Path(spool, "reports", f"{name}.json")
    path.write_bytes(data)
    found = read_reports(spool)
    assert len(found.reports) == 1
    assert list(found.faults) == [str(path)]
    assert inbox.set_aside(spool, str(path), found.faults[str(path)])
    assert not path.exists()
    assert Path(spool, "rejected", path.name).read_bytes() == data
    assert Path(spool, "rejected", f"{path.name}.reason").read_text().strip()


def test_links_pipes_folders_giants_and_other_names_have_a_fault(spool: str) -> None:
    folder = Path(spool, "reports")
    os.mkfifo(folder / "pipe.json")
    (folder / "link.json").symlink_to("/etc/passwd")
    (folder / "folder.json").mkdir()
    (folder / "folder.json" / "inside").write_text("x")
    Path(write_report(spool, message())).rename(folder / "copy.json~")
    with (folder / "giant.json").open("wb") as file:
        file.truncate(inbox.MAX_BYTES + 1)
    faults = read_reports(spool).faults
    assert {Path(path).name for path in faults} == names(spool, "reports")
    assert all(inbox.set_aside(spool, path, reason) for path, reason in faults.items())
    assert names(spool, "reports") == set()
    assert Path(spool, "rejected", "folder.json", "inside").read_text() == "x"
    assert Path("/etc/passwd").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_file_of_somebody_else_has_a_fault(spool: str) -> None:
    path = write_report(spool, message())
    os.chown(path, 12345, -1)
    assert read_reports(spool).faults == {path: "it was written by user 12345"}


def test_what_is_kept_aside_replaces_nothing(spool: str) -> None:
    for text in ("first", "second"):
        path = Path(spool, "reports", "x.json")
        path.write_text(text)
        assert inbox.set_aside(spool, str(path), f"why {text}")
    kept = Path(spool, "rejected")
    assert [(kept / name).read_text() for name in ("x.json", "x.json.2")] == ["first", "second"]
    assert (kept / "x.json.2.reason").read_text() == "why second\n"


def test_what_cannot_be_moved_stays_where_it_is(spool: str) -> None:
    path = write_report(spool, message())
    Path(spool, "rejected").rmdir()
    assert not inbox.set_aside(spool, path, "why")
    assert [found for found, _ in read_reports(spool).reports] == [path]
    assert read_reports(spool, skip={path}).reports == []


def test_strangers_among_the_lines_are_found(spool: str) -> None:
    lines.append_line(spool, "a7", {"n": 1})
    folder = Path(spool, "metrics")
    (folder / "notes.txt").write_text("x")
    (folder / "a8.jsonl").symlink_to("a7.jsonl")
    (folder / ".nfs0001").write_text("x")
    _, found = lines.line_files(spool)
    assert {Path(path).name for path in found} == {"notes.txt", "a8.jsonl"}
    assert lines.line_files(spool, skip=set(found))[1] == {}
