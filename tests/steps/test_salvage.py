"""A report that found no other way stands in the log of its attempt; and poison in the table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from db.states import JobState
from tests.health.payloads import end
from tests.steps.worker import Worker
from tests.steps.world import World, attempts_of, status_of


def log_of(world: World, worker: Worker) -> Path:
    (row,) = world.rows("attempt", id=worker.assignment["attempt_id"])
    path = world.run_dir / str(row["log_path"])
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def write(world: World, worker: Worker, message: Any, *, after: str = "") -> None:
    text = f"epoch 1\n\nHEADWAY-REPORT: {json.dumps(message)}\n{after}"
    log_of(world, worker).write_text(text)


def end_job(world: World, worker: Worker, state: JobState = JobState.FAILED) -> None:
    world.finish_job(worker, state)
    world.look(4)


def test_a_result_in_the_log_counts_when_its_job_has_ended_without_a_report(
    world: World, workers: list[Worker]
) -> None:
    message = workers[0].message("END", end(results={"LOSS": 3.5, "ACC": 1.0}))
    write(world, workers[0], message, after="slurmstepd: error: *** JOB 1 ON node1 ***\n")
    end_job(world, workers[0])
    assert attempts_of(world, 0) == [("SUCCEEDED", None)]
    assert world.outcomes()[0] == {"LOSS": 3.5, "ACC": 1.0}
    (event,) = world.rows("event", kind="salvaged")
    assert event["payload"] == {"trial_index": 0, "attempt": workers[0].assignment["attempt_id"]}
    assert len(world.noted("a report was found in the log")) == 1


def test_measurements_in_the_log_come_with_their_result(
    world: World, workers: list[Worker]
) -> None:
    at = "2030-01-02T03:04:05+00:00"
    metric = {"name": "m", "value": 1.0, "split": "TRAIN", "level": "STEP", "step": 1, "at": at}
    end_of_it = json.dumps(workers[0].message("END", end()))
    metrics = workers[0].message("METRIC", {"metrics": [metric]})
    write(world, workers[0], metrics, after=f"HEADWAY-REPORT: {end_of_it}\n")
    end_job(world, workers[0])
    assert attempts_of(world, 0) == [("SUCCEEDED", None)]
    assert [row["value"] for row in world.rows("metric")] == [1.0]


def test_a_failure_in_the_log_tells_why(world: World, workers: list[Worker]) -> None:
    write(world, workers[0], workers[0].message("END", end(exit_code=3)))
    end_job(world, workers[0])
    assert attempts_of(world, 0)[0] == ("FAILED", "PROGRAM")


def test_a_report_of_somebody_else_in_the_log_is_only_a_text(
    world: World, workers: list[Worker]
) -> None:
    write(world, workers[0], workers[1].message("END", end()), after="HEADWAY-REPORT: {\n")
    end_job(world, workers[0], JobState.COMPLETED)
    assert attempts_of(world, 0)[0] == ("LOST", "LOST")
    assert not world.rows("event", kind="salvaged")
    assert not world.rows("event", kind="foreign")


def test_a_worker_that_could_not_even_claim_is_heard_through_its_log(world: World) -> None:
    world.ticks(3)
    (order, *_) = world.cluster.orders
    place = {"submission_token": order.token, "array_index": 0}
    payload = end(cause="NOT_STARTED", exit_code=None, results={}, **place)
    (row, *_) = world.rows("attempt")
    job = row["slurm_job_id"]
    nobody: Any = {"attempt_id": row["id"], "attempt_token": "t_0", "trial_index": 0}
    worker = Worker(world, nobody)
    write(world, worker, {**worker.message("END", payload), "attempt_id": 0})
    world.cluster.set(job, JobState.FAILED)
    world.look(4)
    assert attempts_of(world, 0)[0] == ("FAILED", "NO_DATABASE")


@pytest.mark.parametrize("kind", ["START", "METRIC", "END"])
@pytest.mark.parametrize("payload", ['{"results": {"LOSS": "nan"}}', "[1]", "null", "{"])
def test_poison_in_the_table_is_refused_and_never_ends_the_head(
    world: World, workers: list[Worker], kind: str, payload: str
) -> None:
    statement = sa.text(
        "INSERT INTO report (attempt_id, kind, sequence, payload, created_at)"
        " VALUES (:key, :kind, 99, :payload, '2030-01-01 00:00:00.000000')"
    )
    key = workers[0].assignment["attempt_id"]
    with world.engine.begin() as connection:
        connection.execute(statement, {"key": key, "kind": kind, "payload": payload})
        world.engine.dispose()
    workers[0].end()
    workers[1].end()
    world.ticks(2)
    assert (status_of(world, 0), status_of(world, 1)) == ("COMPLETED", "COMPLETED")
    with world.engine.connect() as connection:
        found = connection.execute(
            sa.text("SELECT refused_reason, consumed_at FROM report WHERE sequence = 99")
        ).one()
    assert found[0].startswith("it cannot be used: ")
    assert found[1] is not None
    assert len(world.rows("event", kind="refused")) == 1
