"""What a head tells of itself: each part says how it is, as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from db.states import JobState
from orchestrator.cluster.base import Answer, AnswerKind
from orchestrator.cluster.commands import CallBudget
from orchestrator.reports.vitals import Vitals
from orchestrator.steps.propose import ERROR_PAUSE_SECONDS
from orchestrator.steps.vitals import Checkup
from tests.steps.worker import Worker
from tests.steps.world import World

MakeWorld = Callable[..., World]


@pytest.fixture
def transport() -> str:
    """What a head tells does not depend on how workers report."""
    return "direct"


def checkup(world: World) -> Checkup:
    return Checkup(
        store=world.store,
        goal=world.goal,
        ledger=world.ledger,
        cluster=world.cluster,
        observer=world.observer,
        proposer=world.proposer,
        submitter=world.submitter,
        space=world.space,
    )


def vitals(world: World, **options: Any) -> Vitals:
    return checkup(world).take(**{"stopping": None} | options)


def test_a_head_that_has_just_begun_claims_to_know_nothing(world: World) -> None:
    found = vitals(world)
    assert (found.slots, found.max_eval) == (2, 4)
    assert (found.scheduler_seconds, found.calls_last_hour, found.refused) == (None, None, None)
    assert (found.waiting, found.stopping, found.disk_full) == ((), None, False)
    assert found.started_at is not None
    assert found.told_at >= found.started_at


def test_calls_are_counted_by_name_and_for_an_hour(world: World) -> None:
    world.cluster.budget = budget = CallBudget(per_minute=60, burst=10)
    for command in ("squeue", "squeue", "sbatch"):
        budget.spend(command)
    found = vitals(world)
    assert (found.calls, found.calls_last_hour) == ({"squeue": 2, "sbatch": 1}, 3)
    assert found.calls_left == 7
    world.clock.now += 3599
    budget.spend("squeue")
    assert vitals(world).calls_last_hour == 4
    world.clock.now += 1
    found = vitals(world)
    assert (found.calls, found.calls_last_hour) == ({"squeue": 3, "sbatch": 1}, 1)


def test_jobs_that_wait_are_told_by_reason_with_what_one_can_do(make_world: MakeWorld) -> None:
    world = make_world(num_parallel_jobs=4)
    world.ticks(3)
    (order,) = world.cluster.orders
    first, *others = world.cluster.names[order.name].values()
    world.cluster.set(first, JobState.PENDING, reason="PartitionTimeLimit")
    for job in others:
        world.cluster.set(job, JobState.PENDING, reason="(Priority)")
    world.look()
    many, one = vitals(world).waiting
    assert (many.reason, many.count, many.job, many.fate) == ("Priority", 3, others[0], "WAITS")
    assert many.says == "other jobs come before it"
    assert f"squeue --start -j {others[0]}" in many.remedy
    assert (one.reason, one.count, one.job, one.fate) == ("PartitionTimeLimit", 1, first, "NEVER")


def test_jobs_that_run_or_are_to_go_do_not_count_as_waiting(
    world: World, workers: list[Worker]
) -> None:
    world.look()
    assert vitals(world).waiting == ()
    for attempt in world.ledger.attempts.values():
        world.cluster.set(str(attempt.job_id), JobState.PENDING, reason="BeginTime")
    world.look()
    assert [row.count for row in vitals(world).waiting] == [2], "requeued, they wait again"
    for attempt in world.ledger.attempts.values():
        attempt.is_cancelled = True
    assert vitals(world).waiting == ()


def test_a_scheduler_that_takes_no_jobs_is_told_until_it_does(world: World) -> None:
    refusal = Answer(kind=AnswerKind.REFUSED, message="a banner\nSlurm is out of sorts")
    world.cluster.answers = [refusal, refusal]
    world.ticks(3)
    world.clock.now += 3
    world.ticks(3)
    found = vitals(world)
    assert found.refused == "Slurm is out of sorts"
    assert found.refused_for_seconds == 3, "since the first refusal, not since the last"
    world.clock.now += 60
    world.ticks(3)
    assert world.cluster.jobs
    assert vitals(world).refused is None


def test_a_generator_at_work_tells_for_how_long(world: World) -> None:
    world.model.is_slow = True
    world.tick()
    world.clock.now += 5
    found = vitals(world).generator
    assert found is not None
    assert (found.name, found.is_busy, found.busy_seconds) == ("SOBOL", True, 5)
    assert (found.stock, found.problem) == (0, None)


def test_a_generator_that_fails_tells_why_until_it_works(make_world: MakeWorld) -> None:
    world = make_world(strategy={"nodes": [{"generator": "TPE"}]}, max_eval=40)
    world.model.error = "it has lost its head"
    world.ticks(3)
    found = vitals(world).generator
    assert found is not None
    assert (found.name, found.is_busy, found.problem) == ("TPE", False, "it has lost its head")
    world.model.error = None
    for worker in world.claim_all():
        worker.end()
    world.ticks(3, seconds=ERROR_PAUSE_SECONDS)
    found = vitals(world).generator
    assert found is not None
    assert found.problem is None


def test_the_scheduler_and_the_database_tell_how_long_they_took(
    world: World, workers: list[Worker]
) -> None:
    world.look()
    world.store.write_seconds.clear()
    world.store.write_seconds.extend([0.5, 0.002, 0.003])
    found = vitals(world)
    assert found.database_ms == 3
    assert found.scheduler_seconds == 0  # the clock stood still
    assert found.poll_seconds == 6, "a tenth of the minute in which nothing happened"
    world.cluster.pause = 7.0
    assert vitals(world).poll_seconds == 7


def test_what_the_loop_and_the_disk_say_is_told(world: World) -> None:
    world.space.is_full = True
    found = vitals(world, stopping="the time for the search is over")
    assert (found.stopping, found.disk_full) == ("the time for the search is over", True)


def test_the_process_tells_what_it_takes(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    found = checkup(world)
    world.clock.now += 1e9  # any work is next to nothing in that time
    told = found.take(stopping=None)
    assert told.cpu_percent is not None
    assert 0 <= told.cpu_percent < 1
    assert told.memory_mb is not None
    assert 20 < told.memory_mb < 4000
    assert told.threads is not None
    assert told.threads >= 1
    monkeypatch.setattr("orchestrator.steps.vitals.PROCESS", tmp_path / "nothing")
    told = found.take(stopping=None)
    assert (told.cpu_percent, told.memory_mb, told.threads) == (None, None, None)
