"""What reports and ended jobs come to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from db.records import Assignment
from db.spool import reports
from db.states import JobState
from tests.health.payloads import end
from tests.steps.worker import Worker
from tests.steps.world import World, attempts_of, status_of, try_again

MakeWorld = Callable[..., World]

# The assignment of a worker that never got one.
NOWHERE: Assignment = {
    "attempt_id": 0,
    "attempt_token": "t_1",
    "number": 1,
    "trial_index": 0,
    "parameters": {},
    "log_path": "",
    "checkpoint_dir": "",
}


# Ends that a worker reports


def test_a_success_is_the_outcome_of_its_trial(world: World, workers: list[Worker]) -> None:
    workers[1].end(results={"LOSS": 1 / 3, "ACC": 1e-300}, sems={"LOSS": 0.5}, infos={"a": "b"})
    world.tick()
    assert world.outcomes() == {1: {"LOSS": 1 / 3, "ACC": 1e-300}}
    assert status_of(world, 1) == "COMPLETED"
    assert attempts_of(world, 1) == [("SUCCEEDED", None)]
    row = world.rows("attempt")[1]
    assert (row["exit_code"], row["host"], row["infos"]) == (0, "node1", {"a": "b"})
    assert row["measured"]["wall_seconds"] == pytest.approx(61.4)
    assert {row["sem"] for row in world.rows("outcome")} == {0.5, None}
    world.tick()
    (told,) = world.model.told
    assert (told.trial, told.means, told.sems) == (1, {"LOSS": 1 / 3, "ACC": 1e-300}, {"LOSS": 0.5})


@pytest.mark.parametrize("names", [("seconds", "trial"), ("level", "event")])
def test_a_result_may_be_called_like_anything_of_ours(
    make_world: MakeWorld, names: tuple[str, str]
) -> None:
    world = make_world(objectives=names)
    world.ticks(3)
    for worker in world.claim_all():
        worker.end()
    world.tick()
    assert world.outcomes()[1] == {names[0]: 1.0, names[1]: -1.0}
    assert world.noted("trial completed")[1]["level"] == "info"


def test_a_finished_trial_frees_its_own_slot(world: World, workers: list[Worker]) -> None:
    workers[0].end()
    world.ticks(2)
    assert world.statuses() == ["COMPLETED", "RUNNING", "STAGED"]


@pytest.mark.parametrize(
    ("changes", "failure"),
    [
        ({"exit_code": 1}, "PROGRAM"),
        ({"exit_code": None, "signal": 11}, "PROGRAM"),
        ({"results": {"LOSS": 1.0}}, "NO_RESULT"),
        ({"results": {}, "problems": ["LOSS: nan is not a finite number"]}, "NO_RESULT"),
    ],
)
def test_a_program_that_fails_twice_has_failed(
    world: World, workers: list[Worker], changes: dict[str, Any], failure: str
) -> None:
    workers[0].end(**changes)
    world.tick()
    assert attempts_of(world, 0)[0] == ("FAILED", failure)
    try_again(world, 0).end(**changes)
    world.ticks(2)
    assert attempts_of(world, 0) == [("FAILED", failure)] * 2
    assert status_of(world, 0) == "FAILED"
    assert world.rows("trial")[0]["status_reason"]
    assert world.model.told[0].means is None
    assert 0 not in world.outcomes()


def test_a_second_try_that_works_completes_the_trial(world: World, workers: list[Worker]) -> None:
    workers[0].fail()
    world.tick()
    try_again(world, 0).end()
    world.tick()
    assert attempts_of(world, 0) == [("FAILED", "PROGRAM"), ("SUCCEEDED", None)]
    assert status_of(world, 0) == "COMPLETED"


def test_a_retry_goes_before_new_points(world: World, workers: list[Worker]) -> None:
    workers[0].fail()
    world.ticks(2)
    assert world.statuses()[:2] == ["STAGED", "RUNNING"]
    assert [row["trial_id"] for row in world.rows("attempt")][-1] == world.rows("trial")[0]["id"]


def test_a_timeout_is_not_tried_again(world: World, workers: list[Worker]) -> None:
    workers[0].end(cause="TIMEOUT", exit_code=None, signal=15)
    world.tick()
    assert attempts_of(world, 0) == [("FAILED", "TIMEOUT")]
    assert status_of(world, 0) == "FAILED"


def test_the_same_reports_again_change_nothing(world: World, workers: list[Worker]) -> None:
    workers[0].end()
    world.ticks(4)
    before = (world.statuses(), world.states(), world.outcomes(), len(world.rows("report")))
    for message in workers[0].messages:
        world.deliver(message)
    world.ticks(2)
    assert (world.statuses(), world.states(), world.outcomes(), len(world.rows("report"))) == before
    assert len(world.model.told) == 1


def test_measurements_come_before_the_end_that_they_belong_to(
    world: World, workers: list[Worker]
) -> None:
    metric = {
        "name": "loss",
        "value": 0.5,
        "split": "TRAIN",
        "level": "STEP",
        "step": 1,
        "at": "2030-01-02T03:04:05.678901+00:00",
    }
    workers[0].send("METRIC", {"metrics": [metric, {**metric, "step": 2}]})
    workers[0].end()
    world.tick()
    assert [row["step"] for row in world.rows("metric")] == [1, 2]
    assert {row["attempt_id"] for row in world.rows("metric")} == {world.rows("attempt")[0]["id"]}


def test_a_report_with_a_foreign_token_is_left_out(world: World, workers: list[Worker]) -> None:
    if world.transport == "direct":
        pytest.skip("the database refuses it")
    workers[0].send("END", end(), token="somebody else's")
    world.tick()
    assert status_of(world, 0) == "RUNNING"
    assert world.noted("foreign mail was left out")
    assert len(world.rows("report")) == 2


def test_a_worker_that_could_not_claim_is_believed_and_its_trial_tries_again(
    make_world: MakeWorld,
) -> None:
    world = make_world()
    world.ticks(3)
    (row, *_) = world.rows("attempt")
    worker = Worker(world, {**NOWHERE, "attempt_id": row["id"], "attempt_token": row["token"]})
    worker.end(cause="NOT_STARTED", exit_code=None, results={}, submission_token="t")
    world.tick()
    assert attempts_of(world, 0)[0] == ("FAILED", "NO_DATABASE")
    world.ticks(2)
    assert len(attempts_of(world, 0)) == 2


@pytest.mark.parametrize("token", ["its own", "unknown"])
def test_a_worker_that_never_learned_its_attempt_is_known_by_its_place(
    make_world: MakeWorld, token: str
) -> None:
    world = make_world()
    world.ticks(3)
    order = world.cluster.orders[0]
    place = {"submission_token": order.token if token == "its own" else token, "array_index": 1}
    payload = end(cause="NOT_STARTED", exit_code=None, results={}, **place)
    message = Worker(world, NOWHERE).message("END", payload)
    reports.write_report(str(world.run_dir / "spool"), message)
    world.tick()
    if token == "unknown":
        assert world.noted("foreign mail was left out")
        assert world.states() == ["SUBMITTED", "SUBMITTED"]
        return
    assert attempts_of(world, 1)[0] == ("FAILED", "NO_DATABASE")
    assert attempts_of(world, 0) == [("SUBMITTED", None)]


# Jobs that end without a report


def test_a_job_that_is_gone_is_believed_after_two_denials_and_the_grace(
    world: World, workers: list[Worker]
) -> None:
    del world.cluster.jobs[world.job_of(workers[0])]
    world.clock.now += 10
    world.ticks(2)
    world.ticks(50, seconds=1)
    assert attempts_of(world, 0) == [("STARTED", None)], "denied often, but not for long enough"
    world.ticks(15, seconds=1)
    assert attempts_of(world, 0)[0] == ("LOST", "LOST")
    assert status_of(world, 0) == "STAGED"
    assert attempts_of(world, 1) == [("STARTED", None)]


def test_one_denial_is_not_believed_however_long_ago(world: World, workers: list[Worker]) -> None:
    del world.cluster.jobs[world.job_of(workers[0])]
    world.clock.now += 10
    world.ticks(2)
    world.cluster.is_silent = True
    world.look(20)
    assert attempts_of(world, 0) == [("STARTED", None)]


def test_no_answer_of_the_scheduler_ends_nothing(world: World, workers: list[Worker]) -> None:
    world.cluster.is_silent = True
    world.look(20)
    assert world.states() == ["STARTED", "STARTED"]
    world.cluster.is_silent = False
    world.look()
    workers[0].end()
    world.tick()
    assert status_of(world, 0) == "COMPLETED"


def test_a_job_that_comes_back_was_never_gone(world: World, workers: list[Worker]) -> None:
    job = world.job_of(workers[0])
    for _ in range(5):
        status = world.cluster.jobs.pop(job)
        world.look()
        world.cluster.jobs[job] = status
        world.look()
    assert world.states() == ["STARTED", "STARTED"]


@pytest.mark.parametrize(
    ("state", "failure", "ended"),
    [
        (JobState.NODE_FAIL, "NODE", False),
        (JobState.PREEMPTED, "PREEMPTED", False),
        (JobState.TIMEOUT, "TIMEOUT", True),
        (JobState.OUT_OF_MEMORY, "OUT_OF_MEMORY", True),
        (JobState.CANCELLED, "CANCELLED", True),
        (JobState.FAILED, "LOST", False),
        (JobState.COMPLETED, "LOST", False),
    ],
)
def test_what_slurm_says_of_a_job_without_a_report_is_its_failure(
    world: World, workers: list[Worker], state: JobState, failure: str, ended: bool
) -> None:
    world.finish_job(workers[0], state)
    world.look(3)
    found = attempts_of(world, 0)
    assert found[0][1] == failure
    assert len(found) == (1 if ended else 2)
    row = world.rows("attempt")[0]
    assert row["slurm_state"] == state.value
    if failure == "CANCELLED":
        assert status_of(world, 0) == "ABANDONED"


def test_the_report_of_a_job_that_ended_is_waited_for(world: World, workers: list[Worker]) -> None:
    world.finish_job(workers[0])
    world.look()
    workers[0].end()
    world.look(3)
    assert attempts_of(world, 0) == [("SUCCEEDED", None)]


def test_a_job_that_fails_before_its_worker_began_speaks_against_its_node(world: World) -> None:
    world.ticks(3)
    world.cluster.set("1_0", JobState.FAILED)
    world.look(3)
    assert attempts_of(world, 0)[0] == ("FAILED", "NODE")
