"""BOTORCH_MODULAR: Bayesian optimisation by Ax and BoTorch.

Balandat et al., BoTorch, NeurIPS 2020. Ax sees parameters as p0, p1 … and objectives as m0, m1 …,
since it reads constraints and objectives as algebra, where a name such as `lambda`, `E` or `a-b`
means something else. Choices go by their index.
"""

from __future__ import annotations

import logging
import math
import time
import warnings
from collections.abc import Sequence
from typing import Any

from orchestrator.generators.base import (
    Ask,
    Batch,
    Generator,
    GeneratorError,
    Observation,
    Point,
)
from orchestrator.generators.points import Picker
from orchestrator.generators.qmc import uniform_rows
from orchestrator.spec.objectives import Objective
from orchestrator.spec.parameters import ChoiceParameter, RangeParameter
from orchestrator.spec.space import Space

# A model of fewer results than this says nothing; the strategy's fallback is better.
FEWEST_RESULTS = 2
# Ax lists every value of a whole number on a log scale; wider ones are relaxed and rounded.
_MOST_LISTED = 100
# Failed points are avoided like pending ones; each costs time in the acquisition function.
_MOST_AVOIDED = 50
_SEEDS = 2**32  # numpy's global seed takes 32 bits

AxPoint = dict[str, int | float]
Free = RangeParameter | ChoiceParameter


