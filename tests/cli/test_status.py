"""What `headway status` says of the head and of Slurm, also from another host."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from db.sql import head_lock, tables
from db.sql.head_lock import Held
from db.sql.reading.reader import open_reader
from orchestrator.cli.commands import dispatch
from orchestrator.lease import this_process
from orchestrator.reports import live_file
from orchestrator.reports.snapshot import SnapshotReader
from orchestrator.reports.vitals import GeneratorVitals, Vitals, Waiting, as_json
from tests.reports.searches import Search

VITALS = Vitals(
    told_at=datetime(2026, 3, 1, 12, 0, tzinfo=UTC),
    calls={"squeue": 30, "sbatch": 7},
    calls_last_hour=37,
    poll_seconds=12.0,
    scheduler_seconds=0.25,
    database_ms=3.14,
    waiting=(
        Waiting(
            reason="Priority",
            count=3,
            job="17_2",
            says="others come first",
            remedy="Wait.",
            fate="WAITS",
        ),
    ),
    refused="QOSMaxSubmitJobPerUserLimit",
    refused_for_seconds=90.0,
    generator=GeneratorVitals(name="TPE", is_busy=True, busy_seconds=4.0, stock=2),
    cpu_percent=0.4,
    memory_mb=95,
    threads=6,
)


@pytest.fixture
def told(search: Search) -> Search:
    """A search whose head has told of itself."""
    lease = tables.table_of(tables.HeadLease)
    search.execute(sa.update(lease).values(vitals=as_json(VITALS)))
    return search


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    dispatch(["status", *words])
    return capsys.readouterr().out


def record(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(printed(capsys, "demo", "--json"))
    return found


def test_status_tells_slurms_calls_and_what_jobs_wait_for(
    told: Search, capsys: pytest.CaptureFixture[str]
) -> None:
    found = record(capsys)
    assert found["slurm"]["calls"] == {"squeue": 30, "sbatch": 7}
    assert found["slurm"]["calls_last_hour"] == 37
    assert found["slurm"]["waiting"][0]["reason"] == "Priority"
    assert found["generator_state"]["stock"] == 2
    assert found["head_state"]["memory_mb"] == 95
    text = " ".join(printed(capsys).split())
    for said in (
        "37 calls in the last hour; squeue 30, sbatch 7 since the head began; asked every 12.0 s",
        "takes no submissions for 0:01:30: QOSMaxSubmitJobPerUserLimit",
        "3 jobs wait for Priority (such as 17_2): others come first. Wait.",
        "TPE, 2 points in stock, at work for 4.0 s",
        "database 3.1 ms, CPU 0.4 %, memory 95 MiB, 6 threads",
    ):
        assert said in text


def test_the_last_moments_of_a_dead_head_are_not_told_as_those_of_now(
    told: Search, capsys: pytest.CaptureFixture[str]
) -> None:
    lease = tables.table_of(tables.HeadLease)
    told.execute(sa.update(lease).values(expires_at=datetime(2026, 3, 1, tzinfo=UTC)))
    text = printed(capsys)
    assert "calls in the last hour" in text
    assert "at work" not in text
    assert "wait for Priority" not in text
    assert record(capsys)["head_state"]["told_at"] == "2026-03-01T12:00:00.000000+00:00"


def test_a_head_that_says_nothing_is_not_known(
    search: Search, capsys: pytest.CaptureFixture[str]
) -> None:
    found = record(capsys)
    assert (found["slurm"], found["generator_state"], found["head_state"]) == (None, None, None)
    assert "wait for" not in printed(capsys)


def test_status_and_list_read_the_live_file_where_another_host_has_the_database(
    told: Search, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_reader(told.url) as reader:
        live_file.write(told.run_dir, SnapshotReader(reader, told.id).read())
    holder = replace(this_process(), host="login2")
    lock = Held(holder=holder, epoch=1, since="", expire_seconds=30, nonce="n")
    assert head_lock.create(told.run_dir, lock)
    monkeypatch.setattr(head_lock, "is_network", lambda path: True)
    found = record(capsys)
    assert (found["completed"], found["slurm"]["calls_last_hour"]) == (4, 37)
    assert (found["failures"], found["code"]) == (None, None)
    assert "37 calls in the last hour" in printed(capsys, "demo")
    dispatch(["list", "--json"])
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["status"], row["completed"], row["problem"]) == ("RUNNING", 4, None)
    assert row["best"] == {"LOSS": 1.5}
