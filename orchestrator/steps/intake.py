"""Puts what came through the spool where all other reports are: into the table `report`."""

from __future__ import annotations

from collections.abc import Callable

from db.records import ReportMessage
from db.sql import attempts, incoming
from db.sql.store import Transaction
from db.states import ReportKind
from orchestrator.steps.mailbox import Mail


def take_in(
    connection: Transaction, mail: Mail, *, reject: Callable[[ReportMessage], None]
) -> None:
    """Store mail; what is stored already stays as it is.

    Args:
        connection: The transaction.
        mail: What was found in the spool.
        reject: Takes a message whose token is not that of its attempt: nobody of ours wrote it.
    """
    keys = sorted({message["attempt_id"] for message in mail.messages} | set(mail.heartbeats))
    tokens = incoming.known_tokens(connection, keys) if keys else {}
    rows = []
    for message in mail.messages:
        key = message["attempt_id"]
        if key == 0:
            key = _find_unclaimed(connection, message)
        elif tokens.get(key) != message["attempt_token"]:
            key = 0
        if key == 0:
            reject(message)
            continue
        rows.append(
            {
                "attempt_id": key,
                "kind": ReportKind(message["kind"]),
                "sequence": message["sequence"],
                "payload": message["payload"],
            }
        )
    incoming.store(connection, rows)
    attempts.beat(connection, {k: at for k, at in mail.heartbeats.items() if k in tokens})


def _find_unclaimed(connection: Transaction, message: ReportMessage) -> int:
    """Find the attempt of a worker that could not claim it, and so knows only its place; or 0."""
    place = message["payload"]
    if "submission_token" not in place:
        return 0
    token, index = place["submission_token"], place["array_index"]
    return incoming.find_attempt(connection, token, index) or 0
