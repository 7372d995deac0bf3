"""`headway hosts`: the table, and a person's word about hosts."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from db.spool import commands as spool_commands
from db.spool import layout
from db.spool.commands import Request, RequestKind
from db.sql import head_lock, hosts, tables
from db.sql.head_lock import Held
from db.sql.hosts import CLUSTER
from db.states import (
    AttemptState,
    ExclusionSource,
    ExperimentStatus,
    FailureClass,
    HostState,
    TrialStatus,
)
from orchestrator.cli import hosts as commands
from orchestrator.errors import UsageError
from orchestrator.lease import this_process
from tests.cli.commands import headway
from tests.main_job.runs import ROOT
from tests.reports.searches import Search, fill, local_search


def told(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert commands.run("hosts", list(words)) == 0
    return capsys.readouterr().out


def data(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    return {row["host"]: row for row in json.loads(told(capsys, *words, "--json"))}


@pytest.fixture
def black_hole(here: Path) -> Search:
    """Eight trials that failed on node3 and succeeded on other hosts, a moment ago."""
    search = local_search(here / "runs")
    start = datetime.now(UTC) - timedelta(minutes=10)
    for index in range(8):
        trial = search.trial(index, TrialStatus.CANDIDATE)
        search.attempt(
            trial,
            1,
            AttemptState.FAILED,
            start=start + timedelta(seconds=index),
            host="node3",
            failure_evidence={"blame": "PAIRED"},
            failure_class=FailureClass.NO_RESULT if index else FailureClass.PROGRAM,
        )
        search.attempt(
            trial,
            2,
            AttemptState.SUCCEEDED,
            start=start,
            seconds=60 + index,
            host=f"node{index % 2}",
        )
    return search


def test_hosts_are_shown_with_what_ended_there(
    black_hole: Search, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = data(capsys)
    assert list(rows) == ["node3", "node0", "node1"]
    first = rows["node3"]
    assert (first["tried"], first["succeeded"], first["running"]) == (8, 0, 0)
    assert first["failed"] == {"NO_RESULT": 7, "PROGRAM": 1}
    assert first["probability"] > 0.99
    assert rows["node0"]["probability"] < 0.05
    assert first["last_failure"]["experiment"] == "demo/1"
    assert rows["node0"]["succeeded"] == 4
    page = (ROOT / "docs" / "hosts.md").read_text(encoding="utf-8")
    assert [key for key in first if f"`{key}`" not in page] == []
    title, line = told(capsys).splitlines()[:2]
    usual = ["host", "state", "tried", "running", "succeeded", "failed", "defective"]
    assert title.split() == usual
    assert line.split()[:7] == ["node3", "GOOD", "8", "0", "0", "NO_RESULT", "7,"]
    with black_hole.engine.begin() as connection:
        hosts.note_state(connection, CLUSTER, "node3", HostState.SUSPECT, reason="it fails")
    assert told(capsys).splitlines()[0].split() == [*usual, "since", "why"]


def test_why_a_host_is_out_stands_beside_it(
    black_hole: Search, capsys: pytest.CaptureFixture[str]
) -> None:
    with black_hole.engine.begin() as connection:
        hosts.exclude(
            connection,
            CLUSTER,
            "node3",
            source=ExclusionSource.HEADWAY,
            reason="8 trials failed here and succeeded elsewhere",
            evidence={"probability": 0.999},
            experiment_id=black_hole.id,
            seconds=3600,
        )
        hosts.note_state(connection, CLUSTER, "node8", HostState.SUSPECT, reason="one failed")
    rows = data(capsys)
    assert list(rows) == ["node3", "node8", "node0", "node1"]
    assert (rows["node3"]["state"], rows["node3"]["probability"]) == ("EXCLUDED", 0.999)
    assert [row["by"] for row in rows.values()] == ["Headway", "Headway", None, None]
    lasts = datetime.fromisoformat(rows["node3"]["until_at"]) - datetime.now(UTC)
    assert timedelta(minutes=50) < lasts < timedelta(minutes=61)
    assert (rows["node8"]["state"], rows["node8"]["tried"]) == ("SUSPECT", 0)
    text = told(capsys, "demo")
    assert "8 trials failed here and succeeded elsewhere" in text
    assert "one failed" in text


def test_a_host_is_excluded_and_included_by_hand(
    search: Search, capsys: pytest.CaptureFixture[str]
) -> None:
    text = told(capsys, "exclude", "node[5,6]", "--reason", "GPU 2 is broken", "--hours", "1.5")
    assert "node5 is now kept out by" in text
    assert "node6 is now kept out by" in text
    row = data(capsys)["node5"]
    assert (row["state"], row["reason"]) == ("EXCLUDED", "GPU 2 is broken")
    assert row["by"].endswith(f"@{socket.gethostname()}")
    assert row["until_at"] is not None
    again = told(capsys, "exclude", "node5", "--reason", "again")
    assert again.startswith("node5 is still kept out by ")
    assert again.endswith(": GPU 2 is broken (include it first to change that)\n")
    assert "node5 is used again" in told(capsys, "include", "node5", "--reason", "repaired")
    row = data(capsys)["node5"]
    assert (row["state"], row["history"][0]["end_reason"]) == ("GOOD", "repaired")
    assert data(capsys)["node6"]["state"] == "EXCLUDED"
    assert "until somebody includes it" in told(capsys, "exclude", "node5", "--reason", "no end")


@pytest.mark.parametrize(
    "fixture",
    [
        pytest.param("postgres_url", marks=pytest.mark.postgres),
        pytest.param("mysql_url", marks=pytest.mark.mysql),
    ],
)
def test_on_a_server_it_holds_for_all_experiments(
    here: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str], fixture: str
) -> None:
    url: str = request.getfixturevalue(fixture)
    searches = [Search(url=url, run_dir=here / name, name=name) for name in ("one", "two")]
    for search in searches:
        fill(search)
    (here / "url").write_text(url)
    server = ("--db_url", "@url")
    text = told(capsys, "exclude", "node5", "--reason", "broken", "--hours", "1", *server)
    assert re.search(r"\nThis holds for all experiments in \w+(\+\w+)?://", text)
    assert "secret" not in text
    row = data(capsys, *server)["node5"]
    assert (row["state"], row["tried"], row["failed"]) == ("EXCLUDED", 2, {"PROGRAM": 2})
    assert data(capsys, "two", *server)["node5"]["tried"] == 0
    with searches[1].engine.connect() as connection:
        kinds = sa.select(tables.table_of(tables.Event).c.kind)
        assert list(connection.execute(kinds).scalars()) == ["excluded"] * 2
    assert "node5 is used again" in told(capsys, "include", "node5", *server)
    assert data(capsys, *server)["node5"]["state"] == "GOOD"
    for search in searches:
        search.engine.dispose()


def test_what_a_person_decides_is_an_event_of_each_experiment_that_goes_on(
    search: Search, capsys: pytest.CaptureFixture[str]
) -> None:
    told(capsys, "exclude", "node5", "node6", "--reason", "broken", "--hours", "1")
    told(capsys, "include", "node6")
    event = tables.table_of(tables.Event)
    with search.engine.connect() as connection:
        found = list(connection.execute(sa.select(event.c.kind, event.c.payload)))
    assert [(kind, payload["host"]) for kind, payload in found] == [
        ("excluded", "node5"),
        ("excluded", "node6"),
        ("included", "node6"),
    ]
    assert found[0][1]["seconds"] == 3600
    assert (found[2][1]["source"], found[2][1]["reason"]) == ("USER", "let in again by hand")


@pytest.mark.parametrize("state", [HostState.SUSPECT, HostState.PAROLE])
def test_a_person_clears_a_host_that_is_not_excluded(
    search: Search, capsys: pytest.CaptureFixture[str], state: HostState
) -> None:
    with search.engine.begin() as connection:
        hosts.note_state(connection, CLUSTER, "node5", state, reason="it failed")
    assert data(capsys)["node5"]["state"] == state
    assert "Their heads follow in 5 s" in told(capsys, "include", "node5")
    assert data(capsys)["node5"]["state"] == "GOOD"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["exclude", "node5"], "hosts exclude: the following arguments are required: --reason"),
        (["exclude", "--reason", "r"], "hosts exclude: the following arguments are required: HOST"),
        (["exclude", "node5", "--reason", ""], "--reason: it is empty"),
        (["exclude", "no de", "--reason", "r"], "HOST: 'no de' is not a host"),
        (["exclude", "n[3-1]", "--reason", "r"], "HOST: 'n[3-1]': the range 3-1 ends before"),
        (["exclude", ",", "--reason", "r"], "HOST: ',' names no host; give for example node[1-3]"),
        (["exlude", "node5", "--reason", "r"], "hosts exlude: there is no such command. Did you"),
        (["exclude", "node5", "--reason", "r", "--hours", "0"], "--hours: '0' is out of range"),
        (["exclude", "n", "--reason", "r", "--experiment", "dmo"], "Did you mean demo?"),
        (["include", "node5"], "HOST: node5 is not kept out in demo/1. None is."),
        (["dmo"], "Did you mean demo?"),
        (["--jsn"], "hosts: there is no option '--jsn'. Did you mean --json?"),
    ],
)
def test_bad_input_is_one_line_and_changes_nothing(
    search: Search, words: list[str], said: str
) -> None:
    with pytest.raises(UsageError) as caught:
        commands.run("hosts", words)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    with search.engine.connect() as connection:
        assert hosts.current(connection, CLUSTER) == ({}, {})


def test_of_several_names_one_that_is_not_out_stops_all(
    search: Search, capsys: pytest.CaptureFixture[str]
) -> None:
    told(capsys, "exclude", "node5", "--reason", "broken")
    with pytest.raises(UsageError, match=r"node4 is not kept out in demo/1\. Did you mean node5\?"):
        commands.run("hosts", ["include", "node5", "node4"])
    assert data(capsys)["node5"]["state"] == "EXCLUDED"


def test_without_slurm_a_host_that_nobody_has_heard_of_is_said(
    search: Search, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    text = told(capsys, "exclude", "nod5", "--reason", "r")
    assert "note: no trial has run on nod5 yet, and Slurm cannot tell. Did you mean node5?" in text


def test_the_head_of_another_host_is_asked_to_do_it(
    search: Search, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(head_lock, "is_network", lambda path: True)
    holder = replace(this_process(), host="login2")
    lock = Held(holder=holder, epoch=1, since="", expire_seconds=30, nonce="n")
    assert head_lock.create(search.run_dir, lock)
    spool = layout.spool_of(str(search.run_dir))
    layout.create(spool)
    asked: list[Request] = []

    def answer() -> None:
        while not (found := spool_commands.find(spool).requests):
            time.sleep(0.02)
        asked.append(found[0][1])
        spool_commands.done(found[0][0])

    head = threading.Thread(target=answer, daemon=True)
    head.start()
    said = told(capsys, "exclude", "node5", "--reason", "r", "--hours", "2")
    head.join()
    assert said == ("node5 is kept out now: the head of demo/1 on login2 has taken note\n")
    assert (asked[0].kind, asked[0].hosts) == (RequestKind.EXCLUDE, ("node5",))
    assert (asked[0].reason, asked[0].seconds) == ("r", 7200)


def test_what_a_search_was_asked_about_hosts_is_said(
    search: Search, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tables.table_of(tables.Experiment)
    asked = {"resources": {"exclude": ["node8", "node9"]}, "auto_exclude": False}
    search.execute(sa.update(table).values(spec={**search.spec(), **asked}))
    assert told(capsys).splitlines()[-2:] == [
        "This search avoids node8, node9 by --exclude.",
        "Headway itself keeps no host out of this search (--no-auto-exclude).",
    ]
    with pytest.raises(UsageError, match=r"node8 is not kept out in demo/1\. Its own --exclude"):
        commands.run("hosts", ["include", "node8"])


def test_a_machine_alone_is_compared_with_nothing(
    black_hole: Search, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tables.table_of(tables.Experiment)
    spec = {**black_hole.spec(), "executor": "local"}
    black_hole.execute(sa.update(table).values(spec=spec))
    assert {row["probability"] for row in data(capsys).values()} == {None}
    assert told(capsys).endswith("run on one machine, which is never kept out.\n")


def test_why_a_search_was_stopped_stands_below_its_hosts(
    search: Search, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tables.table_of(tables.Experiment)
    assert "stopped" not in told(capsys)
    search.end(ExperimentStatus.FAILED)
    search.execute(sa.update(table).values(stop_reason="node3 lost \x1b trials"))
    assert told(capsys).endswith("This search has stopped: node3 lost   trials\n")


def test_a_search_without_trials_has_no_hosts(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    search = local_search(here / "runs")
    assert told(capsys) == "No trial of demo/1 has run on any host yet.\n"
    search.engine.dispose()


def test_an_experiment_that_is_called_like_a_command_is_named_with_its_run(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    search = local_search(here / "runs", name="include")
    assert "include/1" in told(capsys, "include/1")
    search.engine.dispose()


def test_help_answers_without_a_heavy_library() -> None:
    done = headway("hosts", "exclude", "--help")
    assert done.returncode == 0
    assert "headway hosts exclude node7 --reason" in done.stdout
