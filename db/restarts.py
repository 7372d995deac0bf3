"""What a requeued job does with the attempt that its earlier run had claimed.

Slurm starts a requeued job again under the same id, with `SLURM_RESTART_COUNT` one higher. Its
worker ends the attempt of the run before (class PREEMPTED, which costs no try) and goes on as the
next attempt of the same trial, with the token `TOKEN.r`. Nobody needs to submit anything. The nonce
of such a worker ends with `.r` too: a worker of an earlier run, which was only slow, can so be told
from one of a later run, and never takes an attempt away from it.
"""

from __future__ import annotations

from db.light_json import loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from db.connections import Execute, Row
    from db.records import Claim

# The last attempt at a place, and whether its trial has an answer.
_LAST = """
SELECT attempt.id, attempt.token, attempt.state, attempt.claim,
       (SELECT count(*) FROM outcome WHERE outcome.trial_id = attempt.trial_id)
FROM attempt
JOIN submission ON submission.id = attempt.submission_id
WHERE submission.token = %(token)s AND attempt.array_index = %(array_index)s
ORDER BY attempt.number DESC LIMIT 1
"""
# What was refused may be of a job that had not claimed the attempt.
_END_PAYLOAD = """
SELECT payload FROM report
WHERE attempt_id = %(attempt_id)s AND kind = 'END' AND refused_reason IS NULL
"""
_CLOSE = """
UPDATE attempt
SET state = 'FAILED', failure_class = 'PREEMPTED', failure_message = %(message)s, ended_at = {now}
WHERE id = %(attempt_id)s AND state = 'STARTED' AND claim = %(old_claim)s
"""
_OPEN = """
INSERT INTO attempt (trial_id, submission_id, array_index, restart, number, token, claim, state,
    slurm_job_id, cluster, host, requested, log_path, created_at, submitted_at, started_at,
    heartbeat_at)
SELECT trial_id, submission_id, array_index, %(restart)s, number + 1, %(new_token)s, %(claim)s,
    'STARTED', COALESCE(slurm_job_id, %(slurm_job_id)s), cluster, %(host)s, requested, log_path,
    {now}, {now}, {now}, {now}
FROM attempt WHERE id = %(attempt_id)s
"""


def nonce_of(random: str, restart: int) -> str:
    """Name a worker process; `restart` is its job's SLURM_RESTART_COUNT."""
    return f"{random}.{restart}" if restart else random


def restart_of(name: str) -> int:
    """Return the restart count that a worker's nonce or an attempt's token ends with; 0 if none."""
    _, dot, count = name.rpartition(".")
    return int(count) if dot and count.isdecimal() else 0


def next_token(token: str, restart: int) -> str:
    """Return the token of the attempt that follows the one with `token` at its place."""
    return f"{base_of(token)}.{restart}"


def base_of(token: str) -> str:
    """Return what the tokens of all attempts at one place begin with."""
    return token.partition(".")[0]


def message_of(restart: int) -> str:
    """Say in a sentence why the attempt before restart number `restart` gave no result."""
    return f"its job was requeued by Slurm (restart {restart}): the trial goes on in the same job"


def is_interrupted(end: Mapping[str, Any]) -> bool:
    """Tell whether an END payload may be followed by another run of the same trial.

    Only if its worker was told to stop, and nothing says that the program had finished before: a
    result is the head's to judge.
    """
    finished = end["exit_code"] == 0 and end["results"]
    return end["cause"] == "TERMINATED" and not finished


def open_next(execute: Execute, token: str, index: int, claim: Claim) -> int | None:
    """End the attempt of a job's earlier run and open the next one for this worker.

    Part of the transaction of a claim. The old attempt is changed only as it was read: if the head
    ends it meanwhile, or another worker is quicker, nothing happens.

    Args:
        execute: Runs a statement in that transaction.
        token: Token of the submission.
        index: Array index.
        claim: Who claims; its nonce is of a restart.

    Returns:
        The key of the attempt that was ended; None if there is nothing to go on with.
    """
    restart = restart_of(claim["claim"])
    _, rows = execute(_LAST, {"token": token, "array_index": index})
    if not rows or not _may_follow(rows[0], restart):
        return None
    key, old_token, _, old_claim, _ = rows[0]
    _, ends = execute(_END_PAYLOAD, {"attempt_id": key})
    if not all(is_interrupted(_read(payload)) for (payload,) in ends):
        return None
    old = {"attempt_id": key, "old_claim": old_claim, "message": message_of(restart)}
    changed, _ = execute(_CLOSE, old)
    if changed != 1:
        return None
    new = {"restart": restart, "new_token": next_token(old_token, restart), "attempt_id": key}
    who = {"claim": claim["claim"], "host": claim["host"], "slurm_job_id": claim["slurm_job_id"]}
    execute(_OPEN, {**new, **who})
    return int(key)


def _may_follow(row: Row, restart: int) -> bool:
    """Tell whether the last attempt at a place runs on in this restart of its job."""
    _, _, state, claim, outcomes = row
    return state == "STARTED" and not outcomes and restart_of(claim or "") < restart


def _read(payload: object) -> Mapping[str, Any]:
    """Return a payload, which some drivers give as text."""
    found: Mapping[str, Any] = loads(payload) if isinstance(payload, str) else payload  # type: ignore[assignment]
    return found
