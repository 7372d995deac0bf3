"""SQLite is safe or refused: one host on a network file system, and no lock felt on a local disk."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import socket
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from db.direct import DirectStore
from db.errors import DatabaseError
from db.records import Claim
from db.sql.reading.reader import open_reader
from db.sql.tables import Report
from db.states import ReportKind
from tests.db.concurrency.planned import TOKEN, Planned, end_of, plan
from tests.main_job.runs import Place, lines_of, wait_until
from tests.scenarios.evidence import SEEN, Evidence
from tests.scenarios.heads import strange

SEARCH = (
    *("run", "--experiment_name", "shared", "--force_local_execution", "--seed", "1"),
    *("--parameter", "x", "range", "0", "1", "float", "--model", "SOBOL", "--max_eval", "6"),
    *("--num_parallel_jobs", "2", "--timing", "lease_renew_seconds=1"),
    *("--timing", "lease_expire_seconds=3", "--timing", "spool_grace_seconds=2"),
    *("--run_program", f"{SEEN}; while [ ! -e go ]; do sleep 0.2; done; echo RESULT: %(x)"),
)
WRITERS, READERS = 64, 5
_fork = multiprocessing.get_context("fork")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a process another host's name")
def test_on_a_network_file_system_one_host_at_a_time_opens_the_file(
    laptop: Place, tmp_path: Path
) -> None:
    place, run_dir = laptop, tmp_path / "runs" / "shared" / "1"
    here, there = socket.gethostname(), f"not-{socket.gethostname()}"
    with strange(place, "network", tmp_path, *SEARCH) as head:
        wait_until(lambda: len(lines_of(tmp_path / "seen")) >= 2)
        assert not list(run_dir.glob("database.db-wal"))
        wait_until((run_dir / "live.json").exists)
        code, output = strange(place, "network", tmp_path, "status", "shared", host=there).wait()
        assert (code, here in output) == (0, True), output
        for words in (("resume", "shared"), ("trials", "shared"), ("db", "check", "shared")):
            code, output = strange(place, "network", tmp_path, *words, host=there).wait()
            assert (code, here in output) == (5, True), output
        head.kill()
    (tmp_path / "go").touch()
    code, output = strange(place, "network", tmp_path, "resume", "shared", host=there).wait()
    assert code == 0, output
    assert f"on {here} was the head and cannot be seen from here" in output
    Evidence(place, "shared").assert_each_once(6)
    assert not (run_dir / "head.lock").exists()


def test_a_file_for_many_searches_on_a_network_file_system_is_refused(
    laptop: Place, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/all.db"
    words = (*SEARCH, "--db_url", url)
    code, output = strange(laptop, "network", tmp_path, *words).wait()
    assert code == 2, output
    assert f"--db_url: {tmp_path}/all.db lies on a network file system (nfs4)" in output
    assert not (tmp_path / "all.db").exists()
    assert not list(tmp_path.glob("runs/*"))


@pytest.mark.timeout(900)  # the full size; the small one takes seconds
@pytest.mark.parametrize(
    ("each", "kills"), [(5, 20), pytest.param(100, 60, marks=pytest.mark.slow)]
)
def test_on_a_local_disk_nobody_feels_a_lock_and_kills_damage_nothing(
    tmp_path: Path, each: int, kills: int
) -> None:
    planned = plan(tmp_path, database=None, count=WRITERS * each)
    said = tmp_path / "said"
    said.mkdir()
    chance = random.Random(kills)
    doomed = chance.sample(range(WRITERS), kills)
    writers = [
        start(write_until_killed if number in doomed else write, planned, said, number, each)
        for number in range(WRITERS)
    ]
    readers = [start(read, planned, said, WRITERS + number, 0) for number in range(READERS)]
    for number in doomed:
        time.sleep(0.2 * chance.random())
        writers[number].kill()
        planned.take_in()
    assert wait_for(writers) == {-signal.SIGKILL: kills, 0: WRITERS - kills}
    # Workers of a second wave, for what the dead have left.
    second = [start(write, planned, said, number, each) for number in range(WRITERS)]
    assert wait_for(second) == {0: WRITERS}
    while planned.take_in():
        pass
    for reader in readers:
        reader.terminate()
    assert wait_for(readers) == {-signal.SIGTERM: READERS}, (
        "they looked until they were told to end"
    )
    assert_nothing_lost(planned, said, WRITERS * each)


def wait_for(members: list[multiprocessing.process.BaseProcess]) -> Counter[int | None]:
    """Wait for the end of all; how many ended with each exit code."""
    for member in members:
        member.join(120)
    return Counter(member.exitcode for member in members)


def start(
    member: Callable[[Planned, Path, int, int], None],
    planned: Planned,
    said: Path,
    number: int,
    each: int,
) -> multiprocessing.process.BaseProcess:
    child = _fork.Process(target=member, args=(planned, said, number, each), daemon=True)
    child.start()
    return child


def write(planned: Planned, said: Path, number: int, each: int) -> None:
    """Claim and end one share of the attempts; say what was done after it was done."""
    store: DirectStore = planned.worker()
    with (said / str(number)).open("a", buffering=1) as told:
        for index in range(number * each, (number + 1) * each):
            claim: Claim = {
                "claim": f"{os.getpid()}-{index}",
                "host": "h",
                "slurm_job_id": None,
                "pid": 1,
                "started_at": "",
            }
            time.sleep(random.random())  # a worker does something between its reports
            try:
                assignment = store.claim(TOKEN, index, claim)
                if assignment is not None:
                    store.send(end_of(assignment))
                    told.write(f"{index}\n")
            except DatabaseError as error:
                told.write(f"error: {error}\n")


def write_until_killed(planned: Planned, said: Path, number: int, each: int) -> None:
    """Write one share, and the same messages again: no machine is too fast for the kill."""
    while True:
        write(planned, said, number, each)


def read(planned: Planned, said: Path, number: int, each: int) -> None:
    """Look, again and again."""
    with (said / str(number)).open("a", buffering=1) as told, open_reader(planned.run.db_url) as db:
        while True:
            time.sleep(0.2)
            try:
                with db.read() as connection:
                    connection.exec_driver_sql("SELECT count(*) FROM report").scalar_one()
            except DatabaseError as error:
                told.write(f"error: {error}\n")


def assert_nothing_lost(planned: Planned, said: Path, count: int) -> None:
    told = {line for path in said.iterdir() for line in lines_of(path)}
    assert {line for line in told if line.startswith("error")} == set()
    rows = planned.rows(Report)
    kinds = Counter(row["kind"] for row in rows)
    assert kinds[ReportKind.START] == count  # each was claimed, and once
    assert len({row["attempt_id"] for row in rows}) == count
    assert kinds[ReportKind.END] >= len(told)  # what was said to be reported is there
    assert all(row["consumed_at"] is not None for row in rows)
    with sqlite3.connect(planned.run.run_dir / "database.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
