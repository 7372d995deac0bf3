"""A head: its parts, put together, run to an end, and taken apart again."""

from __future__ import annotations

import contextlib
import getpass
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import worker
from db.errors import DatabaseError
from db.sql import events, experiments, generations, snapshots, trials
from db.sql.engine import translated
from db.sql.store import Store, Transaction
from db.sql.wakeup import Bell, make_bell
from db.states import EventKind, ExperimentStatus, SnapshotReason, TrialStatus
from orchestrator.app.generating import Generators
from orchestrator.app.owning import own, renew_documents
from orchestrator.app.runs import Run
from orchestrator.cluster.base import Cluster
from orchestrator.errors import HeadwayError, UsageError
from orchestrator.generators.strategy import node_for
from orchestrator.lease import HeadLock, Renewal
from orchestrator.loop import Alarm, Ending, Loop, Parts
from orchestrator.spec.experiment import ExperimentSpec
from orchestrator.steps.cancelling import Canceller
from orchestrator.steps.code import record
from orchestrator.steps.hosts import Hosts
from orchestrator.steps.ledger import Ledger
from orchestrator.steps.mailbox import Mailbox
from orchestrator.steps.notes import Note
from orchestrator.steps.observe import Observer
from orchestrator.steps.propose import Proposer
from orchestrator.steps.settle import Settler
from orchestrator.steps.space import Space
from orchestrator.steps.steering import Steerer
from orchestrator.steps.submit import Submitter
from orchestrator.steps.tolerance import Tolerance

ENTRY = Path(worker.__file__).with_name("entry.py")
# Submitting, asking the scheduler for jobs and for hosts, amending and cancelling may each take
# their time at once.
THREADS = 5
_ENDS = {
    Ending.DONE: (ExperimentStatus.FINISHED, None),
    Ending.STOPPED: (ExperimentStatus.INTERRUPTED, "stopped by Ctrl-C"),
    Ending.CANCELLED: (ExperimentStatus.INTERRUPTED, "cancelled by Ctrl-C"),
    Ending.LEFT: (ExperimentStatus.INTERRUPTED, "the head was ended; running jobs go on"),
    Ending.TIME: (ExperimentStatus.INTERRUPTED, "the time for the search was over"),
    Ending.FAILURES: (ExperimentStatus.FAILED, None),  # the loop says why
}


def make_cluster(spec: ExperimentSpec, *, is_new: bool = True) -> Cluster:
    """Return what runs the trials of a spec, after a look at what the scheduler has.

    Args:
        spec: What was asked for.
        is_new: Whether it has not begun. A host that it was to avoid may be gone later; it is left
            out of the lists of its jobs then.

    Raises:
        UsageError: The partition does not exist, a host that is to be avoided does not, or none is
            left.
        ClusterError: Slurm does not answer.
    """
    if spec.executor == "local":
        from orchestrator.cluster.local import LocalCluster

        return LocalCluster(entry=ENTRY)
    from orchestrator.cluster.slurm import SlurmCluster, check_exclude, check_partition

    cluster = SlurmCluster(
        entry=ENTRY,
        timing=spec.timing,
        user=getpass.getuser(),
        reservation=spec.resources.reservation,
    )
    check_partition(spec.resources.partition, cluster.partitions())
    if is_new and spec.resources.exclude:
        check_exclude(spec.resources.exclude, cluster.limits(spec.resources.partition))
    return cluster


def run_head(run: Run, cluster: Cluster, generators: Generators, *, note: Note) -> Ending:
    """Own an experiment until it ends; the database then says how it ended.

    Args:
        run: What to run.
        cluster: What runs its trials.
        generators: Its generator processes; closed at the end.
        note: Takes what happens, for the log and the terminal.

    Raises:
        HeadAliveError: Another head owns it; nothing was changed.
        SchemaMismatch: Its database was upgraded since it was opened.
        HeadwayError: It cannot go on; running jobs go on and a resume adopts them.
        DatabaseError: The database is away and a person did not want to wait, or another head has
            taken the experiment over.
    """
    # A spool that may hold anybody's reports is refused before anything is changed.
    mailbox = Mailbox(run.run_dir, note=note)
    alarm = Alarm()
    with alarm.on_signals(), contextlib.ExitStack() as stack:
        stack.callback(generators.close)
        store, lock = own(run, stack)
        pieces = _Pieces(
            run=run,
            store=store,
            lock=lock,
            cluster=cluster,
            generators=generators,
            note=note,
            alarm=alarm,
            mailbox=mailbox,
        )
        ledger = None
        try:
            renew_documents(run)
            record(store, run.run_dir, note=note)
            generators.enter(run.run_dir)
            loop, ledger = _put_together(pieces, stack)
            ending = loop.run()
        except HeadwayError as error:
            # What keeps it from ending well may be the database itself.
            with contextlib.suppress(DatabaseError):
                _end(store, run.spec, _stopped_by(error), ledger)
            raise
        except DatabaseError:
            raise  # it is away, or another head writes how it goes on
        except BaseException as error:
            reason = f"the head broke down: {type(error).__name__}: {error}"
            with contextlib.suppress(DatabaseError):
                _end(store, run.spec, _Exit("BUG", ExperimentStatus.INTERRUPTED, reason))
            raise
        status, why = _ENDS[ending]
        why = loop.complaint if ending is Ending.FAILURES else why
        _end(store, run.spec, _Exit(ending, status, why), ledger)
        return ending


def count_trials(run: Run) -> dict[TrialStatus, int]:
    """Return how many trials of a run have each status."""
    with translated(), run.engine.connect().execution_options(reading=True) as connection:
        return trials.counts(connection, run.stored.id)


