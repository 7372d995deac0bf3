"""What the database says of hosts, and the decisions that change it, each with its event.

Several heads and persons decide about the same hosts at the same time. A decision that somebody
else has made already is no event of this head. If the head dies before the commit, nothing was
decided, and the next one sees the same evidence; if it dies after it, the next one reads it.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from db.sql import events, hosts
from db.sql.hosts import CLUSTER, ExclusionRow, HostNote
from db.sql.store import Store, Transaction
from db.states import EventKind, ExclusionSource, HostState

# What others decided is looked for so often; a person who excludes a host by hand waits so long.
LOOK_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Ruling:
    """One decision about a host.

    Attributes:
        kind: SUSPECT, EXCLUDED or INCLUDED.
        host: Its name.
        state: What is thought of it from then on.
        reason: Why, in a sentence.
        evidence: What that rests on, and what the next decision has to know.
        seconds: How long it is kept out, if it is.
        exclusion_id: The exclusion that ends, if one does.
    """

    kind: EventKind
    host: str
    state: HostState
    reason: str
    evidence: dict[str, Any] = field(default_factory=dict)
    seconds: float | None = None
    exclusion_id: int | None = None

    @property
    def payload(self) -> dict[str, Any]:
        """What the event says."""
        told: dict[str, Any] = {
            "host": self.host,
            "state": self.state,
            "source": ExclusionSource.HEADWAY,
            "reason": self.reason,
            "evidence": self.evidence,
        }
        return told if self.seconds is None else told | {"seconds": self.seconds}


class Exclusions:
    """Keeps what the database says of hosts.

    Attributes:
        rows: The exclusions that have not been ended, by host.
        notes: What is thought of the hosts that are not GOOD, by host.
        let_in: Hosts that were suspect when that was read before, and that a person has let in.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._looked_at: float | None = None
        self._unknown: set[str] = set()
        self.rows: dict[str, ExclusionRow] = {}
        self.notes: dict[str, HostNote] = {}
        self.let_in: frozenset[str] = frozenset()

    def look_if_due(self) -> bool:
        """Read what others decided, now and then; whether something is different."""
        moment = time.monotonic()
        if self._looked_at is not None and moment - self._looked_at < LOOK_SECONDS:
            return False
        return self.look_anew()

    def look_soon(self) -> None:
        """Let the next look be due: what may be excluded depends on what others have excluded."""
        self._looked_at = None

    def look_anew(self) -> bool:
        """Read everything; whether something is different."""
        with self._store.read() as connection:
            return self._look(connection)

    def _look(self, connection: Transaction) -> bool:
        before, suspects = (self.rows, self.notes), self.suspects()
        self.rows, self.notes = hosts.current(connection, CLUSTER)
        gone = suspects - self.notes.keys() - self.rows.keys()
        by_hand = hosts.let_in_by_hand(connection, CLUSTER) if gone else {}
        self.let_in = gone & by_hand.keys()
        self._looked_at = time.monotonic()
        return before != (self.rows, self.notes)

    def by_person(self) -> frozenset[str]:
        """Return the hosts that a person excluded by hand."""
        return self._by(ExclusionSource.USER)

    def by_evidence(self) -> frozenset[str]:
        """Return the hosts that this head or another one excluded."""
        return self._by(ExclusionSource.HEADWAY)

    def _by(self, source: ExclusionSource) -> frozenset[str]:
        return frozenset(name for name, row in self.rows.items() if row.source == source)

    def on_parole(self) -> frozenset[str]:
        """Return the hosts that only canaries may try."""
        return self._in_state(HostState.PAROLE)

    def suspects(self) -> frozenset[str]:
        """Return the hosts that this head or another one suspects, and that are not excluded."""
        return self._in_state(HostState.SUSPECT)

    def _in_state(self, state: HostState) -> frozenset[str]:
        found = (name for name, note in self.notes.items() if note.state == state)
        return frozenset(found) - self.rows.keys()

    def write(self, rulings: Iterable[Ruling]) -> list[Ruling]:
        """Write decisions down with their events; returns those that nobody had made before.

        Raises:
            DatabaseUnavailable: It is not known whether they were.
        """
        # All heads take the hosts in the same order, so that none waits for another in a circle.
        ordered = sorted(rulings, key=lambda ruling: ruling.host)
        key = self._store.experiment_id
        with self._store.write() as connection:
            made = [ruling for ruling in ordered if self._make(connection, ruling)]
            rows = [events.row(key, ruling.kind, ruling.payload) for ruling in made]
            events.append(connection, rows)
            self._look(connection)
        return made

    def drop(self, unknown: Collection[str]) -> list[str]:
        """Write down, once each, that the scheduler does not know hosts that are to be avoided.

        Returns:
            Those that it had known until now.
        """
        new = sorted(set(unknown) - self._unknown)
        if new:
            key, reason = self._store.experiment_id, "the scheduler does not know it (any more)"
            payloads = [{"host": name, "source": "SCHEDULER", "reason": reason} for name in new]
            rows = [events.row(key, EventKind.INCLUDED, payload) for payload in payloads]
            with self._store.write() as connection:
                events.append(connection, rows)
        self._unknown = set(unknown)
        return new

    def _make(self, connection: Transaction, ruling: Ruling) -> bool:
        """Carry out one decision; False if there was nothing to do."""
        name, reason, evidence = ruling.host, ruling.reason, ruling.evidence
        if ruling.kind == EventKind.EXCLUDED:
            return hosts.exclude(
                connection,
                CLUSTER,
                name,
                source=ExclusionSource.HEADWAY,
                reason=reason,
                evidence=evidence,
                experiment_id=self._store.experiment_id,
                seconds=ruling.seconds,
            )
        if ruling.exclusion_id is not None and not hosts.include(
            connection,
            CLUSTER,
            name,
            reason=reason,
            state=ruling.state,
            exclusion_id=ruling.exclusion_id,
        ):
            return False
        is_new = hosts.note_state(
            connection, CLUSTER, name, ruling.state, reason=reason, evidence=evidence or None
        )
        return is_new or ruling.exclusion_id is not None
