"""Workers that give no sign of life although their jobs run."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from db.records import Assignment
from db.spool import layout, lines
from db.sql import leases
from db.sql.tables import Attempt, table_of
from db.states import JobState
from orchestrator.steps.space import Space
from tests.steps.worker import Worker
from tests.steps.world import World, attempts_of, status_of, try_again

MakeWorld = Callable[..., World]
STEP_SECONDS = 10.0


@pytest.fixture(autouse=True)
def database_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the clock of the database go on with the scripted one of the steps."""
    begin = datetime.now(UTC) - timedelta(seconds=1000)

    def database_time(connection: object) -> datetime:
        del connection
        return begin + timedelta(seconds=time.monotonic())

    monkeypatch.setattr(leases, "database_time", database_time)


def beat(world: World, worker: Worker, *, at: str = "2030-01-02T03:04:05.678901+00:00") -> None:
    """Give a sign of life; through the spool it says `at`."""
    assignment: Assignment = worker.assignment
    if world.transport == "direct":
        table = table_of(Attempt)
        where = table.c.id == assignment["attempt_id"]
        with world.store.write() as connection:
            now = leases.database_time(connection)
            connection.execute(table.update().where(where).values(heartbeat_at=now))
        return
    record = {
        "attempt_id": assignment["attempt_id"],
        "attempt_token": assignment["attempt_token"],
        "kind": "HEARTBEAT",
        "at": at,
    }
    spool = layout.spool_of(str(world.run_dir))
    lines.append_line(spool, assignment["attempt_token"], record)


def wait(world: World, seconds: float, *alive: Worker, **options: Any) -> None:
    """Let time pass in which only these workers give signs of life."""
    for _ in range(round(seconds / STEP_SECONDS)):
        for worker in alive:
            beat(world, worker, **options)
        world.tick()
        world.clock.now += STEP_SECONDS


def test_a_silent_worker_s_job_is_cancelled_and_its_trial_tries_again(
    world: World, workers: list[Worker]
) -> None:
    job = world.job_of(workers[0])
    wait(world, 110, workers[1])
    assert world.cluster.cancelled == []
    wait(world, 60, workers[1])
    assert world.cluster.cancelled == [job]
    wait(world, 120, workers[1])
    assert attempts_of(world, 0)[0] == ("LOST", "LOST")
    assert attempts_of(world, 1) == [("STARTED", None)]
    (said,) = world.rows("event", kind="silent")
    assert (said["payload"]["job"], said["payload"]["host"]) == (job, "node0")
    assert 120 <= said["payload"]["seconds"] <= 150
    (noted,) = world.noted("no sign of life from a worker: its job is cancelled")
    assert noted["trial"] == 0
    try_again(world, 0).end()
    world.tick()
    assert status_of(world, 0) == "COMPLETED"


def test_its_trial_waits_until_the_job_is_gone(world: World, workers: list[Worker]) -> None:
    job = world.job_of(workers[0])
    world.cluster.is_stubborn = True
    wait(world, 600, workers[1])
    assert job in world.cluster.cancelled
    assert attempts_of(world, 0) == [("STARTED", None)]
    world.cluster.set(job, JobState.CANCELLED)
    wait(world, 90, workers[1])
    assert attempts_of(world, 0)[0] == ("LOST", "LOST")
    assert len(world.rows("event", kind="silent")) == 1


def test_a_silent_worker_that_had_to_be_killed_was_silent(
    world: World, workers: list[Worker]
) -> None:
    world.cluster.is_stubborn = True
    wait(world, 200, workers[1])
    world.finish_job(workers[0], JobState.FAILED)
    wait(world, 90, workers[1])
    first = world.rows("attempt")[0]
    assert (first["state"].value, first["slurm_state"]) == ("LOST", "FAILED")
    assert "no sign of life" in first["failure_message"]


def test_a_worker_that_is_heard_before_its_job_is_gone_stays(
    world: World, workers: list[Worker]
) -> None:
    world.cluster.is_stubborn = True
    wait(world, 160, workers[1])
    wait(world, 120, *workers)
    assert len(world.rows("event", kind="heard")) == 1
    assert attempts_of(world, 0) == [("STARTED", None)]
    workers[0].end()
    world.tick()
    assert attempts_of(world, 0) == [("SUCCEEDED", None)]


def test_a_silent_worker_that_ends_has_not_been_heard_again(
    world: World, workers: list[Worker]
) -> None:
    world.cluster.is_stubborn = True
    wait(world, 160, workers[1])
    assert world.cluster.cancelled
    workers[0].end()
    world.clock.now += 60
    world.tick()
    assert attempts_of(world, 0) == [("SUCCEEDED", None)]
    assert not world.rows("event", kind="heard")


def test_one_that_falls_silent_again_is_cancelled_again(
    world: World, workers: list[Worker]
) -> None:
    world.cluster.is_stubborn = True
    wait(world, 160, workers[1])
    wait(world, 60, *workers)
    world.cluster.is_stubborn = False
    wait(world, 250, workers[1])
    assert len(world.rows("event", kind="silent")) == 2
    assert attempts_of(world, 0)[0] == ("LOST", "LOST")