@dataclass(frozen=True)
class _Exit:
    """How a head ended: its loop's word for it, what the experiment is now, and why."""

    how: str
    status: ExperimentStatus
    reason: str | None


def _stopped_by(error: HeadwayError) -> _Exit:
    # What a user can put right before the next try says nothing about the search.
    is_failure = not isinstance(error, UsageError)
    status = ExperimentStatus.FAILED if is_failure else ExperimentStatus.INTERRUPTED
    return _Exit("ERROR", status, error.message)


def _end(store: Store, spec: ExperimentSpec, end: _Exit, ledger: Ledger | None = None) -> None:
    """Write down how it ended, and where the strategy stands.

    Args:
        store: The database.
        spec: What was asked for.
        end: How it ended.
        ledger: Trials that wait there for another try are candidates again; None: it cannot be
            trusted, and the next head finds out what waits.
    """
    with store.write() as connection:
        unfinished = (TrialStatus.STAGED, TrialStatus.RUNNING)
        waiting = list(ledger.waiting) if ledger else []
        trials.move(connection, waiting, TrialStatus.CANDIDATE, expected=unfinished)
        experiments.set_status(
            connection,
            store.experiment_id,
            end.status,
            expected=tuple(ExperimentStatus),
            reason=end.reason,
        )
        _keep_snapshot(connection, store, spec)
        payload = {"how": end.how, "status": end.status, "reason": end.reason, "head": store.epoch}
        events.append(connection, [events.row(store.experiment_id, EventKind.EXIT, payload)])


def _keep_snapshot(connection: Transaction, store: Store, spec: ExperimentSpec) -> None:
    by_node = generations.proposed_by_node(connection, store.experiment_id)
    proposed = [by_node.get(place, 0) for place in range(len(spec.strategy.nodes))]
    node, _ = node_for(spec.strategy, proposed, observed=0)
    snapshots.keep(
        connection,
        store.experiment_id,
        reason=SnapshotReason.HEAD_END,
        node=node,
        generator=spec.strategy.nodes[node].generator,
    )


@dataclass(frozen=True, kw_only=True)
class _Pieces:
    """What a head is made of."""

    run: Run
    store: Store
    lock: HeadLock
    cluster: Cluster
    generators: Generators
    note: Note
    alarm: Alarm
    mailbox: Mailbox


def _put_together(pieces: _Pieces, stack: contextlib.ExitStack) -> tuple[Loop, Ledger]:
    run, spec = pieces.run, pieces.run.spec
    threads = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="cluster")
    stack.callback(threads.shutdown, wait=False, cancel_futures=True)
    bell = make_bell(run.engine)
    stack.callback(bell.close)
    ledger = Ledger(spec.name, nodes=len(spec.strategy.nodes))
    ledger.load(pieces.store, in_flight=set())
    canceller = Canceller(
        ledger=ledger,
        cluster=pieces.cluster,
        threads=threads,
        wake=pieces.alarm.ring,
        note=pieces.note,
    )
    stack.callback(canceller.finish)
    parts = _make_parts(pieces, ledger=ledger, threads=threads, bell=bell, canceller=canceller)
    parts.hosts.begin()
    parts.submitter.adopt()
    parts.proposer.catch_up()
    limit = spec.time_limit_seconds
    return Loop(parts, deadline=None if limit is None else time.monotonic() + limit), ledger


def _make_parts(
    pieces: _Pieces,
    *,
    ledger: Ledger,
    threads: ThreadPoolExecutor,
    bell: Bell,
    canceller: Canceller,
) -> Parts:
    run, store, cluster, mailbox = pieces.run, pieces.store, pieces.cluster, pieces.mailbox
    note, alarm, spec = pieces.note, pieces.alarm, run.spec
    model, fallback = pieces.generators.model, pieces.generators.fallback
    hosts = Hosts(
        store=store,
        spec=spec,
        cluster=cluster,
        ledger=ledger,
        canceller=canceller,
        threads=threads,
        wake=alarm.ring,
        note=note,
    )
    proposer = Proposer(
        store=store, ledger=ledger, spec=spec, model=model, fallback=fallback, note=note
    )
    return Parts(
        store=store,
        spec=spec,
        ledger=ledger,
        mailbox=mailbox,
        bell=bell,
        generators=(model, fallback),
        renewal=Renewal(store, spec.timing, lock=pieces.lock),
        observer=Observer(
            ledger=ledger,
            cluster=cluster,
            mailbox=mailbox,
            timing=spec.timing,
            threads=threads,
            wake=alarm.ring,
            unwanted=lambda: canceller.jobs,
        ),
        settler=Settler(
            store=store,
            ledger=ledger,
            spec=spec,
            objective_ids=run.stored.objective_ids,
            mailbox=mailbox,
            cancel=canceller.cancel,
            hosts=hosts,
            spare=canceller.spare,
            note=note,
            measure=proposer.pace.measure_trial,
        ),
        proposer=proposer,
        submitter=Submitter(
            store=store,
            ledger=ledger,
            spec=spec,
            cluster=cluster,
            mailbox=mailbox if run.transport == "spool" else None,
            run_dir=run.run_dir,
            threads=threads,
            wake=alarm.ring,
            note=note,
            canceller=canceller,
            hosts=hosts,
        ),
        hosts=hosts,
        steerer=Steerer(
            store=store,
            ledger=ledger,
            cluster=cluster,
            threads=threads,
            wake=alarm.ring,
            note=note,
            canceller=canceller,
            hosts=hosts,
        ),
        tolerance=Tolerance(store=store, ledger=ledger, spec=spec, hosts=hosts),
        space=Space(run.folders, note=note),
        alarm=alarm,
        canceller=canceller,
        note=note,
    )
