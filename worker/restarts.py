"""A worker whose job Slurm has requeued and started again."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from db.records import Assignment, Claim


def restart_count(environ: Mapping[str, str]) -> int:
    """Return how often Slurm has started this job again; 0 at its first start."""
    text = environ.get("SLURM_RESTART_COUNT", "")
    return int(text) if text.isdecimal() else 0


def mark(claim: Claim, restart: int) -> None:
    """Let a claim say that it is made in a job that was started again."""
    from db.restarts import nonce_of

    claim["claim"] = nonce_of(claim["claim"], restart)
    claim["restart"] = restart


def tidy_earlier(assignment: Assignment) -> None:
    """Remove what attempts that Slurm has killed could not: the files of their parameters.

    A trial that is preempted again and again must not leave a file each time. Called before this
    attempt writes its own.
    """
    folder = assignment["checkpoint_dir"]
    try:
        for name in os.listdir(folder):
            if name.startswith(".parameters-") and name.endswith(".json"):
                os.unlink(os.path.join(folder, name))
    except OSError:
        return  # there is none, or nothing can be done there: the program will say so itself
