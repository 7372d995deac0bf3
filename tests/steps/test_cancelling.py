"""Jobs that are to end are asked for until they have ended; jobs that nobody waits for end, too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from db.states import JobState
from orchestrator.cluster.base import Answer, AnswerKind, JobStatus, Order
from orchestrator.steps.ghosts import RUNNING_SECONDS
from tests.steps.worker import Worker
from tests.steps.world import World, attempts_of, status_of

MakeWorld = Callable[..., World]
UNCLEAR = Answer(kind=AnswerKind.UNCLEAR, message="Socket timed out")


@pytest.fixture
def jobs(world: World, workers: list[Worker]) -> list[str]:
    """Two running jobs."""
    return [world.job_of(worker) for worker in workers]


# Cancelling


def test_all_jobs_that_are_to_end_are_named_in_one_call(world: World, jobs: list[str]) -> None:
    world.canceller.cancel(jobs)
    assert world.cluster.cancels == [jobs]
    world.look(3)
    assert world.cluster.cancels == [jobs]
    assert world.canceller.jobs == {}


def test_a_call_that_failed_is_repeated_with_the_next_look(world: World, jobs: list[str]) -> None:
    world.cluster.is_deaf = True
    world.canceller.cancel(jobs[:1])
    world.ticks(5)
    assert world.cluster.cancels == [jobs[:1]]
    world.clock.now += world.spec.timing.poll_min_seconds
    world.ticks(2)
    assert world.cluster.cancels == [jobs[:1]] * 2
    world.cluster.is_deaf = False
    world.look(3)
    assert world.cluster.cancels == [jobs[:1]] * 3
    assert world.cluster.jobs[jobs[0]].state == JobState.CANCELLED


def test_a_job_that_runs_on_is_asked_for_every_half_minute(world: World, jobs: list[str]) -> None:
    world.cluster.is_stubborn = True
    world.canceller.cancel(jobs)
    world.ticks(100, seconds=1)
    assert 3 <= len(world.cluster.cancels) <= 4
    world.cluster.is_silent = True
    world.look(1)
    assert set(world.canceller.jobs) == set(jobs), "who does not answer does not deny"


def test_a_job_that_is_spared_is_not_asked_for_again(world: World, jobs: list[str]) -> None:
    world.cluster.is_stubborn = True
    world.canceller.cancel(jobs)
    world.canceller.spare(jobs[:1])
    world.look(2)
    assert world.cluster.cancels[1:] == [jobs[1:]] * 2


def test_a_waiting_job_that_begins_is_left_alone(world: World) -> None:
    world.ticks(3)
    world.cluster.is_deaf = True
    jobs = sorted(world.cluster.jobs)
    world.canceller.cancel(jobs, pending_only=True)
    world.cluster.set(jobs[0], JobState.RUNNING)
    world.look()
    assert set(world.canceller.jobs) == set(jobs[1:])
    world.canceller.cancel(jobs[1:])
    world.cluster.is_deaf = False
    world.look()
    assert world.cluster.cancelled == jobs[1:]


def test_a_head_that_ends_asks_once_more(world: World, jobs: list[str]) -> None:
    world.cluster.is_deaf = True
    world.canceller.cancel(jobs)
    world.cluster.is_deaf = False
    world.canceller.finish()
    assert sorted(world.cluster.cancelled) == jobs
    world.canceller.finish()
    assert len(world.cluster.cancels) == 2


def test_the_scheduler_hears_which_jobs_we_ended_ourselves(world: World, jobs: list[str]) -> None:
    world.cluster.is_stubborn = True
    world.canceller.cancel(jobs[:1])
    world.look()
    asked = world.cluster.asked[-1]
    assert [asked[job].is_unwanted for job in jobs] == [True, False]
    assert [asked[job].is_claimed for job in jobs] == [True, True]
    assert all(asked[job].not_before is not None for job in jobs)


# Ghosts


def ghosts(world: World) -> list[dict[str, Any]]:
    return [row["payload"] for row in world.rows("event") if row["kind"] == "ghost"]


def test_a_job_that_comes_after_it_was_given_up_is_cancelled_at_the_next_look(
    world: World,
) -> None:
    world.cluster.answers = [UNCLEAR]
    world.ticks(3)
    world.ticks(70, seconds=1)
    late, order = world.cluster.orders
    jobs = sorted(world.cluster.start(late))
    assert world.claim(late) is None
    world.look()
    assert sorted(world.cluster.cancelled) == jobs
    assert sorted(ghost["job"] for ghost in ghosts(world)) == jobs
    assert {(g["token"], g["state"]) for g in ghosts(world)} == {(late.token, "PENDING")}
    world.look(3)
    assert len(ghosts(world)) == len(jobs)
    assert len(world.noted("jobs that nobody waits for any more are cancelled")) == 1
    assert world.states()[-2:] == ["SUBMITTED", "SUBMITTED"], "its successor stays"
    assert {world.cluster.jobs[j].state for j in world.cluster.names[order.name].values()} == {
        JobState.PENDING
    }


def test_a_job_whose_head_died_before_it_cancelled_it_is_ended_by_the_next_one(
    world: World, workers: list[Worker]
) -> None:
    world.cluster.is_deaf = True
    world.finish_job(workers[0], JobState.NODE_FAIL)
    world.look(2)
    world.ticks(3)
    second = world.claim_all()[0]
    job = world.job_of(second)
    workers[0].end()
    world.ticks(2)
    assert attempts_of(world, 0)[1][0] == "SUPERSEDED"
    world.start_head()
    world.cluster.is_deaf = False
    world.ticks(60, seconds=2)
    assert job in world.cluster.cancelled
    assert [(ghost["job"], ghost["state"]) for ghost in ghosts(world)] == [(job, "RUNNING")]


def test_a_job_whose_worker_has_just_reported_is_no_ghost(
    world: World, workers: list[Worker]
) -> None:
    workers[0].end()
    world.ticks(4, seconds=RUNNING_SECONDS / 4)
    world.finish_job(workers[0])
    world.ticks(20, seconds=2)
    assert ghosts(world) == []
    assert world.cluster.cancelled == []


def test_a_job_that_ended_while_the_scheduler_was_asked_is_no_ghost(world: World) -> None:
    world.ticks(3)
    poll = world.observer._poll({}, [])
    assert all(job.is_pending for job in poll.living)
    for worker in world.claim_all():
        worker.end()
        world.finish_job(worker)
    world.tick()
    world.submitter.submit(poll, accept_new=False)
    assert ghosts(world) == []
    assert world.cluster.cancels == []


@pytest.mark.parametrize("name", ["hw-e-0123456789abcdef", "hw-e-two-0123456789abcdef", "hw-e-x"])
def test_jobs_of_other_runs_and_experiments_are_never_touched(world: World, name: str) -> None:
    world.ticks(3)
    world.cluster.names[name] = {0: "77"}
    world.cluster.jobs["77"] = JobStatus(state=JobState.PENDING)
    world.look(4)
    world.cluster.set("77", JobState.RUNNING)
    world.look(4)
    assert world.cluster.cancelled == []
    assert ghosts(world) == []


def test_a_held_job_whose_launch_failed_moves_its_trial_and_is_removed(world: World) -> None:
    world.ticks(3)
    (order,) = world.cluster.orders
    job = world.cluster.names[order.name][0]
    world.cluster.jobs[job] = JobStatus(
        state=JobState.NODE_FAIL, word="launch failed requeued held"
    )
    world.cluster.held.add(job)
    world.ticks(20, seconds=2)
    assert attempts_of(world, 0)[:1] == [("FAILED", "NODE")]
    assert world.cluster.cancelled == [job]
    assert [ghost["job"] for ghost in ghosts(world)] == [job]


# What the scheduler says of a cancelled job


def cancel_by_hand(world: World, order: Order, *, host: str | None = "node1", **said: Any) -> None:
    job = world.cluster.names[order.name][0]
    world.cluster.jobs[job] = JobStatus(state=JobState.CANCELLED, host=host, **said)


def test_a_job_that_its_node_could_not_begin_is_the_fault_of_the_node(world: World) -> None:
    world.ticks(3)
    fault = "drained: Prolog error"
    cancel_by_hand(world, world.cluster.orders[0], word="CANCELLED by root", host_fault=fault)
    world.ticks(20, seconds=2)
    first, second = attempts_of(world, 0)
    assert (first, second[0]) == (("FAILED", "NODE"), "SUBMITTED")
    (row,) = [row for row in world.rows("attempt") if row["failure_class"]]
    assert row["failure_message"].endswith(
        "node1 out before its job could begin (drained: Prolog error)"
    )


@pytest.mark.parametrize("word", ["CANCELLED", "CANCELLED by root"])
def test_a_job_that_its_node_ended_before_it_began_is_tried_again(world: World, word: str) -> None:
    """Slurm tells of no fault: the node is in use again by then."""
    world.ticks(3)
    cancel_by_hand(world, world.cluster.orders[0], word=word)
    world.ticks(20, seconds=2)
    first, second = attempts_of(world, 0)
    assert (first, second[0]) == (("FAILED", "NODE"), "SUBMITTED")
    assert world.rows("attempt")[0]["failure_message"] == (
        f"node1 could not start its job, which was cancelled then ({word})"
    )


@pytest.mark.parametrize(
    ("word", "host"),
    [("CANCELLED by alice", "node1"), ("CANCELLED by root", None), ("CANCELLED", None)],
)
def test_a_job_that_a_person_cancels_before_it_begins_is_not_tried_again(
    world: World, word: str, host: str | None
) -> None:
    """A job that waits has no node that could have ended it."""
    world.ticks(3)
    cancel_by_hand(world, world.cluster.orders[0], word=word, host=host)
    world.ticks(20, seconds=2)
    assert attempts_of(world, 0) == [("CANCELLED", "CANCELLED")]
    assert status_of(world, 0) == "ABANDONED"


def test_a_running_job_that_an_administrator_cancels_is_not_tried_again(
    world: World, workers: list[Worker]
) -> None:
    cancel_by_hand(world, world.cluster.orders[0], word="CANCELLED by root")
    world.ticks(20, seconds=2)
    assert attempts_of(world, workers[0].index) == [("CANCELLED", "CANCELLED")]
    assert status_of(world, 0) == "ABANDONED"


def test_who_cancelled_a_job_is_waited_for_and_told(world: World, workers: list[Worker]) -> None:
    job = world.job_of(workers[0])
    world.cluster.jobs[job] = JobStatus(state=JobState.CANCELLED, word="CANCELLED")
    workers[0].end(cause="TERMINATED", exit_code=None, signal=15, results={})
    world.ticks(2, seconds=2)
    assert attempts_of(world, 0) == [("STARTED", None)]
    world.cluster.jobs[job] = JobStatus(state=JobState.CANCELLED, word="CANCELLED by alice")
    world.ticks(4, seconds=2)
    assert attempts_of(world, 0) == [("CANCELLED", "CANCELLED")]
    assert (
        world.rows("attempt")[0]["failure_message"] == "its job was cancelled (CANCELLED by alice)"
    )


def test_who_cancelled_a_job_is_not_waited_for_in_vain(world: World, workers: list[Worker]) -> None:
    job = world.job_of(workers[0])
    world.cluster.jobs[job] = JobStatus(state=JobState.CANCELLED, word="CANCELLED")
    workers[0].end(cause="TERMINATED", exit_code=None, signal=15, results={})
    world.ticks(10, seconds=2)
    assert attempts_of(world, 0) == [("CANCELLED", "CANCELLED")]
