"""Hosts whose exclusion is over: one trial at a time tries them, and tells whether they stay."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from db.states import EventKind
from orchestrator.steps import parole, roster
from tests.steps.fleet import FAILS, Fleet
from tests.steps.worker import Worker
from tests.steps.world import World, attempts_of


@pytest.fixture
def transport() -> str:
    """How workers report makes no difference here."""
    return "direct"


@pytest.fixture
def fleet(make_world: Callable[..., World]) -> Fleet:
    """Eight hosts, of which `node1` has lost a job and is on parole; two slots."""
    fleet = Fleet(make_world(max_eval=12))
    fleet.world.ticks(3)
    first, second = fleet.run_all("node1", "node2")
    fleet.lose_node(first, "node1")
    (again,) = fleet.run_all("node3")
    fleet.end(again, "node3")
    fleet.end(second, "node2")
    fleet.expire()
    assert fleet.states() == {"node1": "PAROLE"}
    return fleet


def free(fleet: Fleet, name: str = "node1", *, is_free: bool = True) -> None:
    """Let Slurm call a host free, or not."""
    fleet.change(name, is_free=is_free)


def canaries(fleet: Fleet) -> list[str]:
    """The hosts of all canaries that were ever sent."""
    return [order.only_on for order in fleet.world.cluster.orders if order.only_on]


def send_canary(fleet: Fleet) -> Worker:
    """Let the host be free, end what runs, and let the canary begin."""
    free(fleet)
    busy = fleet.run_all("node4", "node5")
    fleet.end(busy[0], "node4")
    assert canaries(fleet)[-1:] == ["node1"]
    (canary,) = fleet.run_all("node1")
    return canary


def test_all_jobs_but_one_canary_avoid_a_host_on_parole(fleet: Fleet) -> None:
    canary = send_canary(fleet)
    order = fleet.world.cluster.orders[-1]
    assert (order.size, order.only_on, order.resources.exclude) == (1, "node1", ())
    assert fleet.avoided() == ["node1"]
    # While it runs, there is no second one, also after another head has taken over.
    fleet.world.start_head()
    fleet.ask()
    assert canaries(fleet) == ["node1"]
    assert fleet.states() == {"node1": "PAROLE"}
    fleet.end(canary, "node1")
    assert fleet.avoided() == []
    assert fleet.states() == {}
    about = [("included", "node1", "PAROLE"), ("included", "node1", "GOOD")]
    assert fleet.events(EventKind.INCLUDED) == about


def test_what_a_canary_told_is_known_to_the_next_head(fleet: Fleet) -> None:
    canary = send_canary(fleet)
    fleet.world.hosts.decide = lambda: None  # type: ignore[method-assign]
    fleet.end(canary, "node1")
    assert fleet.states() == {"node1": "PAROLE"}
    fleet.world.start_head()
    fleet.world.tick()
    assert fleet.states() == {}


def test_a_host_that_fails_its_canary_is_out_for_twice_as_long(fleet: Fleet) -> None:
    canary = send_canary(fleet)
    fleet.end(canary, "node1", **FAILS)
    # It may have been the trial: another host tells.
    assert fleet.states() == {"node1": "PAROLE"}
    assert fleet.avoided() == ["node1"]
    (again,) = fleet.run_all("node6")
    fleet.end(again, "node6")
    assert list(fleet.excluded()) == ["node1"]
    # The first one was made an hour long when it was let expire.
    assert fleet.seconds() == [3600, 2 * 3600]


def test_there_is_no_second_canary_until_another_host_has_told(fleet: Fleet) -> None:
    free(fleet)
    first, second = fleet.run_all("node4", "node5")
    fleet.end(first, "node4")
    (canary,) = fleet.run_all("node1")
    fleet.end(canary, "node1", **FAILS)
    (again,) = fleet.run_all("node6")
    fleet.end(second, "node5")
    fleet.run_all("node5")
    assert canaries(fleet) == ["node1"]
    fleet.end(again, "node6", **FAILS)
    assert canaries(fleet) == ["node1", "node1"]


def test_a_bad_trial_is_no_bad_host(fleet: Fleet) -> None:
    canary = send_canary(fleet)
    fleet.end(canary, "node1", **FAILS)
    (again,) = fleet.run_all("node6")
    fleet.end(again, "node6", **FAILS)
    assert fleet.excluded() == {}
    assert fleet.states() == {"node1": "PAROLE"}


def test_a_canary_is_only_sent_where_slurm_has_room(fleet: Fleet) -> None:
    free(fleet, is_free=False)
    busy = fleet.run_all("node4", "node5")
    fleet.end(busy[0], "node4")
    assert canaries(fleet) == []


def test_an_answer_of_long_ago_is_not_believed(fleet: Fleet) -> None:
    free(fleet)
    busy = fleet.run_all("node4", "node5")
    fleet.world.cluster.is_silent = True
    fleet.world.clock.now += 2 * roster.WATCH_SECONDS
    fleet.end(busy[0], "node4")
    (other,) = fleet.run_all("node4")
    assert canaries(fleet) == []
    # It is asked again and again while a host waits for its canary.
    fleet.world.cluster.is_silent = False
    fleet.world.clock.now += roster.WATCH_SECONDS
    fleet.world.ticks(2)
    fleet.end(other, "node4")
    assert canaries(fleet) == ["node1"]


def test_a_canary_that_does_not_begin_is_taken_back(fleet: Fleet) -> None:
    world = fleet.world
    free(fleet)
    busy = fleet.run_all("node4", "node5")
    fleet.end(busy[0], "node4")
    assert canaries(fleet) == ["node1"]
    index = world.rows("trial", id=world.rows("attempt")[-1]["trial_id"])[0]["index"]
    world.clock.now += parole.PATIENCE_SECONDS
    world.tick()
    world.look(3)
    assert len(world.cluster.cancelled) == 1
    assert attempts_of(world, index)[0] == ("CANCELLED", "CANCELLED")
    # It goes elsewhere, as its first try; the host is left alone for a while.
    (worker,) = fleet.run_all("node6")
    assert worker.index == index
    fleet.end(worker, "node6")
    assert attempts_of(world, index)[-1] == ("SUCCEEDED", None)
    assert canaries(fleet) == ["node1"]
    assert fleet.avoided() == ["node1"]


def test_a_host_that_is_never_free_is_used_again_at_last(fleet: Fleet) -> None:
    free(fleet, is_free=False)
    fleet.world.clock.now += parole.UNTRIED_SECONDS - 60
    fleet.world.tick()
    assert fleet.avoided() == ["node1"]
    fleet.world.clock.now += 60
    fleet.world.tick()
    assert fleet.avoided() == []
    assert fleet.states() == {}
    reason = fleet.world.rows("event", kind="included")[-1]["payload"]["reason"]
    assert reason == "it was never free for a canary in 60 min"


def test_a_host_whose_canary_runs_for_long_stays_on_parole(fleet: Fleet) -> None:
    send_canary(fleet)
    fleet.world.clock.now += parole.UNTRIED_SECONDS
    fleet.world.ticks(2)
    assert fleet.states() == {"node1": "PAROLE"}


def test_a_head_that_dies_taking_a_canary_back_loses_no_trial(fleet: Fleet) -> None:
    world = fleet.world
    free(fleet)
    busy = fleet.run_all("node4", "node5")
    fleet.end(busy[0], "node4")
    world.clock.now += parole.PATIENCE_SECONDS
    world.tick()
    world.start_head()
    world.look(3)
    (worker,) = fleet.run_all("node6")
    fleet.end(worker, "node6")
    assert attempts_of(world, worker.index) == [("CANCELLED", "CANCELLED"), ("SUCCEEDED", None)]
