"""Why Slurm lets a job wait: in words, what one can do, and whether it can ever start.

`docs/reasons.md` is written from this table (`describing_reasons`). Sources: squeue(1), "JOB REASON
CODES"; slurm.schedmd.com/resource_limits.html; the words in libslurm of 22.05.8 and 24.11.
"""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass, replace
from enum import StrEnum


class Fate(StrEnum):
    """What becomes of a job that waits for a reason."""

    NEVER = "NEVER"  # as it is, it cannot start: what it asks for has to change, or the site
    HELD = "HELD"  # a person, or Slurm in place of one, holds it until a person lets it go
    WAITS = "WAITS"  # it starts by itself when its turn comes


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason in words.

    Attributes:
        word: As Slurm prints it, without brackets.
        says: What it means, a part of a sentence without a full stop.
        remedy: What one can do, a sentence; empty: nothing but wait. JOB stands for the job's id.
        fate: Whether the job can start.
        is_of_partition: Whether it is said of one partition: a job that may go to several may
            start in another one, and Slurm shows the reason that it found last.
    """

    word: str
    says: str
    remedy: str
    fate: Fate
    is_of_partition: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table.

    Attributes:
        words: The reasons that it stands for; `*` stands for anything, upper and lower case alike.
        says: As in `Reason`; so are the others.
    """

    words: tuple[str, ...]
    says: str
    remedy: str
    fate: Fate = Fate.WAITS
    is_of_partition: bool = False


