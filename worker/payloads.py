"""What a worker says of an attempt, before anything is known and when nothing can be done."""

from __future__ import annotations

import os

from worker.clock import now

TYPE_CHECKING = False
if TYPE_CHECKING:
    from db.records import ArtifactRecord, Checks, Claim, EndPayload, ReportMessage


def empty_payload(claim: Claim) -> EndPayload:
    """Return what is to be said of a program that was not started."""
    return {
        "results": {},
        "sems": {},
        "infos": {},
        "artifacts": [],
        "problems": [],
        "cause": "NOT_STARTED",
        "exit_code": None,
        "signal": None,
        "host": claim["host"],
        "slurm_job_id": claim["slurm_job_id"],
        "started_at": now(),
        "ended_at": now(),
        "measured": {
            "wall_seconds": 0.0,
            "user_seconds": 0.0,
            "system_seconds": 0.0,
            "peak_memory_bytes": 0,
        },
        "tail": "",
    }


def unclaimed(
    claim: Claim,
    token: str,
    index: int,
    *,
    problem: str,
    is_unfit: bool,
    checks: Checks | None = None,
) -> ReportMessage:
    """Make the report of a worker that has not claimed its attempt.

    It does not know its attempt: `attempt_id` is 0, and the payload's `submission_token` and
    `array_index` tell which one it was.

    Args:
        claim: Who would have claimed it.
        token: Token of the submission.
        index: Array index within it.
        problem: Why it did not.
        is_unfit: It is for this node that it did not, and not for the database.
        checks: What was measured, if the fault is the node's own.
    """
    payload: EndPayload = {
        **empty_payload(claim),
        "problems": [problem],
        "submission_token": token,
        "array_index": index,
        "is_unfit": is_unfit,
    }
    if "restart" in claim:
        payload["restart"] = claim["restart"]
    if checks is not None:
        payload["checks"] = checks
    return {
        "attempt_id": 0,
        "attempt_token": f"{token}_{index}",
        "kind": "END",
        # 0 belongs to the worker that claimed the attempt: an earlier run of a requeued job may
        # still bring its result, and of two reports with the same number only one is kept. So a
        # report that was refused, as of a ghost, is not to take the place of a later run's.
        "sequence": 1 + claim.get("restart", 0),
        "created_at": now(),
        "payload": {**payload},
    }


def find_artifacts(lines: list[str]) -> tuple[list[ArtifactRecord], list[str]]:
    """Look for the files that ARTIFACT lines name, from the program's folder.

    A line is `PATH` or `PATH NAME`; a path may hold spaces if it is the whole line.

    Returns:
        Those that exist, and a problem for each of the others.
    """
    found: list[ArtifactRecord] = []
    problems = []
    for line in lines:
        first, _, last = line.rpartition(" ")
        for path, name in ((line, os.path.basename(line)), (first.strip(), last)):
            try:
                if path and os.path.isfile(path):
                    size = os.path.getsize(path)
                    found.append({"name": name, "path": os.path.abspath(path), "bytes": size})
                    break
            except OSError:
                continue  # it went away just now
        else:
            problems.append(f"ARTIFACT: no file {line!r}")
    return found, problems
