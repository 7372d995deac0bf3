"""The event log: what every ask knew, and every decision, with what it reports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from db.errors import DatabaseUnavailable
from db.states import JobState
from orchestrator.cluster.base import Answer, AnswerKind
from orchestrator.steps.pace import FIRST_PATIENCE_SECONDS
from tests.steps.scripted import ScriptedGenerator
from tests.steps.worker import Worker
from tests.steps.world import World, try_again

MakeWorld = Callable[..., World]
TWO_STEPS = {"nodes": [{"generator": "SOBOL", "num_trials": 2}, {"generator": "TPE"}]}


@pytest.fixture
def transport() -> str:
    """How workers report changes nothing here."""
    return "direct"


def payloads(world: World, kind: str) -> list[dict[str, Any]]:
    return [row["payload"] for row in world.rows("event", kind=kind)]


def end_all(world: World, rounds: int = 1) -> None:
    for _ in range(rounds):
        world.ticks(3)
        for worker in world.claim_all():
            worker.end()
        world.ticks(2)


def asks_of(world: World, process: str) -> list[dict[str, Any]]:
    return [ask for ask in payloads(world, "ask") if ask["process"] == process]


def test_an_ask_says_all_that_its_generator_knew(world: World) -> None:
    end_all(world, 2)
    first, *later = payloads(world, "ask")
    assert (first["told"], first["pending"], first["state_from"]) == ([], [], None)
    assert (first["requested"], first["trials"], first["head"]) == (2, [0, 1], world.store.epoch)
    assert later[-1]["state_from"] == later[-1]["generation"] - 1
    assert sorted(index for ask in later for index in ask["told"]) == [0, 1]


def test_an_ask_names_the_trials_that_were_pending(world: World) -> None:
    world.ticks(3)
    first, _ = world.claim_all()
    first.end()
    world.ticks(3)
    assert payloads(world, "ask")[-1]["pending"] == [1]
    _, asked = world.model.asked[-1]
    assert list(asked.pending) == [world.rows("trial", index=1)[0]["parameters"]]


def test_each_process_has_what_it_was_told_on_record_once(make_world: MakeWorld) -> None:
    world = make_world(strategy=TWO_STEPS, max_eval=12)
    end_all(world, 2)
    world.model.is_slow = True
    end_all(world)
    world.clock.now += FIRST_PATIENCE_SECONDS
    end_all(world, 2)
    world.model.is_slow = False
    end_all(world, 4)
    assert asks_of(world, "fallback")
    for process in ("model", "fallback"):
        told = [index for ask in asks_of(world, process) for index in ask["told"]]
        assert len(told) == len(set(told))
        assert set(asks_of(world, process)[-1]["pending"]).isdisjoint(told)


def test_a_new_head_says_all_that_its_fresh_generators_were_told(make_world: MakeWorld) -> None:
    world = make_world(max_eval=8)
    end_all(world)
    world.model, world.fallback = ScriptedGenerator(), ScriptedGenerator()
    world.start_head()
    world.proposer.catch_up()
    end_all(world)
    last = payloads(world, "ask")[-1]
    heads = {ask["head"] for ask in payloads(world, "ask")}
    assert heads == {last["head"], last["head"] - 1}
    told = [i for ask in payloads(world, "ask") if ask["head"] == last["head"] for i in ask["told"]]
    assert {0, 1} <= set(told)
    assert [each.trial for each in world.model.told][:2] == [0, 1]


def test_an_ask_that_failed_is_on_record_with_its_reason(make_world: MakeWorld) -> None:
    world = make_world(strategy={"nodes": [{"generator": "TPE"}]})
    world.model.error = "TPE failed: singular matrix"
    world.ticks(4)
    (failed,) = payloads(world, "ask_failed")
    assert failed["error"] == "TPE failed: singular matrix"
    assert (failed["process"], failed["generation"]) == ("model", 0)
    (served,) = payloads(world, "ask")
    assert (served["process"], served["generator"]) == ("fallback", "SOBOL")
    assert served["fallback_reason"] == "TPE failed and is asked again later"


def test_a_commit_whose_fate_is_unknown_leaves_nothing_twice_and_nothing_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer to the commit is lost; the commit itself is not."""
    end_all(world)
    unlucky = world.store.write
    monkeypatch.setattr(world.store, "write", lambda: _Lost(unlucky()))
    for worker in world.claim_all_quietly():
        worker.end()
    with pytest.raises(DatabaseUnavailable):
        world.tick()
    monkeypatch.setattr(world.store, "write", unlucky)
    world.ledger.load(world.store, in_flight=world.submitter.in_flight)
    world.proposer.forget()
    end_all(world, 2)
    told = [each.trial for each in world.model.told]
    assert sorted(told) == [0, 1, 2, 3]


