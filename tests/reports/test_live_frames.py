"""One frame of the live view: what it tells, on terminals of any size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from db.sql import tables
from db.sql.reading.reader import open_reader
from db.states import AttemptState, ExperimentStatus, FailureClass, TrialStatus
from orchestrator.reports.frames import frame
from orchestrator.reports.live import Snapshot, SnapshotReader
from orchestrator.reports.looks import Look, pressed
from orchestrator.reports.vitals import GeneratorVitals, Vitals, Waiting, read_vitals
from tests.reports.searches import Search, fill, local_search

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
PRIORITY = Waiting(
    reason="Priority", count=12, job="3_1", says="jobs of others come first", fate="WAITS"
)
TOO_LONG = Waiting(
    reason="PartitionTimeLimit",
    count=2,
    job="5",
    says="it asks for more time than the partition allows",
    remedy="resume with a shorter --worker_timeout; scontrol show job 5",
    fate="NEVER",
)
VITALS = Vitals(
    told_at=NOW,
    started_at=NOW,
    calls={"squeue": 100, "sbatch": 20},
    calls_last_hour=120,
    poll_seconds=2.0,
    scheduler_seconds=0.04,
    database_ms=3.14159,
    waiting=(PRIORITY, TOO_LONG),
    generator=GeneratorVitals(name="TPE", is_busy=True, busy_seconds=12.25, stock=3),
    cpu_percent=0.42,
    memory_mb=81.2,
    threads=7,
)


@pytest.fixture
def search(tmp_path: Path) -> Iterator[Search]:
    """A filled search of two objectives, with a head that lives."""
    made = local_search(tmp_path / "runs", goals={"LOSS": True, "SPEED": False})
    fill(made)
    made.lease(25)
    yield made
    made.engine.dispose()


def snapshot_of(search: Search, **changes: Any) -> Snapshot:
    with open_reader(search.url) as reader:
        return replace(SnapshotReader(reader, search.id).read(), **changes)


def lines_of(
    snapshot: Snapshot, width: int = 80, height: int = 24, look: Look | None = None
) -> list[str]:
    return frame(snapshot, width, height, look or Look()).plain.split("\n")


def whole(snapshot: Snapshot, width: int = 80, height: int = 24, look: Look | None = None) -> str:
    return "\n".join(lines_of(snapshot, width, height, look))


def test_a_frame_of_80_by_24_tells_it_all(search: Search) -> None:
    said = whole(snapshot_of(search, vitals=VITALS), look=Look(has_keys=True))
    for expected in (
        "demo/1  RUNNING",
        "5/10  50 %  ETA",
        "completed 4   failed 1   running 2   waiting 1   slots 2/4 busy",
        "best LOSS=1.5 (trial 3) min  Pareto front: 3",
        "best SPEED=9 (trial 2) max",
        "2 jobs can never start: PartitionTimeLimit: it asks for more time than the part",
        "→ resume with a shorter --worker_timeout; scontrol show job 5",
        "12 jobs waiting: Priority: jobs of others come first",
        "generator SOBOL, call 3: 4 of 4 points in 0.30 s, thinking for 12.2 s",
        "head alive on login1, last sign 5.",
        " ago, 120 Slurm calls/h, database 3.1 ms",
        "running 2",
        "trial 5  node6  ",
        "ended last",
        "FAILED     PROGRAM: exit code 1",
        "COMPLETED  LOSS=1.5 SPEED=1",
        "q quit  p freeze  f failed only  ? help",
    ):
        assert expected in said, expected


def test_a_frame_fits_any_terminal(search: Search) -> None:
    snapshot = snapshot_of(search, vitals=VITALS)
    looks = (Look(), Look(has_keys=True), Look(failed_only=True), Look(helping=True))
    for width, height, look in product((20, 40, 79, 160), (1, 3, 6, 12, 24, 50), looks):
        lines = lines_of(snapshot, width, height, look)
        assert len(lines) <= height
        assert all(len(line) <= width for line in lines)


def test_the_search_and_its_best_stay_on_a_terminal_of_few_lines(search: Search) -> None:
    said = lines_of(snapshot_of(search, vitals=VITALS), 80, 10, Look(has_keys=True))
    assert said[0].startswith("demo/1  RUNNING")
    assert any("best LOSS" in line for line in said)
    assert any("trial 5" in line for line in said)
    assert said[-1].startswith("q quit")


def test_a_wide_terminal_has_what_runs_beside_what_ended(search: Search) -> None:
    attempt = search.attempt(6, 2, AttemptState.STARTED, heartbeat_at=datetime.now(UTC))
    search.metric(6, attempt, 0.25, 7)
    lines = lines_of(snapshot_of(search), 180, 50)
    (title,) = [line for line in lines if "running 3" in line]
    assert title.index("── ended last") == 91
    below = lines[lines.index(title) + 1 :]
    assert any("trial 5" in line[:89] and "job 6_0" in line[:89] for line in below)
    assert any("loss=0.25 at step 7  try 2  sign 0." in line[:89] for line in below)
    assert any("LOSS=1.5 SPEED=1      x=0.3 kind=a" in line[91:] for line in below)


def test_a_long_reason_takes_the_room_of_the_point_in_its_line_only(search: Search) -> None:
    search.trial(8, TrialStatus.FAILED, reason="the program ended with exit code 3: " + "why " * 20)
    lines = lines_of(snapshot_of(search))
    (long,) = [line for line in lines if "trial 8" in line]
    assert "PROGRAM: exit code 3: why why" in long
    assert "x=0.5" not in long
    assert any("COMPLETED  LOSS=1.5 SPEED=1      x=0.3" in line for line in lines)


def test_a_worker_that_is_silent_is_shown_at_any_width(search: Search) -> None:
    table = tables.table_of(tables.Attempt)
    ago = datetime.now(UTC) - timedelta(seconds=100)
    search.execute(sa.update(table).where(table.c.trial_id == 6).values(heartbeat_at=ago))
    assert "silent for 0:01:" in whole(snapshot_of(search), 60)


@pytest.mark.parametrize("width", [40, 160])
def test_a_frame_can_do_without_unicode(search: Search, width: int) -> None:
    search.trial(8, TrialStatus.FAILED, reason="K\u00fchlung ausgefallen \u2744")
    snapshot = snapshot_of(search, vitals=VITALS)
    said = whole(snapshot, width, 50, Look(ascii_only=True, has_keys=True))
    assert said.isascii()
    assert "-> resume with" in said
    assert "#####" in said


def test_many_running_trials_leave_room_for_the_last_endings(search: Search) -> None:
    for index in range(8, 60):
        search.trial(index, TrialStatus.RUNNING)
    lines = lines_of(snapshot_of(search, vitals=VITALS))
    assert "running 54" in "\n".join(lines)
    assert sum("COMPLETED" in line or "FAILED" in line for line in lines) >= 3
    (rest,) = [line for line in lines if line.startswith("and ")]
    shown = sum("trial " in line for line in lines[: lines.index(rest)] if "node" in line)
    assert rest.startswith(f"and {54 - shown} more")
    assert len(lines) == 24


def test_failed_only_leaves_out_what_runs_and_what_went_well(search: Search) -> None:
    for index in range(8, 70):
        search.trial(index, TrialStatus.COMPLETED, 2.0, 2.0)
    again = search.trial(70, TrialStatus.CANDIDATE)
    search.attempt(again, 1, AttemptState.FAILED, reason="a disk was full", host="node9")
    snapshot = snapshot_of(search)
    assert 4 not in [trial.index for trial in snapshot.endings]
    said = whole(snapshot, look=Look(failed_only=True))
    # However many trials have ended since it failed.
    assert "trial 4  node5  10.0 s  FAILED  PROGRAM: exit code 1" in said
    assert "trial 70  node9  try 1  PROGRAM  a disk was full" in said
    assert "COMPLETED" not in said
    assert "trial 5 " not in said


def test_failed_only_says_so_when_nothing_has_failed(tmp_path: Path) -> None:
    search = local_search(tmp_path)
    assert "nothing has failed" in whole(snapshot_of(search), look=Look(failed_only=True))
    search.engine.dispose()


def test_a_trial_that_ended_by_a_rule_has_the_rules_name(search: Search) -> None:
    attempt = tables.table_of(tables.Attempt)
    named = {"failure_class": FailureClass.RULE, "failure_name": "licence"}
    is_failed = attempt.c.failure_class.is_not(None)
    search.execute(sa.update(attempt).where(is_failed).values(named))
    assert "FAILED     rule licence: exit code 1" in whole(snapshot_of(search))


@pytest.mark.parametrize(
    ("vitals", "expected"),
    [
        ({"stopping": "no new trials: by me"}, "no new trials: by me; Ctrl-C once more ends"),
        ({"disk_full": True}, "the disk of the run folder is full: nothing is submitted"),
        (
            {"refused": "QOSMaxSubmitJobPerUserLimit", "refused_for_seconds": 90},
            "sbatch refuses for 0:01:30: QOSMaxSubmitJobPerUserLimit",
        ),
        (
            {"generator": GeneratorVitals(problem="it took longer than 60 s")},
            "the model gives no points: it took longer than 60 s",
        ),
    ],
)
def test_what_keeps_the_search_from_going_on_is_shown(
    search: Search, vitals: dict[str, Any], expected: str
) -> None:
    told = Vitals(told_at=NOW, **vitals)
    assert expected in whole(snapshot_of(search, vitals=told), look=Look(leads=True))
    search.lease(-60)
    # A dead head told this long ago.
    assert expected not in whole(snapshot_of(search, vitals=told))


def test_a_head_without_slurm_says_nothing_of_it(search: Search) -> None:
    asked = whole(snapshot_of(search, vitals=VITALS), 200, 50)
    assert "Slurm answers in 0.04 s, asked every 2.0 s" in asked
    said = whole(snapshot_of(search, vitals=replace(VITALS, calls={}, waiting=())), 200, 50)
    assert "CPU 0.4 %" in said
    assert "Slurm" not in said
    assert "asked every" not in said


def test_a_dead_head_is_shown_with_a_command_that_is_never_cut(search: Search) -> None:
    search.lease(-5)
    snapshot = snapshot_of(search)
    command = f"Go on with: headway resume {search.run_dir}"
    assert "head DEAD on login1, last sign 35." in whole(snapshot)
    for width, height in ((80, 24), (40, 24), (160, 8)):
        assert command in "".join(lines_of(snapshot, width, height))


def test_text_of_a_program_cannot_move_the_cursor(search: Search) -> None:
    search.trial(9, TrialStatus.FAILED, reason="\x1b[2Jgone\r\nnext")
    said = whole(snapshot_of(search))
    assert "gone" in said
    assert "\x1b" not in said


def test_a_frame_says_that_it_is_old_or_frozen(search: Search) -> None:
    snapshot = snapshot_of(search)
    assert "not up to date for 3 s" in whole(
        snapshot, 80, 4, Look(problem="not up to date for 3 s")
    )
    frozen = lines_of(snapshot, look=Look(has_keys=True, frozen=True))
    assert frozen[-1].startswith("FROZEN at 20")


def test_a_search_that_has_ended_shows_how(search: Search) -> None:
    search.end(ExperimentStatus.STOPPED, "by me")
    said = whole(snapshot_of(search))
    assert "ETA" not in said
    assert ": STOPPED: by me" in said


def test_keys_change_how_one_looks() -> None:
    look = Look()
    assert pressed(look, "p").frozen
    assert pressed(pressed(look, "p"), "p") == look
    assert pressed(look, "f").failed_only
    assert pressed(look, "?").helping
    assert pressed(pressed(look, "?"), "f") == look
    assert pressed(look, "z") == look


def test_numbers_that_are_none_do_not_break_a_frame(search: Search) -> None:
    told = {"told_at": NOW.isoformat(), "database_ms": float("nan"), "poll_seconds": float("inf")}
    vitals = read_vitals(told | {"refused": "busy", "refused_for_seconds": -1e300})
    said = whole(snapshot_of(search, vitals=vitals), 160)
    assert "sbatch refuses for 0.00 s: busy" in said
    assert "database" not in said
