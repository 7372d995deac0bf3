"""A site that takes only so many jobs of one user: the queue is kept full, and it is not pestered."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from orchestrator.cluster.base import Answer, AnswerKind, Order, Quota
from orchestrator.steps.allowance import DOUBT_SECONDS
from tests.steps.worker import Worker
from tests.steps.world import World

MakeWorld = Callable[..., World]
FULL = Answer(
    kind=AnswerKind.REFUSED, message="sbatch: error: QOSMaxSubmitJobPerUserLimit", is_full=True
)


class Site:
    """A scheduler that takes so many jobs of one user, ours and others."""

    def __init__(self, world: World, most: int, *, largest_array: int | None = None) -> None:
        self.world = world
        self.most = most
        self.largest_array = largest_array
        self.refusals: list[float] = []
        self._submit = world.cluster.submit
        world.cluster.submit = self.submit  # type: ignore[method-assign]

    def queued(self) -> int:
        living = [job for tasks in self.world.cluster.names.values() for job in tasks.values()]
        jobs = self.world.cluster.jobs
        own = sum(1 for job in living if jobs[job].state.value in {"PENDING", "RUNNING"})
        return own + self.world.cluster.others

    def submit(self, order: Order) -> Answer:
        if self.largest_array is not None and order.size > self.largest_array:
            message = "Batch job submission failed: Invalid job array specification"
            return Answer(
                kind=AnswerKind.REFUSED, message=message, permanent=True, is_array_too_large=True
            )
        if self.queued() + order.size > self.most:
            self.refusals.append(self.world.clock.now)
            return FULL
        return self._submit(order)


def run_for(
    world: World, seconds: float, *, step: float = 1.0, ends: bool = False, lasts: float = 10
) -> list[int]:
    """Let time pass; returns how many attempts were open at each step.

    Args:
        world: The head.
        seconds: How long.
        step: Seconds between two ticks.
        ends: Whether jobs run; else they wait for ever.
        lasts: How long they do: each up to 1.6 times so many seconds more.
    """
    began: dict[int, tuple[Worker, float]] = {}
    counts = []
    for _ in range(int(seconds / step)):
        world.clock.now += step
        world.tick()
        for worker in world.claim_all_quietly() if ends else ():
            began[worker.index] = (worker, world.clock.now)
        for index, (worker, since) in list(began.items()):
            if world.clock.now - since >= lasts * (1 + index % 17 / 10):
                del began[index]
                worker.end()
                world.finish_job(worker)
        counts.append(len(world.ledger.attempts))
    return counts


@pytest.fixture
def transport() -> str:
    """How workers report makes no difference here."""
    return "spool"


def search(make_world: MakeWorld, **changes: Any) -> World:
    return make_world(**({"num_parallel_jobs": 50, "max_eval": 200} | changes))


def test_a_limit_that_the_accounting_tells_is_never_passed(make_world: MakeWorld) -> None:
    world = search(make_world)
    world.cluster.allowed = Quota(most_jobs=20)
    world.cluster.others = 0
    world.start_head()
    site = Site(world, 20)
    counts = run_for(world, 60, ends=True)
    assert site.refusals == []
    assert max(counts) == 20
    assert min(counts[20:]) >= 14, "places that get free are filled"


def test_other_jobs_of_the_user_count_and_give_way(make_world: MakeWorld) -> None:
    world = search(make_world)
    world.cluster.allowed = Quota(most_jobs=20)
    world.cluster.others = 12
    world.start_head()
    site = Site(world, 20)
    run_for(world, 10)
    first = len(site.refusals)
    assert first <= 1
    run_for(world, 10)
    assert site.queued() == 20
    world.cluster.others = 4
    run_for(world, 20)
    assert site.queued() == 20
    assert len(site.refusals) == first
    assert len(world.ledger.attempts) == 16


@pytest.mark.parametrize("most", [1, 7, 33])
def test_a_limit_that_nobody_tells_is_learnt_with_few_refusals(
    make_world: MakeWorld, most: int
) -> None:
    world = search(make_world)
    site = Site(world, most)
    run_for(world, 300, step=3)
    assert site.queued() == most, "the queue is full in the end"
    assert len(site.refusals) <= 10
    run_for(world, 200, step=5)
    (first, *_) = world.noted("the site takes no more jobs at once: waiting for some to end")
    assert first["why"] == FULL.message
    pauses = [later - sooner for sooner, later in pairwise(site.refusals)]
    assert all(pause >= 29 for pause in pauses), site.refusals


def test_jobs_that_come_and_go_do_not_make_a_limit_seem_higher(make_world: MakeWorld) -> None:
    world = search(make_world, max_eval=2000)
    world.cluster.others = 5
    site = Site(world, 20)
    counts = run_for(world, 90, step=0.25, ends=True, lasts=2)
    pauses = [later - sooner for sooner, later in pairwise(site.refusals)]
    assert all(pause >= 29 for pause in pauses), site.refusals
    late = sorted(counts[len(counts) // 2 :])
    assert late[len(late) // 4] >= 13, "places that get free are filled"


def test_a_full_queue_ends_no_search_and_is_told(make_world: MakeWorld) -> None:
    world = search(make_world)
    world.cluster.allowed = Quota(most_jobs=5)
    world.cluster.others = 5
    world.start_head()
    site = Site(world, 5)
    run_for(world, 4000, step=40)
    assert world.ledger.attempts == {}
    assert len(site.refusals) <= 4000 / DOUBT_SECONDS
    assert len(world.noted("no job can be submitted yet")) == 1
    refusal = world.submitter.refusal
    assert refusal is not None
    assert refusal[0] == "this user may have 5 jobs at once, and 5 are of other work"
    assert refusal[1] > 3000


def test_a_limit_that_does_not_count_other_work_keeps_no_search_waiting_for_ever(
    make_world: MakeWorld,
) -> None:
    world = search(make_world)
    world.cluster.allowed = Quota(most_jobs=5)
    world.cluster.others = 500
    world.start_head()
    run_for(world, DOUBT_SECONDS - 60, step=20)
    assert world.ledger.attempts == {}, "for all that is known there is no room"
    run_for(world, 300, step=10)
    assert len(world.ledger.attempts) == 50, "the site takes them"


def test_others_who_take_each_place_are_answered_with_a_pause(make_world: MakeWorld) -> None:
    world = search(make_world)
    world.cluster.allowed = Quota(most_jobs=20)
    world.start_head()
    site = Site(world, 20)
    run_for(world, 10)
    assert site.queued() == 20
    # Of a limit that several users share, the jobs of others are not seen.
    site.most = 0
    run_for(world, 150, step=0.5, ends=True)
    times = site.refusals
    assert times
    assert all(third - first >= 29 for first, third in zip(times, times[2:], strict=False)), times


def test_a_pause_after_refusals_is_told(make_world: MakeWorld) -> None:
    world = search(make_world)
    world.cluster.allowed = Quota(most_jobs=20)
    world.start_head()
    Site(world, 20)
    run_for(world, 10)
    (first, *_) = world.claim_all_quietly()
    for _ in range(2):
        assert world.submitter._allowance.refused(FULL, 1)
        run_for(world, 3)
    first.end()
    world.finish_job(first)
    run_for(world, 5)
    assert len(world.ledger.attempts) == 19
    refusal = world.submitter.refusal
    assert refusal is not None
    assert refusal[0].startswith("more jobs were refused twice")
    assert 5 <= refusal[1] <= 15
    run_for(world, 30)
    assert len(world.ledger.attempts) == 20
    assert not (world.submitter.refusal or ("",))[0].startswith("more jobs")


def test_a_place_that_gets_free_while_the_call_is_under_way_is_not_lost(
    make_world: MakeWorld,
) -> None:
    world = search(make_world)
    world.cluster.allowed = Quota(most_jobs=20)
    world.start_head()
    Site(world, 20)
    run_for(world, 10)
    (first, *_) = world.claim_all_quietly()
    allowance = world.submitter._allowance
    allowance.hand_over()
    first.end()
    world.finish_job(first)
    world.settler.settle(world.observer.gather(), look=True)
    assert allowance.refused(FULL, 1)
    run_for(world, 60)
    assert len(world.ledger.attempts) == 20


def test_a_limit_that_was_raised_is_found_out(make_world: MakeWorld) -> None:
    world = search(make_world)
    site = Site(world, 4)
    run_for(world, 100, step=2)
    assert site.queued() == 4
    site.most = 12
    run_for(world, 900, step=5)
    assert site.queued() == 12


def test_arrays_are_as_small_as_the_site_wants_them(make_world: MakeWorld) -> None:
    world = search(make_world)
    world.cluster.allowed = Quota(largest_array=11)
    world.start_head()
    world.ticks(20, seconds=1)
    assert [order.size for order in world.cluster.orders] == [11, 11, 11, 11, 6]


def test_a_size_of_arrays_that_nobody_tells_is_learnt(make_world: MakeWorld) -> None:
    world = search(make_world)
    Site(world, 1000, largest_array=11)
    world.ticks(40, seconds=1)
    sizes = [order.size for order in world.cluster.orders]
    assert sum(sizes) == 50
    assert max(sizes) <= 11
    assert [row["state"].value for row in world.rows("submission")].count("REFUSED") == 3


def test_a_site_without_limits_is_not_asked_to_prove_it(make_world: MakeWorld) -> None:
    world = search(make_world)
    world.ticks(3)
    assert [order.size for order in world.cluster.orders] == [50]
    assert world.submitter.refusal is None