class _Lost:
    """A transaction that is committed and whose answer does not arrive."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __enter__(self) -> Any:
        return self._real.__enter__()

    def __exit__(self, *error: object) -> None:
        self._real.__exit__(*error)
        raise DatabaseUnavailable("the connection broke")


def test_a_stored_ask_whose_answer_was_lost_is_not_told_again_on_record(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.ticks(3)
    for worker in world.claim_all():
        worker.end()
    world.tick()
    real = world.store.write
    monkeypatch.setattr(world.store, "write", lambda: _Lost(real()))
    with pytest.raises(DatabaseUnavailable):
        world.proposer.propose(world.submitter.free_slots())
    monkeypatch.setattr(world.store, "write", real)
    assert len(payloads(world, "ask")) == 2
    world.ledger.load(world.store, in_flight=world.submitter.in_flight)
    world.proposer.forget()
    end_all(world, 2)
    told = [index for ask in payloads(world, "ask") for index in ask["told"]]
    assert len(told) == len(set(told))


def test_a_late_result_after_a_failure_is_told_after_the_failure(
    make_world: MakeWorld,
) -> None:
    world = make_world(max_eval=6)
    world.ticks(3)
    lost, other = world.claim_all()
    del world.cluster.jobs[world.job_of(lost)]
    for _ in range(4):
        world.clock.now += 60
        world.tick(accept_new=False)
        world.tick(accept_new=False)
    for _ in range(2):
        try_again(world, 0).fail()
        world.tick()
    lost.end()
    other.end()
    end_all(world, 3)
    tells = [each["means"] for each in payloads(world, "tell") if each["trial_index"] == 0]
    assert tells == [None, {"LOSS": 0.0, "ACC": 0.0}]
    asks = payloads(world, "ask")
    assert [index for ask in asks for index in ask["told"]].count(0) == 2
    assert [index for ask in asks for index in ask["told_failed"]] == [0]


def test_an_attempt_that_failed_says_whether_its_trial_tries_again(
    world: World, workers: list[Worker]
) -> None:
    workers[0].fail()
    world.tick()
    try_again(world, 0).fail()
    world.tick()
    failures = [each for each in payloads(world, "failure") if each["trial_index"] == 0]
    assert [(each["failure"], each["again"]) for each in failures] == [
        ("PROGRAM", True),
        ("PROGRAM", False),
    ]
    assert [each["means"] for each in payloads(world, "tell") if each["trial_index"] == 0] == [None]


def test_a_refused_report_and_a_superseded_attempt_are_on_record(
    world: World, workers: list[Worker]
) -> None:
    del world.cluster.jobs[world.job_of(workers[0])]
    for _ in range(4):
        world.clock.now += world.spec.timing.poll_max_seconds
        world.tick(accept_new=False)
        world.tick(accept_new=False)
    second = try_again(world, 0)
    workers[0].end()
    world.tick()
    second.end()
    world.ticks(2)
    (superseded,) = payloads(world, "superseded")
    assert superseded["attempt"] == second.assignment["attempt_id"]
    assert superseded["by"] == workers[0].assignment["attempt_id"]
    (refused,) = payloads(world, "refused")
    assert refused["reason"] == "its trial already had an outcome"


def test_a_job_that_was_taken_back_before_it_began_is_on_record(world: World) -> None:
    world.ticks(3)
    for attempt in world.ledger.attempts.values():
        attempt.is_withdrawn = True
        world.cluster.set(str(attempt.job_id), JobState.CANCELLED)
    for _ in range(3):
        world.clock.now += 60
        world.tick(accept_new=False)
        world.tick(accept_new=False)
    assert [each["trial_index"] for each in payloads(world, "withdrawn")] == [0, 1]


def test_what_became_of_an_unclear_submission_is_on_record(world: World) -> None:
    world.cluster.answers = [Answer(kind=AnswerKind.UNCLEAR, message="Socket timed out")]
    world.ticks(3)
    world.cluster.start(world.cluster.orders[0])
    world.look(2)
    states = [(each["state"], each["message"]) for each in payloads(world, "submission")]
    assert states == [("UNCLEAR", "Socket timed out"), ("ACCEPTED", "job 1 was found by its name")]


def test_the_strategy_is_kept_when_its_next_step_begins(make_world: MakeWorld) -> None:
    world = make_world(strategy=TWO_STEPS, max_eval=6)
    end_all(world, 3)
    (kept,) = world.rows("strategy_snapshot")
    assert (kept["reason"], kept["node"], kept["generator"]) == ("NODE_CHANGE", 1, "TPE")
    first, second = kept["document"]["nodes"]
    assert (first["generator"], first["proposed"], second["proposed"]) == ("SOBOL", 2, 0)
    assert kept["document"]["states"]["SOBOL"] == {"number": 0, "state": {"drawn": 2}}
    assert kept["document"]["next_generation"] == 1
