"""What is to go wrong, in which order and for how long: a pure function of a seed."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """A way in which a cluster goes wrong."""

    KILL_HEAD = "kill -9 of the head"
    FREEZE_HEAD = "head frozen"
    RIVAL_HEAD = "head frozen, another one started"
    KILL_WORKER = "kill -9 of a worker"
    KILL_PROGRAM = "kill -9 of a worker's program"
    KILL_BOTH = "kill -9 of a worker and its program"
    FREEZE_WORKER = "worker frozen"
    SLURMD = "slurmd stopped, its jobs go on"
    NODE = "node lost: slurmd and its jobs at once"
    FREEZE_SLURMD = "slurmd frozen"
    SLURMCTLD = "slurmctld stopped"
    FREEZE_SLURMCTLD = "slurmctld frozen"
    DATABASE = "PostgreSQL stopped with -m immediate"
    SQUEUE_HANGS = "squeue hangs"
    SQUEUE_FAILS = "squeue fails"
    SQUEUE_EMPTY = "squeue says that there is no job"
    SQUEUE_STALE = "squeue repeats its last answer"
    SACCT_HANGS = "sacct hangs"
    SACCT_FAILS = "sacct fails"
    SACCT_EMPTY = "sacct says that there was no job"
    SACCT_OTHERS = "sacct tells of other jobs with the same ids"
    SBATCH_LATE = "sbatch submits and says that it timed out"
    SBATCH_CUT = "sbatch submits and is killed before it answers"
    SBATCH_REFUSES = "sbatch refuses for the moment"
    DISK_FULL = "run folder on a full disk"


# How long each lasts, in seconds; those that are over at once are not here.
HOLDS: dict[Kind, tuple[float, float]] = {
    Kind.FREEZE_HEAD: (0.5, 6),
    Kind.RIVAL_HEAD: (4, 18),
    Kind.FREEZE_WORKER: (1, 15),
    Kind.SLURMD: (0.5, 6),
    Kind.NODE: (0.5, 15),
    # Below MessageTimeout: a launch that comes too late lets slurmd itself cancel the job by its id,
    # and with it all tasks of the array that has the same id; no more can be told from a person's
    # scancel by root (tried: 22.05.8).
    Kind.FREEZE_SLURMD: (0.5, 2.5),
    Kind.SLURMCTLD: (0.5, 8),
    Kind.FREEZE_SLURMCTLD: (1, 10),
    Kind.DATABASE: (0, 6),
    Kind.SQUEUE_HANGS: (1, 8),
    Kind.SQUEUE_FAILS: (1, 8),
    Kind.SQUEUE_EMPTY: (0.5, 4),
    Kind.SQUEUE_STALE: (1, 8),
    Kind.SACCT_HANGS: (1, 10),
    Kind.SACCT_FAILS: (1, 10),
    Kind.SACCT_EMPTY: (0.5, 4),
    Kind.SACCT_OTHERS: (1, 10),
    Kind.SBATCH_LATE: (0.5, 3),
    Kind.SBATCH_CUT: (0.5, 3),
    Kind.SBATCH_REFUSES: (0.5, 3),
    Kind.DISK_FULL: (1, 8),
}
# The longest pause before a fault; many begin while others last.
LONGEST_GAP_SECONDS = 3.0


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing that goes wrong.

    Attributes:
        number: Its place in the plan, from 1.
        kind: What.
        gap_seconds: How long after the one before at the earliest.
        hold_seconds: How long it lasts.
        draw: Chooses the victim among those that are there then, from 0 to 1.
    """

    number: int
    kind: Kind
    gap_seconds: float
    hold_seconds: float
    draw: float

    def __str__(self) -> str:
        lasts = f" for {self.hold_seconds:.1f} s" if self.kind in HOLDS else ""
        return f"{self.number:4}  {self.kind}{lasts}"


def make_plan(seed: int, count: int, kinds: Iterable[Kind]) -> list[Fault]:
    """Return `count` faults; each kind once before any comes for the second time, and so on."""
    chance = random.Random(seed)
    deck: list[Kind] = []
    order = sorted(kinds)
    plan = []
    for number in range(1, count + 1):
        if not deck:
            deck = chance.sample(order, len(order))
        kind = deck.pop()
        shortest, longest = HOLDS.get(kind, (0.0, 0.0))
        plan.append(
            Fault(
                number=number,
                kind=kind,
                gap_seconds=chance.uniform(0, LONGEST_GAP_SECONDS),
                hold_seconds=chance.uniform(shortest, longest),
                draw=chance.random(),
            )
        )
    return plan
