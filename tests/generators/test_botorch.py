"""BOTORCH_MODULAR; one ask takes seconds, so the contract is run with few points."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from orchestrator.generators.base import Batch, GeneratorError, Observation
from orchestrator.generators.process import GeneratorProcess
from orchestrator.generators.strategy import make_generator
from tests.generators.contract import GeneratorContract, ask
from tests.generators.samples import MIXED, ONE, PLANE, TWO, constrained, observe
from tests.generators.test_process import answer_of

pytestmark = [
    pytest.mark.botorch,
    pytest.mark.timeout(600),
    pytest.mark.skipif(find_spec("ax") is None, reason="the extra botorch is not installed"),
]


class TestBotorch(GeneratorContract):
    name = "BOTORCH_MODULAR"
    many = 3

    @pytest.mark.parametrize("count", [0, 1])
    def test_without_results_it_says_what_it_waits_for(self, count: int) -> None:
        failed = Observation(trial=9, point={"x": 0.5, "y": 0.5}, means=None)
        generator = self.generator(PLANE, told=[*self.start(PLANE)[:count], failed])
        with pytest.raises(GeneratorError, match=f"needs 2 trials with results, {count} so far"):
            generator.ask(ask())

    def test_it_goes_where_the_results_are_good(self) -> None:
        told = self.start(PLANE, 8)
        batch = self.generator(PLANE, told=told).ask(ask())
        (mean,) = (each.means["LOSS"] for each in observe(batch.points) if each.means)
        assert mean < min(each.means["LOSS"] for each in told if each.means)

    def test_the_larger_is_better_where_the_user_says_so(self) -> None:
        told = [
            Observation(trial=i, point={"x": i / 9, "y": 0.5}, means={"SPEED-UP": float(i)})
            for i in range(9)
        ]
        generator = make_generator(self.name, PLANE, TWO[1:])
        generator.tell(told)
        assert float(generator.ask(ask()).points[0]["x"]) > 0.8

    def test_it_says_what_it_expects(self) -> None:
        generator = make_generator(self.name, PLANE, TWO)
        generator.tell(self.start(PLANE, 5))
        batch = generator.ask(ask(count=2))
        assert batch.predictions is not None
        assert [set(each) for each in batch.predictions["expected"]] == [{"LOSS", "SPEED-UP"}] * 2
        assert batch.fit_seconds > 0

    @pytest.mark.parametrize("whose", ["all", "some"])
    def test_standard_errors_are_taken(self, whose: str) -> None:
        told = [
            replace(each, sems={"LOSS": 0.1} if whose == "all" or each.trial % 2 else {})
            for each in self.start(PLANE, 6)
        ]
        assert PLANE.allows(self.generator(PLANE, told=told).ask(ask()).points[0])

    def test_standard_errors_change_what_it_expects(self) -> None:
        told = self.start(PLANE, 6)
        noisy = [replace(each, sems={"LOSS": 1.0}) for each in told]
        exact, vague = (
            self.generator(PLANE, told=each).ask(ask()).predictions for each in (told, noisy)
        )
        assert exact != vague

    def test_constraints_of_all_kinds_hold_in_a_mixed_space(self) -> None:
        texts = ("x + n <= 6", "20*n >= 40", "width + n < 900", "x*n < 8", "size >= 16")
        space = constrained(*texts, space=MIXED)
        told = [each for each in self.start(MIXED, 8) if each.point["size"] != 16]
        batch = self.generator(space, told=told).ask(ask(count=2))
        assert all(space.allows(point) for point in batch.points)

    def test_the_process_answers_with_it(self, tmp_path: Path) -> None:
        with GeneratorProcess(
            PLANE, ONE, log_path=tmp_path / "log", warm="BOTORCH_MODULAR"
        ) as process:
            process.tell(self.start(PLANE))
            process.ask("BOTORCH_MODULAR", ask())
            result = answer_of(process, seconds=300).result
        assert isinstance(result, Batch), result
        assert result.points == self.generator(PLANE).ask(ask()).points
