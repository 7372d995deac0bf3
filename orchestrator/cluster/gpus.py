"""How many GPUs the hosts of a partition have, as `sinfo` tells it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from orchestrator.cluster.commands import Commands

GPUS_FORMAT = "%N|%P|%G"
_FIELDS = 3
# Sockets and indices: `gpu:a100:4(S:0,1)`.
_BRACKETS = re.compile(r"\([^()]*\)")


def ask_gpus(
    commands: Commands, partition: str | None, *, limit_seconds: float
) -> dict[str, dict[str, int]] | None:
    """Return how many GPUs of each type each host of some partitions has, by host and type.

    Args:
        commands: Runs sinfo.
        partition: Partitions (`a,b`); None: the default.
        limit_seconds: How long it may take.

    Returns:
        A type that has no name is empty. None: the scheduler did not say.
    """
    words = ("sinfo", "--noheader", "--Node", "--all", f"--format={GPUS_FORMAT}")
    told = commands.run(*words, limit_seconds=limit_seconds)
    return read_gpus(told.output, partition) if told.is_ok else None


def read_gpus(output: str, partition: str | None) -> dict[str, dict[str, int]]:
    """Read `sinfo --noheader --Node --format=GPUS_FORMAT`."""
    wanted = set((partition or "").split(",")) - {""}
    found: dict[str, dict[str, int]] = {}
    for line in output.splitlines():
        fields = line.strip().split("|")
        if len(fields) != _FIELDS:
            continue
        host, name, gres = fields
        if name.rstrip("*") in wanted if wanted else name.endswith("*"):
            found[host] = _counts(gres)
    return found


def _counts(gres: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for word in _BRACKETS.sub("", gres).split(","):
        name, *more = word.split(":")
        if name == "gpu":
            # A host that is down since its start is told as it is configured: one without a count.
            count = int(more.pop()) if more and more[-1].isdecimal() else 1
            kind = more[0] if more else ""
            counts[kind] = counts.get(kind, 0) + count
    return counts


def most_gpus(hosts: Mapping[str, Mapping[str, int]], kind: str | None) -> int:
    """Return how many GPUs a host has at most.

    Args:
        hosts: As `read_gpus` returns them.
        kind: Of this type; None: any.
    """
    return max((gpus_of(counts, kind) for counts in hosts.values()), default=0)


def gpus_of(counts: Mapping[str, int], kind: str | None) -> int:
    """Return how many GPUs of a type (None: any) are among those of one host."""
    # Of GPUs without a type nobody knows which they are.
    return sum(count for name, count in counts.items() if kind in {None, name} or not name)
