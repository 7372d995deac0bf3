"""The parts of a head, made in the order in which they need one another."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property
from typing import TypedDict

from db.sql.store import Store
from db.sql.wakeup import make_bell
from orchestrator.app.generating import Generators
from orchestrator.app.runs import Run
from orchestrator.app.threads import BriefThreads
from orchestrator.cluster.base import Cluster
from orchestrator.lease import HeadLock, Renewal
from orchestrator.loop import Loop, Parts
from orchestrator.steps.alarm import Alarm
from orchestrator.steps.cancelling import Canceller
from orchestrator.steps.commands import Requests, Stop
from orchestrator.steps.goal import Goal
from orchestrator.steps.hosts import Hosts
from orchestrator.steps.ledger import Ledger
from orchestrator.steps.mailbox import Mailbox
from orchestrator.steps.never import Never
from orchestrator.steps.notes import Note
from orchestrator.steps.observe import Observer
from orchestrator.steps.propose import Proposer
from orchestrator.steps.settle import Settler
from orchestrator.steps.space import Space
from orchestrator.steps.steering import Steerer
from orchestrator.steps.submit import Submitter
from orchestrator.steps.throttle import Throttle
from orchestrator.steps.tolerance import Tolerance
from orchestrator.steps.vitals import Checkup


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """What the parts of a head are made from.

    Attributes:
        stop: An end that is wanted from the beginning; None: none.
        too_late: Files of requests that were meant for an earlier head.
    """

    run: Run
    store: Store
    lock: HeadLock
    cluster: Cluster
    generators: Generators
    note: Note
    alarm: Alarm
    mailbox: Mailbox
    stop: Stop | None
    too_late: frozenset[str]


def put_together(pieces: Pieces, stack: contextlib.ExitStack) -> tuple[Loop, Ledger]:
    """Make a loop that can run, and the ledger that it keeps.

    Args:
        pieces: What it is made from.
        stack: Takes everything apart at its end.
    """
    bench = _Bench(pieces, stack)
    parts = bench.parts()
    parts.hosts.begin()
    parts.submitter.adopt()
    parts.proposer.catch_up()
    left = pieces.run.seconds_left
    limit = pieces.run.spec.time_limit_seconds if left is None else left
    loop = Loop(parts, deadline=None if limit is None else time.monotonic() + limit)
    return loop, bench.ledger


class _Calling(TypedDict):
    """What all parts have in common that call the scheduler."""

    ledger: Ledger
    cluster: Cluster
    threads: Executor
    wake: Callable[[], None]


class _Bench:
    """Makes each part once."""

    def __init__(self, pieces: Pieces, stack: contextlib.ExitStack) -> None:
        run = pieces.run
        self._pieces = pieces
        self._run, self._spec, self._store, self._note = run, run.spec, pieces.store, pieces.note
        threads = BriefThreads("cluster")
        stack.callback(threads.shutdown, wait=False, cancel_futures=True)
        self._bell = make_bell(run.engine)
        stack.callback(self._bell.close)
        self.ledger = Ledger(run.spec.name, nodes=len(run.spec.strategy.nodes))
        self.ledger.load(pieces.store, in_flight=set())
        self._goal = Goal.of(run.spec)
        self._calling = _Calling(
            ledger=self.ledger, cluster=pieces.cluster, threads=threads, wake=pieces.alarm.ring
        )
        self._canceller = Canceller(note=pieces.note, **self._calling)
        stack.callback(self._canceller.finish)
        self._space = Space(run.folders, note=pieces.note)

    def parts(self) -> Parts:
        """Return all of them."""
        pieces, store, spec, note = self._pieces, self._store, self._spec, self._note
        ledger, canceller, hosts = self.ledger, self._canceller, self._hosts
        return Parts(
            store=store,
            spec=spec,
            goal=self._goal,
            ledger=ledger,
            cluster=pieces.cluster,
            mailbox=pieces.mailbox,
            bell=self._bell,
            generators=(pieces.generators.model, pieces.generators.fallback),
            renewal=Renewal(store, spec.timing, lock=pieces.lock),
            observer=self._observer,
            settler=self._settler(),
            proposer=self._proposer,
            submitter=self._submitter,
            hosts=hosts,
            steerer=Steerer(
                store=store, note=note, canceller=canceller, hosts=hosts, **self._calling
            ),
            throttle=Throttle(
                store=store, goal=self._goal, note=note, canceller=canceller, **self._calling
            ),
            requests=self._requests(),
            never=Never(
                store=store,
                spec=spec,
                ledger=ledger,
                hosts=hosts,
                canceller=canceller,
                note=note,
            ),
            tolerance=Tolerance(store=store, ledger=ledger, spec=spec, hosts=hosts),
            space=self._space,
            alarm=pieces.alarm,
            canceller=canceller,
            checkup=self._checkup(),
            note=note,
        )

    @cached_property
    def _hosts(self) -> Hosts:
        return Hosts(
            store=self._store,
            spec=self._spec,
            canceller=self._canceller,
            note=self._note,
            **self._calling,
        )

    @cached_property
    def _proposer(self) -> Proposer:
        generators = self._pieces.generators
        return Proposer(
            store=self._store,
            ledger=self.ledger,
            spec=self._spec,
            goal=self._goal,
            model=generators.model,
            fallback=generators.fallback,
            note=self._note,
        )

    @cached_property
    def _observer(self) -> Observer:
        return Observer(
            mailbox=self._pieces.mailbox,
            timing=self._spec.timing,
            unwanted=lambda: self._canceller.jobs,
            **self._calling,
        )

    @cached_property
    def _submitter(self) -> Submitter:
        return Submitter(
            store=self._store,
            spec=self._spec,
            goal=self._goal,
            mailbox=self._pieces.mailbox if self._run.transport == "spool" else None,
            run_dir=self._run.run_dir,
            note=self._note,
            canceller=self._canceller,
            hosts=self._hosts,
            **self._calling,
        )

    def _settler(self) -> Settler:
        return Settler(
            store=self._store,
            ledger=self.ledger,
            spec=self._spec,
            objective_ids=self._run.stored.objective_ids,
            mailbox=self._pieces.mailbox,
            cancel=self._canceller.cancel,
            hosts=self._hosts,
            spare=self._canceller.spare,
            note=self._note,
            measure=self._proposer.pace.measure_trial,
        )

    def _requests(self) -> Requests:
        return Requests(
            store=self._store,
            ledger=self.ledger,
            spec=self._spec,
            goal=self._goal,
            hosts=self._hosts,
            run_dir=self._run.run_dir,
            note=self._note,
            stop=self._pieces.stop,
            too_late=self._pieces.too_late,
        )

    def _checkup(self) -> Checkup:
        return Checkup(
            store=self._store,
            goal=self._goal,
            ledger=self.ledger,
            cluster=self._pieces.cluster,
            observer=self._observer,
            proposer=self._proposer,
            submitter=self._submitter,
            space=self._space,
        )
