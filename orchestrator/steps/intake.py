"""Puts what came through the spool where all other reports are: into the table `report`.

The token says which attempt a message is of. What has an unknown one, or is no message at all, is
written down as an event of kind `foreign`; its file is moved to `rejected/` after the commit.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from db.records import ReportMessage
from db.sql import attempts, events, incoming
from db.sql.store import Transaction
from db.states import EventKind, ReportKind
from orchestrator.steps.docket import Docket
from orchestrator.steps.mailbox import Mail
from orchestrator.steps.restarts import Restarts


def take_in(docket: Docket, connection: Transaction, mail: Mail) -> None:
    """Store mail; what is stored already stays as it is."""
    tokens = {message["attempt_token"] for message in mail.messages} | mail.heartbeats
    ids = incoming.find_tokens(connection, docket.store.experiment_id, tokens)
    rows, unknown = [], []
    for message in mail.messages:
        key = ids.get(message["attempt_token"]) or _find_unclaimed(connection, message)
        if key is None:
            unknown.append(message)
        else:
            rows.append(_row(key, message))
    incoming.store(connection, rows)
    # After the others: what a job's earlier run left tells whether its next run is wanted.
    _take_restarted(docket, connection, mail, unknown)
    attempts.beat(connection, [ids[token] for token in mail.heartbeats if token in ids])
    if mail.faults:
        _log_faults(docket, connection, mail)


def _take_restarted(
    docket: Docket, connection: Transaction, mail: Mail, messages: list[ReportMessage]
) -> None:
    """Store what a requeued job says of an attempt that is not made yet; the rest is foreign."""
    restarts = Restarts(docket)
    for message in messages:
        key = restarts.open(connection, message)
        if key:
            incoming.store(connection, [_row(key, message)])
        else:
            mail.put_aside(message, "no attempt of this experiment has its token")


def _row(key: int, message: ReportMessage) -> dict[str, Any]:
    return {
        "attempt_id": key,
        "kind": ReportKind(message["kind"]),
        "sequence": message["sequence"],
        "payload": message["payload"],
    }


def _find_unclaimed(connection: Transaction, message: ReportMessage) -> int | None:
    """Find the attempt of a worker that could not claim it, and so knows only its place."""
    token = message["payload"].get("submission_token")
    index = message["payload"].get("array_index")
    if message["attempt_id"] != 0 or token is None or index is None:
        return None
    return incoming.find_attempt(connection, token, index)


def _log_faults(docket: Docket, connection: Transaction, mail: Mail) -> None:
    """Write down what is left out, and say it in one line however much it is."""
    payloads: list[dict[str, Any]] = []
    for path, reason in mail.faults.items():
        name = PurePath(path).name.encode(errors="backslashreplace").decode()
        message = mail.files.get(path)
        about = ("attempt_id", "kind", "sequence")
        told = {} if message is None else {key: message[key] for key in about}  # type: ignore[literal-required]
        payloads.append({"file": name, "reason": reason, **told})
    kind, experiment_id = EventKind.FOREIGN, docket.store.experiment_id
    events.append(connection, [events.row(experiment_id, kind, each) for each in payloads])
    first = payloads[0]
    docket.then(
        lambda: docket.note(
            "foreign mail was left out",
            level="warning",
            files=len(payloads),
            first=first["file"],
            why=first["reason"],
            moved_to="spool/rejected",
        )
    )
