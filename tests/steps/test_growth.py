"""A trial that ran out of memory or time gets more of it, and one that cannot ends."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.cluster.base import Answer, AnswerKind, ClusterHost, Limits, Order
from orchestrator.errors import ClusterError
from tests.health.payloads import end
from tests.steps.worker import Worker
from tests.steps.world import World, attempts_of, status_of, try_again

MakeWorld = Callable[..., World]
TOO_MUCH = Answer(
    kind=AnswerKind.REFUSED,
    message="sbatch: error: Memory specification can not be satisfied",
    permanent=True,
)
BY_QOS = Answer(
    kind=AnswerKind.REFUSED,
    message="sbatch: error: QOSMaxMemoryPerJob\nJob violates accounting/QOS policy (job submit "
    "limit, user's size and/or time limits)",
)


def kill_for_memory(worker: Worker, memory_mb: int) -> None:
    """Report a program that was killed when it had filled its memory."""
    measured = {**end()["measured"], "peak_memory_bytes": memory_mb * 2**20}
    worker.end(results={}, exit_code=None, signal=9, measured=measured)


def begin(world: World) -> list[Worker]:
    world.ticks(3)
    return world.claim_all()


def last(world: World) -> Order:
    return world.cluster.orders[-1]


def asked(world: World) -> list[Any]:
    """The memory that each attempt asked for, or was given."""
    return [row["requested"].get("memory_mb") for row in world.rows("attempt")]


# Memory


def test_a_trial_that_was_killed_for_its_memory_gets_half_as_much_again(
    make_world: MakeWorld,
) -> None:
    world = make_world(resources={"memory_mb": 1000}, max_eval=1)
    kill_for_memory(begin(world)[0], 1000)
    kill_for_memory(try_again(world, 0), 1500)
    try_again(world, 0).end()
    world.ticks(2)
    assert [order.resources.memory_mb for order in world.cluster.orders] == [1000, 1500, 2250]
    assert asked(world) == [1000, 1500, 2250]
    failures = [("FAILED", "OUT_OF_MEMORY")] * 2
    assert attempts_of(world, 0) == [*failures, ("SUCCEEDED", None)]
    actions = [row["failure_action"] for row in world.rows("attempt")]
    assert actions[0] == "tried again with 1500 instead of 1000 MiB on another host"
    assert actions[2] is None


def test_a_job_that_asked_for_no_memory_grows_from_what_slurm_gave_it(
    make_world: MakeWorld,
) -> None:
    world = make_world(max_eval=1)
    world.cluster.default_memory_mb = 600
    (worker,) = begin(world)
    assert last(world).resources.memory_mb is None
    assert asked(world) == [600]
    kill_for_memory(worker, 600)
    world.ticks(2)
    assert last(world).resources.memory_mb == 900
    world.start_head()
    kill_for_memory(try_again(world, 0), 900)
    world.ticks(3)
    assert last(world).resources.memory_mb == 1350
    assert asked(world) == [600, 900, 1350]


def test_a_start_and_an_end_that_are_read_together_count_like_two(make_world: MakeWorld) -> None:
    world = make_world(max_eval=1)
    world.cluster.default_memory_mb = 600
    world.ticks(3)
    (worker,) = world.claim_all_quietly()
    kill_for_memory(worker, 600)
    world.ticks(3)
    assert asked(world) == [600, 900]
    assert last(world).resources.memory_mb == 900


def test_what_was_asked_for_stays_on_record_whatever_slurm_gave(make_world: MakeWorld) -> None:
    world = make_world(resources={"memory_mb": 1000}, max_eval=1)
    world.ticks(3)
    world.cluster.orders[0] = replace(
        last(world), resources=last(world).resources.model_copy(update={"memory_mb": 1024})
    )
    world.claim_all()
    assert asked(world) == [1000]


def test_no_size_is_tried_twice(make_world: MakeWorld) -> None:
    world = make_world(resources={"memory_mb": 6000}, max_eval=1)
    kill_for_memory(begin(world)[0], 6000)
    kill_for_memory(try_again(world, 0), 8000)
    world.ticks(3)
    assert [order.resources.memory_mb for order in world.cluster.orders] == [6000, 8000]
    assert status_of(world, 0) == "FAILED"
    action = world.rows("attempt")[1]["failure_action"]
    assert action == "given up: no host gives more than 8000 MiB"


# Time


def test_a_trial_that_ran_out_of_time_gets_twice_as_much(make_world: MakeWorld) -> None:
    spec = {"worker_timeout_seconds": 600.0, "resources": {"minutes": 12}, "max_eval": 1}
    world = make_world(**spec)
    (worker,) = begin(world)
    assert worker.assignment.get("timeout_seconds") == 600
    worker.end(results={}, cause="TIMEOUT", exit_code=None, signal=15)
    second = try_again(world, 0)
    assert second.assignment.get("timeout_seconds") == 1200
    assert last(world).resources.minutes == world.spec.timing.slurm_minutes(1200)
    second.end(results={}, cause="TIMEOUT", exit_code=None, signal=15)
    world.ticks(3)
    assert status_of(world, 0) == "FAILED"
    assert len(world.cluster.orders) == 2


# Tries that the scheduler refuses for good


@pytest.mark.parametrize("answer", [TOO_MUCH, BY_QOS])
def test_a_size_that_is_refused_for_good_ends_its_trial_and_not_the_search(
    make_world: MakeWorld, answer: Answer
) -> None:
    world = make_world(resources={"memory_mb": 1000}, max_eval=3)
    first, second = begin(world)
    world.cluster.answers = [answer]
    kill_for_memory(first, 1000)
    world.ticks(4)
    assert status_of(world, 0) == "FAILED"
    assert attempts_of(world, 0) == [("FAILED", "OUT_OF_MEMORY"), ("CANCELLED", "SUBMIT")]
    reason = world.rows("trial")[0]["status_reason"]
    assert reason.endswith(f"was refused: {answer.message.splitlines()[0]}")
    assert [told.trial for told in world.model.told if told.means is None] == [0]
    second.end()
    for worker in begin(world):
        worker.end()
    world.ticks(3)
    assert world.statuses() == ["FAILED", "COMPLETED", "COMPLETED"]
    told = world.rows("event", kind="tell")[0]["payload"]
    assert (told["trial_index"], told["means"]) == (0, None)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(kind=AnswerKind.REFUSED, message="Invalid account", permanent=True),
        Answer(kind=AnswerKind.REFUSED, message="QOSMaxSubmitJobPerUserLimit"),
    ],
)
def test_a_refusal_for_another_reason_ends_no_trial_that_asks_for_more(
    make_world: MakeWorld, answer: Answer
) -> None:
    world = make_world(resources={"memory_mb": 1000}, max_eval=2)
    first, _ = begin(world)
    world.cluster.answers = [answer]
    kill_for_memory(first, 1000)
    with contextlib.suppress(ClusterError):
        world.ticks(4)
    assert "FAILED" not in world.statuses()
    world.start_head()
    assert try_again(world, 0).assignment["number"] == 3


def test_a_refusal_for_good_of_what_all_trials_ask_for_ends_the_search(
    make_world: MakeWorld,
) -> None:
    world = make_world(resources={"memory_mb": 1000})
    world.cluster.answers = [TOO_MUCH]
    with pytest.raises(ClusterError, match="refuses these jobs: sbatch: error: Memory"):
        world.ticks(4)
    assert "FAILED" not in world.statuses()


# What goes together


def test_trials_that_ask_for_more_go_apart_from_new_ones(make_world: MakeWorld) -> None:
    world = make_world(resources={"memory_mb": 1000}, num_parallel_jobs=4, max_eval=6)
    for worker in begin(world):
        if worker.index < 2:
            kill_for_memory(worker, 1000)
        else:
            worker.end()
    world.ticks(4)
    shapes = [(order.size, order.resources.memory_mb) for order in world.cluster.orders]
    assert shapes == [(4, 1000), (2, 1500), (2, 1000)]


@pytest.mark.parametrize(("hosts", "sizes"), [(4, [4, 2, 2]), (8, [4, 4]), (0, [4, 2, 2])])
def test_trials_that_failed_on_different_hosts_go_together_where_hosts_abound(
    make_world: MakeWorld, hosts: int, sizes: list[int]
) -> None:
    world = make_world(num_parallel_jobs=4, max_eval=4, auto_exclude=False)
    nodes = {f"node{i}": ClusterHost(name=f"node{i}", memory_mb=8000) for i in range(hosts)}
    world.cluster.hosts = Limits(known=frozenset(nodes), hosts=nodes)
    world.start_head()
    for worker in begin(world):
        worker.end(exit_code=1, host=f"node{worker.index % 2}")
    world.ticks(4)
    assert [order.size for order in world.cluster.orders] == sizes
    avoided = {name for order in world.cluster.orders[1:] for name in order.resources.exclude}
    assert avoided == ({"node0", "node1"} if hosts else set())


def test_new_points_do_not_wait_for_a_retry_and_keep_their_hosts(make_world: MakeWorld) -> None:
    world = make_world(num_parallel_jobs=2, max_eval=4, auto_exclude=False)
    world.cluster.hosts = Limits(
        known=frozenset({"node0", "node1"}),
        hosts={name: ClusterHost(name=name) for name in ("node0", "node1")},
    )
    world.start_head()
    first, second = begin(world)
    first.end(exit_code=1, host="node0")
    second.end(host="node1")
    world.ticks(4)
    orders = [(order.size, order.resources.exclude) for order in world.cluster.orders[1:]]
    assert orders == [(1, ("node0",)), (1, ())]
