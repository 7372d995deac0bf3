"""What a head finds when it takes its lease, and what may have come between."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from db.errors import SchemaMismatch
from db.records import Claim
from db.sql import leases, sqlite
from db.sql.engine import open_existing, sqlite_url
from db.states import ExperimentStatus
from orchestrator.app import runs
from orchestrator.app.generating import start_generators
from orchestrator.app.heads import count_trials, make_cluster, run_head
from orchestrator.app.owning import own, wait_for_run
from orchestrator.app.runs import Run, load, open_run, set_up
from orchestrator.cluster.local import process_start
from orchestrator.errors import HeadAliveError, UsageError
from orchestrator.lease import this_process
from tests.db.concurrency.planned import TOKEN, Planned, plan
from tests.main_job.runs import Place
from tests.steps.specs import make_spec


def test_a_head_does_not_work_with_tables_that_were_upgraded_while_it_started(
    tmp_path: Path,
) -> None:
    spec = make_spec(executor="local")
    with (
        contextlib.closing(set_up(spec, db_url=None, run_root=tmp_path)) as run,
        contextlib.closing(start_generators(spec)) as generators,
    ):
        with run.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
            connection.exec_driver_sql("UPDATE experiment SET status = 'INTERRUPTED'")
        with pytest.raises(SchemaMismatch, match="newer"):
            run_head(run, make_cluster(spec), generators, note=lambda *_, **__: None)
        stored = load(run.engine, run.db_url, run.stored.id).stored
        assert stored.status == ExperimentStatus.INTERRUPTED


def asked(run: Run, query: str) -> list[Any]:
    with run.engine.connect() as connection:
        return list(connection.exec_driver_sql(query).scalars())


def test_a_head_that_breaks_while_it_is_put_together_says_so_and_lets_go(tmp_path: Path) -> None:
    run = plan(tmp_path, database=None, count=1).run
    with run.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE trial SET parameters = '{'")  # damaged
        connection.exec_driver_sql("UPDATE head_lease SET pid = 0")
    with contextlib.closing(start_generators(run.spec)) as generators, pytest.raises(ValueError):  # noqa: PT011 - any fault
        run_head(run, make_cluster(run.spec), generators, note=lambda *_, **__: None)
    stored = load(run.engine, run.db_url, run.stored.id).stored
    assert stored.status == ExperimentStatus.INTERRUPTED
    (payload,) = asked(run, "SELECT payload FROM event WHERE kind = 'exit'")
    assert json.loads(payload)["how"] == "BUG"
    assert asked(run, "SELECT pid FROM head_lease") == [0]
    assert not (run.run_dir / "head.lock").exists()
    run.engine.dispose()


@pytest.fixture
def elsewhere(tmp_path: Path) -> Planned:
    """A search without Slurm whose head and worker are of another machine; the head has gone."""
    planned = plan(tmp_path, database=None, count=1)
    claim: Claim = {
        "claim": "nonce",
        "host": "elsewhere",
        "slurm_job_id": "local-1-2",
        "pid": 1,
        "started_at": "2030-01-02T03:04:05.000000+00:00",
    }
    assert planned.worker().claim(TOKEN, 0, claim) is not None
    with planned.run.engine.begin() as connection:
        leases.release(connection, planned.run.stored.id, epoch=planned.epoch)
    return planned


def test_processes_of_another_machine_are_not_taken_for_dead(elsewhere: Planned) -> None:
    run = elsewhere.run
    with (
        contextlib.ExitStack() as stack,
        pytest.raises(UsageError, match="run as processes on elsewhere"),
    ):
        own(run, stack)
    assert asked(run, "SELECT epoch FROM head_lease") == [elsewhere.epoch]
    assert not (run.run_dir / "head.lock").exists()
    with run.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE attempt SET heartbeat_at = '2001-01-01 00:00:00.000000'")
    with contextlib.ExitStack() as stack:
        store, _ = own(run, stack)
        assert store.epoch == elsewhere.epoch + 1
        assert json.loads((run.run_dir / "head.lock").read_text())["epoch"] == store.epoch
    run.engine.dispose()


def put_a_head(run: Run, holder: leases.Holder) -> None:
    """Let another head own a run."""
    with run.engine.begin() as connection:
        old = leases.find(connection, run.stored.id)
        leases.take(connection, run.stored.id, holder=holder, old=old, seconds=1000)


def test_a_head_that_stands_still_in_a_transaction_is_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_SECONDS", 0.1)
    run = plan(tmp_path, database=None, count=1).run
    parent = os.getppid()
    start = process_start(parent) or 0
    put_a_head(run, replace(this_process(), pid=parent, process_started=start))
    with run.engine.begin():  # SQLite gives the lock to one writer
        with (
            contextlib.closing(open_run(run.db_url, run.stored.id)) as resumed,
            pytest.raises(HeadAliveError, match=f"process {parent} on "),
        ):
            wait_for_run(resumed, tell=lambda _: None)
        assert sum(count_trials(resumed).values()) == 1
    run.engine.dispose()


def test_a_run_is_not_resumed_from_a_copy_or_without_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = plan(tmp_path, database=None, count=1).run
    copied = tmp_path / "copied"
    shutil.copytree(run.run_dir, copied)
    with pytest.raises(UsageError, match=rf"is a copy: its run folder has .*{run.run_dir}"):
        open_run(sqlite_url(copied / "database.db"), run.stored.id)
    run.run_dir.rename(tmp_path / "moved")
    with pytest.raises(UsageError, match=rf"{run.run_dir}, is not there\. .*move or link it back"):
        open_run(sqlite_url(copied / "database.db"), run.stored.id)
    run.run_dir.symlink_to(tmp_path / "moved")
    resumed = open_run(sqlite_url(tmp_path / "moved" / "database.db"), run.stored.id)
    monkeypatch.setattr(runs, "is_network", lambda _: True)
    assert resumed.is_kept_by_lock  # by whatever path it was found
    resumed.close()


def test_a_run_that_cannot_be_written_down_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    url = sqlite_url(tmp_path / "all.db")
    (tmp_path / "runs" / "e" / "²").mkdir(parents=True)  # a digit, but no number
    monkeypatch.setattr(runs, "write_card", fail)
    with pytest.raises(UsageError, match=r"--run_dir: .*/e/1 cannot be written: No space left"):
        set_up(make_spec(executor="local"), db_url=url, run_root=tmp_path / "runs")
    assert not (tmp_path / "runs" / "e" / "1").exists()
    engine = open_existing(url)
    with engine.connect() as connection:
        for table in ("experiment", "event", "spec_version", "parameter"):
            count = connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one()
            assert (table, count) == (table, 0)
    engine.dispose()


def test_a_run_folder_that_cannot_be_written_is_told_in_one_line(laptop: Place) -> None:
    words = ("--parameter", "x", "range", "0", "1", "--force_local_execution", "--model", "SOBOL")
    program = ("--run_program", "echo RESULT: %(x)")
    laptop.run("run", "--experiment_name", "dir", "--max_eval", "1", *words, *program)
    log = laptop.folder / "runs" / "dir" / "1" / "head.log"
    log.rename(log.with_name("old.log"))
    log.mkdir()
    code, output = laptop.start("resume", "dir", "--max_eval", "2").wait()
    assert (code, "cannot be written: Is a directory" in output) == (2, True), output
