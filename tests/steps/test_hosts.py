"""What a head thinks of its hosts: suspects, exclusions, and what new jobs are told to avoid."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from db.states import EventKind, HostState
from orchestrator.steps import roster
from tests.steps.fleet import FAILS, Fleet
from tests.steps.world import World


@pytest.fixture
def transport() -> str:
    """How workers report makes no difference here."""
    return "direct"


@pytest.fixture
def fleet(world: World) -> Fleet:
    """Two workers on two of eight hosts."""
    world.ticks(3)
    return Fleet(world)


def test_a_host_is_suspect_until_another_one_has_told(fleet: Fleet) -> None:
    bad, _ = fleet.run_all("node1", "node2")
    fleet.end(bad, "node1", **FAILS)
    assert fleet.avoided() == ["node1"]
    assert fleet.states() == {"node1": "SUSPECT"}
    assert fleet.excluded() == {}
    (again,) = fleet.run_all("node3")
    fleet.end(again, "node3", **FAILS)
    # Bad on both hosts: the trial is, not the hosts.
    assert fleet.avoided() == []
    assert fleet.states() == {}
    assert fleet.events() == [("suspect", "node1", "SUSPECT"), ("suspect", "node1", "GOOD")]


def test_a_node_that_fails_is_excluded_at_once(fleet: Fleet) -> None:
    worker, _ = fleet.run_all("node1", "node2")
    fleet.lose_node(worker, "node1")
    assert list(fleet.excluded()) == ["node1"]
    assert fleet.seconds() == [6 * 3600]
    assert fleet.avoided() == ["node1"]
    (event,) = fleet.world.rows("event", kind="excluded")
    assert event["payload"]["evidence"]["probability"] == 1.0
    assert event["payload"]["seconds"] == 6 * 3600
    # What is submitted now avoids it.
    assert fleet.world.cluster.orders[-1].resources.exclude == ("node1",)
    assert len(fleet.world.noted("a host is excluded")) == 1


def test_the_next_head_decides_what_the_last_one_did_not_commit(fleet: Fleet) -> None:
    world = fleet.world
    worker, _ = fleet.run_all("node1", "node2")
    # The attempt's end was committed, and the head died before it decided about the host.
    world.hosts.decide = lambda: None  # type: ignore[method-assign]
    fleet.lose_node(worker, "node1")
    assert fleet.excluded() == {}
    world.start_head()
    assert fleet.avoided() == []
    world.tick()
    assert fleet.avoided() == list(fleet.excluded()) == ["node1"]


def test_the_next_head_says_nothing_twice(fleet: Fleet) -> None:
    first, second = fleet.run_all("node1", "node2")
    fleet.lose_node(first, "node1")
    fleet.end(second, "node2", **FAILS)
    before = fleet.events()
    assert before == [("excluded", "node1", "SUSPECT"), ("suspect", "node2", "SUSPECT")]
    fleet.world.start_head()
    fleet.world.ticks(3)
    assert fleet.events() == before
    assert fleet.avoided() == ["node1", "node2"]


def test_the_next_head_knows_whom_the_last_one_suspected(fleet: Fleet) -> None:
    bad, _ = fleet.run_all("node1", "node2")
    fleet.end(bad, "node1", **FAILS)
    (again,) = fleet.run_all("node3")
    # Another host has told, and the head died before it could say so.
    fleet.world.hosts.decide = lambda: None  # type: ignore[method-assign]
    fleet.end(again, "node3", **FAILS)
    assert fleet.states() == {"node1": "SUSPECT"}
    fleet.world.start_head()
    fleet.world.tick()
    assert fleet.states() == {}


def test_at_most_a_quarter_of_the_hosts_is_kept_out(make_world: Callable[..., World]) -> None:
    fleet = Fleet(make_world(num_parallel_jobs=4, max_eval=20))
    fleet.world.ticks(3)
    workers = fleet.run_all("node0", "node1", "node2", "node3")
    for worker, host in zip(workers, ("node0", "node1", "node2", "node3"), strict=True):
        fleet.lose_node(worker, host)
    assert fleet.avoided() == ["node0", "node1"]
    fleet.keep_only("node0")
    # Never the last one.
    assert fleet.avoided() == []


def test_a_trial_avoids_the_hosts_where_it_failed(fleet: Fleet) -> None:
    bad, good = fleet.run_all("node1", "node2")
    fleet.end(bad, "node1", **FAILS)
    fleet.end(good, "node2")
    assert fleet.avoided(trial=0) == ["node1"]
    fleet.keep_only("node1")
    assert fleet.avoided(trial=0) == []


def test_it_is_said_where_the_next_try_goes(fleet: Fleet) -> None:
    first, second = fleet.run_all("node1", "node2")
    fleet.keep_only("node1", "node2", "node3")
    fleet.end(first, "node1", **FAILS)
    fleet.by_hand("node1")
    fleet.by_hand("node3")
    fleet.end(second, "node2", **FAILS)
    actions = [row["failure_action"] for row in fleet.world.rows("attempt")][:2]
    assert actions == [
        "tried again on another host for the last time",
        "tried again for the last time",
    ]


def test_a_job_is_left_as_many_hosts_as_it_needs(make_world: Callable[..., World]) -> None:
    fleet = Fleet(make_world(resources={"nodes": 3, "exclude": ["node0"]}))
    fleet.keep_only("node0", "node1", "node2", "node3", "node4")
    worker, _ = fleet.run_all("node1", "node2")
    fleet.lose_node(worker, "node1")
    assert fleet.avoided() == ["node0", "node1"]
    # What a person named stays, what Headway excluded is let go.
    fleet.change("node4", is_usable=False)
    assert fleet.avoided() == ["node0"]


def test_hosts_that_are_too_small_for_a_job_leave_it_no_room(
    make_world: Callable[..., World],
) -> None:
    fleet = Fleet(make_world(resources={"memory_mb": 9000}))
    fleet.change("node1", memory_mb=16000)
    worker, _ = fleet.run_all("node1", "node1")
    fleet.lose_node(worker, "node1")
    assert list(fleet.excluded()) == ["node1"]
    assert fleet.avoided() == []


def test_a_name_that_slurm_does_not_know_is_left_out(make_world: Callable[..., World]) -> None:
    fleet = Fleet(make_world(resources={"exclude": ["node[6-7]", "gone1"]}))
    fleet.world.ticks(3)
    assert fleet.avoided() == ["node6", "node7"]
    assert fleet.events() == [("included", "gone1", "")]
    fleet.by_hand("gone2")
    fleet.world.ticks(3)
    assert fleet.avoided() == ["node6", "node7"]
    assert [host for _, host, _ in fleet.events()] == ["gone1", "gone2"]
    fleet.keep_only("node1", "node7", "gone2")
    assert fleet.avoided() == ["gone2", "node7"]


def test_a_host_is_excluded_and_included_by_hand(fleet: Fleet) -> None:
    version = fleet.world.hosts.version
    fleet.by_hand("node5")
    assert fleet.avoided() == ["node5"]
    assert fleet.world.hosts.version > version
    fleet.include("node5", state=HostState.GOOD)
    assert fleet.avoided() == []
    assert fleet.events() == []


def test_what_a_person_excluded_for_a_while_comes_back_at_once(fleet: Fleet) -> None:
    fleet.by_hand("node5", seconds=3600)
    fleet.expire()
    assert fleet.avoided() == []
    assert fleet.events() == [("included", "node5", "GOOD")]


def test_a_host_that_is_included_by_hand_is_not_judged_by_what_was(fleet: Fleet) -> None:
    worker, _ = fleet.run_all("node1", "node2")
    fleet.lose_node(worker, "node1")
    fleet.include("node1", state=HostState.GOOD)
    fleet.world.ticks(3)
    assert fleet.avoided() == []
    fleet.world.start_head()
    fleet.world.ticks(3)
    assert fleet.avoided() == []


def test_a_host_that_is_included_by_hand_is_judged_by_what_comes(fleet: Fleet) -> None:
    worker, _ = fleet.run_all("node1", "node2")
    fleet.lose_node(worker, "node1")
    fleet.include("node1", state=HostState.GOOD)
    (again,) = fleet.run_all("node1")
    fleet.lose_node(again, "node1")
    assert fleet.avoided() == ["node1"]


def test_a_suspect_that_is_included_by_hand_is_let_go(fleet: Fleet) -> None:
    bad, other = fleet.run_all("node1", "node1")
    fleet.end(bad, "node1", **FAILS)
    assert fleet.avoided() == ["node1"]
    fleet.include("node1", state=HostState.GOOD)
    assert fleet.avoided() == []
    assert fleet.states() == {}
    # The same holds for the next head, until something new happens there.
    fleet.world.start_head()
    fleet.world.ticks(3)
    assert fleet.avoided() == []
    assert fleet.events() == [("suspect", "node1", "SUSPECT")]
    fleet.end(other, "node1", **FAILS)
    assert fleet.avoided() == ["node1"]


def test_what_another_head_thinks_better_of_is_suspect_for_this_one(fleet: Fleet) -> None:
    bad, _ = fleet.run_all("node1", "node2")
    fleet.end(bad, "node1", **FAILS)
    fleet.note("node1", HostState.GOOD)
    assert fleet.avoided() == ["node1"]


def test_without_auto_exclude_only_persons_keep_hosts_out(
    make_world: Callable[..., World],
) -> None:
    fleet = Fleet(make_world(auto_exclude=False))
    fleet.world.ticks(3)
    first, second = fleet.run_all("node1", "node2")
    fleet.lose_node(first, "node1")
    fleet.end(second, "node2", **FAILS)
    assert fleet.avoided() == []
    fleet.by_hand("node5")
    assert fleet.avoided() == ["node5"]
    # Of the host where it failed a trial keeps away all the same.
    assert fleet.avoided(trial=1) == ["node2", "node5"]
    assert fleet.events() == []


def test_a_local_search_excludes_nothing(make_world: Callable[..., World]) -> None:
    fleet = Fleet(make_world(executor="local"))
    fleet.world.ticks(3)
    workers = fleet.run_all("node1", "node1")
    for worker in workers:
        fleet.end(worker, "node1", **FAILS)
    assert fleet.avoided(trial=0) == []
    assert fleet.states() == {}


def test_a_host_is_not_suspect_for_ever_where_no_other_one_gets_to_tell(fleet: Fleet) -> None:
    bad, other = fleet.run_all("node1", "node1")
    fleet.end(bad, "node1", **FAILS)
    # The next try waits in a full queue.
    fleet.world.clock.now += 1800
    fleet.world.ticks(2)
    assert fleet.avoided() == []
    assert fleet.avoided(trial=bad.index) == ["node1"]
    event = fleet.world.rows("event", kind="suspect")[-1]["payload"]
    assert event["reason"].startswith("nobody has told more about it for 30 min; of its newest")
    fleet.world.ticks(2)
    assert len(fleet.events()) == 2
    # The next one that fails there tells more.
    fleet.end(other, "node1", **FAILS)
    assert fleet.avoided() == ["node1"]


def test_another_head_s_suspicion_holds_for_half_an_hour(fleet: Fleet) -> None:
    fleet.note("node3", HostState.SUSPECT)
    assert fleet.avoided() == ["node3"]
    fleet.world.clock.now += 1800
    fleet.world.ticks(2)
    assert fleet.avoided() == []
    assert fleet.events(EventKind.SUSPECT) == [("suspect", "node3", "GOOD")]


def test_hosts_are_let_go_one_kind_after_the_other_when_no_place_is_left(fleet: Fleet) -> None:
    bad, other = fleet.run_all("node1", "node2")
    fleet.end(bad, "node1", **FAILS)
    fleet.lose_node(other, "node2")
    both = fleet.avoided()
    assert both == ["node1", "node2"]
    left = []
    while fleet.world.hosts.relax():
        left.append(fleet.avoided(trial=0))
    assert left == [both, ["node2"], []]
    # The hosts that can be used are others now: the lists are long again.
    fleet.change("node2", is_usable=False)
    assert fleet.avoided() == both


def test_a_burst_everywhere_is_trouble(make_world: Callable[..., World]) -> None:
    fleet = Fleet(make_world(num_parallel_jobs=8, max_eval=100, retries=0))
    names = [f"node{index}" for index in range(8)]
    for _ in range(4):
        fleet.world.ticks(3)
        for worker, host in zip(fleet.run_all(*names), names, strict=True):
            fleet.end(worker, host, **FAILS)
    assert "failed in a row" in (fleet.world.hosts.trouble or "")
    # A person who resumes has put something right.
    fleet.world.start_head()
    fleet.world.tick()
    assert fleet.world.hosts.trouble is None
    assert fleet.excluded() == {}


def test_nobody_is_excluded_as_long_as_slurm_does_not_tell_its_hosts(fleet: Fleet) -> None:
    world = fleet.world
    worker, _ = fleet.run_all("node1", "node2")
    world.cluster.is_silent = True
    world.start_head()
    worker.end(host="node1", cause="NOT_STARTED", is_unfit=True, problems=["no /data"])
    world.ticks(3)
    assert fleet.excluded() == {}
    assert fleet.avoided(trial=0) == []
    world.cluster.is_silent = False
    world.clock.now += roster.SOON_SECONDS
    world.ticks(2)
    assert fleet.avoided() == ["node1"]
