"""Hosts that new jobs avoid at the moment, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from db.sql import hosts
from db.sql.hosts import CLUSTER, ExclusionRow, HostNote
from db.sql.reading.reader import Transaction
from db.states import ExclusionSource, HostState
from orchestrator.reports.texts import clock, printable


class Standing(StrEnum):
    """What becomes of a host."""

    GOOD = "GOOD"  # it is used
    SUSPECT = "SUSPECT"  # avoided until another host has told whether the trial or it is at fault
    PAROLE = "PAROLE"  # its exclusion is over, and one trial tries it
    EXCLUDED = "EXCLUDED"  # kept out


@dataclass(frozen=True, kw_only=True)
class Out:
    """A host that is not simply used.

    Attributes:
        host: Its name.
        standing: Excluded, suspect or on parole.
        since: From when on.
        until: Until when it is excluded; None: until somebody includes it, or until it is judged.
        by: Who decided: Headway, or a person.
        reason: Why, in a sentence.
        evidence: What that rests on.
    """

    host: str
    standing: Standing
    since: datetime
    until: datetime | None
    by: str
    reason: str
    evidence: dict[str, Any] | None


def read_outs(connection: Transaction) -> tuple[Out, ...]:
    """Return the hosts that are not simply used, by name."""
    return outs(*hosts.current(connection, CLUSTER))


def outs(exclusions: Mapping[str, ExclusionRow], notes: Mapping[str, HostNote]) -> tuple[Out, ...]:
    """Return the hosts that are not simply used, by name; an exclusion says more than a state."""
    found = {name: _noted(note) for name, note in notes.items()}
    found |= {name: _excluded(row) for name, row in exclusions.items()}
    return tuple(found[name] for name in sorted(found))


def _excluded(row: ExclusionRow) -> Out:
    by_person = row.decided_by or "somebody"
    return Out(
        host=row.host,
        standing=Standing.PAROLE if row.is_over else Standing.EXCLUDED,
        since=row.created_at,
        until=row.expires_at,
        by=by_person if row.source == ExclusionSource.USER else "Headway",
        reason=row.reason,
        evidence=row.evidence,
    )


def _noted(note: HostNote) -> Out:
    return Out(
        host=note.name,
        standing=Standing.PAROLE if note.state == HostState.PAROLE else Standing.SUSPECT,
        since=note.changed_at,
        until=None,
        by="Headway",
        reason=note.reason or "",
        evidence=note.evidence,
    )


def spoken(out: Out) -> str:
    """Say in one line what becomes of a host and why, without its name."""
    match out.standing:
        case Standing.EXCLUDED:
            until = "somebody includes it" if out.until is None else clock(out.until)
            by = "" if out.by == "Headway" else f" by {out.by}"
            what = f"kept out{by} until {until}"
        case Standing.PAROLE:
            what = "on parole: one trial tries it"
        case _:
            what = "suspect: avoided until another host has told"
    return printable(f"{what}: {out.reason}" if out.reason else what)
