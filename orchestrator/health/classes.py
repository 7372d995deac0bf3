"""What each class of failure means to the user: how it is known, what is done, what one can do.

`docs/failures.md` is written from this table (`description`), and `headway why` quotes it.
"""

from __future__ import annotations

from dataclasses import dataclass

from db.states import FailureClass
from orchestrator.health.patterns import find_named


@dataclass(frozen=True, slots=True)
class About:
    """One class.

    Attributes:
        known: How it is known.
        done: What Headway does about it.
        remedy: What the user can do; None: nothing is needed.
    """

    known: str
    done: str
    remedy: str | None


CLASSES: dict[FailureClass, About] = {
    FailureClass.PROGRAM: About(
        known="The program's exit code was not 0, or a signal ended it. A result that it printed "
        "before does not excuse that.",
        done="The trial is tried again on another host; then it has FAILED.",
        remedy="Look at the log; the command of the trial can be run by hand.",
    ),
    FailureClass.NO_RESULT: About(
        known="Exit code 0, but no valid line for one of the results; `nan` and `inf` are none.",
        done="As for PROGRAM, with which it shares its tries.",
        remedy="Let the program print a line RESULT: NUMBER, or name what it prints with "
        "--result_names.",
    ),
    FailureClass.TIMEOUT: About(
        known="It ran into the limit of its worker (--worker_timeout) or into Slurm's: the state "
        "TIMEOUT, Slurm's warning, or what slurmstepd wrote into the log.",
        done="Once more with twice the time, as far as the partition allows.",
        remedy="Give trials more time with --worker_timeout, or let them do less.",
    ),
    FailureClass.OUT_OF_MEMORY: About(
        known="Slurm's state OUT_OF_MEMORY; or a program, or a part of it, that was killed with 90 % "
        "or more of its memory in use; or the known words in the log, also where the script went on "
        "after a step was killed and ended with exit code 0.",
        done="Again with 1.5 times the memory, up to the largest host of the partition, never twice "
        "the same. If it was the memory of a GPU: once more with the same.",
        remedy="Give trials more memory from the start with --mem_gb.",
    ),
    FailureClass.PREEMPTED: About(
        known="Its job had to make room: Slurm's state PREEMPTED, or Headway moved it.",
        done="Again, as often as needed; every attempt finds the same `HEADWAY_CHECKPOINT_DIR`.",
        remedy=None,
    ),
    FailureClass.NODE: About(
        known="Slurm's states NODE_FAIL and BOOT_FAIL, a launch that failed, a host that Slurm "
        "drained before the job began, or a check on the host before the trial (its GPUs, its disks, "
        "its memory, `--preflight`). Weaker: a worker that could not start there, or words in the log "
        "that point to the hardware.",
        done="At once on another host, if there is one; it is not one of the trial's own tries.",
        remedy="Look at what was found there. On a cluster, tell its support which host it was; Headway "
        "moves the trial.",
    ),
    FailureClass.LOST: About(
        known="The job is gone, or its worker gave no sign of life, and no report came within the "
        "grace.",
        done="Again, when the job is surely gone.",
        remedy=None,
    ),
    FailureClass.NO_DATABASE: About(
        known="The worker tried for ten minutes to reach the database, and could not claim its "
        "trial.",
        done="Again. It counts against the host only if other hosts can reach it.",
        remedy="Let the nodes reach the database: its host name, its port and a firewall are the "
        "suspects.",
    ),
    FailureClass.SUBMIT: About(
        known="`sbatch` refused the job.",
        done="Later again if that can pass; else the search ends with the words of `sbatch`.",
        remedy="Change what sbatch complains about, and go on with `headway resume`.",
    ),
    FailureClass.RULE: About(
        known="A rule of your own fits the log or the exit code. Shown is the rule's name.",
        done="What the rule says.",
        remedy="The rule is one of your own: `headway rules check` tries it on a log.",
    ),
    FailureClass.CANCELLED: About(
        known="Headway was told to stop, or somebody ended the job; where the accounting tells, it "
        "is said who.",
        done="Nothing: the trial is ABANDONED.",
        remedy=None,
    ),
}


def remedy_of(kind: FailureClass, name: str | None) -> str | None:
    """Return what the user can do about a failure, a sentence; None: nothing is needed.

    Args:
        kind: The class of the failure.
        name: The rule or the log pattern that gave it its class.
    """
    pattern = None if kind is FailureClass.RULE else find_named(name)
    return CLASSES[kind].remedy if pattern is None else pattern.remedy
