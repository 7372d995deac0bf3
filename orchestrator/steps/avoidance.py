"""Which hosts a job is told to avoid: as many as speak against it, as few as leave it a place.

A list of hosts can make a job impossible: a name that Slurm does not know makes it refuse
everything, and a list of all hosts leaves none. So names are checked, and what weighs least is let
go first: hosts where the same trial failed, then suspects, then what Headway excluded. What a
person excluded is never let go.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from orchestrator.cluster.base import ClusterHost, Limits
from orchestrator.health.retries import Request


class Relaxed(IntEnum):
    """What is let go, as the scheduler has no place left; each member lets go of those before it."""

    NOTHING = 0
    OWN = 1  # hosts where the same trial failed
    SUSPECTS = 2  # hosts that are suspect
    EXCLUDED = 3  # hosts that Headway excluded, and those on parole

    @property
    def words(self) -> str:
        """What is let go by it, for people."""
        return {
            Relaxed.NOTHING: "no host",
            Relaxed.OWN: "hosts where the same trial failed",
            Relaxed.SUSPECTS: "suspect hosts",
            Relaxed.EXCLUDED: "hosts that Headway excluded",
        }[self]


@dataclass(frozen=True)
class KeptOut:
    """Hosts that jobs are to avoid, by what weighs how much.

    Attributes:
        by_person: Named with `--exclude` or excluded by hand.
        by_evidence: Excluded by Headway, or on parole: only a canary goes there.
        suspects: Until another host has told.
    """

    by_person: frozenset[str] = frozenset()
    by_evidence: frozenset[str] = frozenset()
    suspects: frozenset[str] = frozenset()


class Avoidance:
    """Keeps what jobs are told; asks nobody and writes nothing.

    Attributes:
        kept_out: Hosts that are to be avoided.
        limits: What the scheduler said of its hosts last.
        version: Changes whenever jobs are to avoid others than before.
    """

    def __init__(self, *, nodes: int) -> None:
        self._nodes = nodes
        self._usable: frozenset[str] = frozenset()
        self._relaxed = Relaxed.NOTHING
        self.kept_out = KeptOut()
        self.limits = Limits()
        self.version = 0

    @property
    def pool(self) -> frozenset[str]:
        """The hosts that jobs can get, without those that a person keeps out."""
        return self._usable - self.kept_out.by_person

    def take_limits(self, limits: Limits) -> None:
        """Follow what the scheduler says of its hosts."""
        usable = frozenset(host.name for host in limits.hosts.values() if host.is_usable)
        if (usable, limits.known) != (self._usable, self.limits.known):
            # There may be room again, or too little.
            self._usable, self._relaxed = usable, Relaxed.NOTHING
            self.version += 1
        self.limits = limits

    def keep_out(self, kept_out: KeptOut) -> None:
        """Follow what is thought of the hosts."""
        if kept_out != self.kept_out:
            self.kept_out = kept_out
            self.version += 1

    def relax(self, *, has_failed: bool) -> Relaxed | None:
        """Let go of what weighs least; None if there is nothing left to let go.

        It is avoided again when the scheduler calls other hosts usable than now.

        Args:
            has_failed: Whether there are trials that avoid hosts where they failed.
        """
        tiers = (
            (Relaxed.OWN, has_failed),
            (Relaxed.SUSPECTS, bool(self.kept_out.suspects)),
            (Relaxed.EXCLUDED, bool(self.kept_out.by_evidence)),
        )
        for level, is_there in tiers:
            if self._relaxed < level and is_there:
                self._relaxed = level
                self.version += 1
                return level
        return None

    def unknown(self) -> set[str]:
        """Return the hosts that are to be avoided and that the scheduler does not know."""
        names = self.kept_out.by_person | self.kept_out.by_evidence
        return {name for name in names if not self._is_known(name)}

    def to_avoid(self, request: Request) -> tuple[str, ...]:
        """Return the hosts that a job with this request is to avoid, sorted.

        While nobody knows which hosts there are, a retry does not avoid those where it failed, as
        there may be no other one.
        """
        avoided = set(self.kept_out.by_person)
        hosts = self.limits.hosts
        room = {host.name for host in hosts.values() if _takes(host, request)} - avoided
        tiers = (
            (self.kept_out.by_evidence, Relaxed.EXCLUDED),
            (self.kept_out.suspects, Relaxed.SUSPECTS),
            (request.avoid if hosts else frozenset[str](), Relaxed.OWN),
        )
        for names, level in tiers:
            if self._relaxed < level:
                # Sorted, so that all jobs that ask for the same avoid the same.
                allowed = max(0, len(room) - self._nodes)
                let_go = set(sorted(names & room)[allowed:])
                avoided |= names - let_go
                room -= names - let_go
        return tuple(sorted(name for name in avoided if self._is_known(name)))

    def _is_known(self, name: str) -> bool:
        """Whether the scheduler knows a host; as long as it has not answered, it may."""
        return not self.limits.known or name in self.limits.known


def _takes(host: ClusterHost, request: Request) -> bool:
    """Whether a job with this request could run on a host, as far as that is known."""
    has_memory = (
        host.memory_mb is None or request.memory_mb is None or request.memory_mb <= host.memory_mb
    )
    return host.is_usable and has_memory
