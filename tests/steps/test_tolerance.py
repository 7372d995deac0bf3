"""A search in which too much fails ends by itself and says why."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from db.sql import events
from db.states import EventKind, TrialStatus
from orchestrator.loop import Ending, Loop, Parts
from orchestrator.steps.alarm import Alarm
from orchestrator.steps.hosts import Hosts
from orchestrator.steps.tolerance import FAILURES, Tolerance
from tests.steps.world import World

MakeWorld = Callable[..., World]
NAMES = (
    *("store", "spec", "goal", "ledger", "observer", "settler", "proposer", "submitter", "hosts"),
    *("requests", "steerer", "throttle", "never", "tolerance", "space", "canceller", "note"),
)


@pytest.fixture
def make_search(make_world: MakeWorld) -> MakeWorld:
    """Makes a search of one slot in which nothing is tried twice and no host is at fault."""
    plain = {"num_parallel_jobs": 1, "max_eval": 100, "retries": 0, "auto_exclude": False}
    return lambda **changes: make_world(**(plain | changes))


def let_end(world: World, codes: list[int]) -> None:
    """Let one trial after the other end with these exit codes."""
    for code in codes:
        world.ticks(2)
        (worker,) = world.claim_all()
        worker.end(exit_code=code)
    world.tick(accept_new=False)


def stop(world: World) -> None:
    """Let a head stop for the failures, and the next one begin."""
    with world.store.write() as connection:
        row = events.row(world.experiment_id, EventKind.EXIT, {"how": FAILURES})
        events.append(connection, [row])
    world.start_head()


def test_more_failed_trials_than_allowed_are_too_many(make_search: MakeWorld) -> None:
    world = make_search(max_failed_jobs=2)
    let_end(world, [1, 0, 3])
    assert world.tolerance.complaint() is None
    let_end(world, [1])
    assert world.tolerance.complaint() == (
        "3 trials failed, and --max_failed_jobs allows 2; most often (2 of 3 attempts that failed): "
        "the program ended with exit code 1"
    )


def test_not_one_failure_may_be_allowed(make_search: MakeWorld) -> None:
    world = make_search(max_failed_jobs=0)
    let_end(world, [0])
    assert world.tolerance.complaint() is None
    let_end(world, [1])
    assert str(world.tolerance.complaint()).startswith("1 trial failed, ")


def test_a_share_counts_when_ten_trials_have_ended(make_search: MakeWorld) -> None:
    world = make_search(max_failure_rate=0.5)
    let_end(world, [1] * 6 + [0] * 3)
    assert world.tolerance.complaint() is None
    let_end(world, [0])
    assert str(world.tolerance.complaint()).startswith(
        "6 of 10 trials failed, and --max_failure_rate allows 50 %; most often (6 of 6"
    )
    let_end(world, [0, 0])
    assert world.tolerance.complaint() is None, "6 of 12 are not more than a half"


def test_further_tries_and_cancelled_trials_do_not_count(make_search: MakeWorld) -> None:
    world = make_search(max_failed_jobs=0, max_failure_rate=0.0, retries=3)
    let_end(world, [1, 1, 1, 0])
    world.ledger.counts[TrialStatus.ABANDONED] += 50
    assert world.ledger.counts[TrialStatus.COMPLETED] == 1
    assert world.tolerance.complaint() is None


def test_who_goes_on_after_such_a_stop_is_not_stopped_for_the_same_failures(
    make_search: MakeWorld,
) -> None:
    world = make_search(max_failed_jobs=1)
    let_end(world, [1, 1])
    assert world.tolerance.complaint() is not None
    stop(world)
    assert world.tolerance.complaint() is None
    let_end(world, [1])
    assert world.tolerance.complaint() is None
    world.start_head()
    let_end(world, [1])
    assert str(world.tolerance.complaint()).startswith("2 trials failed since it went on, and")


def test_another_end_forgives_nothing(make_search: MakeWorld) -> None:
    world = make_search(max_failed_jobs=1)
    let_end(world, [1, 1])
    with world.store.write() as connection:
        for how in ("STOPPED", "ERROR"):
            row = events.row(world.experiment_id, EventKind.EXIT, {"how": how})
            events.append(connection, [row])
    world.start_head()
    assert world.tolerance.complaint() is not None


def test_messages_that_differ_in_measured_numbers_only_are_one(make_search: MakeWorld) -> None:
    world = make_search(max_failed_jobs=6)
    for step in ("9", "10.25", "11"):
        world.ticks(2)
        (worker,) = world.claim_all()
        worker.end(results={}, problems=[f"it diverged at step {step}"])
        world.tick()
    let_end(world, [2, 2, 130, 130])
    assert str(world.tolerance.complaint()).endswith(
        "most often (3 of 7 attempts that failed): the program gave no result for LOSS, ACC: it "
        "diverged at step 10.25"
    )


# Failures everywhere


def test_failures_all_over_the_place_are_a_reason_without_any_limit(make_search: MakeWorld) -> None:
    world = make_search()
    hosts = SimpleNamespace(trouble=None)
    tolerance = Tolerance(
        store=world.store, ledger=world.ledger, spec=world.spec, hosts=cast("Hosts", hosts)
    )
    let_end(world, [7, 7])
    assert tolerance.complaint() is None
    hosts.trouble = "9 trials failed on 8 hosts"
    assert tolerance.complaint() == (
        "9 trials failed on 8 hosts; most often (2 of 2 attempts that failed): "
        "the program ended with exit code 7"
    )


# What the loop does then


def test_a_search_that_fails_too_often_lets_running_trials_end_and_takes_back_the_others(
    make_world: MakeWorld,
) -> None:
    world = make_world(num_parallel_jobs=3, max_eval=9, retries=0, max_failed_jobs=0)
    parts: dict[str, Any] = {name: getattr(world, name) for name in NAMES}
    parts |= {"alarm": Alarm(), "renewal": SimpleNamespace(renew=lambda tell=None: None)}
    loop = Loop(cast("Parts", SimpleNamespace(**parts)), deadline=None)
    world.ticks(3)
    order = world.cluster.orders[0]
    first, second = world.claim(order, 0), world.claim(order, 1)
    assert first is not None
    assert second is not None
    first.fail()
    assert loop._tick(look=True) is None
    assert world.cluster.cancels == [["1_2"]]
    second.end()
    ends = []
    for _ in range(20):
        world.clock.now += 10
        ends.append(loop._tick(look=True))
    assert ends[-1] == Ending.FAILURES
    assert world.statuses()[:3] == ["FAILED", "COMPLETED", "CANDIDATE"]
    assert len(world.cluster.orders) == 1
    (said,) = [row["payload"] for row in world.rows("event", kind="stop")]
    assert said == {"how": "FAILURES", "reason": loop.complaint, "by": None}
    assert str(loop.complaint).startswith("1 trial failed, and --max_failed_jobs allows 0; most ")
