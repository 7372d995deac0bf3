"""What a search can cost at most, in hours of CPUs and GPUs, and how that is counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from db.states import FailureClass
from orchestrator.app.runs import gpus_in
from orchestrator.cluster.base import Limits
from orchestrator.health.retries import BUDGETS, MORE_TIME
from orchestrator.spec.experiment import ExperimentSpec

# What a host or the site does to a trial is tried again too; how often that happens nobody knows.
ON_TOP = "tries that lost hosts, preemption or your own rules cause come on top"


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The most that a search takes; times in hours, None where there is no limit.

    Attributes:
        trials: How many trials.
        cpus: CPUs of one trial, on all its nodes.
        gpus: The same for GPUs.
        trial_minutes: How long one try may take.
        once: Hours of trials if each is tried once.
        tries: How many further tries a trial may cause itself.
        retried: Hours of trials if each uses all of them.
        within: Hours of trials that the limit of the whole search leaves room for.
    """

    trials: int
    cpus: int
    gpus: int
    trial_minutes: float | None
    once: float | None
    tries: int
    retried: float | None
    within: float | None

    @property
    def most(self) -> float | None:
        """Hours of trials at most."""
        known = [hours for hours in (self.retried, self.within) if hours is not None]
        return min(known) if known else None

    def record(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "trials": self.trials,
            "cpus_per_trial": self.cpus,
            "gpus_per_trial": self.gpus,
            "minutes_per_try": self.trial_minutes,
            "further_tries": self.tries,
            "each_once": self._hours(self.once),
            "with_further_tries": self._hours(self.retried),
            "within_time": self._hours(self.within),
            "at_most": self._hours(self.most),
            "on_top": ON_TOP,
        }

    def lines(self) -> list[str]:
        """Return it in words."""
        if self.once is None:
            none = "no limit: a trial may take as long as it likes; --worker_timeout limits it"
            return [none, *self._whole()]
        cpus = f"{self.cpus} CPU{'s' if self.cpus > 1 else ''}"
        gpus = f" and {self.gpus} GPU{'s' if self.gpus > 1 else ''}" if self.gpus else ""
        size = f"{self.trials} trials x {self.trial_minutes:.3g} min x {cpus}{gpus}"
        further = f"{self.tries} further tries after failures, time limits and lack of memory"
        return [
            f"at most {self._said(self.once)} if each trial runs once ({size})",
            f"at most {self._said(self.retried)} if each needs all its {further}",
            *self._whole(),
            ON_TOP,
        ]

    def _whole(self) -> list[str]:
        if self.within is None:
            return []
        return [f"at most {self._said(self.within)} within --time"]

    def _hours(self, hours: float | None) -> Mapping[str, float] | None:
        if hours is None:
            return None
        return {
            "cpu_hours": round(hours * self.cpus, 3),
            "gpu_hours": round(hours * self.gpus, 3),
        }

    def _said(self, hours: float | None) -> str:
        found = self._hours(hours) or {"cpu_hours": 0.0, "gpu_hours": 0.0}
        return f"{found['cpu_hours']:,.4g} CPU hours, {found['gpu_hours']:,.4g} GPU hours"


def cost_of(spec: ExperimentSpec, limits: Limits | None) -> Cost:
    """Count what a search can cost.

    A try ends at its limit: Slurm's, else the worker's. The worst case of a trial is that its first
    try meets it, and then, with more time, all others too.

    Args:
        spec: What was asked for.
        limits: What the partitions give; None: not known.
    """
    wanted = spec.resources
    gpus = wanted.gpus or gpus_in(wanted.gres or "")
    first, later = _minutes(spec, limits)
    tries = spec.retries + _budget(FailureClass.TIMEOUT)
    tries += _budget(FailureClass.OUT_OF_MEMORY) if wanted.memory_mb else 0
    once = retried = within = None
    if first is not None and later is not None:
        once = spec.max_eval * first / 60
        retried = spec.max_eval * (first + tries * later) / 60
        if spec.time_limit_seconds is not None:
            # What runs when the time is over may end.
            whole = spec.time_limit_seconds / 60 + later
            within = min(spec.num_parallel_jobs, spec.max_eval) * whole / 60
    return Cost(
        trials=spec.max_eval,
        cpus=wanted.cpus * wanted.nodes,
        gpus=gpus * wanted.nodes,
        trial_minutes=first,
        once=once,
        tries=tries,
        retried=retried,
        within=within,
    )


def _minutes(spec: ExperimentSpec, limits: Limits | None) -> tuple[float | None, float | None]:
    """Return how long the first try of a trial may take, and any later one; None: no limit."""
    most = limits.minutes if limits else None
    first: float | None
    if spec.executor == "local":
        seconds = spec.worker_timeout_seconds
        first = None if seconds is None else (seconds + spec.timing.grace_seconds) / 60
    else:
        is_sent = "time" not in spec.site.omit
        default = limits.default_minutes if limits else None
        first = spec.resources.minutes if is_sent else None
        first = first or default or most
    if first is None:
        return None, None
    later = first * MORE_TIME
    return first, later if most is None else max(first, min(later, most))


def _budget(kind: FailureClass) -> int:
    return BUDGETS[kind] or 0
