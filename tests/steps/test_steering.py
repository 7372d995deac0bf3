"""Jobs that wait are told to avoid hosts that were excluded after they had been submitted."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from db.errors import DatabaseUnavailable
from db.sql import attempts, hosts
from db.sql.hosts import CLUSTER
from db.states import ExclusionSource, HostState, JobState
from orchestrator.cluster.base import Answer, AnswerKind, HostTrouble, Limits
from orchestrator.errors import ClusterError
from orchestrator.steps.exclusions import LOOK_SECONDS
from tests.steps.world import World, attempts_of

MakeWorld = Callable[..., World]


@pytest.fixture
def transport() -> str:
    """How workers report makes no difference here."""
    return "direct"


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """Four jobs that wait, two of them tasks of one array."""
    world = make_world(num_parallel_jobs=2, max_eval=8)
    world.ticks(3)
    return more(world, 4)


def more(world: World, slots: int, *, ticks: int = 3) -> World:
    """Let more jobs wait."""
    world.goal.slots = slots
    world.ticks(ticks)
    return world


def keep_out(world: World, *names: str) -> None:
    """A person excludes hosts, and the head hears of it."""
    with world.engine.begin() as connection:
        for name in names:
            hosts.exclude(connection, CLUSTER, name, source=ExclusionSource.USER, reason="broken")
    hear(world)


def let_in(world: World, name: str) -> None:
    """A person includes a host."""
    with world.engine.begin() as connection:
        hosts.include(connection, CLUSTER, name, reason="repaired", state=HostState.GOOD)
    hear(world)


def hear(world: World) -> None:
    world.clock.now += LOOK_SECONDS
    world.ticks(2)


def lists(world: World) -> list[list[str]]:
    """What the job of each open attempt avoids, as the database has it."""
    live = ("SUBMITTED", "STARTED")
    rows = [row for row in world.rows("attempt") if row["state"].value in live]
    return [list(row["requested"]["exclude"]) for row in rows]


def steered(world: World) -> list[dict[str, Any]]:
    return [row["payload"] for row in world.rows("event", kind="steered")]


def test_jobs_that_wait_are_told_with_one_call(world: World) -> None:
    keep_out(world, "node3")
    assert world.cluster.amended == [(["1_0", "1_1", "2_0", "2_1"], ["node3"])]
    assert lists(world) == [["node3"]] * 4
    (event,) = steered(world)
    assert event["jobs"] == ["1_0", "1_1", "2_0", "2_1"]
    assert (event["exclude"], event["added"], event["removed"]) == (["node3"], ["node3"], [])
    world.look(3)
    assert len(world.cluster.amended) == 1, "it is asked for once"


def test_jobs_that_run_are_left_alone(world: World) -> None:
    first, _ = world.cluster.orders
    assert world.claim(first, 0)
    world.look()
    keep_out(world, "node3")
    assert world.cluster.amended == [(["1_1", "2_0", "2_1"], ["node3"])]


def test_a_job_that_begins_in_that_moment_is_on_record_as_it_was_submitted(world: World) -> None:
    world.cluster.begun = {"1_0"}
    keep_out(world, "node3")
    assert lists(world) == [[], ["node3"], ["node3"], ["node3"]]
    (event,) = steered(world)
    assert event["jobs"] == ["1_1", "2_0", "2_1"]
    assert len(world.cluster.amended) == 1, "it is not asked for again"


def test_a_host_that_is_let_in_again_is_no_longer_avoided(world: World) -> None:
    keep_out(world, "node3", "node4")
    let_in(world, "node3")
    assert [exclude for _, exclude in world.cluster.amended] == [["node3", "node4"], ["node4"]]
    assert lists(world) == [["node4"]] * 4
    assert steered(world)[-1]["removed"] == ["node3"]


def test_without_any_change_nobody_is_asked(world: World) -> None:
    world.look(5)
    assert world.cluster.amended == []
    assert steered(world) == []


def test_a_job_whose_id_was_not_known_then_is_told_later(world: World) -> None:
    world.threads.held = []
    more(world, 5)
    keep_out(world, "node3")
    assert lists(world) == [["node3"]] * 4
    world.threads.let_go()
    world.look(3)
    told = [job for jobs, _ in world.cluster.amended for job in jobs]
    assert sorted(told) == ["1_0", "1_1", "2_0", "2_1", "3"]
    assert lists(world) == [["node3"]] * 5


def test_one_call_at_a_time_and_the_newest_list_counts(world: World) -> None:
    world.amending.held = []
    keep_out(world, "node3")
    keep_out(world, "node4")
    assert len(world.amending.held) == 1
    world.amending.let_go()
    world.ticks(2)
    assert [names for _, names in world.cluster.amended] == [["node3"], ["node3", "node4"]]
    assert lists(world) == [["node3", "node4"]] * 4


def test_a_host_that_was_let_in_for_a_moment_is_avoided_all_the_same(world: World) -> None:
    keep_out(world, "node3")
    world.amending.held = []
    let_in(world, "node3")
    keep_out(world, "node3")
    world.amending.let_go()
    world.ticks(3)
    assert [names for _, names in world.cluster.amended] == [["node3"], [], ["node3"]]
    assert lists(world) == [["node3"]] * 4


def test_a_scheduler_that_does_not_answer_is_asked_again_with_growing_pauses(
    world: World,
) -> None:
    world.cluster.is_deaf = True
    keep_out(world, "node3")
    moments = []
    for _ in range(60):
        before = len(world.cluster.amended)
        world.ticks(1, seconds=0.5)
        if len(world.cluster.amended) > before:
            moments.append(world.clock.now)
    pauses = [later - earlier for earlier, later in itertools.pairwise(moments)]
    assert pauses == sorted(pauses)
    assert pauses[0] >= 4
    assert pauses[-1] >= 8
    assert lists(world) == [[]] * 4, "what is not known to be so is not written down"
    world.cluster.is_deaf = False
    world.ticks(80, seconds=0.5)
    assert lists(world) == [["node3"]] * 4
    assert len(steered(world)) == 1


def test_a_head_that_died_before_it_wrote_it_down_is_followed_by_one_that_asks_again(
    world: World,
) -> None:
    world.amending.held = []
    keep_out(world, "node3")
    world.amending.let_go()
    assert len(world.cluster.amended) == 1
    world.start_head()
    world.goal.slots = 4
    world.look(2)
    assert world.cluster.amended[0] == world.cluster.amended[1]
    assert len(world.cluster.amended) == 2
    assert len(steered(world)) == 1


def test_a_database_that_went_away_lets_the_same_be_asked_once_more(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(*_: object) -> None:
        raise DatabaseUnavailable("the connection broke")

    with monkeypatch.context() as patched:
        patched.setattr(attempts, "note_exclusions", break_down)
        with pytest.raises(DatabaseUnavailable):
            keep_out(world, "node3")
    world.ledger.load(world.store, in_flight=set())
    world.look(2)
    assert [names for _, names in world.cluster.amended] == [["node3"]] * 2
    assert lists(world) == [["node3"]] * 4


def test_a_job_that_cannot_be_changed_is_taken_back_and_submitted_again(world: World) -> None:
    world.cluster.unchangeable = {"1_0"}
    keep_out(world, "node3")
    world.look(2)
    assert world.cluster.cancelled == ["1_0"]
    world.clock.now += 10
    world.look(2)
    assert attempts_of(world, 0) == [("CANCELLED", "CANCELLED"), ("SUBMITTED", None)]
    assert lists(world) == [["node3"]] * 4
    assert world.cluster.orders[-1].resources.exclude == ("node3",)
    again = world.claim(world.cluster.orders[-1])
    assert again is not None
    again.fail()
    world.ticks(2)
    assert attempts_of(world, 0)[1:] == [("FAILED", "PROGRAM"), ("SUBMITTED", None)], (
        "it had all its tries"
    )
    (taken,) = [event for event in steered(world) if "attempt" in event]
    assert (taken["job"], taken["host"]) == ("1_0", "node3")
    assert "Access denied" in taken["reason"]


def test_a_job_that_cannot_be_changed_keeps_its_place_if_it_only_avoids_too_much(
    world: World,
) -> None:
    keep_out(world, "node3")
    world.cluster.unchangeable = {"1_0", "1_1", "2_0", "2_1"}
    let_in(world, "node3")
    world.look(3)
    assert world.cluster.cancelled == []
    assert lists(world) == [["node3"]] * 4
    assert len(world.cluster.amended) == 2


def test_a_job_that_kept_its_place_is_taken_back_when_it_could_meet_another_excluded_host(
    world: World,
) -> None:
    keep_out(world, "node3")
    world.cluster.unchangeable = {"1_0"}
    let_in(world, "node3")
    keep_out(world, "node4")
    world.look(2)
    assert world.cluster.cancelled == ["1_0"]
    world.clock.now += 10
    world.look(2)
    assert lists(world) == [["node4"]] * 4


def test_a_job_that_cannot_be_changed_and_has_no_host_left_is_taken_back(world: World) -> None:
    keep_out(world, "node3")
    world.cluster.unchangeable = {"1_0", "1_1"}
    world.cluster.set("1_0", JobState.PENDING, reason="BadConstraints")
    world.look()
    let_in(world, "node3")
    world.look(2)
    assert world.cluster.cancelled == ["1_0"], "the other one keeps its place"


def test_a_requeued_job_that_cannot_be_changed_is_taken_back_and_says_so(world: World) -> None:
    assert world.claim(world.cluster.orders[0], 0)
    world.look()
    world.cluster.set("1_0", JobState.PENDING, reason="BeginTime")
    world.look(2)
    world.cluster.unchangeable = {"1_0"}
    keep_out(world, "node3")
    world.look(2)
    world.clock.now += 10
    world.look(2)
    assert attempts_of(world, 0) == [("FAILED", "PREEMPTED"), ("SUBMITTED", None)]
    (first, *_) = world.rows("attempt")
    assert first["failure_message"] == (
        "Headway took it back: it could not be told to avoid other hosts: Access denied"
    )


def test_a_name_that_slurm_forgot_is_left_out_the_next_time(world: World) -> None:
    keep_out(world, "node3")
    gone = {name: host for name, host in world.cluster.hosts.hosts.items() if name != "node4"}
    world.cluster.hosts = Limits(known=frozenset(gone), hosts=gone)
    keep_out(world, "node4", "node5")
    world.ticks(80, seconds=0.5)
    assert lists(world) == [["node3", "node5"]] * 4
    assert world.states() == ["SUBMITTED"] * 4
    assert len(
        world.noted("Slurm does not know a host that is to be avoided: its name is left out")
    )


def test_exclusions_that_leave_a_job_no_host_give_way(world: World) -> None:
    asked = []
    world.hosts.relax = lambda: bool(asked.append(1))  # type: ignore[method-assign,func-returns-value]
    keep_out(world, "node3")
    world.cluster.set("1_0", JobState.PENDING, reason="BadConstraints")
    world.look(4)
    assert asked == [1], "asked once, and in vain"


def test_a_held_job_is_removed_as_soon_as_its_attempt_has_ended(world: World) -> None:
    word = "launch failed requeued held"
    world.cluster.set("2_1", JobState.NODE_FAIL, host="node5", is_held=True, reason=word)
    world.cluster.held = {"2_1"}
    world.look()
    assert world.cluster.cancelled == [], "its report may still be on its way"
    world.look(2)
    assert world.cluster.cancelled == ["2_1"]
    assert attempts_of(world, 3)[0] == ("FAILED", "NODE")
    assert world.rows("event", kind="ghost") == []
    again = world.cluster.orders[-1]
    assert (again.size, again.resources.exclude) == (1, ("node5",))


@pytest.mark.parametrize("seconds", [0, 10])
def test_a_worker_that_is_heard_after_all_keeps_its_attempt(world: World, seconds: int) -> None:
    word = "launch failed (draining: Prolog error)"
    world.cluster.set("2_1", JobState.NODE_FAIL, host="node1", is_held=True, reason=word)
    world.look()
    world.clock.now += seconds
    assert world.claim(world.cluster.orders[1], 1)
    world.ticks(2, seconds=6)
    world.look(2)
    assert attempts_of(world, 3) == [("STARTED", None)]
    assert world.cluster.cancelled == []


def test_a_job_that_was_taken_back_and_whose_host_failed_tells_of_the_host(world: World) -> None:
    world.cluster.unchangeable = {"2_1"}
    keep_out(world, "node3")
    world.cluster.set("2_1", JobState.NODE_FAIL, host="node5")
    world.look()
    world.clock.now += 10
    world.look(2)
    assert attempts_of(world, 3)[0] == ("FAILED", "NODE")
    assert world.cluster.orders[-1].resources.exclude == ("node3", "node5")


# Refusals


def refusal(trouble: HostTrouble) -> Answer:
    text = "sbatch: error: Invalid node name specified"
    return Answer(kind=AnswerKind.REFUSED, message=text, permanent=True, host_trouble=trouble)


def test_a_name_that_slurm_forgot_ends_no_search(world: World) -> None:
    world.cluster.answers = [refusal(HostTrouble.UNKNOWN)] * 2
    more(world, 5)
    world.ticks(20, seconds=0.5)
    assert len(world.cluster.orders) == 5
    assert world.states().count("SUBMITTED") == 5
    assert world.states().count("CANCELLED") == 2


def test_exclusions_give_way_before_a_request_is_called_impossible(world: World) -> None:
    relaxed = [True, True, False]
    world.hosts.relax = lambda: relaxed.pop(0)  # type: ignore[method-assign]
    world.cluster.answers = [refusal(HostTrouble.NONE_LEFT)] * 3
    keep_out(world, "node1")
    with pytest.raises(ClusterError, match="refuses these jobs") as error:
        more(world, 5, ticks=20)
    assert relaxed == []
    assert "Kept out by hand (--exclude, headway hosts exclude): node1. Let" in str(
        error.value.hint
    )
