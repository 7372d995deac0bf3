"""results.csv, spec.json, head.log and the closing summary."""

from __future__ import annotations

import csv
import json
import os
import stat
import time
from pathlib import Path
from typing import Any

import pytest

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
from orchestrator.reports.closing import closing
from orchestrator.reports.documents import ResultsFile, find_card
from orchestrator.reports.log import HeadLog
from tests.reports.searches import BEGIN, Search, fill, local_search


def written(search: Search, notes: list[Any] | None = None) -> list[dict[str, str]]:
    with open_reader(search.url) as reader:
        results = ResultsFile(
            search.run_dir,
            reader=reader,
            experiment_id=search.id,
            note=lambda *words, **fields: (notes or []).append((words, fields)),
        )
        assert results.update()
    with results.path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_results_csv_has_one_row_a_trial(two_goals: Search) -> None:
    fill(two_goals)
    rows = written(two_goals)
    assert [row["trial_index"] for row in rows] == [str(index) for index in range(8)]
    row = rows[1]
    assert list(row) == [
        "trial_index",
        "status",
        "generator",
        "host",
        "attempts",
        "x",
        "kind",
        "LOSS",
        "SPEED",
        "colour",
        "start_time",
        "end_time",
        "run_time_seconds",
        "exit_code",
        "reason",
    ]
    assert (row["status"], row["generator"], row["attempts"]) == ("COMPLETED", "SOBOL", "1")
    assert (row["x"], row["LOSS"], row["SPEED"], row["colour"]) == ("0.1", "3.0", "2.0", "c1")
    assert row["start_time"] == "2026-03-01T12:01:00.000000+00:00"
    assert (row["run_time_seconds"], row["exit_code"]) == ("10.0", "0")


def test_what_is_not_known_is_empty(search: Search) -> None:
    fill(search)
    failed, running = written(search)[4:6]
    assert (failed["RESULT"], failed["attempts"], failed["reason"]) == ("", "2", "exit code 1")
    assert (running["end_time"], running["exit_code"], running["run_time_seconds"]) == ("",) * 3


def test_results_csv_is_private_and_leaves_nothing_behind(tmp_path: Path) -> None:
    search = local_search(tmp_path)
    fill(search)
    written(search)
    path = search.run_dir / "results.csv"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not [entry for entry in search.run_dir.iterdir() if entry.name.endswith(".tmp")]


def test_results_csv_is_not_written_again_at_once_unless_forced(tmp_path: Path) -> None:
    search = local_search(tmp_path)
    with open_reader(search.url) as reader:
        results = ResultsFile(
            search.run_dir, reader=reader, experiment_id=search.id, note=lambda *_, **__: None
        )
        assert results.update()
        assert not results.update()
        assert results.update(force=True)


