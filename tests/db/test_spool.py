from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from db.records import Assignment, ReportMessage
from db.spool import layout, lines
from db.spool.assignments import claim, claimed_path, discard, is_taken, withdraw, write_assignments
from db.spool.reports import KINDS, MAX_BYTES, read_reports, write_report
from db.states import ReportKind

ASSIGNMENT: Assignment = {
    "attempt_id": 7,
    "attempt_token": "a7",
    "number": 1,
    "trial_index": 3,
    "parameters": {"x": 0.1},
    "log_path": "logs/7.log",
    "checkpoint_dir": "/run/checkpoints/3",
}


@pytest.fixture
def spool(tmp_path: Path) -> str:
    folder = layout.spool_of(str(tmp_path))
    layout.create(folder)
    return folder


def names_in(spool: str, part: str) -> set[str]:
    return {path.name for path in Path(spool, part).iterdir()}


def message(second: int = 0, *, token: str = "a7", sequence: int = 0) -> ReportMessage:
    return {
        "attempt_id": 7,
        "attempt_token": token,
        "kind": "END",
        "sequence": sequence,
        "created_at": f"2030-01-02T03:04:{second:02d}.000001+00:00",
        "payload": {"results": {"RESULT": second}},
    }


def test_a_claim_gives_the_assignment_and_again_the_same(spool: str) -> None:
    write_assignments(spool, "t", {0: ASSIGNMENT, 1: ASSIGNMENT})
    assert claim(spool, "t", 0, "me") == ASSIGNMENT
    assert claim(spool, "t", 0, "me") == ASSIGNMENT
    assert claim(spool, "t", 0, "you") is None
    assert claim(spool, "t", 1, "you") == ASSIGNMENT


def test_a_claim_that_worked_though_its_answer_was_lost_is_known(spool: str) -> None:
    write_assignments(spool, "t", {0: ASSIGNMENT})
    offer = Path(spool, "assignments", "t_0.json")
    offer.rename(claimed_path(spool, "t", 0, "me"))
    assert claim(spool, "t", 0, "me") == ASSIGNMENT


def test_a_withdrawn_assignment_cannot_be_claimed(spool: str) -> None:
    write_assignments(spool, "t", {0: ASSIGNMENT})
    assert not is_taken(spool, "t", 0)
    assert withdraw(spool, "t", 0)
    assert withdraw(spool, "t", 0)
    assert is_taken(spool, "t", 0)
    assert claim(spool, "t", 0, "me") is None


def test_a_claimed_or_unknown_assignment_is_not_withdrawn(spool: str) -> None:
    write_assignments(spool, "t", {0: ASSIGNMENT})
    claim(spool, "t", 0, "me")
    assert not withdraw(spool, "t", 0)
    assert not withdraw(spool, "t", 9)


def test_an_error_is_neither_yes_nor_no(tmp_path: Path) -> None:
    (tmp_path / "assignments").write_text("not a folder")
    with pytest.raises(OSError, match="Not a directory"):
        withdraw(str(tmp_path), "t", 0)
    with pytest.raises(OSError, match="Not a directory"):
        claim(str(tmp_path), "t", 0, "me")


