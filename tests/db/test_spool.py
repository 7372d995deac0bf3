from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from db.records import Assignment
from db.spool import layout, lines
from db.spool.assignments import claim, claimed_path, discard, is_taken, withdraw, write_assignments

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
    assert lines.line_files(spool) == ({path: offset}, {})


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


def test_lines_behind_a_link_or_of_somebody_else_are_not_read(spool: str, tmp_path: Path) -> None:
    lines.append_line(spool, "a7", {"n": 1})
    path = Path(lines.lines_path(spool, "a8"))
    path.symlink_to(lines.lines_path(spool, "a7"))
    os.mkfifo(lines.lines_path(spool, "a9"))
    sizes, strangers = lines.line_files(spool)
    assert list(sizes) == [lines.lines_path(spool, "a7")]
    assert set(strangers) == {str(path), lines.lines_path(spool, "a9")}
    with pytest.raises(OSError, match="symbolic link"):
        lines.read_lines(str(path), 0)


def test_a_fresh_spool_is_private_and_safe(spool: str) -> None:
    assert layout.find_danger(spool) == ""
    assert Path(spool).stat().st_mode & 0o777 == 0o700
    layout.create(spool)


@pytest.mark.parametrize("part", ["", *layout.PARTS])
def test_a_spool_that_others_may_write_is_not_safe(spool: str, part: str) -> None:
    Path(spool, part).chmod(0o770)
    assert layout.find_danger(spool).startswith("others may write ")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders away")
def test_a_spool_of_somebody_else_is_not_safe(spool: str) -> None:
    os.chown(Path(spool, "metrics"), 12345, -1)
    assert layout.find_danger(spool) == f"{spool}/metrics belongs to user 12345"


def test_a_linked_part_is_not_safe(spool: str, tmp_path: Path) -> None:
    (Path(spool) / "metrics").rename(tmp_path / "elsewhere")
    (Path(spool) / "metrics").symlink_to(tmp_path / "elsewhere")
    assert layout.find_danger(spool) == f"{spool}/metrics is not a folder"


def test_a_missing_part_is_made_again(spool: str) -> None:
    Path(spool, "reports").rmdir()
    assert layout.find_danger(spool) == ""
    assert Path(spool, "reports").stat().st_mode & 0o777 == 0o700