class BotorchGenerator(Generator):
    """BOTORCH_MODULAR; experiment and model are made anew for every ask."""

    def __init__(self, space: Space, objectives: Sequence[Objective]) -> None:
        self._space = space
        self._objectives = tuple(objectives)
        # Ax wants at least two values of whatever it varies.
        self._names: dict[str, Free] = {
            f"p{i}": parameter
            for i, parameter in enumerate(space.free())
            if not isinstance(parameter, ChoiceParameter) or len(parameter.choices) > 1
        }
        self._picker = Picker(space)
        self._results: dict[int, tuple[AxPoint, Observation]] = {}
        self._failed: dict[int, AxPoint] = {}

    def tell(self, observations: Sequence[Observation]) -> None:
        self._picker.tell(observation.point for observation in observations)
        for observation in observations:
            point = self._to_ax(observation.point)
            means = observation.means or {}
            values = [means.get(objective.name, math.nan) for objective in self._objectives]
            if point is None:
                continue
            if all(map(math.isfinite, values)):
                self._results[observation.trial] = point, observation
                self._failed.pop(observation.trial, None)
            else:
                self._failed[observation.trial] = point

    def ask(self, ask: Ask) -> Batch:
        if len(self._results) < FEWEST_RESULTS:
            raise GeneratorError(
                f"BOTORCH_MODULAR needs {FEWEST_RESULTS} trials with results, "
                f"{len(self._results)} so far"
            )
        if not self._names:
            return Batch(points=self._random_points(ask, []))
        # Not `except Exception` for its own sake: whatever Ax raises, the fallback goes on.
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return self._answer(ask)
        except GeneratorError:
            raise
        except Exception as error:
            raise GeneratorError(
                f"BOTORCH_MODULAR failed: {type(error).__name__}: {error}"
            ) from error

    def _answer(self, ask: Ask) -> Batch:
        from ax.adapter.registry import Generators
        from ax.exceptions.core import SearchSpaceExhausted
        from ax.utils.common.random import set_rng_seed

        logging.getLogger("ax").setLevel(logging.ERROR)
        set_rng_seed(ask.seed % _SEEDS)
        began = time.perf_counter()
        experiment = self._experiment()
        model = Generators.BOTORCH_MODULAR(experiment=experiment, data=experiment.lookup_data())
        fitted = time.perf_counter()
        try:
            run = model.gen(n=ask.count, pending_observations=self._pending(ask))
            points, expected = self._accepted(ask, run)
        except SearchSpaceExhausted:  # every point of a finite space is known or pending
            points, expected = [], []
        missing = ask.count - len(points)
        points += self._random_points(ask, points) if missing else []
        predictions: dict[str, Any] = {"expected": expected}
        if missing:
            predictions["random_points"] = missing
        return Batch(
            points=points,
            fit_seconds=fitted - began,
            gen_seconds=time.perf_counter() - fitted,
            predictions=predictions,
        )

    def _accepted(self, ask: Ask, run: Any) -> tuple[list[Point], list[dict[str, float]]]:
        """Return the proposals that are allowed and new, and what the model expects of each."""
        means = run.model_predictions[0] if run.model_predictions else {}
        points: list[Point] = []
        expected: list[dict[str, float]] = []
        for number, arm in enumerate(run.arms):
            point = self._from_ax(arm.parameters)
            if self._space.allows(point) and self._picker.is_new(point, [*ask.pending, *points]):
                points.append(point)
                expected.append(
                    {
                        objective.name: float(means[f"m{i}"][number])
                        for i, objective in enumerate(self._objectives)
                        if f"m{i}" in means
                    }
                )
        return points[: ask.count], expected[: ask.count]

    def _random_points(self, ask: Ask, points: Sequence[Point]) -> list[Point]:
        rows = uniform_rows(self._picker.dimensions, ask.seed)
        given = [*ask.pending, *points]
        return self._picker.pick(rows, count=ask.count - len(points), given=given)[0]

    def _experiment(self) -> Any:
        """Make Ax's experiment from all results, in the order of the trials."""
        from ax.core.arm import Arm
        from ax.core.experiment import Experiment

        experiment = Experiment(
            name="headway",
            search_space=self._search_space(),
            optimization_config=self._optimization_config(),
        )
        results = [self._results[index] for index in sorted(self._results)]
        for point, _ in results:
            trial = experiment.new_trial().add_arm(Arm(parameters=point))
            trial.mark_running(no_runner_required=True).mark_completed()
        experiment.attach_data(self._data(experiment, [each for _, each in results]))
        return experiment

    def _data(self, experiment: Any, observations: Sequence[Observation]) -> Any:
        from ax.core.data import Data, DataRow

        # BoTorch takes the errors of all results of an objective or of none.
        complete = {
            objective.name: all(objective.name in each.sems for each in observations)
            for objective in self._objectives
        }
        means = [each.means or {} for each in observations]
        rows = [
            DataRow(
                trial_index=index,
                arm_name=experiment.trials[index].arm.name,
                metric_name=f"m{i}",
                metric_signature=f"m{i}",
                mean=means[index][objective.name],
                se=observation.sems[objective.name] if complete[objective.name] else math.nan,
            )
            for index, observation in enumerate(observations)
            for i, objective in enumerate(self._objectives)
        ]
        return Data(data_rows=rows)

    def _search_space(self) -> Any:
        from ax.core.parameter_constraint import ParameterConstraint
        from ax.core.search_space import SearchSpace

        return SearchSpace(
            parameters=[_ax_parameter(name, each) for name, each in self._names.items()],
            parameter_constraints=[
                ParameterConstraint(inequality=text) for text in self._inequalities()
            ],
        )

    def _inequalities(self) -> list[str]:
        """Return the constraints that Ax understands: linear, over ranges without a log scale.

        The others are checked on its proposals.
        """
        names = {
            parameter.name: name
            for name, parameter in self._names.items()
            if isinstance(parameter, RangeParameter) and not parameter.log_scale
        }
        return [
            " + ".join(f"{factor!r}*{names[name]}" for name, factor in each.coefficients.items())
            + f" <= {each.bound!r}"
            for each in self._space.constraints
            if each.coefficients
            and each.bound is not None
            and each.coefficients.keys() <= names.keys()
        ]

    def _optimization_config(self) -> Any:
        from ax.core.objective import Objective as AxObjective
        from ax.core.optimization_config import (
            MultiObjectiveOptimizationConfig,
            OptimizationConfig,
        )

        signs = ["-" if objective.minimize else "" for objective in self._objectives]
        expression = ", ".join(f"{sign}m{i}" for i, sign in enumerate(signs))
        objective = AxObjective(
            expression=expression,
            metric_name_to_signature={f"m{i}": f"m{i}" for i in range(len(signs))},
        )
        if len(signs) > 1:
            return MultiObjectiveOptimizationConfig(objective=objective)
        return OptimizationConfig(objective=objective)

    def _pending(self, ask: Ask) -> Any:
        from ax.core.observation import ObservationFeatures

        failed = [self._failed[index] for index in sorted(self._failed)[-_MOST_AVOIDED:]]
        points = [*failed, *filter(None, map(self._to_ax, ask.pending))]
        if not points:
            return None
        return {
            f"m{i}": [ObservationFeatures(parameters=dict(point)) for point in points]
            for i in range(len(self._objectives))
        }

    def _to_ax(self, point: Point) -> AxPoint | None:
        """Return a point as Ax sees it; None: it lies outside the space."""
        parameters: AxPoint = {}
        for name, parameter in self._names.items():
            value = point.get(parameter.name)
            if value is None or not parameter.contains(value):
                return None
            if isinstance(parameter, ChoiceParameter):
                parameters[name] = parameter.choices.index(value)
            else:
                assert not isinstance(value, str)
                parameters[name] = float(value) if _is_relaxed(parameter) else value
        return parameters

    def _from_ax(self, parameters: AxPoint) -> Point:
        """Return the nearest point of the space to what Ax proposed."""
        point = self._picker.point_at([0.0] * self._picker.dimensions)
        for name, parameter in self._names.items():
            value = parameters[name]
            if isinstance(parameter, ChoiceParameter):
                point[parameter.name] = parameter.choices[round(value)]
                continue
            nearest = round(value) if parameter.value_type == "int" else float(value)
            point[parameter.name] = min(max(nearest, parameter.lower), parameter.upper)
        return point


def _is_relaxed(parameter: RangeParameter) -> bool:
    """Whether Ax gets a parameter as a real number."""
    if parameter.value_type == "float":
        return True
    return parameter.log_scale and parameter.upper - parameter.lower >= _MOST_LISTED


def _ax_parameter(name: str, parameter: Free) -> Any:
    from ax.core.parameter import ChoiceParameter as AxChoice
    from ax.core.parameter import ParameterType
    from ax.core.parameter import RangeParameter as AxRange

    if isinstance(parameter, ChoiceParameter):
        count = len(parameter.choices)
        return AxChoice(
            name=name,
            parameter_type=ParameterType.INT,
            values=list(range(count)),
            is_ordered=parameter.is_ordered or count == 2,  # noqa: PLR2004
            sort_values=True,
            bypass_cardinality_check=True,
        )
    return AxRange(
        name=name,
        parameter_type=ParameterType.FLOAT if _is_relaxed(parameter) else ParameterType.INT,
        lower=parameter.lower,
        upper=parameter.upper,
        log_scale=parameter.log_scale,
    )
