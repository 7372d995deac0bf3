"""What happened on the hosts before a head began, told to its verdicts anew."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from db.sql import hosts
from db.sql.hosts import CLUSTER, HostEnding
from db.sql.store import Store
from orchestrator.health.failures import Blame, Failure
from orchestrator.health.verdicts import Verdicts
from orchestrator.spec.rules import Behavior
from orchestrator.steps.exclusions import Exclusions

# As long as an exclusion lasts, if nobody wants it otherwise: what is older has been judged.
HISTORY_SECONDS = 6 * 3600.0


@dataclass(frozen=True)
class Past:
    """What a head that begins, or begins anew, knows.

    Attributes:
        verdicts: What it thinks of the hosts.
        emptied: Hosts on which a rule of its experiment starts all trials anew.
    """

    verdicts: Verdicts = field(default_factory=Verdicts)
    emptied: frozenset[str] = frozenset()


def read_past(store: Store, exclusions: Exclusions) -> Past:
    """Return what is known before anything happens.

    Args:
        store: The database.
        exclusions: What it says by now; hosts on parole are judged by what happened since.
    """
    verdicts = Verdicts()
    for host in exclusions.on_parole():
        verdicts.released(host)
    with store.read() as connection:
        found = hosts.endings(connection, seconds=HISTORY_SECONDS, cluster=CLUSTER)
    key = store.experiment_id
    replay(verdicts, found, experiment_id=key)
    own = (ending for ending in found if ending.experiment_id == key)
    emptied = frozenset(ending.host for ending in own if is_emptying(ending.evidence or {}))
    return Past(verdicts, emptied)


def is_emptying(evidence: Mapping[str, Any]) -> bool:
    """Whether a failure was one for which a rule starts all trials of its host anew."""
    return evidence.get("behavior") == Behavior.EXCLUDE_NODE_AND_RESTART_ALL


def replay(verdicts: Verdicts, endings: Iterable[HostEnding], *, experiment_id: int) -> None:
    """Take in how attempts of all experiments ended.

    A failure that another experiment may still explain is left to its own head, which hears of it
    first; it tells by a suspicion or an exclusion.

    Args:
        verdicts: Which take it in.
        endings: In the order in which they happened.
        experiment_id: The experiment of this head.
    """
    endings = list(endings)
    solved = {ending.trial_id for ending in endings if ending.failure_class is None}
    for ending in endings:
        if ending.failure_class is None:
            verdicts.succeeded(ending.trial_id, ending.host)
            continue
        stored = _blame(ending.evidence)
        known = ending.evidence or {}
        failure = Failure(kind=ending.failure_class, message="", own_blame=stored, evidence=known)
        is_open = not ending.is_closed and ending.trial_id not in solved
        if failure.blame != Blame.STRONG and is_open and ending.experiment_id != experiment_id:
            continue
        why = f"an attempt there ended as {ending.failure_class}"
        verdicts.failed(
            ending.trial_id,
            ending.host,
            failure.blame,
            why=why,
            points_to_host=failure.points_to_host,
        )
    for trial in {ending.trial_id for ending in endings if ending.is_closed}:
        verdicts.closed(trial)
    verdicts.begin_row()


def _blame(evidence: Mapping[str, Any] | None) -> Blame | None:
    """Read what was stored; a later Headway may have words that this one does not know."""
    told = (evidence or {}).get("blame")
    return Blame(told) if told in set(Blame) else None
