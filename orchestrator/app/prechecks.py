"""What can never run is refused before anything is made, as far as Slurm tells what there is.

Whatever it does not tell is left to `sbatch`, and to what it says of jobs that wait (`steps.never`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from orchestrator.cluster.base import ClusterHost, Limits
from orchestrator.cluster.checkup import (
    Association,
    Checkup,
    PartitionFacts,
    minds_accounts,
    minds_services,
    read_associations,
    read_config,
    read_facts,
    read_flags,
)
from orchestrator.cluster.commands import Commands
from orchestrator.cluster.gpus import ask_gpus, gpus_of, most_gpus
from orchestrator.cluster.parsing import read_minutes
from orchestrator.errors import UsageError, did_you_mean
from orchestrator.spec.experiment import ExperimentSpec

LIMIT_SECONDS = 20.0
_NO_LIMIT = frozenset({"UNLIMITED", "INFINITE"})
_NO_PLUGINS = frozenset({"", "(null)"})
# More than these are not listed in one line.
_MOST_NAMES = 8


@dataclass(frozen=True)
class _Site:
    """What Slurm tells of itself; asked for when it is needed, None where it does not answer."""

    commands: Commands
    user: str
    _checkup: Checkup = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_checkup", Checkup(self.commands))

    @cached_property
    def partitions(self) -> Mapping[str, PartitionFacts]:
        told = self._checkup.partitions()
        return read_facts(told.output) if told.is_ok else {}

    @cached_property
    def config(self) -> Mapping[str, str]:
        told = self._checkup.config()
        return read_config(told.output) if told.is_ok else {}

    @cached_property
    def associations(self) -> Collection[Association]:
        cluster = self.config.get("ClusterName")
        if not cluster:
            return ()
        told = self._checkup.associations(self.user, cluster)
        return read_associations(told.output) if told.is_ok else ()

    @cached_property
    def has_router(self) -> bool:
        """Whether a plugin of the site may choose the partition of jobs that name none."""
        words = (
            self.config.get("JobSubmitPlugins", "nobody knows"),
            self.config.get("CliFilterPlugins", ""),  # versions before 20.02 have none
        )
        return not _NO_PLUGINS.issuperset(words)

    def may_lift(self, flag: str, qos: str | None) -> bool:
        """Whether a quality of service may let jobs pass a limit of partitions.

        Args:
            flag: Such a one does it (sacctmgr(1), "Flags").
            qos: The one that is asked for; None: any, as nobody knows the default.

        Returns:
            True also if nobody knows.
        """
        if not self.config:
            return True
        if not self.config.get("AccountingStorageType", "").endswith("slurmdbd"):
            return False
        told = self._checkup.services()
        if not told.is_ok:
            return True
        flags = read_flags(told.output)
        asked = flags if qos is None else [qos.lower()]
        return any(flag in flags.get(name, ()) for name in asked)


def refuse_impossible(
    spec: ExperimentSpec, limits: Limits | None, *, commands: Commands, user: str
) -> None:
    """Refuse a search none of whose trials could ever start.

    Args:
        spec: What was asked for.
        limits: What there is in its partitions; None: nobody knows.
        commands: Ask Slurm for the rest.
        user: Whose search it is.

    Raises:
        UsageError: It names the option, what was given and what there is.
    """
    asked = _Asked(spec, limits or Limits(), _Site(commands, user))
    for look in (_time, _memory, _cpus, _gpus, _nodes, _together):
        for error in look(asked):
            if not asked.may_go_elsewhere:
                raise error
    for look in (_account, _qos):
        for error in look(asked):
            raise error


@dataclass(frozen=True)
class _Asked:
    """A request and what there is for it."""

    spec: ExperimentSpec
    limits: Limits
    site: _Site

    @property
    def partition(self) -> str | None:
        return self.spec.resources.partition or os.environ.get("SBATCH_PARTITION")

    @property
    def where(self) -> str:
        """The partitions in words."""
        if self.partition is None:
            return "the default partition"
        several = "s" if "," in self.partition else ""
        return f"partition{several} {self.partition}"

    @cached_property
    def may_go_elsewhere(self) -> bool:
        """Whether trials may go to other hosts, and have other limits, than those known of.

        Jobs of a reservation that name no partition go to the reservation's (tried: 22.05.8), and
        one that is FLEX lets them use other hosts, too.
        """
        wanted = self.spec.resources
        is_reserved = wanted.reservation or os.environ.get("SBATCH_RESERVATION")
        is_named = self.partition is not None and self.sends("partition")
        return bool(is_reserved) or (not is_named and self.site.has_router)

    @property
    def wanted_gpus(self) -> int:
        """The GPUs that sbatch is asked for on each host."""
        return self.spec.resources.gpus if self.sends(self.spec.site.gpu_option) else 0

    @cached_property
    def hosts(self) -> dict[str, ClusterHost]:
        """The hosts that a trial may go to, also those that are down now."""
        avoided = set(self.spec.resources.exclude)
        return {name: host for name, host in self.limits.hosts.items() if name not in avoided}

    @cached_property
    def gpus(self) -> dict[str, dict[str, int]] | None:
        """The GPUs of these hosts; None: not known."""
        told = ask_gpus(self.site.commands, self.partition, limit_seconds=LIMIT_SECONDS)
        return None if told is None else {k: v for k, v in told.items() if k in self.hosts}

    def has_all(self, host: ClusterHost) -> bool:
        """Whether a host has memory, CPUs and GPUs for a trial, as far as is known."""
        wanted = self.spec.resources
        memory_mb = wanted.memory_mb or 0
        has_memory = host.memory_mb is None or memory_mb <= host.memory_mb
        has_cpus = host.cpus is None or wanted.cpus <= host.cpus
        counts = (self.gpus or {}).get(host.name) if self.wanted_gpus else None
        has_gpus = counts is None or gpus_of(counts, self.spec.site.gpu_type) >= self.wanted_gpus
        return has_memory and has_cpus and has_gpus

    def sends(self, option: str) -> bool:
        """Whether sbatch is told of this option at all."""
        return option not in self.spec.site.omit

    def most(self, of: Callable[[ClusterHost], int | None]) -> int | None:
        """Return the most that a host has of something; None if one of them does not tell."""
        found = [of(host) for host in self.hosts.values()]
        known = [each for each in found if each is not None]
        return max(known) if known and len(known) == len(found) else None


def _time(asked: _Asked) -> Iterator[UsageError]:
    minutes, most = asked.spec.resources.minutes, asked.limits.minutes
    if minutes is None or most is None or minutes <= most or not asked.sends("time"):
        return
    if asked.site.may_lift("PartitionTimeLimit", asked.spec.resources.qos):
        return
    seconds = asked.spec.worker_timeout_seconds or 0.0
    room = most - (minutes - seconds / 60)
    fits = f"; {int(room)} would fit" if room >= 1 else ""
    yield UsageError(
        f"--worker_timeout: {seconds / 60:g} min for a trial make {minutes} min for its job, and "
        f"{asked.where} gives {most} min at most{fits}.",
        _more_time(asked, minutes),
    )


def _more_time(asked: _Asked, minutes: int) -> str:
    """Say which partitions give enough time."""
    found = []
    for name, facts in asked.site.partitions.items():
        most = read_minutes(facts.max_time)
        if facts.max_time in _NO_LIMIT:
            found.append(f"{name} (no limit)")
        elif most is not None and most >= minutes:
            found.append(f"{name} ({most} min)")
    return f"Partitions that give more: {', '.join(found[:_MOST_NAMES])}." if found else ""


def _memory(asked: _Asked) -> Iterator[UsageError]:
    wanted, most = asked.spec.resources.memory_mb, asked.most(lambda host: host.memory_mb)
    if wanted is not None and most is not None and wanted > most and asked.sends("mem"):
        yield UsageError(
            f"--mem_gb: {wanted / 1024:.4g} asked for, and no host of {asked.where} gives a job "
            f"more than {most / 1024:.4g}.",
        )


def _cpus(asked: _Asked) -> Iterator[UsageError]:
    wanted, most = asked.spec.resources.cpus, asked.most(lambda host: host.cpus)
    if most is not None and wanted > most and asked.sends("cpus-per-task"):
        yield UsageError(
            f"--cpus_per_task: {wanted} asked for, and no host of {asked.where} has more than "
            f"{most}.",
        )


def _gpus(asked: _Asked) -> Iterator[UsageError]:
    wanted, kind = asked.wanted_gpus, asked.spec.site.gpu_type
    if not wanted or not asked.gpus or asked.spec.resources.nodes > 1:
        return
    most = most_gpus(asked.gpus, kind)
    if wanted > most:
        of_type = f" of type {kind}" if kind else ""
        has = f"more than {most}" if most else "any"
        yield UsageError(
            f"--gpus: {wanted}{of_type} asked for, and no host of {asked.where} has {has}.",
        )


def _nodes(asked: _Asked) -> Iterator[UsageError]:
    wanted = asked.spec.resources.nodes
    if wanted == 1:
        return
    if asked.hosts and wanted > len(asked.hosts):
        # With --exclude there are fewer than the partition has.
        left = " left" if asked.spec.resources.exclude else ""
        hosts = f"{len(asked.hosts)} host{'s' if len(asked.hosts) > 1 else ''}{left}"
        yield UsageError(f"--nodes_per_job: {wanted} asked for, and {asked.where} has {hosts}.")
    named = (asked.partition or "").split(",")
    facts = [
        each
        for name, each in asked.site.partitions.items()
        if name in named or (each.is_default and not asked.partition)
    ]
    most = [int(each.max_nodes) for each in facts if each.max_nodes.isdecimal()]
    is_above = facts and len(most) == len(facts) and wanted > max(most)
    if is_above and not asked.site.may_lift("PartitionMaxNodes", asked.spec.resources.qos):
        yield UsageError(
            f"--nodes_per_job: {wanted} asked for, and {asked.where} gives {max(most)}."
        )


def _together(asked: _Asked) -> Iterator[UsageError]:
    """Each of it may be there, and no host has all."""
    wanted = asked.spec.resources
    is_one_host = wanted.nodes == 1 and asked.sends("mem") and asked.sends("cpus-per-task")
    if not is_one_host or not asked.hosts or any(map(asked.has_all, asked.hosts.values())):
        return
    parts = [f"{wanted.cpus} CPU{'s' if wanted.cpus > 1 else ''}"]
    parts += [f"{wanted.memory_mb / 1024:.4g} GB"] if wanted.memory_mb else []
    gpus = asked.wanted_gpus
    parts += [f"{gpus} GPU{'s' if gpus > 1 else ''}"] if gpus else []
    given = "--cpus_per_task, --mem_gb, --gpus"
    yield UsageError(f"{given}: no host of {asked.where} has {' and '.join(parts)} together.")


def _account(asked: _Asked) -> Iterator[UsageError]:
    wanted = asked.spec.resources.account
    if not wanted or not asked.sends("account"):
        return
    if not minds_accounts(asked.site.config):
        return
    known = sorted({each.account for each in asked.site.associations})
    if known and wanted.lower() not in known:
        listed = ", ".join(known[:_MOST_NAMES])
        hint = did_you_mean(wanted, known)
        yield UsageError(f"--account: you may not use {wanted!r} here (but {listed}).", hint)
    partitions = set((asked.partition or "").split(",")) - {""}
    mine = {each.partition for each in asked.site.associations if each.account == wanted.lower()}
    if mine and partitions and "" not in mine and partitions.isdisjoint(mine):
        listed = ", ".join(sorted(mine))
        yield UsageError(
            f"--account: {wanted!r} is for other partitions ({listed}), not {asked.where}."
        )


def _qos(asked: _Asked) -> Iterator[UsageError]:
    wanted, account = asked.spec.resources.qos, asked.spec.resources.account
    if not wanted or not asked.sends("qos") or not minds_services(asked.site.config):
        return
    rows = [
        each
        for each in asked.site.associations
        if account is None or each.account == account.lower()
    ]
    known = sorted({name for each in rows for name in each.qos})
    if known and wanted.lower() not in known:
        listed = ", ".join(known[:_MOST_NAMES])
        with_it = f" with account {account}" if account else ""
        yield UsageError(
            f"--qos: you may not use {wanted!r} here{with_it} (but {listed}).",
            did_you_mean(wanted, known),
        )