# The first row that fits counts: the special ones come first.
TABLE: tuple[Row, ...] = (
    # Held
    Row(
        ("launch failed requeued held",),
        "its host could not start it, and Slurm holds it until a person lets it go",
        "Headway moves such a trial to another host by itself.",
        Fate.HELD,
    ),
    Row(
        ("JobHeldUser",),
        "you, or somebody with your rights, hold it back",
        "Let it go: scontrol release JOB",
        Fate.HELD,
    ),
    Row(
        ("JobHoldMaxRequeue", "RequeueExitHold", "job requeued in held state", "*requeued held"),
        "Slurm has put it back into the queue, and holds it until a person lets it go",
        "Look at why its last run ended, then let it go: scontrol release JOB",
        Fate.HELD,
    ),
    Row(
        ("BurstBufferOperation",),
        "its burst buffer could not be set up, and Slurm holds it",
        "Ask the cluster's support; then scontrol release JOB",
        Fate.HELD,
    ),
    Row(
        ("JobHeldAdmin", "*held*"),
        "the cluster's administration holds it back",
        "Ask the cluster's support.",
        Fate.HELD,
    ),
    # It can never start
    Row(
        ("BadConstraints",),
        "no host is left that may run it: what it asks for and the hosts that it avoids leave none",
        "`headway hosts` shows which hosts are out; ask for less memory, fewer GPUs or CPUs, or "
        "without --constraint.",
        Fate.NEVER,
    ),
    Row(
        ("PartitionTimeLimit",),
        "it asks for more time than its partition ever gives",
        "Ask for less time (--worker_timeout), or take another --partition.",
        Fate.NEVER,
        is_of_partition=True,
    ),
    Row(
        ("PartitionMaxNodes", "PartitionMinNodes"),
        "it asks for more hosts than its partition gives to a job, or for fewer than it must",
        "Take other --nodes_per_job, or another --partition.",
        Fate.NEVER,
        is_of_partition=True,
    ),
    Row(
        ("InvalidAccount", "AccountNotAllowed"),
        "its account may not be used there, or not any more",
        "Take another --account or --partition; `sacctmgr show associations user=$USER` lists "
        "yours.",
        Fate.NEVER,
        is_of_partition=True,
    ),
    Row(
        ("InvalidQOS", "QOSNotAllowed"),
        "its quality of service may not be used there, or not any more",
        "Take another --qos or --partition; `sacctmgr show associations user=$USER` lists yours.",
        Fate.NEVER,
        is_of_partition=True,
    ),
    Row(
        ("QOSMaxWall*", "AssocMaxWall*"),
        "it asks for more time than its quality of service or its account ever gives to a job",
        "Ask for less time (--worker_timeout), or take another --qos or --account.",
        Fate.NEVER,
        is_of_partition=True,
    ),
    Row(
        (
            "QOSMax*Mem*PerJob*",
            "QOSMax*Mem*PerNode*",
            "AssocMax*Mem*PerJob*",
            "AssocMax*Mem*PerNode*",
        ),
        "it asks for more memory than its quality of service or its account ever gives to a job",
        "Ask for less memory (--mem_gb), or take another --qos or --account.",
        Fate.NEVER,
        is_of_partition=True,
    ),
    Row(
        ("QOSMax*PerJob*", "QOSMax*PerNode", "AssocMax*PerJob*", "AssocMax*PerNode"),
        "it asks for more than its quality of service or its account ever gives to a job",
        "Ask for fewer CPUs, GPUs or hosts, or take another --qos or --account.",
        Fate.NEVER,
        is_of_partition=True,
    ),
    Row(
        ("QOSMin*",),
        "it asks for less than its quality of service wants every job to ask for",
        "Ask for more (its name says of what), or take another --qos.",
        Fate.NEVER,
        is_of_partition=True,
    ),
    Row(
        ("MaxMemPerLimit",),
        "it asks for more memory for a CPU or a host than the site gives to a job",
        "Ask for less memory (--mem_gb).",
        Fate.NEVER,
        is_of_partition=True,
    ),
    Row(
        ("ReservationDeleted", "InvalidReservation", "Reservation * was deleted"),
        "its reservation does not exist any more",
        "Take another --reservation, or none.",
        Fate.NEVER,
    ),
    Row(
        ("RequiresReservation", "ReqResv"),
        "its partition takes only jobs of a reservation",
        "Give a --reservation, or take another --partition.",
        Fate.NEVER,
        is_of_partition=True,
    ),
    Row(
        ("DependencyNeverSatisfied",),
        "it waits for another job to end well, and that one did not",
        "Take the dependency out of what --sbatch or the profile asks for.",
        Fate.NEVER,
    ),
    # It waits for something of its own
    Row(
        ("QOSMaxSubmit*", "AssocMaxSubmit*", "*GrpSubmit*", "MaxSubmitJobsPerAccount"),
        "as many jobs are queued as may be",
        "It is taken when others have ended.",
    ),
    Row(
        ("AssocGrp*RunMin*", "QOSGrp*RunMin*"),
        "what runs has so much time before it as may be promised at once",
        "It starts when others have ended or get closer to their end; a smaller --worker_timeout "
        "helps.",
    ),
    Row(
        ("AssocGrp*Minutes*", "AssocGrpWall*", "AssociationTimeLimit"),
        "the hours of its account are used up",
        "Ask the cluster's support, or whoever has the account, when there will be new ones; "
        "--account names another one.",
    ),
    Row(
        ("QOSGrp*Minutes*", "QOSGrpWall*", "QOSTimeLimit", "QOSUsageThreshold"),
        "the hours of its quality of service are used up",
        "Ask the cluster's support when there will be new ones; --qos names another one.",
    ),
    Row(
        ("QOSMax*PerUser*",),
        "you use as much at once as its quality of service gives to a user",
        "It starts when others of your jobs have ended. If none runs, it asks alone for more than "
        "that: ask for less, or take another --qos.",
    ),
    Row(
        ("QOS*", "Max*PerAccount"),
        "as much is in use as its quality of service gives at once to all its jobs",
        "It starts when others have ended; --qos names another one.",
    ),
    Row(
        ("Assoc*", "AccountingPolicy"),
        "as much is in use as its account gives at once",
        "It starts when others have ended; --account names another one.",
    ),
    Row(
        ("ReqNodeNotAvail*Maint*", "*ReservationMaint*", "*reserved for maintenance*"),
        "it would still run when a maintenance of the cluster begins",
        "It starts after that; one with a shorter --worker_timeout may start before.",
    ),
    Row(
        ("ReqNodeNotAvail*", "Nodes required for job are*", "Node?Down", "NodeDown", "NodesDown"),
        "hosts that it needs are down, drained or reserved",
        "`sinfo -R` shows why; it starts when they are back.",
    ),
    Row(
        ("PartitionDown", "PartitionInactive"),
        "its partition starts no jobs at the moment",
        "Wait, or take another --partition; `sinfo` shows which are up.",
    ),
    # squeue(1): it can also stand for hosts that are down or drained.
    Row(
        ("PartitionNodeLimit",),
        "its partition has not enough hosts for it: by its limits, or as some are down or drained",
        "`sinfo` shows its hosts and limits; fewer --nodes_per_job or another --partition help.",
    ),
    Row(
        ("PartitionConfig",),
        "its partition cannot give what it asks for at the moment",
        "`scontrol show job JOB` and `scontrol show partition` show the two.",
    ),
    Row(
        ("JobArrayTaskLimit", "ArrayTaskLimit"),
        "as many trials of its array run at once as may",
        "",
    ),
    Row(("BeginTime",), "it may not begin before a certain time", ""),
    Row(
        ("Dependency*",),
        "it waits for another job",
        "`scontrol show job JOB` names it.",
    ),
    Row(("Reservation*",), "its reservation has not begun, or is full", ""),
    Row(("Licenses*",), "a licence that it needs is in use", ""),
    Row(("BurstBuffer*",), "its burst buffer is being set up, or none is free", ""),
    Row(("Power*",), "the site's limit of power is reached, or its hosts are waking up", ""),
    Row(
        ("DeadLine",),
        "its deadline is over, or too close",
        "Take the deadline out of what --sbatch or the profile asks for.",
    ),
    Row(
        ("FrontEndDown", "FedJobLock", "SchedDefer", "Prolog*"),
        "Slurm is busy with it, or puts it off for a moment",
        "",
    ),
    # It waits for its turn
    Row(("Resources",), "it is next in line, and waits for hosts to become free", ""),
    Row(
        ("Priority",),
        "other jobs come before it",
        "`squeue --start -j JOB` guesses when it begins; smaller requests often begin sooner.",
    ),
    Row(("Cleaning",), "its last run is still being cleared away", ""),
    Row(("WaitingForScheduling", "None", ""), "Slurm has not looked at it yet", ""),
)
_UNKNOWN = Row(
    ("*",), "Slurm gives no more than this word", "`scontrol show job JOB` shows all of it."
)


