"""The live view: snapshots from the database, frames, plain lines."""

from __future__ import annotations

import io
import threading
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from rich.console import Console

from db.errors import DatabaseUnavailable
from db.sql import hosts, tables
from db.sql.hosts import CLUSTER
from db.sql.reading.reader import open_reader
from db.states import (
    AttemptState,
    ExclusionSource,
    ExperimentStatus,
    FailureClass,
    HostState,
    TrialStatus,
)
from orchestrator.reports.live import Snapshot, SnapshotReader, frame, plain_line, watch
from orchestrator.reports.snapshot import HeadHealth
from tests.reports.searches import BEGIN, Search, fill, local_search


def snapshot_of(search: Search) -> Snapshot:
    with open_reader(search.url) as reader:
        return SnapshotReader(reader, search.id).read()


def drawn(snapshot: Snapshot, width: int = 80, height: int = 24, **options: bool) -> list[str]:
    """The frame as a terminal of this size would show it."""
    stream = io.StringIO()
    console = Console(file=stream, width=width, height=height, highlight=False)
    console.print(frame(snapshot, width, height, **options))  # type: ignore[arg-type]
    return stream.getvalue().splitlines()


def test_a_frame_of_80_by_24_tells_it_all(two_goals: Search) -> None:
    fill(two_goals)
    two_goals.lease(25)
    lines = drawn(snapshot_of(two_goals))
    assert len(lines) <= 24
    assert all(len(line) <= 80 for line in lines)
    whole = "\n".join(lines)
    for expected in (
        "demo/1  RUNNING",
        "5/10  50 %  ETA",
        "completed 4   failed 1   running 2   waiting 1",
        "slots 2/4 busy",
        "best LOSS=1.5 (trial 3) min",
        "Pareto front: 3",
        "best SPEED=9 (trial 2) max",
        "generator SOBOL, call 3: 4 of 4 points in 0.30 s",
        "head alive on login1, process 42, last sign 5.",
        "running 2",
        "trial 5",
        "ended last",
        "FAILED  PROGRAM: exit code 1",
        "COMPLETED  LOSS=1.5 SPEED=1",
    ):
        assert expected in whole, expected


def test_a_trial_that_ended_by_a_rule_has_the_rules_name(search: Search) -> None:
    fill(search)
    attempt = tables.table_of(tables.Attempt)
    named = {"failure_class": FailureClass.RULE, "failure_name": "licence"}
    is_failed = attempt.c.failure_class.is_not(None)
    search.execute(sa.update(attempt).where(is_failed).values(named))
    assert "FAILED  rule licence: exit code 1" in "\n".join(drawn(snapshot_of(search)))


@pytest.mark.parametrize("height", [1, 5, 8, 12, 50])
@pytest.mark.parametrize("width", [20, 79, 160])
def test_a_frame_fits_any_terminal(search: Search, width: int, height: int) -> None:
    fill(search)
    lines = drawn(snapshot_of(search), width, height)
    assert len(lines) <= height
    assert all(len(line) <= width for line in lines)


def test_a_frame_can_do_without_unicode(search: Search) -> None:
    fill(search)
    assert all(line.isascii() for line in drawn(snapshot_of(search), 40, ascii_only=True))


def test_many_running_trials_leave_room_for_the_last_endings(search: Search) -> None:
    fill(search)
    for index in range(8, 60):
        search.trial(index, TrialStatus.RUNNING)
    lines = drawn(snapshot_of(search))
    assert "running 54" in "\n".join(lines)
    assert sum("COMPLETED" in line or "FAILED" in line for line in lines) >= 3
    assert len(lines) == 24


def exclude(search: Search, *names: str) -> None:
    """Let Headway keep hosts out."""
    with search.engine.begin() as connection:
        for name in names:
            hosts.exclude(
                connection,
                CLUSTER,
                name,
                source=ExclusionSource.HEADWAY,
                reason="it loses trials",
                seconds=3600,
            )


def test_hosts_that_are_out_are_shown_with_the_reason(search: Search) -> None:
    fill(search)
    search.lease(20)
    exclude(search, "node3")
    with search.engine.begin() as connection:
        hosts.note_state(connection, CLUSTER, "node4", HostState.SUSPECT, reason="one trial failed")
    snapshot = snapshot_of(search)
    whole = "\n".join(drawn(snapshot, 120))
    assert "host node3 kept out until " in whole
    assert ": it loses trials" in whole
    assert "host node4 suspect: avoided until another host has told: one trial failed" in whole
    assert plain_line(snapshot).endswith("best RESULT=1.5 (trial 3), kept out node3")


def test_many_hosts_that_are_out_leave_room_for_the_rest(search: Search) -> None:
    fill(search)
    exclude(search, *(f"node{number}" for number in range(30)))
    snapshot = snapshot_of(search)
    lines = drawn(snapshot)
    assert plain_line(snapshot).split(", ")[-1].startswith("kept out 30 hosts")
    assert sum(line.startswith("host ") for line in lines) == 2
    assert "and 28 more hosts: headway hosts demo/1" in lines
    assert "ended last" in "\n".join(lines)
    assert len(lines) <= 24


def test_a_failure_that_is_tried_again_is_shown_with_what_was_done(search: Search) -> None:
    fill(search)
    trial = search.trial(8, TrialStatus.CANDIDATE)
    failed: dict[str, Any] = {
        "host": "node3",
        "failure_name": "disk-full",
        "failure_action": "tried again",
    }
    search.attempt(trial, 1, AttemptState.FAILED, reason="a disk was full", **failed)
    snapshot = snapshot_of(search)
    assert [setback.trial_index for setback in snapshot.setbacks] == [8]
    lines = drawn(snapshot, 120)
    assert any("failed, but not over" in line for line in lines)
    (line,) = [line for line in lines if line.startswith("trial 8")]
    assert line.split()[2:5] == ["node3", "PROGRAM", "(disk-full)"]
    assert line.endswith("tried again; a disk was full")


