"""What every generator must hold; a test class for each inherits this."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from orchestrator.generators.base import Ask, Batch, Generator, GeneratorError, Observation, Point
from orchestrator.generators.strategy import make_generator
from orchestrator.spec.space import Space
from tests.generators.samples import MIXED, ONE, PLANE, TWO, constrained, grid, keys, observe


def ask(number: int = 0, *, count: int = 1, pending: list[Point] | None = None) -> Ask:
    """An ask as the head makes it: the seed follows the number."""
    return Ask(number=number, count=count, seed=1000 + number, pending=pending or [])


class GeneratorContract:
    """Tests for the generator called `name`.

    `many` is how many points it makes in a reasonable time.
    """

    name: str
    many = 12

    def generator(
        self, space: Space = MIXED, *, told: list[Observation] | None = None
    ) -> Generator:
        generator = make_generator(self.name, space, ONE)
        generator.tell(self.start(space) if told is None else told)
        return generator

    def start(self, space: Space, count: int = 4) -> list[Observation]:
        """Results that a model can begin with."""
        points = make_generator("UNIFORM", space, ONE).ask(ask(count=count)).points
        return observe(points)

    def test_points_lie_in_the_space_and_have_its_types(self) -> None:
        batch = self.generator().ask(ask(count=self.many))
        assert len(batch.points) == self.many
        for point in batch.points:
            assert MIXED.allows(point), point
            assert list(point) == MIXED.names()

    def test_a_batch_survives_the_way_through_json(self) -> None:
        batch = self.generator().ask(ask(count=2))
        again = json.loads(json.dumps([batch.points, batch.state, batch.predictions]))
        assert again == [batch.points, batch.state, batch.predictions]
        assert all(MIXED.allows(point) for point in again[0])

    def test_linear_and_other_constraints_hold(self) -> None:
        space = constrained("x + y <= 0.8", "x*y > 0.01")
        batch = self.generator(space).ask(ask(count=self.many))
        assert all(space.allows(point) for point in batch.points)
        assert len(batch.points) == self.many

    def test_constraints_that_leave_nothing_are_an_error_that_names_them(self) -> None:
        space = constrained("sqrt(x) + y > 5")
        told = observe([{"x": 0.1, "y": 0.2}, {"x": 0.3, "y": 0.7}])
        with pytest.raises(GeneratorError, match=r"sqrt\(x\) \+ y > 5"):
            self.generator(space, told=told).ask(ask())

    def test_pending_points_are_not_proposed_again_while_there_is_room(self) -> None:
        space = grid(3)
        told = self.start(space, 2)
        used = [observation.point for observation in told]
        points = self.generator(space, told=told).ask(ask(count=3, pending=[])).points
        more = self.generator(space, told=told).ask(ask(1, count=4, pending=points)).points
        assert len(keys([*used, *points, *more])) == 9

    def test_a_space_that_is_used_up_gives_its_points_again(self) -> None:
        space = grid(2, "i + j <= 3")
        told = observe(list(space.points()))
        batch = self.generator(space, told=told).ask(ask(count=2))
        assert all(space.allows(point) for point in batch.points)
        assert len(batch.points) == 2

    def test_a_space_with_one_point_gives_it(self) -> None:
        space = Space(parameters=MIXED.parameters[-2:])
        told = observe([{"only": 0.5, "epochs": 3}] * 2)
        batch = self.generator(space, told=told).ask(ask())
        assert batch.points == [{"only": 0.5, "epochs": 3}]

    def test_the_same_asks_and_tells_give_the_same_points(self) -> None:
        pending: list[Point] = [{"x": 0.2, "y": 0.3}]
        first, second = (
            self.generator(PLANE).ask(ask(count=3, pending=pending)).points for _ in range(2)
        )
        assert first == second

    def test_another_seed_gives_other_points(self) -> None:
        first, second = (self.generator(PLANE).ask(ask(n, count=2)).points for n in range(2))
        assert keys(first).isdisjoint(keys(second))

    def test_it_goes_on_after_a_restart_with_everything_told_again(self) -> None:
        kept = self.generator(PLANE)
        batch = kept.ask(ask(count=2))
        results = observe(batch.points, first=4)
        kept.tell(results)
        fresh = self.generator(PLANE, told=[*results, *self.start(PLANE)][::-1])
        following = replace(ask(1, count=2), state=batch.state)
        assert fresh.ask(following).points == kept.ask(following).points

    def test_failed_trials_and_foreign_points_do_not_hurt(self) -> None:
        told = self.start(PLANE)
        failed = Observation(trial=4, point={"x": 0.5, "y": 0.5}, means=None)
        partly = Observation(trial=5, point={"x": 0.6, "y": 0.5}, means={"OTHER": 1.0})
        outside = Observation(trial=6, point={"x": 7.0, "y": 0.5}, means={"LOSS": 1.0})
        other_space = Observation(trial=7, point={"z": "text"}, means={"LOSS": 1.0})
        generator = self.generator(PLANE, told=[failed, *told, partly, outside, other_space])
        assert PLANE.allows(generator.ask(ask()).points[0])

    def test_several_objectives_are_taken(self) -> None:
        generator = make_generator(self.name, PLANE, TWO)
        generator.tell(self.start(PLANE, 5))
        assert len(generator.ask(ask(count=2)).points) == 2

    def test_times_are_measured(self) -> None:
        batch: Batch = self.generator(PLANE).ask(ask())
        assert batch.gen_seconds > 0
        assert batch.fit_seconds >= 0