def test_a_silent_worker_that_is_woken_by_the_cancelling_has_not_been_abandoned(
    world: World, workers: list[Worker]
) -> None:
    wait(world, 160, workers[1])
    beat(world, workers[0])
    workers[0].end(cause="TERMINATED", exit_code=None, signal=15, results={})
    wait(world, 120, workers[1])
    assert attempts_of(world, 0)[0] == ("LOST", "LOST")
    assert status_of(world, 0) in {"STAGED", "RUNNING"}


def test_the_next_head_knows_that_a_cancelled_job_was_silent(
    world: World, workers: list[Worker]
) -> None:
    wait(world, 150, workers[1])
    assert world.cluster.cancelled
    assert attempts_of(world, 0) == [("STARTED", None)]
    world.start_head()
    wait(world, 120, workers[1])
    assert attempts_of(world, 0)[0] == ("LOST", "LOST")
    assert len(world.rows("event", kind="silent")) == 1


@pytest.mark.parametrize(
    ("state", "word"),
    [
        (JobState.PENDING, "REQUEUED"),
        (JobState.RUNNING, "SUSPENDED"),
        (JobState.UNKNOWN, ""),
        (JobState.GONE, ""),
    ],
)
def test_a_worker_that_cannot_run_is_not_expected_to_give_signs(
    world: World, workers: list[Worker], state: JobState, word: str
) -> None:
    job = world.job_of(workers[0])
    world.cluster.set(job, state, host="node0")
    world.cluster.jobs[job] = type(world.cluster.jobs[job])(state=state, word=word)
    wait(world, 60 if state == JobState.GONE else 400, workers[1])
    assert not world.rows("event", kind="silent")
    assert world.cluster.cancelled == []
    assert attempts_of(world, 0) == [("STARTED", None)]


def test_a_job_that_has_ended_is_not_cancelled_while_its_report_is_waited_for(
    world: World, workers: list[Worker]
) -> None:
    wait(world, 100, workers[1])
    world.finish_job(workers[0])
    wait(world, 50, workers[1])
    assert not world.rows("event", kind="silent")
    wait(world, 60, workers[1])
    assert attempts_of(world, 0)[0] == ("LOST", "LOST")


def test_a_job_that_was_halted_has_time_for_a_sign_when_it_goes_on(
    world: World, workers: list[Worker]
) -> None:
    job = world.job_of(workers[0])
    world.cluster.set(job, JobState.PENDING)
    wait(world, 300, workers[1])
    world.cluster.set(job, JobState.RUNNING)
    wait(world, 50, workers[1])
    assert world.cluster.cancelled == []
    wait(world, 100, workers[1])
    assert world.cluster.cancelled == [job]


def test_what_was_not_heard_while_the_head_was_away_proves_nothing(
    world: World, workers: list[Worker]
) -> None:
    wait(world, 100, *workers)
    # The whole machine slept, or stood still: no worker could get through.
    world.clock.now += 3600
    wait(world, 50)
    assert not world.rows("event", kind="silent")
    wait(world, 100, *workers)
    assert world.cluster.cancelled == []


def test_what_was_not_heard_while_the_database_was_away_proves_nothing(
    world: World, workers: list[Worker]
) -> None:
    wait(world, 110)
    world.settler.lose_touch()
    wait(world, 50)
    assert not world.rows("event", kind="silent")
    wait(world, 50)
    assert len(world.rows("event", kind="silent")) == 2


def test_a_new_head_listens_first(world: World, workers: list[Worker]) -> None:
    world.clock.now += 3600
    world.start_head()
    wait(world, 50)
    assert world.cluster.cancelled == []
    wait(world, 60)
    assert len(world.cluster.cancelled) == 2


def test_a_worker_whose_end_waits_for_the_scheduler_is_not_silent(
    world: World, workers: list[Worker]
) -> None:
    workers[0].end(cause="TERMINATED", exit_code=None, signal=15, results={})
    wait(world, 400, workers[1])
    assert not world.rows("event", kind="silent")
    assert attempts_of(world, 0) == [("STARTED", None)]


@pytest.mark.parametrize("year", ["1999", "2099"])
def test_the_clock_of_a_node_may_be_years_off(
    world: World, workers: list[Worker], year: str
) -> None:
    wait(world, 400, *workers, at=f"{year}-01-02T03:04:05.678901+00:00")
    assert world.cluster.cancelled == []
    with world.store.read() as connection:
        now = leases.database_time(connection)
        heard = connection.execute(sa.select(table_of(Attempt).c.heartbeat_at)).scalars().all()
    assert all(abs(now - at) < timedelta(seconds=30) for at in heard)


def test_ten_minutes_without_a_word_of_the_program_are_no_silence(
    world: World, workers: list[Worker]
) -> None:
    wait(world, 600, *workers)
    assert world.states() == ["STARTED", "STARTED"]
    assert world.cluster.cancelled == []


@pytest.mark.parametrize("trouble", ["open to others", "no room"])
def test_while_nobody_can_be_heard_nobody_is_silent(
    world: World, workers: list[Worker], tmp_path: Path, trouble: str
) -> None:
    reports = world.run_dir / "spool" / "reports"
    gone = tmp_path / "gone"
    if trouble == "no room":
        world.space = Space([gone], note=world.note)
    else:
        reports.chmod(0o777)
    wait(world, 400)
    assert world.cluster.cancelled == []
    reports.chmod(0o700)
    gone.mkdir()
    wait(world, 100, *workers)
    assert world.cluster.cancelled == []
    wait(world, 300, workers[1])
    assert world.cluster.cancelled == [world.job_of(workers[0])]
