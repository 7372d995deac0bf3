"""Why Slurm lets a job wait, in plain words, and what one can do about it.

Source: squeue(1), "JOB REASON CODES", Slurm 22.05 to 24.11.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Reason(NamedTuple):
    """One row of the table.

    Attributes:
        regex: Reasons that it stands for, as squeue prints them; upper and lower case alike.
        says: What it means, a sentence without a full stop.
        remedy: What one can do; empty: nothing but wait.
    """

    regex: str
    says: str
    remedy: str


# The first row that fits counts: the special ones come first.
TABLE: tuple[Reason, ...] = (
    Reason(
        r"launch failed requeued held",
        "its host could not start it, and Slurm holds it until a person lets it go",
        "Headway moves such a trial to another host by itself.",
    ),
    Reason(
        r"JobHeldUser",
        "you, or somebody with your rights, hold it back",
        "Let it go: scontrol release JOB",
    ),
    Reason(
        r"JobHeldAdmin|.*held",
        "the cluster's administration holds it back",
        "Ask the cluster's support.",
    ),
    Reason(
        r"BadConstraints",
        "no host is left that may run it: what it asks for and the hosts that it avoids leave none",
        "`headway hosts` shows which hosts are out; ask for less memory, fewer GPUs or CPUs.",
    ),
    Reason(
        r"PartitionTimeLimit",
        "it asks for more time than the partition ever gives, so that it would wait for ever",
        "Go on with a smaller --worker_timeout, or in another --partition.",
    ),
    Reason(
        r"PartitionNodeLimit",
        "it asks for more hosts than the partition gives",
        "Take fewer --nodes_per_job, or another --partition.",
    ),
    Reason(
        r"PartitionDown|PartitionInactive",
        "its partition starts no jobs at the moment",
        "Wait, or take another --partition; `sinfo` shows which are up.",
    ),
    Reason(
        r"ReqNodeNotAvail.*Maint|.*ReservationMaint|Reserved for maintenance",
        "it would still run when a maintenance of the cluster begins",
        "It starts after that; one with a shorter --worker_timeout may start before.",
    ),
    Reason(
        r"ReqNodeNotAvail|Nodes required for job are",
        "hosts that it needs are down, drained or reserved",
        "`sinfo -R` shows why; it starts when they are back.",
    ),
    Reason(
        r"InvalidAccount|InvalidQOS|.*NotAllowed|AccountNotAllowed|QOSNotAllowed",
        "its account or quality of service may not be used here (any more)",
        "Go on with another --account, --qos or --partition.",
    ),
    Reason(
        r"QOSMaxSubmit\w*|AssocMaxSubmit\w*",
        "you have as many jobs queued as you may",
        "It is taken when others have ended.",
    ),
    Reason(
        r"QOS\w*|Max\w*PerAccount|MaxJobsPerUser",
        "a limit of its quality of service is reached: you use as much at once as it allows",
        "It starts when others of your jobs have ended; --qos names another one.",
    ),
    Reason(
        r"Assoc\w*",
        "a limit of your account is reached: it uses as much at once, or in all, as it may",
        "It starts when others of your jobs have ended; if the account's hours are used up, ask the "
        "cluster's support.",
    ),
    Reason(
        r"JobArrayTaskLimit",
        "as many trials of its array run at once as may",
        "",
    ),
    Reason(
        r"BeginTime",
        "it was put back into the queue, and may not begin before a certain time",
        "",
    ),
    Reason(r"Dependency\w*", "it waits for another job", ""),
    Reason(r"Reservation\w*", "its reservation has not begun, or is full", ""),
    Reason(r"Licenses", "a licence that it needs is in use", ""),
    Reason(
        r"Resources",
        "it is next in line, and waits for hosts to become free",
        "",
    ),
    Reason(
        r"Priority",
        "other jobs come before it",
        "`squeue --start -j JOB` guesses when it begins; smaller requests often begin sooner.",
    ),
    Reason(r"Node_?Down|NodesDown", "a host that it needs is down", ""),
    Reason(r"Cleaning|WaitingForScheduling|None", "Slurm has not looked at it yet", ""),
)
_COMPILED = tuple((re.compile(reason.regex, re.IGNORECASE), reason) for reason in TABLE)


def explain(word: str) -> Reason | None:
    """Return what a reason of squeue means; None if the table does not know it.

    Args:
        word: As squeue prints it; brackets around it do not count.
    """
    bare = word.strip().strip("()")
    for regex, reason in _COMPILED:
        if regex.match(bare):
            return reason
    return None
