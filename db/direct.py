"""The few statements by which a worker talks to the database itself.

Each is one transaction and may be repeated: a claim knows its own nonce, a report its number. The
words of states are written out, since `db.states` would cost every worker the import of `enum`; a
test holds them to it.
"""

from __future__ import annotations

import os

from db.connections import open_database
from db.errors import DatabaseError
from db.light_json import dumps, loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from db.connections import Execute, Row
    from db.records import Assignment, Claim, ReportMessage

# The channel on which a PostgreSQL server tells the head that an attempt has ended.
CHANNEL = "headway"

_CLAIM = """
UPDATE attempt
SET state = 'STARTED', claim = %(claim)s, host = %(host)s, started_at = {now},
    heartbeat_at = {now}, slurm_job_id = COALESCE(slurm_job_id, %(slurm_job_id)s)
WHERE submission_id = (SELECT id FROM submission WHERE token = %(token)s)
  AND array_index = %(array_index)s AND state IN ('PLANNED', 'SUBMITTED')
"""
_ASSIGNMENT = """
SELECT attempt.id, attempt.token, attempt.number, trial."index", trial.parameters,
       attempt.log_path, attempt.requested
FROM attempt
JOIN trial ON trial.id = attempt.trial_id
JOIN submission ON submission.id = attempt.submission_id
WHERE submission.token = %(token)s AND attempt.array_index = %(array_index)s
  AND attempt.claim = %(claim)s AND attempt.state = 'STARTED'
"""
_REPORT = """
INTO report (attempt_id, kind, sequence, payload, created_at)
SELECT attempt.id, %(kind)s, %(sequence)s, %(payload)s, {now}
FROM attempt WHERE attempt.id = %(attempt_id)s AND attempt.token = %(attempt_token)s
"""
_IS_REPORTED = """
SELECT 1 FROM report
JOIN attempt ON attempt.id = report.attempt_id
WHERE attempt.id = %(attempt_id)s AND attempt.token = %(attempt_token)s
  AND report.kind = %(kind)s AND report.sequence = %(sequence)s
"""
_HEARTBEAT = """
UPDATE attempt SET heartbeat_at = {now}
WHERE id = %(attempt_id)s AND token = %(attempt_token)s AND state = 'STARTED'
"""


class DirectStore:
    """A worker's way to the database; each call is one transaction.

    Keeps no connection unless told to `hold` one; see `open_database`. Every call may raise
    DatabaseUnavailable (it may or may not have worked: repeat it) or DatabaseError (repeating is
    no use).
    """

    def __init__(self, url: str, *, run_dir: str, experiment_id: int, hold: bool = False) -> None:
        self._database = open_database(url, hold=hold)
        self._run_dir = run_dir
        self._experiment_id = experiment_id

    def claim(self, token: str, index: int, claim: Claim) -> Assignment | None:
        """Take an attempt, and store its START report.

        Args:
            token: Token of the submission.
            index: Array index within it.
            claim: Who claims; the same nonce gets the same answer again.

        Returns:
            The attempt, or None if it is superseded, or another worker's.
        """
        return self._database.transact(lambda execute: self._claim(execute, token, index, claim))

    def _claim(self, execute: Execute, token: str, index: int, claim: Claim) -> Assignment | None:
        where = {"token": token, "array_index": index, "claim": claim["claim"]}
        job = {"host": claim["host"], "slurm_job_id": claim["slurm_job_id"]}
        execute(_CLAIM, {**where, **job})
        # Our nonce in a row that this call did not change: an earlier commit of ours had worked,
        # though its answer was lost.
        _, rows = execute(_ASSIGNMENT, where)
        previous = None
        if not rows and claim.get("restart"):
            from db.restarts import open_next

            previous = open_next(execute, token, index, claim)
            _, rows = execute(_ASSIGNMENT, where)
        if not rows:
            return None
        assignment = self._assignment(rows[0])
        self._store(
            execute,
            {
                "attempt_id": assignment["attempt_id"],
                "attempt_token": assignment["attempt_token"],
                "kind": "START",
                "sequence": 0,
                "created_at": claim["started_at"],
                "payload": {**claim} if previous is None else {**claim, "previous": previous},
            },
        )
        return assignment

    def _assignment(self, row: Row) -> Assignment:
        """Make an assignment of a row of the database."""
        attempt_id, token, number, index, parameters, log_path, requested = row
        assignment: Assignment = {
            "attempt_id": attempt_id,
            "attempt_token": token,
            "number": number,
            "trial_index": index,
            "parameters": _read(parameters),
            "log_path": log_path or "",
            "checkpoint_dir": os.path.join(self._run_dir, "checkpoints", str(index)),
        }
        timeout = (_read(requested) or {}).get("timeout_seconds")
        if timeout is not None:
            assignment["timeout_seconds"] = timeout
        return assignment

    def send(self, message: ReportMessage) -> None:
        """Store a report; again is no harm. An END is stored even if the attempt was superseded.

        Raises DatabaseError if the database has no attempt with this id and token.
        """
        ring = (CHANNEL, str(self._experiment_id)) if message["kind"] == "END" else None
        self._database.transact(lambda execute: self._send(execute, message), ring=ring)

    def _send(self, execute: Execute, message: ReportMessage) -> None:
        changed = self._store(execute, message)
        if not changed and not execute(_IS_REPORTED, _key(message))[1]:
            text = f"no attempt {message['attempt_id']} with token {message['attempt_token']}"
            raise DatabaseError(text)

    def _store(self, execute: Execute, message: ReportMessage) -> int:
        """Insert a report if it is not there; returns the number of new rows."""
        values = {**_key(message), "payload": dumps(message["payload"])}
        if self._database.dialect in {"mysql", "mariadb"}:
            # Not IGNORE, which also ignores values that do not fit.
            same = "ON DUPLICATE KEY UPDATE sequence = report.sequence"
            return execute(f"INSERT {_REPORT} {same}", values)[0]
        return execute(f"INSERT {_REPORT} ON CONFLICT DO NOTHING", values)[0]

    def beat(self, assignment: Assignment) -> bool:
        """Note a sign of life, by the database's clock.

        Returns:
            False if the attempt is no longer ours: superseded, given up, or ended.
        """
        key = {
            "attempt_id": assignment["attempt_id"],
            "attempt_token": assignment["attempt_token"],
        }
        changed, _ = self._database.transact(lambda execute: execute(_HEARTBEAT, key))
        return changed == 1


def _read(value: Any) -> Any:
    """Return what a JSON column holds, which some drivers give as text."""
    return loads(value) if isinstance(value, str) else value


def _key(message: ReportMessage) -> dict[str, Any]:
    """Return what identifies a report, as values of a statement."""
    return {
        "attempt_id": message["attempt_id"],
        "attempt_token": message["attempt_token"],
        "kind": message["kind"],
        "sequence": message["sequence"],
    }
