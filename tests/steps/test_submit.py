"""What becomes of submissions: taken, refused, or nobody knows."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from dataclasses import replace

import pytest

from db.states import HostState, JobState
from orchestrator.cluster.base import Answer, AnswerKind, HostTrouble
from orchestrator.errors import ClusterError
from tests.steps.fleet import Fleet
from tests.steps.world import World

MakeWorld = Callable[..., World]
REFUSED = Answer(kind=AnswerKind.REFUSED, message="sbatch: error: QOSMaxSubmitJobPerUserLimit")
FOR_EVER = Answer(
    kind=AnswerKind.REFUSED, message="banner\nInvalid qos specification", permanent=True
)
UNCLEAR = Answer(kind=AnswerKind.UNCLEAR, message="Socket timed out")


def submissions(world: World) -> list[tuple[str, str | None]]:
    return [(row["state"].value, row["slurm_job_id"]) for row in world.rows("submission")]


def finish_all(world: World) -> None:
    """Let everything that is submitted run to its end."""
    for _ in range(10):
        world.ticks(3)
        for worker in world.claim_all():
            worker.end()
    world.ticks(2)
    assert world.statuses() == ["COMPLETED"] * 4


def test_what_is_ready_together_goes_as_one_array(world: World) -> None:
    world.ticks(3)
    (order,) = world.cluster.orders
    assert order.size == 2
    assert order.name == f"hw-e-{order.token}"
    assert submissions(world) == [("ACCEPTED", "1")]
    assert [row["slurm_job_id"] for row in world.rows("attempt")] == ["1_0", "1_1"]
    assert [row["array_index"] for row in world.rows("attempt")] == [0, 1]


def test_everything_is_committed_before_the_scheduler_is_called(world: World) -> None:
    world.threads.held = []
    world.ticks(2)
    assert world.cluster.orders == []
    assert submissions(world) == [("PREPARED", None)]
    assert world.states() == ["PLANNED", "PLANNED"]
    assert world.statuses() == ["STAGED", "STAGED"]
    world.threads.let_go()
    world.tick()
    assert world.states() == ["SUBMITTED", "SUBMITTED"]


def test_a_worker_may_be_faster_than_the_answer(world: World) -> None:
    world.threads.held = []
    world.ticks(2)
    ((_, call),) = world.threads.held
    call()
    future = world.threads.held[0][0]
    answer = future.result()
    (order,) = world.cluster.orders
    workers = [world.claim(order, index) for index in range(2)]
    world.observer.gather()
    assert answer.job_ids == ("1_0", "1_1")
    for worker in workers:
        assert worker is not None
        worker.end()
    world.threads.held = None
    world.ticks(2)
    assert world.states()[:2] == ["SUCCEEDED", "SUCCEEDED"]
    assert submissions(world)[0] == ("ACCEPTED", "1")


def test_slots_are_never_overfilled(make_world: MakeWorld) -> None:
    world = make_world(num_parallel_jobs=3, max_eval=10)
    for _ in range(12):
        world.ticks(3)
        assert len(world.ledger.attempts) <= 3
        workers = world.claim_all()
        if workers:
            workers[0].end()
    assert sum(order.size for order in world.cluster.orders) <= 10


def test_a_busy_scheduler_is_spared(world: World) -> None:
    world.ticks(3)
    workers = world.claim_all()
    world.cluster.pause = 6.0
    for worker in workers:
        worker.end()
        world.ticks(2)
    assert len(world.cluster.orders) == 1
    assert world.submitter.seconds_to_submit() == 6.0
    world.clock.now += 6
    world.ticks(2)
    assert [order.size for order in world.cluster.orders] == [2, 2]


# Refusals


def test_a_refusal_that_can_pass_is_repeated_with_growing_pauses_and_new_tokens(
    world: World,
) -> None:
    world.cluster.answers = [REFUSED] * 3
    moments = []
    began = world.clock.now
    while len(world.cluster.orders) < 4:
        before = len(world.cluster.orders)
        world.tick()
        if len(world.cluster.orders) > before:
            moments.append(world.clock.now - began)
        world.clock.now += 0.5
    world.ticks(2)
    pauses = [later - sooner for sooner, later in itertools.pairwise(moments)]
    assert pauses == sorted(pauses)
    assert pauses[0] >= 2
    assert pauses[-1] >= 8
    assert len({order.token for order in world.cluster.orders}) == 4
    assert [state for state, _ in submissions(world)] == ["REFUSED"] * 3 + ["ACCEPTED"]
    assert world.states() == ["CANCELLED"] * 6 + ["SUBMITTED"] * 2
    assert world.statuses() == ["STAGED", "STAGED"]
    assert {row["failure_class"].value for row in world.rows("attempt")[:6]} == {"SUBMIT"}
    finish_all(world)


def test_after_a_refusal_the_points_keep_their_order(world: World) -> None:
    world.cluster.answers = [REFUSED]
    world.ticks(2)
    world.ticks(3, seconds=2)
    rows = [row["trial_id"] for row in world.rows("attempt")]
    assert rows[:2] == rows[2:]


def test_a_refusal_for_ever_ends_the_head_with_the_reason(world: World) -> None:
    world.cluster.answers = [FOR_EVER]
    with pytest.raises(ClusterError, match=r"refuses these jobs: Invalid qos.*headway resume"):
        world.ticks(4)
    assert submissions(world) == [("REFUSED", None)]
    assert world.rows("submission")[0]["message"] == FOR_EVER.message
    world.start_head()
    finish_all(world)


def test_refusals_for_half_an_hour_end_the_head(world: World) -> None:
    world.cluster.answers = [REFUSED] * 1000
    with pytest.raises(ClusterError, match="took no job for half an hour: sbatch: error: QOS"):
        world.ticks(200, seconds=20)
    assert 1800 < world.clock.now - 1000 < 2000


def test_refusals_are_told_once_and_that_it_works_again_too(world: World) -> None:
    other = Answer(kind=AnswerKind.REFUSED, message="Unable to contact slurm controller")
    world.cluster.answers = [REFUSED] * 5 + [other] * 3
    world.ticks(400, seconds=1)
    refused = world.noted("submission refused; trying again")
    assert len(refused) == 8
    told = [fields["why"] for fields in refused if fields["level"] == "warning"]
    assert told == [REFUSED.message, other.message]
    assert [fields["tries"] for fields in world.noted("the scheduler takes jobs again")] == [8]


def test_refusals_end_no_head_while_jobs_of_its_own_run(world: World) -> None:
    world.ticks(3)
    first, second = world.claim_all()
    world.cluster.answers = [REFUSED] * 1000
    first.end()
    world.ticks(150, seconds=20)
    assert len(world.cluster.orders) > 30, "it was tried for more than half an hour"
    second.end()
    with pytest.raises(ClusterError, match="took no job for half an hour"):
        world.ticks(10, seconds=20)


def test_one_job_that_is_taken_ends_the_half_hour(world: World) -> None:
    for _ in range(2):
        world.cluster.answers = [REFUSED] * 10
        world.ticks(24, seconds=61)
        assert not world.cluster.answers
        assert world.states()[-1] == "SUBMITTED"
        for worker in world.claim_all():
            worker.fail()


def test_a_refused_assignment_can_never_be_claimed(world: World) -> None:
    world.cluster.answers = [REFUSED]
    world.ticks(3)
    assert world.claim(world.cluster.orders[0]) is None


def test_a_run_folder_that_is_full_is_waited_for_however_long_it_takes(
    make_world: MakeWorld, transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if transport == "direct":
        pytest.skip("writes no assignments")
    world = make_world()

    def full(*words: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(world.mailbox, "offer", full)
        world.ticks(60, seconds=61)
        assert world.cluster.orders == [], "it waits for longer than a scheduler gets"
    world.ticks(3, seconds=61)
    (fields,) = world.noted("there was room for a submission again")
    assert fields["tries"] >= 30
    told = world.noted("no room for a submission; trying again")
    assert [fields["level"] for fields in told].count("warning") == 1
    finish_all(world)


def test_a_canary_that_is_refused_costs_its_host_a_while_and_the_search_nothing(
    world: World,
) -> None:
    fleet = Fleet(world)
    world.ticks(3)
    first, second = fleet.run_all("node2", "node3")
    fleet.by_hand("node1")
    fleet.include("node1", state=HostState.PAROLE)
    fleet.change("node1", is_free=True)
    world.cluster.answers = [replace(FOR_EVER, host_trouble=HostTrouble.NONE_LEFT)]
    fleet.end(first, "node2")
    world.tick()
    assert [order.only_on for order in world.cluster.orders] == [None, "node1", None]
    assert [state for state, _ in submissions(world)] == ["ACCEPTED", "REFUSED", "ACCEPTED"]
    assert fleet.avoided() == ["node1"], "other jobs avoid it as before"
    second.end()
    finish_all(world)


# A head that dies


def test_a_head_that_died_before_the_answer_leaves_a_job_that_the_next_one_adopts(
    world: World,
) -> None:
    world.threads.held = []
    world.ticks(2)
    ((_, work),) = world.threads.held
    work()
    (order,) = world.cluster.orders
    world.start_head()
    assert submissions(world) == [("UNCLEAR", None)]
    world.look()
    assert submissions(world) == [("ACCEPTED", "1")]
    assert len(world.cluster.orders) == 1
    assert world.cluster.orders == [order]
    finish_all(world)


def test_a_head_that_died_before_it_called_the_scheduler_repeats_nothing(world: World) -> None:
    world.threads.held = []
    world.ticks(2)
    world.start_head()
    assert submissions(world) == [("UNCLEAR", None)]
    world.ticks(20, seconds=5)
    assert submissions(world) == [("REFUSED", None), ("ACCEPTED", "1")]
    assert len(world.rows("trial")) == 2
    finish_all(world)


def test_jobs_that_run_are_adopted_by_the_next_head(world: World) -> None:
    world.ticks(3)
    workers = world.claim_all()
    world.start_head()
    world.ticks(3)
    assert world.states() == ["STARTED", "STARTED"]
    assert len(world.cluster.orders) == 1
    workers[0].end()
    workers[1].end()
    finish_all(world)


def test_an_array_of_which_only_some_tasks_are_still_known_is_adopted(world: World) -> None:
    world.cluster.answers = [UNCLEAR]
    world.ticks(3)
    (order,) = world.cluster.orders
    world.cluster.start(order)
    del world.cluster.names[order.name][0]
    world.look()
    assert [row["slurm_job_id"] for row in world.rows("attempt")] == ["1_0", "1_1"]


def test_the_spool_is_empty_when_all_is_done(make_world: MakeWorld, transport: str) -> None:
    if transport == "direct":
        pytest.skip("uses no spool")
    world = make_world()
    finish_all(world)
    left = [name for _, _, files in os.walk(world.run_dir / "spool") for name in files]
    assert left == []


def test_a_job_that_is_pending_for_ever_is_left_alone(world: World) -> None:
    world.ticks(3)
    world.look(50)
    assert world.states() == ["SUBMITTED", "SUBMITTED"]
    assert {job.state for job in world.cluster.jobs.values()} == {JobState.PENDING}