def test_the_newest_failures_come_first_and_those_of_ended_trials_not_at_all(
    search: Search,
) -> None:
    fill(search)
    for index in (8, 9):
        trial = search.trial(index, TrialStatus.CANDIDATE)
        search.attempt(trial, 1, AttemptState.FAILED, start=BEGIN + timedelta(minutes=index))
    assert [setback.trial_index for setback in snapshot_of(search).setbacks] == [9, 8]


def test_text_of_a_program_cannot_move_the_cursor(search: Search) -> None:
    search.trial(0, TrialStatus.FAILED, reason="\x1b[2Jgone\r\nnext")
    assert "\x1b" not in "\n".join(drawn(snapshot_of(search)))


def test_the_health_of_the_head_is_told_apart(search: Search) -> None:
    assert snapshot_of(search).health == HeadHealth.NEVER
    search.lease(20)
    assert snapshot_of(search).health == HeadHealth.ALIVE
    search.lease(-5)
    dead = snapshot_of(search)
    assert dead.health == HeadHealth.DEAD
    assert "head DEAD. Go on with: headway resume demo/1" in "\n".join(drawn(dead))
    assert "headway resume demo/1" in plain_line(dead)
    search.lease(20, pid=0)
    assert snapshot_of(search).health == HeadHealth.DEAD
    search.end(ExperimentStatus.FINISHED)
    assert snapshot_of(search).health == HeadHealth.ENDED


def test_a_plain_line_says_where_it_stands(search: Search) -> None:
    assert plain_line(snapshot_of(search)) == "0/10 done, 0 running"
    fill(search)
    search.lease(20)
    expected = "5/10 done, 2 running, 1 failed, best RESULT=1.5 (trial 3)"
    assert plain_line(snapshot_of(search)) == expected
    search.end(ExperimentStatus.STOPPED, "by me")
    assert plain_line(snapshot_of(search)) == expected + ", STOPPED: by me"


def test_abandoned_trials_do_not_count_as_done(search: Search) -> None:
    search.trial(0, TrialStatus.ABANDONED)
    assert plain_line(snapshot_of(search)) == "0/10 done, 0 running, 1 abandoned"


def test_the_eta_comes_from_measured_times_and_slots(search: Search) -> None:
    for index in range(4):
        search.trial(index, TrialStatus.COMPLETED, 1.0, seconds=20)
    # Six are missing, 20 s each, in four slots.
    assert snapshot_of(search).eta_seconds == pytest.approx(30)


def test_a_snapshot_reader_follows_the_search(search: Search) -> None:
    search.trial(0, TrialStatus.COMPLETED, 5.0)
    with open_reader(search.url) as reader:
        snapshots = SnapshotReader(reader, search.id)
        assert snapshots.read().best[0].value == 5.0
        search.trial(1, TrialStatus.COMPLETED, 2.0)
        second = snapshots.read()
    assert (second.best[0].value, second.best[0].trial) == (2.0, 1)
    assert second.course == (5.0, 2.0)


def test_plain_lines_come_only_when_something_changed(tmp_path: Path) -> None:
    search = local_search(tmp_path)
    search.lease(20)
    stream = io.StringIO()
    seen = [snapshot_of(search)] * 3
    search.trial(0, TrialStatus.COMPLETED, 1.0)
    seen += [snapshot_of(search)] * 2
    moments = iter(seen)
    left = [len(seen) - 1]

    def stop() -> bool:
        return left[0] == 0

    def read() -> Snapshot:
        left[0] = max(0, left[0] - 1)
        return next(moments)

    last = watch(read, stop=stop, refresh_seconds=0, stream=stream)
    assert stream.getvalue().splitlines() == [
        "0/10 done, 0 running",
        "1/10 done, 0 running, best RESULT=1 (trial 0)",
    ]
    assert last == seen[-1]


def test_a_database_that_is_away_is_waited_for(search: Search) -> None:
    snapshot = snapshot_of(search)
    answers: list[Snapshot | Exception] = [DatabaseUnavailable("away"), snapshot, snapshot]

    def read() -> Snapshot:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    stream = io.StringIO()
    watch(read, stop=lambda: len(answers) == 1, refresh_seconds=0, stream=stream)
    assert stream.getvalue() == plain_line(snapshot) + "\n"


def test_a_frame_says_that_it_is_old(search: Search) -> None:
    drawing = frame(snapshot_of(search), 80, 24, problem="not up to date for 3 s")
    assert "not up to date for 3 s" in drawing.plain


def test_a_stop_is_noticed_at_once(search: Search) -> None:
    stopped = threading.Event()
    threading.Timer(0.3, stopped.set).start()
    began = time.monotonic()
    snapshot = snapshot_of(search)
    watch(lambda: snapshot, stop=stopped.is_set, refresh_seconds=60, stream=io.StringIO())
    assert time.monotonic() - began < 5


def test_the_number_of_trials_wanted_follows_a_resume(search: Search) -> None:
    table = tables.table_of(tables.Experiment)
    search.execute(sa.update(table).values(spec=search.spec() | {"max_eval": 99}))
    assert snapshot_of(search).max_eval == 99


def test_a_snapshot_with_no_eta_shows_none(search: Search) -> None:
    snapshot = replace(snapshot_of(search), eta_seconds=None)
    assert "ETA" not in "\n".join(drawn(snapshot))
