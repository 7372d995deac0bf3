"""How often the scheduler is asked: as rarely as its word is not needed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from db.states import JobState
from orchestrator.cluster.base import Quota
from tests.steps.world import World

MakeWorld = Callable[..., World]


@pytest.fixture
def transport() -> str:
    """How workers report makes no difference here."""
    return "direct"


def looks_in(world: World, seconds: float, *, step: float = 1.0) -> int:
    """Let time pass, and return how often the scheduler was asked."""
    before = len(world.cluster.asked)
    for _ in range(int(seconds / step)):
        world.clock.now += step
        world.tick()
    return len(world.cluster.asked) - before


def test_jobs_that_run_and_of_which_nothing_new_is_heard_are_looked_at_less_and_less(
    world: World,
) -> None:
    world.ticks(3)
    world.claim_all()
    assert looks_in(world, 20) >= 5
    looks_in(world, 600, step=6)
    assert looks_in(world, 600, step=6) <= 11, "one a minute"


def test_one_call_is_made_for_all_jobs_however_many_there_are(make_world: MakeWorld) -> None:
    world = make_world(num_parallel_jobs=300, max_eval=300)
    world.ticks(3)
    assert 3 <= looks_in(world, 20) <= 10
    assert len(world.cluster.asked[-1]) == 300


def test_jobs_that_wait_are_looked_at_every_quarter_of_a_minute(world: World) -> None:
    world.ticks(3)
    looks_in(world, 600, step=5)
    assert 30 <= looks_in(world, 600, step=5) <= 42


def test_a_job_that_ended_without_a_report_is_looked_at_again_at_once(world: World) -> None:
    world.ticks(3)
    (worker, _) = world.claim_all()
    looks_in(world, 1200, step=10)
    world.cluster.set(world.job_of(worker), JobState.FAILED)
    while world.states()[0] == "STARTED" and world.clock.now < 10_000:
        looks_in(world, 1)
    before = len(world.cluster.asked)
    world.ticks(3)
    assert looks_in(world, 10) + len(world.cluster.asked) - before >= 1
    assert world.states()[0] == "LOST"


def test_a_busy_scheduler_is_asked_no_sooner_than_it_may_be(world: World) -> None:
    world.ticks(3)
    world.claim_all()
    world.cluster.pause = 40
    assert looks_in(world, 120) <= 5


def test_a_full_queue_is_looked_at_every_few_seconds_as_nobody_tells_of_room(
    make_world: MakeWorld,
) -> None:
    world = make_world(num_parallel_jobs=4, max_eval=10)
    world.cluster.allowed, world.cluster.others = Quota(most_jobs=4), 2
    world.start_head()
    world.ticks(4, seconds=1)
    world.claim_all()
    looks_in(world, 600, step=5)
    assert 25 <= looks_in(world, 150) <= 31
    world.cluster.pause = 40
    assert looks_in(world, 120) <= 5
