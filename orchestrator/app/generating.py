"""The generator processes of a head: started before all else, as their libraries load slowly."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

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


def _make(spec: ExperimentSpec) -> GeneratorProcess:
    return GeneratorProcess(
        spec.space,
        spec.objectives,
        log_path=Path(os.devnull),
        import_folders=[folder for folder in sys.path if folder],
    )
