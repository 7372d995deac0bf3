"""TPE through Optuna: the tree-structured Parzen estimator, for one objective or several.

J. Bergstra et al., Algorithms for Hyper-Parameter Optimization, NeurIPS 2011; for several
objectives Y. Ozaki et al., GECCO 2020 (MOTPE, which Optuna has merged into TPE).
"""

from __future__ import annotations

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
    Value,
)
from orchestrator.generators.points import Picker
from orchestrator.generators.qmc import uniform_rows
from orchestrator.spec.objectives import Objective
from orchestrator.spec.parameters import ChoiceParameter, RangeParameter
from orchestrator.spec.space import Space

# So many proposals of the model in a row may be forbidden or known before a random point is taken;
# each costs about 10 ms with 500 observations.
MOST_REJECTIONS = 24
# numpy's RandomState, which Optuna seeds, takes 32 bits.
_SEEDS = 2**32


class TpeGenerator(Generator):
    """TPE.

    The study is made anew for every ask, its trials in the order of their index: so the answer
    depends on what was told and not on when, and nothing is left behind by earlier asks. That costs
    40 ms with 500 observations, in a process of its own.
    """

    def __init__(self, space: Space, objectives: Sequence[Objective]) -> None:
        self._space = space
        self._objectives = tuple(objectives)
        self._free = space.free()
        self._picker = Picker(space)
        self._trials: dict[int, Any] = {}

    def tell(self, observations: Sequence[Observation]) -> None:
        self._picker.tell(observation.point for observation in observations)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for observation in observations:
                trial = self._ended_trial(observation)
                if trial is not None:
                    self._trials[observation.trial] = trial

    def ask(self, ask: Ask) -> Batch:
        # Not `except Exception` for its own sake: whatever Optuna raises, the fallback goes on.
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return self._answer(ask)
        except GeneratorError:
            raise
        except Exception as error:
            raise GeneratorError(f"TPE failed: {type(error).__name__}: {error}") from error

    def _answer(self, ask: Ask) -> Batch:
        began = time.perf_counter()
        study = self._study(ask)
        fitted = time.perf_counter()
        points: list[Point] = []
        unmodelled = 0
        for number in range(ask.count):
            given = [*ask.pending, *points]
            point = self._proposal(study, given)
            if point is None:
                unmodelled += 1
                point = self._random_point((ask.seed, number), given)
                study.add_trial(self._running_trial(point))
            points.append(point)
        return Batch(
            points=points,
            fit_seconds=fitted - began,
            gen_seconds=time.perf_counter() - fitted,
            predictions={"random_points": unmodelled} if unmodelled else None,
        )

    def _study(self, ask: Ask) -> Any:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(
            directions=["minimize" if each.minimize else "maximize" for each in self._objectives],
            sampler=optuna.samplers.TPESampler(
                seed=ask.seed % _SEEDS,
                n_startup_trials=0,  # the strategy's first step is the startup
                multivariate=True,
                constant_liar=True,
                warn_independent_sampling=False,
            ),
        )
        study.add_trials([self._trials[index] for index in sorted(self._trials)])
        study.add_trials([self._running_trial(point) for point in ask.pending])
        return study

    def _proposal(self, study: Any, given: Sequence[Point]) -> Point | None:
        """Ask the model until it proposes a point that is allowed and new; None: it does not.

        An accepted trial stays RUNNING in the study, so that the next proposal keeps away from it.
        """
        from optuna.trial import TrialState

        for _ in range(MOST_REJECTIONS):
            trial = study.ask(self._distributions())
            point = self._point(trial.params)
            if self._space.allows(point) and self._picker.is_new(point, given):
                return point
            study.tell(trial, state=TrialState.FAIL)
        return None

    def _random_point(self, seed: tuple[int, int], given: Sequence[Point]) -> Point:
        rows = uniform_rows(self._picker.dimensions, seed)
        points, _ = self._picker.pick(rows, count=1, given=given)
        return points[0]

    def _ended_trial(self, observation: Observation) -> Any | None:
        """Return Optuna's form of an observation; None: it says nothing about this space."""
        from optuna.trial import TrialState, create_trial

        params = self._params(observation.point)
        if params is None:
            return None
        means = observation.means or {}
        values = [means.get(objective.name, math.nan) for objective in self._objectives]
        if not all(map(math.isfinite, values)):
            return create_trial(
                state=TrialState.FAIL, params=params, distributions=self._distributions()
            )
        return create_trial(values=values, params=params, distributions=self._distributions())

    def _running_trial(self, point: Point) -> Any:
        from optuna.trial import TrialState, create_trial

        params = self._params(point)
        return create_trial(
            state=TrialState.RUNNING,
            params=params or {},
            distributions=self._distributions() if params is not None else {},
        )

    def _distributions(self) -> dict[str, Any]:
        return {parameter.name: _distribution(parameter) for parameter in self._free}

    def _params(self, point: Point) -> dict[str, Value] | None:
        """Return a point as Optuna sees it, choices by index; None: it lies outside the space."""
        params: dict[str, Value] = {}
        for parameter in self._free:
            value = point.get(parameter.name)
            if value is None or not parameter.contains(value):
                return None
            if isinstance(parameter, ChoiceParameter):
                value = parameter.choices.index(value)
            params[parameter.name] = value
        return params

    def _point(self, params: dict[str, Any]) -> Point:
        point: Point = {}
        for parameter in self._space.parameters:
            if isinstance(parameter, RangeParameter):
                point[parameter.name] = params[parameter.name]
            elif isinstance(parameter, ChoiceParameter):
                point[parameter.name] = parameter.choices[params[parameter.name]]
            else:
                point[parameter.name] = parameter.value
        return point


def _distribution(parameter: RangeParameter | ChoiceParameter) -> Any:
    """Return Optuna's form of a parameter; a choice goes by its index, so that 1 is not True."""
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if isinstance(parameter, ChoiceParameter):
        if parameter.is_ordered:
            return IntDistribution(0, len(parameter.choices) - 1)
        return CategoricalDistribution(tuple(range(len(parameter.choices))))
    if parameter.value_type == "int":
        return IntDistribution(int(parameter.lower), int(parameter.upper), log=parameter.log_scale)
    return FloatDistribution(
        float(parameter.lower), float(parameter.upper), log=parameter.log_scale
    )