def _compiled(row: Row) -> re.Pattern[str]:
    return re.compile("|".join(fnmatch.translate(word) for word in row.words), re.IGNORECASE)


_COMPILED = tuple((_compiled(row), row) for row in TABLE)
# What sbatch refuses with where a QOS denies what passes its limits (sacctmgr(1), DenyOnLimit): each
# task is held against them alone, whatever else runs (tried: 22.05.8). The number of jobs passes, and
# so do hours that are used up.
_DENIED = re.compile(
    r"\b(?:QOS|Assoc)(?!Grp\w*(?:Min|Wall))(?!\w*(?:Submit|Jobs))(?:Max|Min|Grp)[A-Z]\w+"
)


def explain(word: str) -> Reason:
    """Return what a reason of squeue means; one that nobody knows here merely waits.

    Args:
        word: As squeue prints it; brackets around it do not count.
    """
    bare = word.strip().removeprefix("(").removesuffix(")")
    # Some versions print what is a sentence without its spaces.
    spaced = bare.replace("_", " ")
    row = next((row for regex, row in _COMPILED if regex.match(spaced)), _UNKNOWN)
    return Reason(bare, row.says, row.remedy, row.fate, row.is_of_partition)


def find_denial(message: str) -> Reason | None:
    """Return why sbatch will never take such a job, by what it refused with; None: it may.

    Args:
        message: What sbatch said.
    """
    found = _DENIED.search(message)
    if found is None:
        return None
    reason = explain(found[0])
    if reason.fate is Fate.NEVER:
        return reason
    return replace(
        reason,
        says="it asks alone for more than its quality of service or its account gives at once",
        remedy="Ask for less, or take another --qos or --account.",
        fate=Fate.NEVER,
    )
