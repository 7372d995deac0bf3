"""What the evidence, the clock and other heads mean for each host: decisions to be written down.

Nothing is remembered here that the next head could not find out: what was written stands in the
database, and the evidence is told to it anew.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from typing import Generic, TypeVar

from db.sql.hosts import ExclusionRow
from db.states import EventKind, ExclusionSource, HostState
from orchestrator.health.verdicts import Verdict, Verdicts, most
from orchestrator.spec.experiment import ExperimentSpec
from orchestrator.steps.avoidance import KeptOut
from orchestrator.steps.exclusions import Exclusions, Ruling
from orchestrator.steps.ledger import OpenAttempt
from orchestrator.steps.recalls import Recall

# A host that fails when it is on parole is out for twice as long as before, at most a day: broken
# hosts get repaired.
LONGER = 2
LONGEST_SECONDS = 24 * 3600.0
# A suspicion that nobody has told more about for so long ends: a try elsewhere may wait for days in
# a full queue, and the head that suspects may have died.
SUSPICION_SECONDS = 1800.0
_UNTOLD = f"nobody has told more about it for {SUSPICION_SECONDS / 60:.0f} min"
_Key = TypeVar("_Key")
_RESTART_ALL = "restart_all"
_BEFORE = "excluded_seconds"
# Why a host is no longer suspect, by whether failures there are still open.
_CLEARED = {
    False: "what failed there is explained",
    True: "trials fail as often elsewhere, or as many hosts as may be are kept out already",
}


class _Ages(Generic[_Key]):
    """Tells which things have been so for longer than a suspicion lasts."""

    def __init__(self) -> None:
        self._since: dict[_Key, float] = {}

    def old(self, things: Collection[_Key]) -> set[_Key]:
        """Return the old ones of the things that are so now; all others are forgotten."""
        moment = time.monotonic()
        self._since = {thing: self._since.get(thing, moment) for thing in things}
        return {key for key, since in self._since.items() if moment - since >= SUSPICION_SECONDS}


class Rulings:
    """Decides about hosts.

    Attributes:
        to_restart: Hosts whose exclusion ends all attempts that run there, as a rule wants it.
    """

    def __init__(
        self,
        *,
        verdicts: Verdicts,
        exclusions: Exclusions,
        spec: ExperimentSpec,
        experiment_id: int,
    ) -> None:
        self._verdicts = verdicts
        self._exclusions = exclusions
        self._spec = spec
        self._experiment_id = experiment_id
        self._on_parole = exclusions.on_parole()
        self._suspects = {name for name in self._noted() if self._is_own(name)}
        self._strangers = _Ages[tuple[str, datetime]]()
        self._own = _Ages[tuple[str, frozenset[int]]]()
        self.to_restart: set[str] = set()

    def follow(self) -> None:
        """Let the verdicts know what the database says by now, whoever decided it."""
        verdicts, rows = self._verdicts, self._exclusions.rows.keys()
        parole = self._exclusions.on_parole()
        for host in parole - self._on_parole:
            verdicts.released(host)
        # Let in by a person, or another head's trial has succeeded there.
        freed = (verdicts.excluded() | verdicts.on_parole() & self._on_parole) - rows - parole
        for host in freed | self._exclusions.let_in:
            verdicts.released(host, on_parole=False)
        self._suspects -= self._exclusions.let_in
        for host in rows - verdicts.excluded():
            verdicts.keep_out(host)
        self.to_restart -= parole | freed
        self._on_parole = parole

    def due(self, pool: Collection[str]) -> list[Ruling]:
        """Return what is to be decided now, at most one decision a host.

        Args:
            pool: The hosts that jobs can get, without those that a person keeps out.
        """
        found: dict[str, Ruling] = {}
        parts: list[Iterator[Ruling]] = [self._expired()]
        if self._spec.auto_exclude:
            parts += [self._convicted(pool), self._passed(), self._suspicions(pool), self._stale()]
        for ruling in itertools.chain.from_iterable(parts):
            found.setdefault(ruling.host, ruling)
        return list(found.values())

    def kept_out(self, *, named: frozenset[str], pool: Collection[str]) -> KeptOut:
        """Return the hosts that jobs are to avoid.

        Args:
            named: Those that the user named with `--exclude`.
            pool: The hosts that jobs can get, without those that a person keeps out.
        """
        exclusions = self._exclusions
        by_person = named | exclusions.by_person()
        if not self._spec.auto_exclude:
            return KeptOut(by_person=by_person)
        return KeptOut(
            by_person=by_person,
            by_evidence=exclusions.by_evidence() | exclusions.on_parole(),
            suspects=self._suspicious(pool),
        )

    def condemned(self, attempts: Iterable[OpenAttempt]) -> Iterator[Recall]:
        """Find attempts that run on hosts which a rule of this experiment empties."""
        rows, by_evidence = self._exclusions.rows, self._exclusions.by_evidence()
        # Also if it had been excluded for something else before the rule came.
        marked = {host for host in by_evidence if self._is_marked(rows[host])} | (
            self.to_restart & by_evidence
        )
        for attempt in attempts if marked else ():
            host = attempt.runs_on
            if host in marked:
                why = f"a rule starts all trials anew that run there ({rows[host].reason})"
                yield Recall(attempt, host, why, is_pending=False)

    def _is_marked(self, row: ExclusionRow) -> bool:
        is_own = row.experiment_id == self._experiment_id
        return is_own and bool((row.evidence or {}).get(_RESTART_ALL))

    def _suspicious(self, pool: Collection[str]) -> frozenset[str]:
        """Return the hosts that are suspect, to this head or to another one, within the cap."""
        rows = self._exclusions.rows.keys()
        own = self._suspects - rows
        room = most(len(pool)) - len((own | rows | self._on_parole).intersection(pool))
        others = sorted(name for name in self._others() if name in pool)
        return frozenset(own | set(others[: max(0, room)]))

    def _expired(self) -> Iterator[Ruling]:
        """Those whose time is over; what the evidence kept out has to prove itself first."""
        for host, row in self._exclusions.rows.items():
            by_person = row.source == ExclusionSource.USER
            if not row.is_over or not (by_person or self._spec.auto_exclude):
                continue
            assert row.expires_at is not None
            lasted = (row.expires_at - row.created_at).total_seconds()
            yield Ruling(
                kind=EventKind.INCLUDED,
                host=host,
                state=HostState.GOOD if by_person else HostState.PAROLE,
                reason="its exclusion is over",
                evidence={} if by_person else {_BEFORE: lasted},
                exclusion_id=row.id,
            )

    def _convicted(self, pool: Collection[str]) -> Iterator[Ruling]:
        for verdict in self._verdicts.newly_excluded(pool):
            yield Ruling(
                kind=EventKind.EXCLUDED,
                host=verdict.host,
                state=HostState.SUSPECT,
                reason=verdict.reason,
                evidence=self._evidence(verdict),
                seconds=self._seconds(verdict.host),
            )

    def _seconds(self, host: str) -> float:
        """For how long a host is kept out."""
        note = self._exclusions.notes.get(host)
        before = (note.evidence or {}).get(_BEFORE) if note is not None else None
        if before is None or host not in self._on_parole:
            return self._spec.timing.exclusion_seconds
        return min(LONGEST_SECONDS, LONGER * float(before))

    def _passed(self) -> Iterator[Ruling]:
        """Hosts on parole where a trial has succeeded."""
        for host in sorted(self._on_parole - self._verdicts.on_parole()):
            yield Ruling(
                kind=EventKind.INCLUDED,
                host=host,
                state=HostState.GOOD,
                reason="a trial has succeeded there since its exclusion ended",
            )

    def _suspicions(self, pool: Collection[str]) -> Iterator[Ruling]:
        """What new jobs avoid from now on, until another host has told, and what no longer."""
        settled = self._exclusions.rows.keys() | self._on_parole
        found = {v.host: v for v in self._verdicts.suspects(pool) if v.host not in settled}
        untold = self._untold(found)
        found = {host: verdict for host, verdict in found.items() if host not in untold}
        for host in sorted(found.keys() - self._suspects):
            yield Ruling(
                kind=EventKind.SUSPECT,
                host=host,
                state=HostState.SUSPECT,
                reason=found[host].reason,
                evidence=self._evidence(found[host]),
            )
        for host in sorted(self._suspects - found.keys() - settled):
            verdict = self._verdicts.verdict(host)
            why = _UNTOLD if host in untold else _CLEARED[bool(verdict.counts.open)]
            yield Ruling(
                kind=EventKind.SUSPECT,
                host=host,
                state=HostState.GOOD,
                reason=f"{why}; {verdict.reason}",
                evidence=self._evidence(verdict),
            )
        self._suspects = set(found)

    def _stale(self) -> Iterator[Ruling]:
        """Suspicions of other heads that nobody has come back to."""
        for host in sorted(self._noted() - self._suspects - self._others()):
            yield Ruling(
                kind=EventKind.SUSPECT,
                host=host,
                state=HostState.GOOD,
                reason=_UNTOLD,
            )

    def _others(self) -> set[str]:
        """Return the hosts that other heads suspect, not too long ago."""
        notes = self._exclusions.notes
        keys = {(name, notes[name].changed_at) for name in self._noted() - self._suspects}
        return {name for name, _ in keys - self._strangers.old(keys)}

    def _untold(self, hosts: Iterable[str]) -> set[str]:
        """Return those whose open failures nobody has told more about for too long."""
        open_trials = self._verdicts.evidence.open_trials
        return {host for host, _ in self._own.old({(h, frozenset(open_trials(h))) for h in hosts})}

    def _noted(self) -> frozenset[str]:
        return self._exclusions.suspects()

    def _is_own(self, host: str) -> bool:
        evidence = self._exclusions.notes[host].evidence or {}
        return evidence.get("experiment_id") == self._experiment_id

    def _evidence(self, verdict: Verdict) -> dict[str, object]:
        mark = {_RESTART_ALL: True} if verdict.host in self.to_restart else {}
        return {**verdict.evidence, "experiment_id": self._experiment_id, **mark}