def test_results_csv_stays_as_it_is_while_nothing_happens(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    fill(search)
    with open_reader(search.url) as reader:
        results = ResultsFile(
            search.run_dir, reader=reader, experiment_id=search.id, note=lambda *_, **__: None
        )

        def update() -> bool:
            now[0] += 60
            return results.update()

        assert [update(), update()] == [True, False]
        search.trial(8, TrialStatus.RUNNING)
        assert [update(), update()] == [True, False]
        values = {"kind": "tell", "payload": {}, "created_at": BEGIN}
        search.insert(tables.Event, experiment_id=search.id, **values)
        assert [update(), update()] == [True, False]
        assert results.update(force=True)


def test_a_results_file_that_cannot_be_written_is_noted_once_and_the_old_one_stays(
    tmp_path: Path,
) -> None:
    search = local_search(tmp_path)
    fill(search)
    before = written(search)
    notes: list[tuple[tuple[object, ...], dict[str, object]]] = []
    with open_reader(search.url) as reader:
        results = ResultsFile(
            search.run_dir,
            reader=reader,
            experiment_id=search.id,
            note=lambda *words, **fields: notes.append((words, fields)),
        )
        # A folder of the temporary name stands for a disk that says no.
        blocker = search.run_dir / f".results.csv.{os.getpid()}.tmp"
        blocker.mkdir()
        assert not any(results.update(force=True) for _ in range(3))
        assert [words for words, _ in notes] == [("results.csv could not be written",)]
        with results.path.open(newline="") as stream:
            assert list(csv.DictReader(stream)) == before
        blocker.rmdir()
        assert all(results.update(force=True) for _ in range(2))
    assert [words for words, _ in notes][1:] == [("results.csv is current again",)]


def test_a_run_card_says_what_a_folder_holds(tmp_path: Path) -> None:
    search = local_search(tmp_path)
    card = find_card(search.run_dir)
    assert card is not None
    assert (card.name, card.run_number, card.uuid) == ("demo", 1, "demo-1")
    assert stat.S_IMODE((search.run_dir / "spec.json").stat().st_mode) == 0o600
    assert find_card(tmp_path) is None
    (tmp_path / "spec.json").write_text('{"name": "x"}')
    assert find_card(tmp_path) is None


def test_the_log_holds_one_json_line_an_event(tmp_path: Path) -> None:
    log = HeadLog(tmp_path)
    log.note("trial started", trial=3, time="mine", status=TrialStatus.RUNNING)
    log.note("odd", level="warning", path=Path("/x"))
    log.close()
    first, second = map(json.loads, (tmp_path / "head.log").read_text().splitlines())
    assert first["event"] == "trial started"
    assert first["fields"] == {"trial": 3, "time": "mine", "status": "RUNNING"}
    assert first["time"].endswith("+00:00")
    assert (second["level"], second["fields"]) == ("warning", {"path": "/x"})


def test_the_log_echoes_plain_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import sys

    log = HeadLog(tmp_path, echo=sys.stdout)
    log.note("trial completed", trial=3, RESULT=0.5)
    log.note("tick", level="debug")
    log.note("odd\x1b[2J", level="warning")
    log.close()
    lines = [line.split(" ", 1)[1] for line in capsys.readouterr().out.splitlines()]
    assert lines == ["trial completed  trial=3 RESULT=0.5", "warning: odd [2J"]


def test_a_log_on_a_full_disk_does_not_end_the_head(tmp_path: Path) -> None:
    (tmp_path / "head.log").symlink_to("/dev/full")
    log = HeadLog(tmp_path)
    log.note("one")
    log.note("two")
    assert log.lost == 2
    log.close()


def summary(search: Search) -> str:
    with open_reader(search.url) as reader:
        return closing(reader, search.id, database="sqlite:///database.db")


def test_the_closing_summary_names_the_best_the_failures_and_what_next(search: Search) -> None:
    fill(search)
    search.end(ExperimentStatus.FINISHED)
    text = summary(search)
    for expected in (
        "demo/1 FINISHED after 1:00:00. Trials: 4 completed, 1 failed, 2 running, 1 waiting.",
        "trial 3, RESULT=1.5, at x=0.3 kind=a",
        "2 attempts failed, 1 trials for good; most often PROGRAM (2): exit code 1",
        f"{search.run_dir}/results.csv",
        "sqlite:///database.db",
        f"headway best {search.run_dir}",
        f"headway show {search.run_dir} 3",
        f"headway resume {search.run_dir} --max_eval 20",
    ):
        assert expected in text, expected


def test_the_closing_summary_names_the_hosts_that_are_kept_out(search: Search) -> None:
    fill(search)
    with search.engine.begin() as connection:
        for number in range(1, 6):
            by_us = {"source": ExclusionSource.HEADWAY, "reason": "it loses trials"}
            hosts.exclude(connection, CLUSTER, f"node{number}", **by_us)  # type: ignore[arg-type]
        hosts.note_state(connection, CLUSTER, "node7", HostState.SUSPECT, reason="one failed")
    lines = summary(search).splitlines()
    place = lines.index("Hosts:     node1 is kept out until somebody includes it: it loses trials")
    assert lines[place + 1].startswith("           node2 is kept out")
    assert lines[place + 2] == f"           and 3 more: headway hosts {search.run_dir}"
    assert "node7" not in "\n".join(lines)


def test_what_a_failure_limit_stopped_goes_on_to_the_same_goal(search: Search) -> None:
    fill(search)
    search.end(ExperimentStatus.FAILED)
    assert summary(search).endswith(f"headway resume {search.run_dir}")
    assert f"           headway why {search.run_dir}\n" in summary(search)
    with search.engine.begin() as connection:
        hosts.note_state(connection, CLUSTER, "node7", HostState.SUSPECT, reason="one failed")
    assert f"           headway hosts {search.run_dir}\n" in summary(search)


def test_the_closing_summary_of_several_objectives_has_the_front(two_goals: Search) -> None:
    fill(two_goals)
    assert "Pareto:    3 trials (LOSS=min SPEED=max): 1, 2, 3" in summary(two_goals)
    assert "--pareto" in summary(two_goals)


def test_the_commands_use_the_short_name_where_it_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = local_search(tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    search.end(ExperimentStatus.FINISHED)
    assert summary(search).endswith("headway resume demo/1 --max_eval 20")


def test_what_a_person_has_cut_short_goes_on_to_the_same_goal(tmp_path: Path) -> None:
    search = local_search(tmp_path / "runs")
    key = search.trial(0, TrialStatus.ABANDONED)
    search.attempt(key, 2, AttemptState.CANCELLED, failure_class=FailureClass.CANCELLED)
    search.end(ExperimentStatus.INTERRUPTED)
    text = summary(search)
    assert text.endswith(f"headway resume {search.run_dir}")
    assert "Failures:" not in text


def test_a_search_without_a_result_says_so(search: Search) -> None:
    search.trial(0, TrialStatus.FAILED, reason="exit code 1")
    text = summary(search)
    assert "No trial has given a result." in text
    assert "--status failed" in text
