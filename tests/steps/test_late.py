"""Results that come late, jobs that are told to stop, and heads that take over."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from db.sql import incoming
from db.states import JobState
from orchestrator.steps.observe import News
from tests.steps.worker import Worker
from tests.steps.world import World, attempts_of, status_of, try_again


def lose(world: World, worker: Worker) -> None:
    """Give an attempt up whose worker is still at work somewhere."""
    del world.cluster.jobs[world.job_of(worker)]
    for _ in range(4):
        world.clock.now += world.spec.timing.poll_max_seconds
        world.tick(accept_new=False)
        world.tick(accept_new=False)
    assert attempts_of(world, worker.index) == [("LOST", "LOST")]


def test_a_late_result_counts_and_the_second_attempt_is_superseded(
    world: World, workers: list[Worker]
) -> None:
    lose(world, workers[0])
    second = try_again(world, 0)
    job = world.job_of(second)
    workers[0].end()
    world.tick()
    assert attempts_of(world, 0) == [("SUCCEEDED", "LOST"), ("SUPERSEDED", None)]
    assert job in world.cluster.cancelled
    second.end(results={"LOSS": 99.0, "ACC": 99.0})
    world.ticks(2)
    assert world.outcomes()[0] == {"LOSS": 0.0, "ACC": 0.0}
    assert world.statuses().count("COMPLETED") == 1
    assert [row["refused_reason"] for row in world.rows("report")].count(
        "its trial already had an outcome"
    ) == 1


def test_a_late_result_counts_before_the_second_attempt_was_planned(
    world: World, workers: list[Worker]
) -> None:
    lose(world, workers[0])
    workers[0].end()
    world.tick()
    assert attempts_of(world, 0) == [("SUCCEEDED", "LOST")]
    world.ticks(3)
    assert len(attempts_of(world, 0)) == 1
    assert status_of(world, 0) == "COMPLETED"


def test_a_late_result_counts_after_its_trial_had_failed(
    world: World, workers: list[Worker]
) -> None:
    lose(world, workers[0])
    for _ in range(2):
        try_again(world, 0).fail()
        world.tick()
    assert status_of(world, 0) == "FAILED"
    workers[0].end()
    world.ticks(2)
    assert status_of(world, 0) == "COMPLETED"
    assert world.outcomes()[0] == {"LOSS": 0.0, "ACC": 0.0}


def test_a_failure_and_a_late_result_may_come_together(world: World, workers: list[Worker]) -> None:
    lose(world, workers[0])
    try_again(world, 0).fail()
    world.tick()
    third = try_again(world, 0)
    third.fail()
    workers[0].end()
    world.ticks(2)
    assert status_of(world, 0) == "COMPLETED"
    # An attempt that had failed before it could be superseded is not on record as superseded.
    superseded = [state for state, _ in attempts_of(world, 0)].count("SUPERSEDED")
    assert len(world.rows("event", kind="superseded")) == superseded


def test_a_late_failure_of_an_attempt_that_was_given_up_is_kept_and_not_used(
    world: World, workers: list[Worker]
) -> None:
    lose(world, workers[0])
    second = try_again(world, 0)
    workers[0].fail()
    world.tick()
    assert attempts_of(world, 0) == [("LOST", "LOST"), ("STARTED", None)]
    assert [row["refused_reason"] for row in world.rows("report")].count(
        "its attempt had already been given up"
    ) == 1
    second.end()
    world.tick()
    assert status_of(world, 0) == "COMPLETED"


@pytest.mark.parametrize(
    ("said", "state", "trial"),
    [
        (JobState.NODE_FAIL, "FAILED", "STAGED"),
        (JobState.PREEMPTED, "FAILED", "STAGED"),
        (JobState.TIMEOUT, "FAILED", "FAILED"),
        (JobState.OUT_OF_MEMORY, "FAILED", "FAILED"),
        (JobState.COMPLETED, "LOST", "STAGED"),
        (JobState.CANCELLED, "CANCELLED", "ABANDONED"),
    ],
)
def test_a_late_result_counts_whatever_the_scheduler_had_said(
    world: World, workers: list[Worker], said: JobState, state: str, trial: str
) -> None:
    world.finish_job(workers[0], said)
    for _ in range(4):
        world.clock.now += world.spec.timing.poll_max_seconds
        world.tick(accept_new=trial == "STAGED")
    assert attempts_of(world, 0)[0][0] == state
    assert status_of(world, 0) == trial
    workers[0].end()
    world.tick(accept_new=False)
    assert attempts_of(world, 0)[0][0] == "SUCCEEDED"
    assert status_of(world, 0) == "COMPLETED"
    (late,) = world.rows("event", kind="late")
    assert late["payload"] == {
        "trial_index": 0,
        "attempt": workers[0].assignment["attempt_id"],
        "was": state,
        "trial_was": trial,
    }
    assert world.noted("a late result was taken: its attempt had been given up")
    world.tick(accept_new=False)
    if trial != "STAGED":
        # The generators had been told of the failure.
        world.proposer.propose(0)
        assert world.model.told[-1].means == {"LOSS": 0.0, "ACC": 0.0}


def test_a_late_result_is_refused_when_the_second_attempt_was_faster(
    world: World, workers: list[Worker]
) -> None:
    lose(world, workers[0])
    try_again(world, 0).end(results={"LOSS": 5.0, "ACC": 5.0})
    world.tick()
    workers[0].end()
    world.ticks(2)
    assert attempts_of(world, 0) == [("LOST", "LOST"), ("SUCCEEDED", None)]
    assert world.outcomes()[0] == {"LOSS": 5.0, "ACC": 5.0}
    (refused,) = world.rows("event", kind="refused")
    assert refused["payload"]["attempt"] == workers[0].assignment["attempt_id"]
    kept = [row for row in world.rows("report") if row["refused_reason"]]
    assert [row["payload"]["results"] for row in kept] == [{"LOSS": 0.0, "ACC": 0.0}]
    assert not world.rows("event", kind="late")


def test_an_attempt_that_the_head_does_not_know_yet_is_superseded_as_well(
    world: World, workers: list[Worker]
) -> None:
    lose(world, workers[0])
    second = try_again(world, 0)
    job = world.job_of(second)
    # As if its worker had made it itself, after a requeue.
    world.ledger.attempts.pop(second.assignment["attempt_id"])
    workers[0].end()
    world.tick()
    assert attempts_of(world, 0) == [("SUCCEEDED", "LOST"), ("SUPERSEDED", None)]
    assert job in world.cluster.cancelled


# Reports that wait


def test_reports_that_wait_for_the_scheduler_keep_no_other_from_its_turn(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(num_parallel_jobs=12, max_eval=12)
    world.ticks(3)
    *told, last = world.claim_all()
    monkeypatch.setattr(incoming, "BATCH", 3)
    for worker in told:
        worker.end(cause="TERMINATED", exit_code=None, signal=15, results={})
    last.end()
    world.tick()
    assert status_of(world, last.index) == "COMPLETED"
    assert [status_of(world, worker.index) for worker in told] == ["RUNNING"] * 11
    world.tick()
    assert not world.settler.has_more, "nothing can be done at once: the scheduler has to speak"


def test_after_an_outage_the_next_tick_comes_at_once_until_all_reports_are_in(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(num_parallel_jobs=12, max_eval=12)
    world.ticks(3)
    workers = world.claim_all()
    world.ticks(2)
    monkeypatch.setattr(incoming, "BATCH", 5)
    for worker in workers:
        worker.end()
    seen = []
    for _ in range(4):
        world.settler.settle(News(mail=world.mailbox.collect(with_lines=True)), look=True)
        seen.append((world.statuses().count("COMPLETED"), world.settler.has_more))
    assert seen == [(5, True), (10, True), (12, False), (12, False)]


def test_nobody_is_given_up_while_his_report_stands_in_a_long_queue(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(num_parallel_jobs=6, max_eval=6)
    world.ticks(3)
    workers = world.claim_all()
    world.ticks(2)
    monkeypatch.setattr(incoming, "BATCH", 2)
    for worker in workers:
        world.finish_job(worker, JobState.NODE_FAIL)
        worker.end()
    world.clock.now += world.spec.timing.poll_max_seconds
    poll = [world.observer.gather().poll for _ in range(2)][-1]
    assert poll is not None
    world.settler.settle(News(poll=poll), look=False)
    world.clock.now += 600
    world.ticks(6)
    assert world.statuses() == ["COMPLETED"] * 6
    assert world.states() == ["SUCCEEDED"] * 6


# Told to stop


def test_a_worker_that_was_told_to_stop_waits_for_the_word_of_the_scheduler(
    world: World, workers: list[Worker]
) -> None:
    workers[0].end(cause="TERMINATED", exit_code=None, signal=15, results={})
    world.ticks(3)
    assert attempts_of(world, 0) == [("STARTED", None)]
    world.finish_job(workers[0], JobState.PREEMPTED)
    world.look(2)
    assert attempts_of(world, 0)[0] == ("FAILED", "PREEMPTED")
    assert len(attempts_of(world, 0)) == 2
    assert all(row["consumed_at"] for row in world.rows("report"))


@pytest.mark.parametrize("state", [JobState.COMPLETED, JobState.FAILED, JobState.GONE])
def test_a_worker_that_was_told_to_stop_and_whose_job_nobody_cancelled_tries_again(
    world: World, workers: list[Worker], state: JobState
) -> None:
    """Its node was shut down."""
    workers[0].end(cause="TERMINATED", exit_code=None, signal=15, told_by=15, results={})
    world.finish_job(workers[0], state)
    world.look(4)
    assert attempts_of(world, 0)[0] == ("LOST", "LOST")
    assert attempts_of(world, 0)[1][0] == "SUBMITTED"


def test_a_worker_that_a_person_interrupted_does_not_try_again(
    world: World, workers: list[Worker]
) -> None:
    workers[0].end(cause="TERMINATED", exit_code=None, signal=2, told_by=2, results={})
    world.finish_job(workers[0], JobState.COMPLETED)
    world.look(2)
    assert attempts_of(world, 0) == [("CANCELLED", "CANCELLED")]
    assert status_of(world, 0) == "ABANDONED"


def test_a_program_that_finished_while_it_was_told_to_stop_has_finished(
    world: World, workers: list[Worker]
) -> None:
    workers[0].end(cause="TERMINATED")
    world.tick()
    assert attempts_of(world, 0) == [("SUCCEEDED", None)]


def test_what_this_head_cancelled_is_abandoned_at_once(world: World, workers: list[Worker]) -> None:
    for attempt in world.ledger.attempts.values():
        attempt.is_cancelled = True
    world.cluster.cancel([world.job_of(worker) for worker in workers])
    workers[0].end(cause="TERMINATED", exit_code=None, signal=15, results={})
    world.tick(accept_new=False)
    assert attempts_of(world, 0) == [("CANCELLED", "CANCELLED")]
    for _ in range(6):
        world.clock.now += world.spec.timing.poll_max_seconds
        world.tick(accept_new=False)
    assert world.statuses() == ["ABANDONED", "ABANDONED"]


def test_what_was_withdrawn_before_it_began_waits_for_a_resume(world: World) -> None:
    world.ticks(3)
    for attempt in world.ledger.attempts.values():
        attempt.is_withdrawn = True
    world.cluster.cancel([str(a.job_id) for a in world.ledger.attempts.values()], pending_only=True)
    for _ in range(6):
        world.clock.now += world.spec.timing.poll_max_seconds
        world.tick(accept_new=False)
    assert world.statuses() == ["CANDIDATE", "CANDIDATE"]
    assert world.states() == ["CANCELLED", "CANCELLED"]
    assert not world.ledger.attempts
    world.ticks(3)
    assert world.states() == ["CANCELLED", "CANCELLED", "SUBMITTED", "SUBMITTED"]


def test_trials_that_were_abandoned_do_not_count(world: World, workers: list[Worker]) -> None:
    world.finish_job(workers[0], JobState.CANCELLED)
    for _ in range(40):
        world.look()
        for worker in world.claim_all():
            worker.end()
        if world.statuses().count("COMPLETED") >= 3:
            break
    workers[1].end()
    world.ticks(3)
    assert sorted(world.statuses()) == ["ABANDONED"] + ["COMPLETED"] * 4
    assert world.ledger.created == 4


def test_the_head_that_takes_over_goes_on_where_the_last_one_was(
    world: World, workers: list[Worker]
) -> None:
    workers[0].end()
    world.start_head()
    world.tick()
    assert status_of(world, 0) == "COMPLETED"
    workers[1].end()
    world.start_head()
    for _ in range(5):
        world.ticks(3)
        for worker in world.claim_all():
            worker.end()
    world.ticks(2)
    assert world.statuses() == ["COMPLETED"] * 4
    assert world.states() == ["SUCCEEDED"] * 4
