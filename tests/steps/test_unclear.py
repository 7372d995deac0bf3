"""Unclear submissions: adopted by name or by claim, or given up so that no old job can run."""

from __future__ import annotations

import pytest

from orchestrator.cluster.base import Order
from tests.steps.test_submit import REFUSED, UNCLEAR, MakeWorld, finish_all, submissions
from tests.steps.world import World, attempts_of


def test_an_unclear_submission_whose_job_is_found_is_adopted(world: World) -> None:
    world.cluster.answers = [UNCLEAR]
    world.ticks(3)
    assert submissions(world) == [("UNCLEAR", None)]
    (order,) = world.cluster.orders
    world.cluster.start(order)
    world.look()
    assert submissions(world) == [("ACCEPTED", "1")]
    assert world.states() == ["SUBMITTED", "SUBMITTED"]
    assert len(world.cluster.orders) == 1
    finish_all(world)


def test_an_unclear_submission_is_looked_for_twice_and_a_minute_before_it_is_given_up(
    world: World,
) -> None:
    world.cluster.answers = [UNCLEAR]
    world.ticks(3)
    world.ticks(50, seconds=1)
    assert submissions(world) == [("UNCLEAR", None)]
    world.ticks(20, seconds=1)
    assert submissions(world) == [("REFUSED", None), ("ACCEPTED", "1")]
    assert world.states() == ["CANCELLED", "CANCELLED", "SUBMITTED", "SUBMITTED"]
    first, second = world.cluster.orders
    assert first.token != second.token
    assert world.claim(first) is None, "a job that appears after all finds nothing to do"
    finish_all(world)


def test_where_the_accounting_is_silent_an_unclear_submission_is_given_up_after_minutes(
    world: World,
) -> None:
    world.cluster.answers = [UNCLEAR]
    world.cluster.has_accounting = False
    world.ticks(3)
    world.ticks(100, seconds=2)
    assert submissions(world) == [("UNCLEAR", None)]
    world.ticks(60, seconds=2)
    assert submissions(world) == [("REFUSED", None), ("ACCEPTED", "1")]


def test_an_unclear_submission_stays_so_while_nobody_answers(world: World) -> None:
    world.cluster.answers = [UNCLEAR]
    world.ticks(3)
    world.cluster.is_silent = True
    world.look(20)
    assert submissions(world) == [("UNCLEAR", None)]
    assert world.states() == ["PLANNED", "PLANNED"]
    assert len(world.cluster.orders) == 1


def start_unfindable(world: World) -> Order:
    """Let the job of an unclear submission run, and no command know its name."""
    world.cluster.answers = [UNCLEAR]
    world.ticks(3)
    (order,) = world.cluster.orders
    world.cluster.start(order)
    return order


def test_a_job_whose_sbatch_failed_is_adopted_by_what_its_worker_claims(world: World) -> None:
    order = start_unfindable(world)
    worker = world.claim(order, 0)
    del world.cluster.names[order.name]
    world.ticks(2)
    assert submissions(world) == [("ACCEPTED", "1")]
    assert world.states() == ["STARTED", "SUBMITTED"]
    assert [row["slurm_job_id"] for row in world.rows("attempt")] == ["1_0", "1_1"]
    world.ticks(20, seconds=10)
    assert len(world.cluster.orders) == 1
    assert worker is not None
    worker.end()
    finish_all(world)


def test_a_claim_of_an_unclear_job_is_enough_even_while_the_scheduler_is_silent(
    world: World,
) -> None:
    order = start_unfindable(world)
    world.cluster.is_silent = True
    assert world.claim(order, 1) is not None
    world.ticks(2)
    assert submissions(world) == [("ACCEPTED", "1")]


def test_a_worker_that_ended_before_its_unclear_job_was_found_settles_the_question(
    make_world: MakeWorld,
) -> None:
    world = make_world(num_parallel_jobs=1, max_eval=1)
    order = start_unfindable(world)
    worker = world.claim(order)
    assert worker is not None
    worker.end()
    world.ticks(2)
    assert submissions(world) == [("ACCEPTED", "1")]
    assert world.ledger.submissions == {}


def test_a_job_that_was_refused_and_runs_all_the_same_is_adopted(world: World) -> None:
    world.threads.held = []
    world.ticks(2)
    world.cluster.answers = [REFUSED]
    world.threads.let_go()
    (order,) = world.cluster.orders
    world.cluster.start(order)
    worker = world.claim(order, 0)
    assert worker is not None
    world.ticks(3)
    assert world.states()[:2] == ["STARTED", "CANCELLED"]
    assert submissions(world)[0] == ("ACCEPTED", "1")
    worker.end()
    world.clock.now += 2
    finish_all(world)


def test_a_spool_that_does_not_answer_only_puts_off_that_assignments_are_taken_back(
    make_world: MakeWorld, transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if transport == "direct":
        pytest.skip("writes no assignments")
    world = make_world()
    world.cluster.answers = [UNCLEAR]
    world.ticks(3)
    with monkeypatch.context() as patch:
        patch.setattr(world.mailbox, "withdraw", lambda _: False)
        world.ticks(65, seconds=1)
        assert world.states() == ["PLANNED", "PLANNED"]
    world.ticks(10, seconds=1)
    assert world.states() == ["CANCELLED", "CANCELLED", "SUBMITTED", "SUBMITTED"]
    assert world.claim(world.cluster.orders[0]) is None
    finish_all(world)


def test_a_worker_that_died_with_its_assignment_keeps_its_trial_waiting_for_minutes_only(
    make_world: MakeWorld, transport: str
) -> None:
    if transport == "direct":
        pytest.skip("claim and report are one transaction")
    world = make_world()
    world.cluster.answers = [UNCLEAR]
    world.ticks(3)
    (order,) = world.cluster.orders
    assert world.claim(order, 0, reports=False) is not None
    world.ticks(20, seconds=4)
    assert world.states()[:2] == ["PLANNED", "CANCELLED"]
    assert submissions(world)[0] == ("UNCLEAR", None)
    world.start_head()
    world.ticks(40, seconds=4)
    assert attempts_of(world, 0)[0] == ("LOST", "LOST")
    assert submissions(world)[0] == ("UNCLEAR", None)
    assert world.ledger.submissions == {}
    finish_all(world)


def test_a_worker_may_even_finish_before_its_unclear_job_is_found(world: World) -> None:
    world.cluster.answers = [UNCLEAR]
    world.ticks(3)
    (order,) = world.cluster.orders
    world.cluster.start(order)
    workers = [world.claim(order, index) for index in range(2)]
    for worker in workers:
        assert worker is not None
        worker.end()
    world.ticks(2)
    assert world.statuses()[:2] == ["COMPLETED", "COMPLETED"]
    world.look(3)
    finish_all(world)


def test_a_claim_whose_report_is_on_its_way_is_not_taken_back(
    make_world: MakeWorld, transport: str
) -> None:
    if transport == "direct":
        pytest.skip("claim and report are one transaction")
    world = make_world()
    world.cluster.answers = [UNCLEAR]
    world.ticks(3)
    (order,) = world.cluster.orders
    worker = world.claim(order, 0, reports=False)
    assert worker is not None
    world.ticks(20, seconds=4)
    assert world.states()[:2] == ["PLANNED", "CANCELLED"]
    claim = {"claim": "c", "host": "n", "slurm_job_id": "77", "pid": 1, "started_at": ""}
    worker.send("START", claim)
    worker.end()
    world.ticks(2)
    assert world.statuses()[0] == "COMPLETED"
    finish_all(world)
