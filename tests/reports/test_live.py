"""The live view: snapshots from the database, frames, plain lines."""

from __future__ import annotations

import io
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from db.errors import DatabaseUnavailable
from db.sql import hosts, tables
from db.sql.hosts import CLUSTER
from db.sql.reading.reader import open_reader
from db.states import (
    AttemptState,
    ExclusionSource,
    ExperimentStatus,
    HostState,
    TrialStatus,
)
from orchestrator.errors import HeadwayError
from orchestrator.reports.aside import kept_aside
from orchestrator.reports.frames import frame
from orchestrator.reports.live import Snapshot, SnapshotReader, plain_line, speaks_unicode, watch
from orchestrator.reports.refreshing import Latest, Refreshing, pause_after
from orchestrator.reports.snapshot import HeadHealth
from tests.reports.searches import BEGIN, Search, fill, local_search


def snapshot_of(search: Search) -> Snapshot:
    with open_reader(search.url) as reader:
        return SnapshotReader(reader, search.id).read()


def drawn(snapshot: Snapshot, width: int = 80) -> list[str]:
    return frame(snapshot, width, 24).plain.split("\n")


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
    assert sum(line.startswith("and 28 more hosts") for line in lines) == 1
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
    expected = "trial 8  node3  try 1  PROGRAM (disk-full)  tried again; a disk was full"
    assert expected in [line.rstrip() for line in lines]


def test_the_newest_failures_come_first_and_those_of_ended_trials_not_at_all(
    search: Search,
) -> None:
    fill(search)
    for index in (8, 9):
        trial = search.trial(index, TrialStatus.CANDIDATE)
        search.attempt(trial, 1, AttemptState.FAILED, start=BEGIN + timedelta(minutes=index))
    assert [setback.trial_index for setback in snapshot_of(search).setbacks] == [9, 8]


def test_the_health_of_the_head_is_told_apart(search: Search) -> None:
    assert snapshot_of(search).health == HeadHealth.NEVER
    search.lease(20)
    assert snapshot_of(search).health == HeadHealth.ALIVE
    search.lease(-5)
    dead = snapshot_of(search)
    assert dead.health == HeadHealth.DEAD
    assert f"headway resume {search.run_dir}" in plain_line(dead)
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
    away = [DatabaseUnavailable("away"), DatabaseUnavailable("still away")]
    answers: list[Snapshot | Exception] = [*away, snapshot, snapshot]

    def read() -> Snapshot:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    stream = io.StringIO()
    watch(read, stop=lambda: len(answers) == 1, refresh_seconds=0, stream=stream)
    assert stream.getvalue().splitlines() == ["not up to date: away", plain_line(snapshot)]


def test_a_stop_is_noticed_at_once(search: Search) -> None:
    stopped = threading.Event()
    threading.Timer(0.3, stopped.set).start()
    began = time.monotonic()
    snapshot = snapshot_of(search)
    watch(
        lambda: snapshot,
        stop=stopped.is_set,
        sleep=stopped.wait,
        refresh_seconds=60,
        stream=io.StringIO(),
    )
    assert time.monotonic() - began < 5


def test_the_number_of_trials_wanted_follows_a_resume(search: Search) -> None:
    table = tables.table_of(tables.Experiment)
    search.execute(sa.update(table).values(spec=search.spec() | {"max_eval": 99}))
    assert snapshot_of(search).max_eval == 99


def test_failures_are_found_however_many_trials_have_ended_since(search: Search) -> None:
    search.trial(0, TrialStatus.FAILED, reason="exit code 1")
    search.trial(1, TrialStatus.RUNNING)
    with open_reader(search.url) as reader:
        snapshots = SnapshotReader(reader, search.id)
        assert [trial.index for trial in snapshots.read().failures] == [0]
        for index in range(2, 60):
            search.trial(index, TrialStatus.COMPLETED, 1.0)
        failed = {"status": TrialStatus.FAILED, "completed_at": BEGIN + timedelta(hours=3)}
        table = tables.table_of(tables.Trial)
        search.execute(sa.update(table).where(table.c.index == 1).values(failed))
        second = snapshots.read()
    assert [trial.index for trial in second.failures] == [1, 0]
    assert 0 not in [trial.index for trial in second.endings]


@pytest.mark.parametrize(
    ("locale", "expected"),
    [
        ({"LANG": "C"}, False),
        ({}, False),
        ({"LANG": "de_DE.UTF-8"}, True),
        ({"LANG": "de_DE.UTF-8@euro"}, True),
        ({"LANG": "C.UTF-8", "LC_ALL": "POSIX"}, False),
        ({"LANG": "de_DE.ISO-8859-1"}, False),
        ({"LC_CTYPE": "UTF-8"}, True),  # from macOS, over ssh
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, False),  # put there by Python itself
    ],
)
def test_the_locale_says_whether_the_terminal_shows_unicode(
    locale: dict[str, str], expected: bool
) -> None:
    assert speaks_unicode(locale) is expected


def test_a_view_that_is_much_work_is_refreshed_less_often() -> None:
    assert pause_after(0.001, 0.01, least=1.0, load=0.04) == 1.0
    assert 0.5 / (0.5 + pause_after(0.5, 0.5, least=1.0, load=0.04)) < 0.05


def test_a_database_that_is_slow_is_asked_less_often() -> None:
    assert pause_after(0.001, 2.0, least=1.0, load=0.04) == 8.0
    assert pause_after(0.001, 600.0, least=1.0, load=0.04) == 30.0


def test_a_database_that_hangs_keeps_nobody_waiting() -> None:
    hanging = threading.Event()

    def read() -> Snapshot:
        hanging.wait()
        raise DatabaseUnavailable("it was frozen")

    latest = Latest(read)
    refreshing = Refreshing(latest, slow_seconds=0.05)
    refreshing.begin()
    assert not refreshing.is_done(seconds=0.1)
    assert refreshing.problem.startswith("the database has not answered for ")
    hanging.set()
    assert refreshing.is_done(seconds=30)
    assert "it was frozen" in refreshing.problem


def test_an_error_in_a_refresh_is_raised_where_it_is_waited_for() -> None:
    def read() -> Snapshot:
        raise HeadwayError("gone")

    refreshing = Refreshing(Latest(read))
    refreshing.begin()
    with pytest.raises(HeadwayError, match="gone"):
        refreshing.is_done(seconds=30)
    assert refreshing.is_done()


class TerminalStream(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_what_is_printed_during_a_view_comes_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, file = TerminalStream(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(sys, "stdout", file)

    def view() -> None:
        with kept_aside():
            print("a warning", file=sys.stderr)
            print("a result")
            assert (terminal.getvalue(), file.getvalue()) == ("", "a result\n")
            raise HeadwayError("gone")

    with pytest.raises(HeadwayError):
        view()
    assert terminal.getvalue() == "a warning\n"