def test_of_a_claim_and_a_withdrawal_exactly_one_wins(spool: str) -> None:
    for index in range(200):
        write_assignments(spool, "t", {index: ASSIGNMENT})
        wins: list[str] = []
        barrier = threading.Barrier(3)

        def take(
            nonce: str,
            index: int = index,
            wins: list[str] = wins,
            start: threading.Barrier = barrier,
        ) -> None:
            start.wait()
            if nonce == "head":
                won = withdraw(spool, "t", index)
            else:
                won = claim(spool, "t", index, nonce) is not None
            if won:
                wins.append(nonce)

        threads = [threading.Thread(target=take, args=(name,)) for name in ("head", "a", "b")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(wins) == 1


def test_nothing_is_left_of_a_discarded_assignment(spool: str) -> None:
    write_assignments(spool, "t", {0: ASSIGNMENT, 1: ASSIGNMENT})
    claim(spool, "t", 0, "me")
    discard(spool, "t", 0, "me")
    discard(spool, "t", 1, None)
    discard(spool, "t", 1, None)
    assert names_in(spool, layout.ASSIGNMENTS) == set()


def test_reports_come_oldest_first_and_go_when_deleted(spool: str) -> None:
    for second in (2, 0, 1):
        write_report(spool, message(second))
    found = read_reports(spool)
    assert [report["payload"]["results"]["RESULT"] for _, report in found] == [0, 1, 2]
    assert [path for path, _ in read_reports(spool, limit=1)] == [found[0][0]]
    layout.delete([path for path, _ in found])
    layout.delete([path for path, _ in found])
    assert read_reports(spool) == []


def test_a_repeated_report_replaces_itself(spool: str) -> None:
    assert write_report(spool, message()) == write_report(spool, message())
    write_report(spool, message(sequence=1))
    write_report(spool, message(token="a8"))
    assert len(read_reports(spool)) == 3


def test_the_spool_knows_the_kinds_of_reports() -> None:
    assert set(KINDS) == set(ReportKind)


def test_an_unfinished_file_is_not_a_report(spool: str) -> None:
    Path(spool, "reports", ".x.json.1.tmp").write_text("{")
    assert read_reports(spool) == []
    assert names_in(spool, layout.REJECTED) == set()


BAD = {
    "broken": '{"attempt_id": 1',
    "list": "[]",
    "kind": json.dumps({**message(), "kind": "OTHER"}),
    "bool": json.dumps({**message(), "attempt_id": True}),
    "negative": json.dumps({**message(), "sequence": -1}),
    "payload": json.dumps({**message(), "payload": "x"}),
    "nan": json.dumps({**message(), "payload": {"x": float("nan")}}),
    "deep": "[" * 100_000,
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_report_is_rejected_with_a_reason(spool: str, name: str) -> None:
    write_report(spool, message())
    Path(spool, "reports", name).write_text(BAD[name])
    assert len(read_reports(spool)) == 1
    assert not Path(spool, "reports", name).exists()
    assert Path(spool, "rejected", name).read_text() == BAD[name]
    assert Path(spool, "rejected", f"{name}.reason").read_text().strip()


def test_links_pipes_and_giants_are_rejected(spool: str) -> None:
    folder = Path(spool, "reports")
    os.mkfifo(folder / "pipe")
    (folder / "link").symlink_to("/etc/passwd")
    with (folder / "giant").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    (folder / "binary").write_bytes(b"\xff\xfe")
    assert read_reports(spool) == []
    names = {"pipe", "link", "giant", "binary"}
    assert names_in(spool, layout.REJECTED) == names | {f"{name}.reason" for name in names}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_file_of_somebody_else_is_rejected(spool: str) -> None:
    path = write_report(spool, message())
    os.chown(path, 12345, -1)
    assert read_reports(spool) == []
    reason = Path(spool, "rejected", Path(path).name + ".reason").read_text()
    assert reason == "written by user 12345\n"


def test_lines_are_read_once_and_only_when_complete(spool: str) -> None:
    path = lines.lines_path(spool, "a7")
    assert lines.read_lines(path, 0) == ([], 0)
    lines.append_line(spool, "a7", {"n": 1})
    with Path(path).open("a") as file:
        file.write('{"n": 2')
    found, offset = lines.read_lines(path, 0)
    assert found == [{"n": 1}]
    assert lines.read_lines(path, offset) == ([], offset)
    with Path(path).open("a") as file:
        file.write("}\nnoise\n")
    lines.append_line(spool, "a7", {"n": 3})
    found, offset = lines.read_lines(path, offset)
    assert found == [{"n": 2}, {"n": 3}]
    assert lines.line_files(spool) == {path: offset}


def test_a_line_after_a_torn_one_is_whole(spool: str) -> None:
    Path(lines.lines_path(spool, "a7")).write_text('{"n": ')
    lines.append_line(spool, "a7", {"n": 3})
    assert lines.read_lines(lines.lines_path(spool, "a7"), 0)[0] == [{"n": 3}]


def test_a_file_without_line_ends_is_skipped(spool: str) -> None:
    path = Path(lines.lines_path(spool, "a7"))
    path.write_bytes(b"x" * 9_000_000)
    offset = 0
    for _ in range(3):
        found, offset = lines.read_lines(str(path), offset)
        assert found == []
    assert offset > 8_000_000


def test_a_fresh_spool_is_private_and_safe(spool: str) -> None:
    assert layout.is_safe(spool)
    assert Path(spool).stat().st_mode & 0o777 == 0o700
    layout.create(spool)


@pytest.mark.parametrize("part", ["", *layout.PARTS])
def test_a_spool_that_others_may_write_is_not_safe(spool: str, part: str) -> None:
    Path(spool, part).chmod(0o770)
    assert not layout.is_safe(spool)


def test_a_missing_or_linked_part_is_not_safe(spool: str, tmp_path: Path) -> None:
    (Path(spool) / "metrics").rename(tmp_path / "elsewhere")
    assert not layout.is_safe(spool)
    (Path(spool) / "metrics").symlink_to(tmp_path / "elsewhere")
    assert not layout.is_safe(spool)
