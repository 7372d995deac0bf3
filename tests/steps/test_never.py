"""Jobs that can never start end the search or their trial; whatever merely waits is left alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from db.errors import DatabaseUnavailable
from db.sql import hosts
from db.sql.hosts import CLUSTER
from db.states import ExclusionSource, JobState
from orchestrator.cluster.base import Answer, AnswerKind, ClusterHost, Limits
from orchestrator.errors import ClusterError
from orchestrator.steps import never
from tests.steps.test_growth import kill_for_memory
from tests.steps.world import World, attempts_of, status_of

MakeWorld = Callable[..., World]
TOO_LONG = "PartitionTimeLimit"


@pytest.fixture
def transport() -> str:
    """How workers report makes no difference here."""
    return "direct"


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """An array of two jobs that wait."""
    world = make_world(resources={"minutes": 200, "partition": "beta"})
    world.ticks(3)
    return world


def wait_for(world: World, reason: str, *jobs: str) -> None:
    """Let Slurm give a reason for jobs that wait."""
    for job in jobs or ("1_0", "1_1"):
        world.cluster.set(job, JobState.PENDING, reason=reason)


def give(world: World, minutes: int | None) -> None:
    """Let the partition give so much time."""
    world.cluster.hosts = replace(world.cluster.hosts, minutes=minutes)
    world.hosts.begin()


@pytest.mark.parametrize(
    ("reason", "says"),
    [
        (TOO_LONG, "it asks for more time than its partition ever gives"),
        ("BadConstraints", "no host is left that may run it"),
        ("InvalidAccount", "its account may not be used there"),
        ("InvalidQOS", "its quality of service may not be used there"),
        ("QOSMaxMemoryPerJob", "it asks for more memory than its quality of service"),
    ],
)
def test_a_job_that_can_never_start_is_a_reason_to_stop(
    world: World, reason: str, says: str
) -> None:
    wait_for(world, reason)
    world.look()
    assert world.never.complaint is None, "one look may be wrong"
    world.look()
    assert str(world.never.complaint).startswith(f"no trial can start: {says}")
    assert f"({reason}, job 1_0" in str(world.never.complaint)
    assert world.never.remedy
    assert world.cluster.cancels == [], "the loop takes the jobs back"


def test_what_it_asks_for_is_told_beside_what_there_is(world: World) -> None:
    give(world, 60)
    wait_for(world, TOO_LONG)
    world.look(2)
    assert str(world.never.complaint).endswith(
        f"({TOO_LONG}, job 1_0; it asks for 200 min, and gets 60 min at most)"
    )


@pytest.mark.parametrize(
    "reason",
    [
        *("Priority", "Resources", "BeginTime", "PartitionDown", "QOSGrpCpuLimit", "Licenses"),
        *("ReqNodeNotAvail, Reserved for maintenance", "Dependency", "AssocGrpCPUMinutesLimit"),
        *("Reservation", "PartitionNodeLimit", "JobHeldUser", "JobHeldAdmin", "FluxCapacitor", ""),
    ],
)
def test_a_job_that_merely_waits_is_never_touched(world: World, reason: str) -> None:
    wait_for(world, reason)
    world.look(20)
    assert world.never.complaint is None
    assert world.cluster.cancels == []
    assert world.states() == ["SUBMITTED"] * 2


def test_a_reason_that_goes_away_again_is_forgotten(world: World) -> None:
    for _ in range(4):
        wait_for(world, TOO_LONG)
        world.look()
        wait_for(world, "Priority")
        world.look()
    assert world.never.complaint is None


def test_two_looks_in_a_row_are_not_enough(world: World) -> None:
    wait_for(world, TOO_LONG)
    timing = world.spec.timing
    seconds = timing.poll_min_seconds
    while seconds < timing.never_seconds:
        world.clock.now += timing.poll_min_seconds
        seconds += timing.poll_min_seconds
        world.ticks(2)
    assert len(world.cluster.asked) > 2
    assert world.never.complaint is None
    world.ticks(4, seconds=timing.never_seconds)
    assert world.never.complaint is not None


def test_a_silent_scheduler_says_nothing_of_what_can_start(world: World) -> None:
    wait_for(world, TOO_LONG)
    world.look()
    world.cluster.is_silent = True
    world.look(5)
    assert world.never.complaint is None
    world.cluster.is_silent = False
    world.look()
    assert world.never.complaint is not None, "what it said before still stands"


def test_a_job_that_is_held_is_told_once_and_again_when_it_is_held_again(world: World) -> None:
    text = "jobs are held, and left alone"
    wait_for(world, "JobHeldUser")
    world.look(3)
    (said,) = world.noted(text)
    assert (said["jobs"], said["job"], said["do"]) == (2, "1_0", "Let it go: scontrol release 1_0")
    wait_for(world, "Priority")
    world.look()
    wait_for(world, "JobHeldUser", "1_1")
    world.look()
    assert [said["jobs"] for said in world.noted(text)] == [2, 1]


# Several partitions


@pytest.mark.parametrize(("most", "stops"), [(60, True), (300, False), (None, False)])
def test_of_several_partitions_none_may_give_the_time(
    make_world: MakeWorld, most: int | None, *, stops: bool
) -> None:
    world = make_world(resources={"minutes": 200, "partition": "alpha,beta"})
    give(world, most)
    world.ticks(3)
    wait_for(world, TOO_LONG)
    world.look(3)
    assert (world.never.complaint is not None) is stops


def test_what_one_of_several_partitions_does_not_allow_another_one_may(
    make_world: MakeWorld,
) -> None:
    world = make_world(resources={"partition": "alpha,beta"})
    world.ticks(3)
    wait_for(world, "QOSNotAllowed")
    world.look(3)
    assert world.never.complaint is None
    wait_for(world, "BadConstraints")
    world.look(3)
    assert world.never.complaint is not None


# Hosts that are avoided


def exclude_two(world: World) -> None:
    """Two hosts are kept out on evidence, and the jobs that wait are told."""
    by_us = ExclusionSource.HEADWAY
    with world.engine.begin() as connection:
        for name in ("node2", "node3"):
            hosts.exclude(connection, CLUSTER, name, source=by_us, reason="bad", seconds=10**6)
    world.look(2)
    assert world.cluster.amended[-1][1] == ["node2", "node3"]


def test_exclusions_of_our_own_are_let_go_before_a_job_is_called_impossible(world: World) -> None:
    exclude_two(world)
    wait_for(world, "BadConstraints")
    world.look()
    assert world.cluster.amended[-1][1] == []
    wait_for(world, "Priority")
    world.look(3)
    assert world.never.complaint is None


def test_a_job_whose_list_could_not_be_changed_yet_is_not_called_impossible(world: World) -> None:
    exclude_two(world)
    world.cluster.is_deaf = True
    wait_for(world, "BadConstraints")
    world.look(6)
    assert world.never.complaint is None
    world.cluster.is_deaf = False
    world.look(6)
    assert world.never.complaint is not None, "it was told, and still has no host"


def test_a_job_that_avoids_other_hosts_than_before_is_judged_anew(world: World) -> None:
    wait_for(world, TOO_LONG)
    world.look()
    for attempt in world.ledger.attempts.values():
        attempt.requested = {**attempt.requested, "exclude": ["node3"]}
    world.look()
    assert world.never.complaint is None
    world.look()
    assert world.never.complaint is not None


def test_hosts_that_a_person_keeps_out_are_named(world: World) -> None:
    with world.engine.begin() as connection:
        by_person = ExclusionSource.USER
        hosts.exclude(connection, CLUSTER, "node3", source=by_person, reason="broken")
    world.look(2)
    wait_for(world, "BadConstraints")
    world.look(4)
    assert world.never.remedy == "Kept out by hand: node3. Let some in, or ask for less."


# Trials that ask for more


@pytest.fixture
def grown(make_world: MakeWorld) -> World:
    """Two trials: one whose second try asks for more memory and waits, one that runs."""
    world = make_world(resources={"memory_mb": 1000}, max_eval=2)
    nodes = {f"node{i}": ClusterHost(name=f"node{i}") for i in range(4)}
    world.cluster.hosts = Limits(known=frozenset(nodes), hosts=nodes)
    world.hosts.begin()
    world.ticks(3)
    kill_for_memory(world.claim_all()[0], 1000)
    world.ticks(2)
    assert world.cluster.orders[-1].resources.memory_mb == 1500
    wait_for(world, "QOSMaxMemoryPerJob", "2")
    return world


def test_a_further_try_that_can_never_start_ends_its_trial_alone(grown: World) -> None:
    grown.look(3)
    assert "2" in grown.cluster.cancelled
    assert "1_1" not in grown.cluster.cancelled
    grown.look(2)
    assert grown.never.complaint is None
    assert grown.statuses() == ["FAILED", "RUNNING"]
    (trial, _) = grown.rows("trial")
    assert str(trial["status_reason"]).startswith(
        "its further try with more memory or time can never start: it asks for more memory than"
    )
    assert len(grown.cluster.orders) == 2, "it was not submitted again"
    (event,) = [row["payload"] for row in grown.rows("event", kind="steered")]
    assert event["reason"].startswith("it can never start: ")
    assert attempts_of(grown, 0)[-1] == ("CANCELLED", "CANCELLED")


def test_a_reason_that_all_trials_share_is_not_blamed_on_one_that_asks_for_more(
    grown: World,
) -> None:
    wait_for(grown, "InvalidAccount", "2")
    grown.look(4)
    assert "its account may not be used there" in str(grown.never.complaint)
    assert "FAILED" not in grown.statuses()


def test_a_further_try_that_begins_after_all_goes_on(grown: World) -> None:
    grown.cluster.is_stubborn = True
    grown.look(2)
    worker = grown.claim(grown.cluster.orders[-1])
    assert worker is not None
    grown.look(2)
    worker.fail()
    grown.look(2)
    assert status_of(grown, 0) == "STAGED", "it tries again as any other"
    assert len(grown.cluster.orders) == 3


def test_a_head_that_dies_in_between_finds_out_once_more(grown: World) -> None:
    grown.look(2)
    grown.start_head()
    wait_for(grown, "QOSMaxMemoryPerJob", "2")
    grown.look(6)
    for order, _ in enumerate(grown.cluster.orders[2:], start=3):
        wait_for(grown, "QOSMaxMemoryPerJob", str(order))
    grown.look(6)
    assert grown.statuses() == ["FAILED", "RUNNING"]


def test_a_database_that_is_away_lets_the_trial_be_given_up_later(
    grown: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise DatabaseUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(never, "end_hopeless", fail)
        with pytest.raises(DatabaseUnavailable):
            grown.look(6)
    grown.look(2)
    assert grown.statuses() == ["FAILED", "RUNNING"]


# Refusals


def test_what_a_qos_denies_at_once_ends_the_search_with_the_remedy(make_world: MakeWorld) -> None:
    world = make_world()
    message = (
        "sbatch: error: QOSMaxCpuPerUserLimit\nsbatch: error: Job violates accounting/QOS policy"
    )
    world.cluster.answers = [Answer(kind=AnswerKind.REFUSED, message=message)]
    with pytest.raises(ClusterError, match=r"it asks alone for more .* \(QOSMaxCpu") as raised:
        world.ticks(4)
    assert raised.value.hint.startswith("Ask for less")
    assert world.states() == ["CANCELLED"] * 2
