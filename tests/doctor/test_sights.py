"""What a probe saw, or how it ended, as findings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from db.states import JobState
from orchestrator.app.doctor import ends
from orchestrator.app.doctor.findings import Finding, Status
from orchestrator.app.doctor.probes import Probe
from orchestrator.app.doctor.sights import Expected, judge
from orchestrator.cluster.base import JobStatus
from worker.probe import NO_FOLDER, NO_HEADWAY, NO_PYTHON, NOT_WRITABLE, code_digest

if TYPE_CHECKING:
    from worker.probe import Sight

RUNS = Path("/home/me/runs")


def expected(db_url: str | None = None) -> Expected:
    return Expected(folder=RUNS, content="abc", python="3.11", headway="d1", db_url=db_url)


def sight() -> Sight:
    """What a node sees where all is well, found after two seconds."""
    return {
        "host": "node3",
        "content": "abc",
        "python": "3.11",
        "headway": "d1",
        "told_at": 1000.0,
        "read_at": 1000.5,
        "written_at": 1001.0,
    }


def judged(seen: Sight, *, seen_at: float = 1003.0, db_url: str | None = None) -> list[Finding]:
    return list(judge(seen, expected(db_url), seen_at=seen_at))


def test_a_node_where_all_is_well_gives_one_line() -> None:
    (found,) = judged({**sight(), "database_ms": 3.2}, db_url="postgresql://h/x")
    assert (found.check, found.status, found.host) == ("node", Status.OK, "node3")
    assert found.says.endswith("the database answers it in 3 ms")


@pytest.mark.parametrize(
    ("seen", "check"),
    [
        ({**sight(), "content": "old"}, "shared folder"),
        ({**sight(), "python": "3.9"}, "python"),
        ({**sight(), "headway": "d2"}, "headway"),
        ({"host": "node3", "headway": "d1"}, "headway"),
    ],
)
def test_each_fault_is_named_alone(seen: Sight, check: str) -> None:
    (found,) = judged(seen)
    assert (found.check, found.status) == (check, Status.FAILED)
    assert found.remedy


def test_a_file_that_appears_late_is_no_fault_of_the_clock() -> None:
    (found,) = judged(sight(), seen_at=1200.0)
    assert found.check == "node"


@pytest.mark.parametrize(
    ("off", "status", "says"),
    [
        (400.0, Status.FAILED, "is 398 s ahead of"),
        (-400.0, Status.FAILED, "is 400 s behind"),
        (20.0, Status.WARNING, "is 18 s ahead of"),
    ],
)
def test_a_clock_is_off_by_what_is_certain(off: float, status: Status, says: str) -> None:
    seen = sight()
    seen["read_at"] += off
    seen["written_at"] += off
    (found,) = judged(seen)
    assert (found.check, found.status) == ("clock", status)
    assert says in found.says or off < 0


@pytest.mark.parametrize(
    ("url", "remedy"),
    [("postgresql://me:pw@localhost/x", "the node itself"), ("postgresql://db7/x", "pg_hba.conf")],
)
def test_a_database_that_a_node_cannot_reach_gets_a_remedy_by_its_name(
    url: str, remedy: str
) -> None:
    (found,) = judged({**sight(), "database_error": "no route to host"}, db_url=url)
    assert remedy in found.remedy
    assert "no route to host" in found.says
    assert "pw" not in found.says


@pytest.mark.parametrize(
    ("code", "check", "says"),
    [
        (NO_FOLDER, "shared folder", "node3 does not see /home/me/runs"),
        (NOT_WRITABLE, "shared folder", "node3 cannot write into"),
        (NO_PYTHON, "python", "is not there on node3"),
        (NO_HEADWAY, "python", "Headway's folder is not there"),
        (1, "probe", "ended on node3 with code 1: boom"),
        (0, "probe", "could not run the probe on node3: JobLaunchFailure"),
        (None, "probe", "ended on node3 before its first word"),
    ],
)
def test_an_exit_code_says_what_is_missing(code: int | None, check: str, says: str) -> None:
    status = JobStatus(state=JobState.FAILED, host="node3", reason="JobLaunchFailure")
    found = ends.ended(status, code, "node3", RUNS, "boom")
    assert (found.check, found.status) == (check, Status.FAILED)
    assert says in found.says


def test_a_probe_whose_file_never_appears_speaks_against_the_folder() -> None:
    status = JobStatus(state=JobState.COMPLETED, host="node3")
    found = ends.ended(status, 0, "node3", RUNS, "")
    assert found.check == "shared folder"


@pytest.mark.parametrize(("is_certain", "status"), [(True, Status.FAILED), (False, Status.WARNING)])
def test_what_can_never_begin_is_told_from_what_waits(*, is_certain: bool, status: Status) -> None:
    pending = JobStatus(state=JobState.PENDING, reason="BadConstraints")
    found = ends.waiting(pending, "node3", seconds=60, is_certain=is_certain)
    assert found.status is status
    assert "BadConstraints" in found.says


def test_a_changed_file_of_headway_is_another_headway(tmp_path: Path) -> None:
    for folder in ("worker", "db/spool"):
        (tmp_path / folder).mkdir(parents=True)
    before = code_digest(str(tmp_path))
    (tmp_path / "db" / "spool" / "new.py").write_text("x = 1\n")
    assert code_digest(str(tmp_path)) != before


def test_what_one_of_several_partitions_never_takes_another_one_may() -> None:
    probe = Probe("1", "hw-doctor-1", has_choice=True)
    for _ in range(3):
        probe.note(JobStatus(state=JobState.PENDING, reason="PartitionTimeLimit"))
    assert probe.hopeless == 0
    probe.note(JobStatus(state=JobState.PENDING, reason="BadConstraints"))
    assert probe.hopeless == 1


def test_a_probe_that_slurm_holds_has_ended_and_is_still_to_be_taken_back() -> None:
    probe = Probe("1", "hw-doctor-1")
    probe.note(JobStatus(state=JobState.NODE_FAIL, word="launch failed", is_held=True))
    assert (probe.is_over, probe.is_gone) == (True, False)
    probe.note(JobStatus(state=JobState.CANCELLED))
    assert probe.is_gone


def test_slurm_has_to_say_twice_that_a_probe_can_never_begin() -> None:
    probe = Probe("1", "hw-doctor-1")
    never = JobStatus(state=JobState.PENDING, reason="PartitionTimeLimit")
    probe.note(never)
    assert (probe.hopeless, probe.began) == (1, None)
    probe.note(never)
    assert probe.hopeless == 2
    probe.note(JobStatus(state=JobState.RUNNING, host="node3"))
    assert (probe.hopeless, probe.host) == (0, "node3")
    assert probe.began is not None
