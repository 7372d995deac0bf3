from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.generators.base import Ask, GeneratorError, Observation, Point
from orchestrator.generators.strategy import make_generator
from orchestrator.spec.parameters import RangeParameter
from orchestrator.spec.space import Space
from tests.generators.contract import GeneratorContract, ask
from tests.generators.samples import MIXED, ONE, PLANE, TWO, constrained, grid, keys, observe


class SequenceContract(GeneratorContract):
    many = 200

    def test_the_sequence_is_cut_into_batches_without_a_trace(self) -> None:
        whole = self.generator(PLANE, told=[]).ask(ask(count=100))
        points: list[Point] = []
        state: dict[str, Any] | None = None
        for number in range(10):
            restarted = self.generator(PLANE, told=[])
            batch = restarted.ask(replace(ask(number, count=10), seed=1000 + number, state=state))
            state = batch.state
            points += batch.points
        assert points == whole.points
        assert state == whole.state

    def test_the_points_fill_the_space_evenly(self) -> None:
        points = self.generator(PLANE, told=[]).ask(ask(count=64)).points
        cells = {(int(float(point["x"]) * 4), int(float(point["y"]) * 4)) for point in points}
        assert len(cells) == 16

    def test_a_state_that_is_not_its_own_begins_a_new_sequence(self) -> None:
        strange = replace(ask(), state={"position": "far"})
        generator = self.generator(PLANE, told=[])
        assert generator.ask(strange).points == generator.ask(ask()).points

    def test_a_restart_far_along_the_sequence_is_quick(self) -> None:
        began = time.perf_counter()
        far = replace(ask(), state={"seed": 1, "position": 50_000})
        assert self.generator(MIXED, told=[]).ask(far).state == {"seed": 1, "position": 50_001}
        assert time.perf_counter() - began < 10


class TestSobol(SequenceContract):
    name = "SOBOL"

    def test_more_parameters_than_the_sequence_has_are_an_error(self) -> None:
        parameters = tuple(RangeParameter(name=f"x{i}", lower=0, upper=1) for i in range(21202))
        space = Space.model_construct(parameters=parameters, constraints=())
        with pytest.raises(GeneratorError, match="SOBOL cannot go on"):
            self.generator(space, told=[]).ask(ask())


class TestHalton(SequenceContract):
    name = "HALTON"


class TestUniform(GeneratorContract):
    name = "UNIFORM"
    many = 200

    def test_its_alias_gives_the_same_points(self) -> None:
        alias = make_generator("PSEUDORANDOM", PLANE, ONE)
        assert alias.ask(ask()).points == self.generator(PLANE, told=[]).ask(ask()).points


class TestTpe(GeneratorContract):
    name = "TPE"

    def test_it_goes_where_the_results_are_good(self) -> None:
        generator = self.generator(PLANE, told=[])
        told: list[Observation] = []
        for number in range(40):
            points = generator.ask(ask(number)).points
            told += observe(points, first=number)
            generator.tell(told[-1:])
        early, late = (
            sum(each.means["LOSS"] for each in part if each.means)
            for part in (told[:10], told[-10:])
        )
        assert late < early / 2

    def test_pending_points_push_the_next_ones_away(self) -> None:
        told = observe([{"x": i / 10, "y": i / 10} for i in range(11)])
        alone = self.generator(PLANE, told=told).ask(ask(count=1)).points
        beside = self.generator(PLANE, told=told).ask(ask(count=1, pending=alone * 8)).points
        assert alone != beside

    def test_the_order_of_the_tells_does_not_matter(self) -> None:
        told = self.start(PLANE, 30)
        there, back = (self.generator(PLANE, told=each) for each in (told, told[::-1]))
        assert there.ask(ask()).points == back.ask(ask()).points

    def test_asks_in_between_leave_no_trace(self) -> None:
        asked = self.generator(PLANE)
        asked.ask(ask(5, count=10))
        assert asked.ask(ask()).points == self.generator(PLANE).ask(ask()).points

    def test_it_begins_without_a_result(self) -> None:
        failed = Observation(trial=0, point={"x": 0.5, "y": 0.5}, means=None)
        assert self.generator(PLANE, told=[]).ask(ask()).points
        assert self.generator(PLANE, told=[failed]).ask(ask()).points

    def test_a_point_that_the_model_did_not_make_is_noted(self) -> None:
        space = constrained("x**2 + y**2 < 0.0005")
        told = observe([{"x": 0.9, "y": 0.9}] * 3)
        batch = self.generator(space, told=told).ask(ask(count=2))
        assert batch.predictions == {"random_points": 2}
        assert all(space.allows(point) for point in batch.points)

    def test_five_hundred_results_are_answered_in_time(self) -> None:
        uniform = make_generator("UNIFORM", MIXED, TWO)
        generator = make_generator("TPE", MIXED, TWO)
        generator.tell(observe(uniform.ask(ask(count=500)).points))
        generator.ask(ask())
        began = time.perf_counter()
        generator.ask(ask(1))
        # 90 ms on a quiet machine; the bound leaves room for a busy one.
        assert time.perf_counter() - began < 1

    def test_something_unexpected_inside_optuna_is_a_generator_error(self) -> None:
        pending: Any = [None]
        with pytest.raises(GeneratorError, match="TPE failed: AttributeError"):
            self.generator(PLANE).ask(Ask(number=0, count=1, seed=1, pending=pending))

    def test_the_last_free_point_of_a_finite_space_is_found(self) -> None:
        space = grid(5)
        points = list(space.points())
        generator = self.generator(space, told=observe(points[:-1]))
        assert keys(generator.ask(ask()).points) == keys(points[-1:])
