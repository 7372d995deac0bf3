"""What Slurm has: its hosts, and the limits of the partitions that the trials go to."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from orchestrator.cluster.base import ClusterHost, Limits
from orchestrator.cluster.commands import Commands
from orchestrator.cluster.parsing import (
    HOSTS_FORMAT,
    HostRow,
    read_hosts,
    read_partitions,
    read_reservations,
)

# So Slurm calls hosts of a reservation where nothing runs (tried: 22.05.8): free for its jobs.
_RESERVED = frozenset({"reserved", "maint"})


def ask_limits(
    commands: Commands,
    partition: str | None,
    *,
    reservation: str | None = None,
    limit_seconds: float,
) -> Limits | None:
    """Return what there is at most in partitions (`a,b`; None: the default).

    Two calls, however many hosts there are. Without the second one, the memory that partitions
    allow is not known, and that of the hosts is all. A third one if jobs go to reservations (`a,b`)
    and so to their hosts alone.

    Returns:
        None: the scheduler did not say which hosts there are.
    """
    sinfo = ("sinfo", "--noheader", "--Node", "--all", f"--format={HOSTS_FORMAT}")
    asked = commands.run(*sinfo, limit_seconds=limit_seconds)
    if not asked.is_ok:
        return None
    rows = read_hosts(asked.output)
    known = frozenset(row.host.name for row in rows)
    if reservation:
        words = ("scontrol", "show", "reservation", "--oneliner")
        told = commands.run(*words, limit_seconds=limit_seconds)
        if not told.is_ok:
            return None
        rows = _within_reservations(rows, read_reservations(told.output), reservation)
    scontrol = ("scontrol", "show", "partition", "--oneliner")
    allowed = commands.run(*scontrol, limit_seconds=limit_seconds)
    most = read_partitions(allowed.output) if allowed.is_ok else {}
    return replace(_limits(rows, partition, most), known=known)


def _within_reservations(
    rows: list[HostRow], hosts: Mapping[str, Collection[str]], wanted: str
) -> list[HostRow]:
    """Return the hosts of reservations, free where nothing runs; all if it is not known which."""
    mine = {host for name in wanted.split(",") for host in hosts.get(name, ())}
    found = [row for row in rows if row.host.name in mine]
    return [_as_free(row) for row in found] or rows


def _as_free(row: HostRow) -> HostRow:
    if row.host.state not in _RESERVED:
        return row
    return replace(row, host=replace(row.host, is_usable=True, is_free=True))


def _limits(rows: list[HostRow], partition: str | None, most: Mapping[str, int]) -> Limits:
    wanted = set((partition or "").split(",")) - {""}
    mine = [row for row in rows if (row.partition in wanted if wanted else row.is_default)]
    hosts: dict[str, ClusterHost] = {}
    for row in mine:
        host = _within(row.host, most.get(row.partition))
        other = hosts.get(host.name)
        # In two partitions: a job may go to either.
        if other is None or (other.memory_mb or 0) < (host.memory_mb or 0):
            hosts[host.name] = host
    return Limits(
        hosts=hosts,
        minutes=_longest(row.minutes for row in mine),
        default_minutes=_longest(row.default_minutes for row in mine),
    )


def _within(host: ClusterHost, most: int | None) -> ClusterHost:
    """Return a host with no more memory than its partition gives to a job."""
    if most is None or host.memory_mb is None:
        return host
    return replace(host, memory_mb=min(most, host.memory_mb))


def _longest(minutes: Iterable[int | None]) -> int | None:
    """Return the longest of some time limits, one of which may be none at all."""
    found = list(minutes)
    return None if None in found else max((each for each in found if each), default=None)
