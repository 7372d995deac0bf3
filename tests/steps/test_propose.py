"""Points ahead of need, from the model or from the fallback."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from orchestrator.generators.base import GeneratorError
from orchestrator.steps.pace import FIRST_PATIENCE_SECONDS
from orchestrator.steps.propose import ERROR_PAUSE_SECONDS, seed_of
from tests.steps.world import World

MakeWorld = Callable[..., World]
TWO_STEPS = {
    "nodes": [
        {"generator": "SOBOL", "num_trials": 3},
        {"generator": "TPE", "min_observed": 2},
    ]
}


@pytest.fixture
def transport() -> str:
    """How workers report changes nothing here."""
    return "direct"


def finish(world: World, rounds: int = 20) -> None:
    for _ in range(rounds):
        world.ticks(3)
        for worker in world.claim_all():
            worker.end()


def generators(world: World) -> list[tuple[str, int, int, str | None]]:
    """Generator, step, points and reason of each generation."""
    rows = world.rows("generation")
    return [(r["generator"], r["node"], r["produced"], r["fallback_reason"]) for r in rows]


def test_a_generation_says_what_was_asked_and_given(world: World) -> None:
    world.ticks(3)
    (row,) = world.rows("generation")
    assert (row["number"], row["requested"], row["produced"]) == (0, 2, 2)
    assert row["seed"] == seed_of(1, 0)
    assert row["state"] == {"drawn": 2}
    assert [trial["parameters"] for trial in world.rows("trial")] == [{"x": 0.0}, {"x": 1 / 1024}]
    assert {trial["generation_id"] for trial in world.rows("trial")} == {row["id"]}
    (event,) = world.rows("event", kind="ask")
    assert event["payload"]["trials"] == [0, 1]


def test_never_more_trials_than_were_asked_for(make_world: MakeWorld) -> None:
    world = make_world(num_parallel_jobs=5, max_eval=7)
    finish(world)
    assert world.statuses() == ["COMPLETED"] * 7


def test_more_slots_than_trials_ask_for_no_more_points(make_world: MakeWorld) -> None:
    world = make_world(num_parallel_jobs=50, max_eval=3)
    finish(world)
    assert len(world.rows("trial")) == 3
    assert sum(ask.count for _, ask in world.model.asked) == 3


def test_a_generator_that_gives_fewer_points_is_asked_again(make_world: MakeWorld) -> None:
    world = make_world(num_parallel_jobs=4, max_eval=6)
    world.model.fewer = 2
    finish(world)
    assert world.statuses() == ["COMPLETED"] * 6


def test_the_strategy_goes_to_its_next_step(make_world: MakeWorld) -> None:
    world = make_world(strategy=TWO_STEPS, max_eval=8)
    finish(world)
    assert [row["node"] for row in world.rows("generation")] == sorted(
        row["node"] for row in world.rows("generation")
    )
    assert world.ledger.proposed == [3, 5]
    assert {name for name, node, _, reason in generators(world) if node == 1 and not reason} == {
        "TPE"
    }
    assert sum(produced for _, node, produced, _ in generators(world) if node == 0) == 3


def test_a_step_that_waits_for_results_is_served_by_the_fallback(make_world: MakeWorld) -> None:
    world = make_world(strategy=TWO_STEPS, num_parallel_jobs=5, max_eval=8)
    world.ticks(4)
    assert len(world.rows("trial")) == 5
    assert generators(world)[-1] == (
        *("SOBOL", 1, 2),
        "TPE waits for 2 observed trials, 0 so far",
    )


def test_the_generator_is_told_each_result_once_and_what_is_pending(world: World) -> None:
    finish(world)
    assert sorted(told.trial for told in world.model.told) == [0, 1, 2, 3]
    assert sorted(told.trial for told in world.fallback.told) == [0, 1, 2, 3]
    _, first = world.model.asked[0]
    assert first.pending == []
    assert [ask.state for _, ask in world.model.asked[1:]] == [{"drawn": 2}]


def slow_model(make_world: MakeWorld, *, max_eval: int = 4) -> World:
    """A model whose last answers took no time and whose next one takes for ever."""
    world = make_world(
        strategy={"nodes": [{"generator": "SOBOL", "num_trials": 2}, {"generator": "TPE"}]},
        max_eval=max_eval,
    )
    world.ticks(3)
    world.model.is_slow = True
    for worker in world.claim_all():
        worker.end()
    world.ticks(2)
    assert world.model.is_busy
    return world


def test_a_slot_that_a_slow_model_cannot_serve_gets_a_point_of_the_fallback(
    make_world: MakeWorld,
) -> None:
    world = slow_model(make_world, max_eval=8)
    assert len(world.rows("trial")) == 2
    assert world.proposer.seconds_to_fallback() == FIRST_PATIENCE_SECONDS
    world.clock.now += FIRST_PATIENCE_SECONDS
    world.ticks(3)
    assert len(world.rows("trial")) >= 3
    name, node, _, reason = generators(world)[-1]
    assert (name, node, reason) == ("SOBOL", 1, "TPE had no point ready")
    assert world.noted("fallback used")
    world.model.is_slow = False
    finish(world)
    assert world.statuses() == ["COMPLETED"] * 8
    assert [row for row in generators(world) if row[0] == "TPE" and row[2] > 0]


def test_the_points_that_a_slow_model_was_asked_for_stay_its_own(make_world: MakeWorld) -> None:
    world = slow_model(make_world)
    world.clock.now += 100
    world.ticks(3)
    assert len(world.rows("trial")) == 2
    world.model.is_slow = False
    finish(world)
    assert world.statuses() == ["COMPLETED"] * 4
    assert generators(world)[-1] == ("TPE", 1, 2, None)


def test_an_answer_of_before_a_reload_is_not_taken_for_that_of_another_ask(
    make_world: MakeWorld,
) -> None:
    world = slow_model(make_world)
    world.ledger.load(world.store, in_flight=set())
    world.proposer.forget()
    world.fallback.is_slow = True
    world.proposer._ask_fallback(1, is_paused=False)
    world.model.is_slow = False
    world.tick()
    assert len(world.rows("generation")) == 1
    world.fallback.is_slow = False
    world.tick()
    world.tick()
    assert ("SOBOL", 1, 1, "TPE had no point ready") in generators(world)
    finish(world)
    assert world.statuses() == ["COMPLETED"] * 4


def test_the_first_answer_of_all_is_waited_for(make_world: MakeWorld) -> None:
    world = make_world(strategy={"nodes": [{"generator": "TPE"}]})
    world.model.is_slow = True
    world.ticks(3, seconds=15)
    assert world.rows("trial") == []
    world.ticks(3, seconds=15)
    assert generators(world)[0][3] == "TPE had no point ready"


def test_a_model_that_fails_is_replaced_for_a_while_and_asked_again(
    make_world: MakeWorld,
) -> None:
    world = make_world(strategy={"nodes": [{"generator": "TPE"}]}, max_eval=6)
    world.model.error = "TPE failed: singular matrix"
    world.ticks(4)
    rows = generators(world)
    assert rows[0] == ("TPE", 0, 0, "TPE failed: singular matrix")
    assert rows[1] == ("SOBOL", 0, 2, "TPE failed and is asked again later")
    assert world.noted("generator failed")[0]["level"] == "error"
    assert world.statuses() == ["STAGED", "STAGED"]
    world.model.error = None
    asked = len(world.model.asked)
    for worker in world.claim_all():
        worker.end()
    world.ticks(3)
    assert len(world.model.asked) == asked
    world.clock.now += ERROR_PAUSE_SECONDS
    finish(world)
    assert len(world.model.asked) > asked
    assert world.statuses() == ["COMPLETED"] * 6


def test_without_any_generator_the_search_ends_with_the_reason(world: World) -> None:
    world.model.error = "no point meets the constraints"
    with pytest.raises(GeneratorError, match="no point meets the constraints"):
        world.ticks(5)


def test_a_process_that_died_while_it_was_asked_for_sobol_does_not_end_the_search(
    world: World,
) -> None:
    world.model.is_slow = True
    world.tick()
    world.model.is_slow, world.model.error = False, "the generator process was killed by SIGKILL"
    world.model.has_died = True
    world.tick()
    assert world.noted("generator failed")[0]["generator"] == "SOBOL"
    world.model.error = None
    finish(world)
    assert world.statuses() == ["COMPLETED"] * 4


def test_points_are_made_ahead_for_a_model_that_thinks_longer_than_its_share(
    make_world: MakeWorld,
) -> None:
    world = make_world(max_eval=40, num_parallel_jobs=2)
    world.proposer.pace.measure_trial(1.0)
    world.model.is_slow = True
    world.tick()
    world.clock.now += 1.0
    world.model.is_slow = False
    world.ticks(4)
    assert len(world.ledger.waiting) == 2, "as many as end while the model thinks"


def test_an_answer_to_an_ask_of_before_a_reload_is_not_taken(make_world: MakeWorld) -> None:
    world = slow_model(make_world)
    world.ledger.load(world.store, in_flight=set())
    world.proposer.forget()
    world.clock.now += 60
    world.model.is_slow = False
    finish(world)
    assert world.statuses() == ["COMPLETED"] * 4
    numbers = [row["number"] for row in world.rows("generation")]
    assert len(numbers) == len(set(numbers))


def test_seeds_differ_by_search_and_by_generation() -> None:
    seeds = {seed_of(seed, number) for seed in range(20) for number in range(20)}
    assert len(seeds) == 400
    assert all(0 <= seed < 2**32 for seed in seeds)
