"""A person's word about hosts, written down: by the command itself, or by the head that it asks.

It holds for all experiments of the database; each that goes on has it as an event.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from db.sql import events, hosts
from db.sql.hosts import CLUSTER
from db.sql.reading import experiments
from db.sql.store import Transaction
from db.states import EventKind, ExclusionSource, HostState


def exclude(
    connection: Transaction,
    names: Iterable[str],
    *,
    by: str,
    reason: str,
    seconds: float | None,
) -> list[str]:
    """Keep hosts out until somebody includes them, or for some seconds.

    Returns:
        Those that were not out before; the others stay out as they were.
    """
    # All who change several hosts take them in this order.
    new = [
        name
        for name in sorted(names)
        if hosts.exclude(
            connection,
            CLUSTER,
            name,
            source=ExclusionSource.USER,
            reason=reason,
            decided_by=by,
            seconds=seconds,
        )
    ]
    told: dict[str, Any] = {} if seconds is None else {"seconds": seconds}
    _log(connection, EventKind.EXCLUDED, new, by=by, reason=reason, **told)
    return new


def include(connection: Transaction, names: Iterable[str], *, by: str, reason: str) -> None:
    """Let hosts in that are kept out, suspect or on parole, whoever thinks so."""
    ordered = sorted(names)
    for name in ordered:
        good, evidence = HostState.GOOD, {hosts.LET_IN_BY: by}
        if not hosts.include(
            connection, CLUSTER, name, reason=reason, state=good, evidence=evidence
        ):
            # It was on parole.
            hosts.note_state(connection, CLUSTER, name, good, reason=reason, evidence=evidence)
    _log(connection, EventKind.INCLUDED, ordered, by=by, reason=reason)


def _log(connection: Transaction, kind: EventKind, names: Sequence[str], **told: Any) -> None:
    told = {"source": ExclusionSource.USER, **told}
    ongoing = experiments.ongoing(connection)
    rows = [events.row(key, kind, {"host": name, **told}) for key in ongoing for name in names]
    events.append(connection, rows)
