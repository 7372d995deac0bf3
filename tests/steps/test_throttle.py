"""Fewer slots while jobs wait: never more run than are wanted, and who may keeps his place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from db.sql import experiments, trials
from db.states import JobState, TrialStatus
from orchestrator.cluster.base import Answer, AnswerKind
from tests.steps.world import World

MakeWorld = Callable[..., World]


def waiting(make_world: MakeWorld, slots: int = 6, **changes: Any) -> World:
    """A search whose jobs are one array that waits."""
    world = make_world(num_parallel_jobs=slots, max_eval=50, **changes)
    world.ticks(3)
    assert [order.size for order in world.cluster.orders] == [slots]
    return world


def begin(world: World, *jobs: str) -> None:
    """Let Slurm start jobs whose workers were not heard yet."""
    for job in jobs:
        world.cluster.set(job, JobState.RUNNING, host="node1")


def fewer(world: World, slots: int) -> None:
    """Take slots away, and let the head hear what the scheduler says."""
    world.goal.slots = slots
    world.look()


def living(world: World) -> list[str]:
    """Jobs that wait or run."""
    return [
        job
        for job, status in world.cluster.jobs.items()
        if status.state in {JobState.PENDING, JobState.RUNNING}
    ]


def test_an_array_that_waits_keeps_its_place_under_its_throttle(make_world: MakeWorld) -> None:
    world = waiting(make_world)
    fewer(world, 2)
    assert world.cluster.throttled == [(["1"], 2)]
    assert world.cluster.cancelled == []
    world.look(5)
    assert len(world.cluster.throttled) == 1, "it is told once"
    assert len(world.cluster.orders) == 1, "nothing is added beyond the slots"


def test_what_runs_counts_and_the_rest_of_the_array_waits_for_it(make_world: MakeWorld) -> None:
    world = waiting(make_world)
    begin(world, "1_0", "1_1", "1_2", "1_3")
    fewer(world, 2)
    assert world.cluster.throttled == [(["1"], 2)], "four run, and two of them may be followed"
    assert world.cluster.cancelled == []


def test_jobs_that_no_throttle_can_hold_are_taken_back_and_come_again(
    make_world: MakeWorld,
) -> None:
    world = waiting(make_world, slots=2)
    workers = world.claim_all()
    world.goal.slots = 4
    world.ticks(3)
    assert [order.size for order in world.cluster.orders] == [2, 2]
    fewer(world, 2)
    assert sorted(world.cluster.cancelled) == ["2_0", "2_1"]
    assert world.cluster.throttled == [], "0 would mean that there is no limit"
    world.look(2)
    assert sorted(world.states()) == ["CANCELLED", "CANCELLED", "STARTED", "STARTED"]
    steered = [row["payload"] for row in world.rows("event", kind="steered")]
    assert {event["reason"] for event in steered} == {"fewer trials are to run at once"}
    for worker in workers:
        worker.end()
    world.ticks(4)
    assert sorted(t.index for t in world.ledger.trials.values() if t.attempts > 1) == [2, 3]


def test_single_jobs_are_taken_back_the_newest_first(make_world: MakeWorld) -> None:
    world = make_world(num_parallel_jobs=1, max_eval=50)
    for slots in range(1, 5):
        world.goal.slots = slots
        world.ticks(3)
    assert living(world) == ["1", "2", "3", "4"]
    fewer(world, 2)
    assert sorted(world.cluster.cancelled) == ["3", "4"]


@pytest.mark.parametrize(
    ("running", "slots"), [(0, 1), (1, 1), (2, 1), (5, 1), (2, 3), (3, 3), (5, 3), (6, 3), (1, 5)]
)
def test_never_more_may_begin_than_there_are_slots_whatever_runs(
    make_world: MakeWorld, running: int, slots: int
) -> None:
    world = waiting(make_world)
    begin(world, *(f"1_{index}" for index in range(running)))
    fewer(world, slots)
    left = [job for job in living(world) if job not in world.cluster.cancelled]
    told = [most for _, most in world.cluster.throttled]
    at_once = told[-1] if told and told[-1] else len(left)
    assert at_once <= max(slots, running)
    assert len(left) == 6, "one throttle holds all that wait"


def test_more_slots_open_the_throttle_again(make_world: MakeWorld) -> None:
    world = waiting(make_world)
    fewer(world, 2)
    fewer(world, 4)
    fewer(world, 6)
    assert world.cluster.throttled == [(["1"], 2), (["1"], 4), (["1"], 0)]


def test_the_next_head_sets_the_throttle_that_its_slots_ask_for(make_world: MakeWorld) -> None:
    world = waiting(make_world)
    fewer(world, 2)
    spec = world.spec.model_dump(mode="json")
    with world.store.write() as connection:
        experiments.set_spec(connection, world.experiment_id, spec, reason="tune")
    world.start_head()
    world.look()
    assert world.cluster.throttled[1:] == [(["1"], 0)], "it has six slots again"


def test_a_head_of_a_search_that_nobody_tuned_sets_no_throttle(make_world: MakeWorld) -> None:
    world = waiting(make_world)
    world.start_head()
    world.look(2)
    assert world.cluster.throttled == []


def test_an_array_whose_throttle_nobody_may_change_is_taken_back(make_world: MakeWorld) -> None:
    world = waiting(make_world)
    world.cluster.unchangeable = {"1"}
    fewer(world, 2)
    assert world.cluster.throttled == [(["1"], 2)]
    world.look()
    assert sorted(world.cluster.cancelled) == ["1_2", "1_3", "1_4", "1_5"]


def test_a_throttle_is_not_opened_while_its_jobs_are_taken_back(make_world: MakeWorld) -> None:
    world = waiting(make_world)
    world.goal.slots = 12
    world.ticks(3)
    assert [order.size for order in world.cluster.orders] == [6, 6]
    fewer(world, 8)
    assert world.cluster.throttled == [(["2"], 2)]
    fewer(world, 6)
    assert sorted(world.cluster.cancelled) == [f"2_{index}" for index in range(6)]
    assert world.cluster.throttled[1:] == [], "all six could begin before they are cancelled"


def test_a_job_that_began_before_it_was_taken_back_makes_room_for_another_one(
    make_world: MakeWorld,
) -> None:
    world = waiting(make_world)
    world.cluster.is_stubborn = True
    world.goal.max_eval = 5
    world.look()
    assert world.cluster.cancelled == ["1_5"]
    world.cluster.is_stubborn = False
    begin(world, "1_5")
    world.look(2)
    assert "1_4" in world.cluster.cancelled, "five are wanted, and the sixth runs"


def test_a_job_that_begins_while_it_is_taken_back_costs_its_trial_nothing_and_says_so(
    make_world: MakeWorld,
) -> None:
    world = make_world(num_parallel_jobs=1, max_eval=50)
    world.ticks(3)
    world.goal.slots = 2
    world.ticks(3)
    world.cluster.is_stubborn = True
    fewer(world, 1)
    assert world.cluster.cancelled == ["2"]
    assert world.claim(world.cluster.orders[1]) is not None
    world.start_head()  # which did not ask for it
    world.tick()
    world.cluster.set("2", JobState.CANCELLED)
    world.look(3)
    attempt = world.rows("attempt")[1]
    assert attempt["failure_class"] == "PREEMPTED"
    assert attempt["failure_message"] == "Headway took it back: fewer trials are to run at once"


def test_processes_of_this_machine_are_not_looked_at_more_often_after_a_change(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(num_parallel_jobs=2, max_eval=50)
    monkeypatch.setattr(world.cluster, "name", "local")
    world.start_head()
    world.ticks(3)
    fewer(world, 1)
    assert not world.throttle.is_due


def test_points_whose_jobs_were_refused_are_given_up_too(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(num_parallel_jobs=4, max_eval=50)
    full = Answer(kind=AnswerKind.REFUSED, message="QOSMaxSubmitJobPerUserLimit", is_full=True)
    monkeypatch.setattr(world.cluster, "submit", lambda order: full)
    world.ticks(3)
    assert world.statuses() == ["STAGED"] * 4
    world.goal.max_eval = 2
    world.look()
    assert sorted(world.statuses()) == ["STAGED"] * 2 + ["STALE"] * 2


def test_a_trial_that_was_tried_already_is_no_point_to_give_up(make_world: MakeWorld) -> None:
    world = waiting(make_world, slots=2)
    for worker in world.claim_all():
        worker.end(exit_code=1)
    world.goal.slots = 0
    world.tick()
    tried = list(world.ledger.waiting)
    with world.store.write() as connection:  # as a head does when it ends
        expected = (TrialStatus.STAGED, TrialStatus.RUNNING)
        trials.move(connection, tried, TrialStatus.CANDIDATE, expected=expected)
    world.start_head()
    world.goal.slots, world.goal.max_eval = 0, 1
    world.look()
    assert len(tried) == 2
    assert set(tried) <= set(world.ledger.waiting), "they wait for their second try"


def test_with_a_lower_goal_jobs_that_wait_are_taken_back_too(make_world: MakeWorld) -> None:
    world = waiting(make_world)
    world.goal.max_eval = 4
    world.look(3)
    assert sorted(world.cluster.cancelled) == ["1_4", "1_5"]
    world.look(2)
    assert world.statuses() == ["STAGED"] * 4 + ["STALE"] * 2
    assert world.ledger.created == 4


def test_a_head_that_dies_after_it_took_jobs_back_costs_their_trials_nothing(
    make_world: MakeWorld,
) -> None:
    world = waiting(make_world, slots=2)
    world.claim_all()
    world.goal.slots = 3
    world.ticks(3)
    fewer(world, 2)
    assert world.cluster.cancelled == ["2"]
    world.start_head()
    world.look(3)
    assert world.statuses()[2] in {"CANDIDATE", "STAGED"}, "and not ABANDONED"
