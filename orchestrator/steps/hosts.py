"""Which hosts new jobs avoid, and why: evidence comes in, exclusions go out.

`settle` tells how attempts ended; `decide`, once a tick, turns that into suspects and exclusions
and writes them down; `submit` and `steering` ask what to avoid. What is known of other experiments
in the same database counts as well. The judgement itself is in `health.verdicts`, what follows
from it in `rulings`, what the database says in `exclusions`, what a job is told in `avoidance`. A
local search has one host and excludes nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection
from concurrent.futures import Executor

from db.sql.store import Store
from db.states import AttemptState, EventKind, HostState
from orchestrator.cluster.base import Cluster, Limits
from orchestrator.health.failures import Blame, Failure
from orchestrator.health.retries import Ceiling, Request, Retries
from orchestrator.health.verdicts import Verdicts
from orchestrator.spec.experiment import ExperimentSpec
from orchestrator.spec.hostlists import expand_hosts
from orchestrator.steps.avoidance import Avoidance
from orchestrator.steps.cancelling import Canceller
from orchestrator.steps.exclusions import Exclusions, Ruling
from orchestrator.steps.history import Past, is_emptying, read_past
from orchestrator.steps.ledger import Ledger
from orchestrator.steps.notes import Note
from orchestrator.steps.parole import Parole
from orchestrator.steps.recalls import Recalls
from orchestrator.steps.roster import Roster
from orchestrator.steps.rulings import Rulings

_SAYS = {
    (EventKind.SUSPECT, HostState.SUSPECT): "new jobs avoid a host until another one has told",
    (EventKind.SUSPECT, HostState.GOOD): "a host is no longer suspect",
    (EventKind.EXCLUDED, HostState.SUSPECT): "a host is excluded",
    (EventKind.INCLUDED, HostState.PAROLE): "one trial tries a host that was excluded",
    (EventKind.INCLUDED, HostState.GOOD): "a host is let in again",
}


class Hosts:
    """Follows what is thought of each host.

    Attributes:
        retries: The policy about further tries; its ceiling is what Slurm said last.
        trouble: Why nothing more is to be submitted, as so much fails that hosts are no
            explanation; None: all is well enough.
    """

    def __init__(
        self,
        *,
        store: Store,
        spec: ExperimentSpec,
        cluster: Cluster,
        ledger: Ledger,
        canceller: Canceller,
        threads: Executor,
        wake: Callable[[], None],
        note: Note,
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._note = note
        self._has_hosts = spec.executor != "local"
        self._judges = self._has_hosts and spec.auto_exclude
        self._roster = Roster(
            cluster=cluster, partition=spec.resources.partition, threads=threads, wake=wake
        )
        self._exclusions = Exclusions(store)
        self._verdicts = Verdicts()
        self._make_rulings = functools.partial(
            Rulings, exclusions=self._exclusions, spec=spec, experiment_id=store.experiment_id
        )
        self._rulings = self._make_rulings(verdicts=self._verdicts)
        self._parole = Parole(ledger=ledger, roster=self._roster, exclusions=self._exclusions)
        self._recalls = Recalls(store=store, ledger=ledger, canceller=canceller, note=note)
        self._named = frozenset(expand_hosts(spec.resources.exclude))
        self._avoidance = Avoidance(nodes=spec.resources.nodes)
        self.retries = Retries(spec)
        self.trouble: str | None = None

    @property
    def version(self) -> int:
        """Changes whenever jobs are to avoid others than before."""
        return self._avoidance.version

    def begin(self) -> None:
        """Ask the scheduler which hosts there are, and read what is known of them."""
        self._roster.begin()
        self._take_limits()
        self.remember()

    def remember(self) -> None:
        """Read everything anew, as when it is not known what the last write became of."""
        if not self._has_hosts:
            return
        self._exclusions.look_anew()
        past = read_past(self._store, self._exclusions) if self._judges else Past()
        self._verdicts = past.verdicts
        self._rulings = self._make_rulings(verdicts=self._verdicts)
        self._rulings.to_restart |= past.emptied
        self._rulings.follow()
        self._follow()

    # Evidence

    def ended(self, trial_id: int, host: str | None, failure: Failure | None) -> None:
        """Take in how an attempt ended; None: well."""
        if host is None or not self._judges:
            return
        if failure is None:
            self._verdicts.succeeded(trial_id, host)
            return
        self._verdicts.failed(
            trial_id,
            host,
            failure.blame,
            why=failure.message,
            points_to_host=failure.points_to_host,
        )
        self._exclusions.look_soon()
        if failure.blame == Blame.STRONG:
            # Slurm may have taken it out itself.
            self._roster.ask_soon()
        if is_emptying(failure.evidence):
            self._rulings.to_restart.add(host)

    def closed(self, trial_id: int) -> None:
        """Take in that a trial without a result is not tried again."""
        if self._judges:
            self._verdicts.closed(trial_id)

    # Decisions

    def decide(self) -> None:
        """Decide about the hosts that something new is known of, and write it down.

        Raises:
            DatabaseUnavailable: It is not known what was written; `remember` before the next one.
        """
        if self._roster.follow():
            self._take_limits()
        if not self._has_hosts:
            return
        if self._exclusions.look_if_due():
            self._rulings.follow()
        rulings = self._rulings.due(self._avoidance.pool)
        if not rulings and self._judges:
            rulings = list(self._parole.untried(but=self._unexplained()))
        if rulings:
            for ruling in self._exclusions.write(rulings):
                _tell(self._note, ruling)
                if ruling.state == HostState.PAROLE:
                    self._roster.ask_soon()  # whether it is free
            self._rulings.follow()
        self._follow()
        self._drop_unknown()
        attempts = self._ledger.attempts.values()
        self._recalls.make([*self._parole.overdue(), *self._rulings.condemned(attempts)])
        if self._judges:
            self._parole.watch()
            running = sum(attempt.state == AttemptState.STARTED for attempt in attempts)
            self.trouble = self._verdicts.trouble(self._avoidance.pool, running=running)

    def _take_limits(self) -> None:
        """Follow what the scheduler said of its hosts."""
        self._avoidance.take_limits(self._roster.limits)
        self.retries.ceiling = _ceiling(self._roster.limits, self._avoidance.pool)

    def _follow(self) -> None:
        """Work out what jobs are to avoid by now."""
        kept_out = self._rulings.kept_out(named=self._named, pool=self._avoidance.pool)
        self._avoidance.keep_out(kept_out)
        self.retries.ceiling = _ceiling(self._roster.limits, self._avoidance.pool)

    def _drop_unknown(self) -> None:
        """Say once of each host that is to be avoided that the scheduler does not know it."""
        for name in self._exclusions.drop(self._avoidance.unknown()):
            text = "Slurm does not know a host that is to be avoided: its name is left out"
            self._note(text, level="warning", host=name)

    # What jobs are told

    def to_avoid(self, request: Request, *, canary: str | None = None) -> tuple[str, ...]:
        """Return the hosts that a job with this request is to avoid, sorted.

        Those that a person named, those that are excluded or suspect, and those where its trials
        failed before, as far as Slurm knows them and as many hosts are left as the job needs.

        Args:
            request: What it asks for.
            canary: The host that it is to try, on parole.
        """
        found = self._avoidance.to_avoid(request) if self._has_hosts else ()
        return tuple(name for name in found if name != canary)

    def canary(self, request: Request) -> str | None:
        """Return the host on parole that the next trial alone is to try, or None.

        Args:
            request: What it asks for.
        """
        if not self._judges:
            return None
        # What has failed there is tried elsewhere first.
        but = self._unexplained() | self._avoidance.kept_out.by_person
        return self._parole.choose(request, but=but)

    def _unexplained(self) -> set[str]:
        """Return the hosts on parole where a failure waits for another host's word."""
        open_trials = self._verdicts.evidence.open_trials
        return {host for host in self._exclusions.on_parole() if open_trials(host)}

    def canary_refused(self, host: str) -> None:
        """Take in that the scheduler did not take a canary for a host: the next one comes later."""
        self._parole.put_off(host)
        self._roster.ask_soon()

    def relax(self) -> bool:
        """Let go of the hosts that weigh least, as the scheduler has no place for a job any more.

        What was let go is avoided again when Slurm calls other hosts usable than now.

        Returns:
            False if there is nothing left to let go: then it is not for the hosts that are avoided.
        """
        self._roster.ask_soon()
        has_failed = any(trial.failures for trial in self._ledger.trials.values())
        let_go = self._avoidance.relax(has_failed=has_failed)
        if let_go is None:
            return False
        text = "no host is left for a job: hosts that were to be avoided are used again"
        self._note(text, level="warning", hosts=let_go.words)
        return True

    def kept_out_by_hand(self) -> list[str]:
        """Return the hosts that a person keeps out, as far as the scheduler knows them, sorted."""
        return sorted(self._avoidance.kept_out.by_person - self._avoidance.unknown())

    def look_soon(self) -> None:
        """Let what the database says of hosts be read at the next decision: a person has spoken."""
        self._exclusions.look_soon()

    def ask_soon(self) -> None:
        """Let the scheduler be asked for its hosts soon, as it did not know one of them."""
        self._roster.ask_soon()


def _tell(note: Note, ruling: Ruling) -> None:
    level = "warning" if ruling.kind == EventKind.EXCLUDED else "info"
    text = _SAYS[ruling.kind, ruling.state]
    note(text, level=level, host=ruling.host, why=ruling.reason)


def _ceiling(limits: Limits, pool: Collection[str]) -> Ceiling:
    return Ceiling(
        memory_mb=limits.memory_mb,
        minutes=limits.minutes,
        default_minutes=limits.default_minutes,
        hosts=len(pool) or None,
    )
