"""A rule that empties a host: all trials that run there start anew elsewhere, at no cost."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from db.states import JobState
from tests.steps.fleet import Fleet
from tests.steps.worker import Worker
from tests.steps.world import World, attempts_of

RULE = {
    "name": "broken-gpu",
    "match_strings": ["GPU is on fire"],
    "behavior": "ExcludeNodeAndRestartAll",
}
BURNS = {"exit_code": 1, "tail": "error: GPU is on fire\n"}


@pytest.fixture
def transport() -> str:
    """How workers report makes no difference here."""
    return "direct"


@pytest.fixture
def fleet(make_world: Callable[..., World]) -> Fleet:
    """Three slots, and a rule."""
    world = make_world(num_parallel_jobs=3, max_eval=6, rules=[RULE], retries=0)
    world.ticks(3)
    return Fleet(world)


def is_cancelled(fleet: Fleet, worker: Worker) -> bool:
    return fleet.world.job_of(worker) in fleet.world.cluster.cancelled


def test_a_rule_takes_all_attempts_from_the_host_that_it_excludes(fleet: Fleet) -> None:
    burning, beside, elsewhere = fleet.run_all("node1", "node1", "node2")
    fleet.end(burning, "node1", **BURNS)
    assert list(fleet.excluded()) == ["node1"]
    assert is_cancelled(fleet, beside)
    assert not is_cancelled(fleet, elsewhere)
    fleet.world.look(3)
    assert attempts_of(fleet.world, beside.index)[0] == ("FAILED", "PREEMPTED")
    workers = {worker.index: worker for worker in fleet.run_all("node3", "node4")}
    fleet.end(workers[beside.index], "node4")
    # No further try is allowed, and this one did not count as one.
    assert attempts_of(fleet.world, beside.index)[-1] == ("SUCCEEDED", None)


def test_a_head_that_dies_there_is_followed_by_one_that_knows(fleet: Fleet) -> None:
    world = fleet.world
    burning, beside, _ = fleet.run_all("node1", "node1", "node2")
    world.cluster.is_deaf = True
    fleet.end(burning, "node1", **BURNS)
    assert not is_cancelled(fleet, beside)
    world.cluster.is_deaf = False
    world.start_head()
    world.look(3)
    assert is_cancelled(fleet, beside)
    assert attempts_of(world, beside.index)[0] == ("FAILED", "PREEMPTED")


def test_the_next_head_empties_a_host_that_the_last_one_had_not_decided_about(
    fleet: Fleet,
) -> None:
    world = fleet.world
    burning, beside, _ = fleet.run_all("node1", "node1", "node2")
    world.hosts.decide = lambda: None  # type: ignore[method-assign]
    fleet.end(burning, "node1", **BURNS)
    assert fleet.excluded() == {}
    world.start_head()
    world.look(3)
    assert list(fleet.excluded()) == ["node1"]
    assert is_cancelled(fleet, beside)
    assert attempts_of(world, beside.index)[0] == ("FAILED", "PREEMPTED")


def test_a_worker_that_reports_its_stop_is_believed(fleet: Fleet) -> None:
    burning, beside, _ = fleet.run_all("node1", "node1", "node2")
    fleet.end(burning, "node1", **BURNS)
    beside.end(host="node1", cause="TERMINATED", results={}, signal=15, exit_code=None)
    fleet.world.look(3)
    ((state, failure), *_) = attempts_of(fleet.world, beside.index)
    assert (state, failure) == ("FAILED", "PREEMPTED")


def test_a_job_that_vanishes_when_it_is_taken_back_costs_no_try(fleet: Fleet) -> None:
    burning, beside, _ = fleet.run_all("node1", "node1", "node2")
    fleet.end(burning, "node1", **BURNS)
    del fleet.world.cluster.jobs[fleet.world.job_of(beside)]
    fleet.world.look(4)
    assert attempts_of(fleet.world, beside.index)[0] == ("FAILED", "PREEMPTED")


def test_what_a_person_cancels_elsewhere_stays_cancelled(fleet: Fleet) -> None:
    burning, _, elsewhere = fleet.run_all("node1", "node1", "node2")
    fleet.end(burning, "node1", **BURNS)
    fleet.world.cluster.set(fleet.world.job_of(elsewhere), JobState.CANCELLED, host="node2")
    fleet.world.look(3)
    assert attempts_of(fleet.world, elsewhere.index) == [("CANCELLED", "CANCELLED")]


def test_a_requeued_job_speaks_of_the_host_where_it_ran_last(
    make_world: Callable[..., World],
) -> None:
    world = make_world(resources={"requeue": True})
    world.ticks(3)
    fleet = Fleet(world)
    worker, _ = fleet.run_all("node1", "node2")
    worker.end(host="node4", exit_code=1)
    world.ticks(2)
    assert fleet.states() == {"node4": "SUSPECT"}
