"""What a person may change while a search runs: how many trials at once, and how many in all."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.spec.experiment import ExperimentSpec


@dataclass
class Goal:
    """The numbers that hold now; changed by `commands` when the change is committed.

    Attributes:
        slots: How many trials may run at once.
        max_eval: How many trials are wanted in all.
    """

    slots: int
    max_eval: int

    @classmethod
    def of(cls, spec: ExperimentSpec) -> Goal:
        """Return what a spec asks for."""
        return cls(spec.num_parallel_jobs, spec.max_eval)
