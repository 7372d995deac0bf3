"""Which nodes are probed."""

from __future__ import annotations

from orchestrator.app.doctor.findings import Finding, failed, warning
from orchestrator.cluster.base import Limits
from orchestrator.errors import did_you_mean

# Stands for all that take jobs.
ALL_NODES = 10_000
Targets = list[str | None]


def choose(
    wanted: tuple[str, ...] | int | None, limits: Limits | None, partition: str | None
) -> tuple[Targets, Finding | None]:
    """Return where probes go, None standing for wherever Slurm takes one, and what is odd about it.

    Args:
        wanted: Names of nodes, or how many; None: one, whichever Slurm takes.
        limits: The hosts that there are; None: Slurm did not say.
        partition: Where jobs go, for people; None: the default.
    """
    if wanted is None:
        return [None], None
    if limits is None:
        says = "sinfo does not tell which nodes there are"
        return [], failed("probe", says, "Try again, or without --nodes.")
    if isinstance(wanted, int):
        return _some(wanted, limits)
    return _named(wanted, limits, partition or "the default partition")


def _some(count: int, limits: Limits) -> tuple[Targets, Finding | None]:
    """Take that many hosts which take jobs, those that are free first."""
    usable = [host for host in limits.hosts.values() if host.is_usable]
    usable.sort(key=lambda host: not host.is_free)
    chosen: Targets = [host.name for host in usable[:count]]
    if len(chosen) == count or (chosen and count == ALL_NODES):
        return chosen, None
    says = f"only {len(chosen)} nodes take jobs; {count} were to be probed"
    return chosen, warning("probe", says, "`sinfo` shows the others.")


def _named(
    names: tuple[str, ...], limits: Limits, partition: str
) -> tuple[Targets, Finding | None]:
    for name in names:
        if name not in limits.known:
            hint = did_you_mean(name, limits.known) or "`sinfo -N` lists them."
            return [], failed("probe", f"Slurm has no node {name!r}", hint)
        if name not in limits.hosts:
            says = f"{name} is not in {partition}"
            return [], failed("probe", says, "Name its partition: --partition.", host=name)
    return list(names), None
