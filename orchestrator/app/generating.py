"""The generator processes of a head: started before all else, as their libraries load slowly."""

from __future__ import annotations

import os
import select
import sys
from dataclasses import dataclass
from pathlib import Path

from orchestrator.generators.base import Ask, Batch, GeneratorError
from orchestrator.generators.process import GeneratorProcess
from orchestrator.spec.experiment import ExperimentSpec


@dataclass(frozen=True)
class Generators:
    """The process of the strategy's generators, and the one of the fallback."""

    model: GeneratorProcess
    fallback: GeneratorProcess

    def enter(self, run_dir: Path) -> None:
        """Let both log in the run folder, which exists now, and start the fallback's."""
        self.model.log_to(run_dir / "generator-model.log")
        self.fallback.log_to(run_dir / "generator-fallback.log")
        self.fallback.start()

    def close(self) -> None:
        """End both processes; may be called twice."""
        self.model.close()
        self.fallback.close()


def start_generators(spec: ExperimentSpec) -> Generators:
    """Start the generator process; it imports the first generator's library in the background.

    To be called in the main thread, as early as the space is known: importing takes a second or
    two, which all the rest of the start overlaps with. What is needed later is imported when the
    first points are there.
    """
    generators = Generators(model=_make(spec), fallback=_make(spec))
    generators.model.start()
    generators.model.warm(spec.strategy.nodes[0].generator)
    return generators


def idle_generators(spec: ExperimentSpec) -> Generators:
    """Return processes for a head that asks for no points: the strategy's own is not started."""
    return Generators(model=_make(spec), fallback=_make(spec))


def _make(spec: ExperimentSpec) -> GeneratorProcess:
    return GeneratorProcess(
        spec.space,
        spec.objectives,
        log_path=Path(os.devnull),
        import_folders=[folder for folder in sys.path if folder],
    )


@dataclass(frozen=True)
class FirstPoints:
    """What a search would begin with.

    Attributes:
        generator: Who makes the points.
        batch: The points, as many as the first free slots take.
    """

    generator: str
    batch: Batch


def first_points(spec: ExperimentSpec) -> FirstPoints:
    """Make the points that the head of a search would ask for first; nothing is stored.

    Raises:
        GeneratorError: There are none.
    """
    # Not at the top: a run starts its generator process before it imports the database.
    from orchestrator.generators.strategy import FALLBACK, node_for
    from orchestrator.steps.propose import seed_of

    node, waits = node_for(spec.strategy, (), observed=0)
    step = spec.strategy.nodes[node]
    generator = FALLBACK if waits else step.generator
    is_last = node == len(spec.strategy.nodes) - 1
    count = min(spec.num_parallel_jobs, spec.max_eval)
    if step.num_trials is not None and not is_last:
        count = min(count, step.num_trials)
    with _make(spec) as process:
        process.ask(generator, Ask(number=0, count=count, seed=seed_of(spec.seed, 0)))
        while (answer := process.poll()) is None:
            select.select([process], [], [])
    if isinstance(answer.result, GeneratorError):
        raise answer.result
    return FirstPoints(generator, answer.result)
