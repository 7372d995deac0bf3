"""A head: its parts, put together, run to an end, and taken apart again."""

from __future__ import annotations

import contextlib
import getpass
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import worker
from db.errors import DatabaseError
from db.sql import events, experiments, generations, leases, snapshots, trials
from db.sql.engine import check_version, schema_version, translated
from db.sql.leases import Lease
from db.sql.store import Store, Transaction
from db.sql.wakeup import make_bell
from db.states import EventKind, ExperimentStatus, SnapshotReason, TrialStatus
from orchestrator import lease
from orchestrator.app.generating import Generators
from orchestrator.app.runs import Run, changes, versions_for
from orchestrator.cluster.base import Cluster
from orchestrator.errors import HeadwayError
from orchestrator.generators.strategy import node_for
from orchestrator.loop import Alarm, Ending, Loop, Parts
from orchestrator.spec.experiment import ExperimentSpec
from orchestrator.steps.ledger import Ledger
from orchestrator.steps.mailbox import Mailbox
from orchestrator.steps.observe import Observer
from orchestrator.steps.propose import Proposer
from orchestrator.steps.settle import Note, Settler
from orchestrator.steps.submit import Submitter

ENTRY = Path(worker.__file__).with_name("entry.py")
# Submitting, asking the scheduler, and cancelling may each take their time at once.
THREADS = 3
_ENDS = {
    Ending.DONE: (ExperimentStatus.FINISHED, None),
    Ending.STOPPED: (ExperimentStatus.INTERRUPTED, "stopped by Ctrl-C"),
    Ending.CANCELLED: (ExperimentStatus.INTERRUPTED, "cancelled by Ctrl-C"),
    Ending.LEFT: (ExperimentStatus.INTERRUPTED, "the head was ended; running jobs go on"),
    Ending.TIME: (ExperimentStatus.INTERRUPTED, "the time for the search was over"),
    Ending.FAILURES: (ExperimentStatus.FAILED, "too many trials failed"),
}


def make_cluster(spec: ExperimentSpec) -> Cluster:
    """Return what runs the trials of a spec, after a look at what the scheduler has.

    Raises:
        UsageError: The partition does not exist.
        ClusterError: Slurm does not answer.
    """
    if spec.executor == "local":
        from orchestrator.cluster.local import LocalCluster

        return LocalCluster(entry=ENTRY)
    from orchestrator.cluster.slurm import SlurmCluster, check_partition

    cluster = SlurmCluster(entry=ENTRY, timing=spec.timing, user=getpass.getuser())
    check_partition(spec.resources.partition, cluster.partitions())
    return cluster


def run_head(run: Run, cluster: Cluster, generators: Generators, *, note: Note) -> Ending:
    """Own an experiment until it ends; the database then says how it ended.

    Args:
        run: What to run.
        cluster: What runs its trials.
        generators: Its generator processes; closed at the end.
        note: Takes what happens, for the log and the terminal.

    Raises:
        HeadAliveError: Another head owns it.
        SchemaMismatch: Its database was upgraded since it was opened.
        HeadwayError: It cannot go on; running jobs go on and a resume adopts them.
        DatabaseError: The database is away and a person did not want to wait, or another head has
            taken the experiment over.
    """
    alarm = Alarm()
    with alarm.on_signals(), contextlib.ExitStack() as stack:
        stack.callback(generators.close)
        generators.enter(run.run_dir)
        store = _own(run)
        stack.callback(_let_go, store)
        pieces = _Pieces(
            run=run,
            store=store,
            cluster=cluster,
            generators=generators,
            note=note,
            alarm=alarm,
        )
        loop, ledger = _put_together(pieces, stack)
        try:
            ending = loop.run()
        except HeadwayError as error:
            _end(store, run.spec, _Exit("ERROR", ExperimentStatus.FAILED, error.message), ledger)
            raise
        except DatabaseError:
            raise  # it is away, or another head writes how it goes on
        except BaseException as error:
            reason = f"the head broke down: {type(error).__name__}: {error}"
            with contextlib.suppress(DatabaseError):
                _end(store, run.spec, _Exit("BUG", ExperimentStatus.INTERRUPTED, reason))
            raise
        _end(store, run.spec, _Exit(ending, *_ENDS[ending]), ledger)
        return ending


def check_free(run: Run) -> None:
    """Make sure that no other head is alive, before anything of a run is changed.

    Raises:
        HeadAliveError: One is.
    """
    with translated(), run.engine.begin() as connection:
        lease.check_free(connection, run.stored.id)


def count_trials(run: Run) -> dict[TrialStatus, int]:
    """Return how many trials of a run have each status."""
    with translated(), run.engine.connect() as connection:
        return trials.counts(connection, run.stored.id)


def _own(run: Run) -> Store:
    """Take the lease and mark the experiment as running; a resume is written down with it."""
    experiment_id = run.stored.id
    with translated(), run.engine.begin() as connection:
        epoch, old = lease.acquire(connection, experiment_id, timing=run.spec.timing)
        # Since it was opened, an upgrade by a newer Headway may have come between.
        check_version(run.db_url, schema_version(connection) or "")
        status = ExperimentStatus.RUNNING
        experiments.set_status(connection, experiment_id, status, expected=tuple(ExperimentStatus))
        if old is not None or changes(run):
            _log_resume(connection, run, epoch=epoch, old=old)
    return Store(run.engine, experiment_id, epoch)


def _log_resume(connection: Transaction, run: Run, *, epoch: int, old: Lease | None) -> None:
    """Write down that another head goes on, and keep the spec if it was changed for that."""
    changed = changes(run)
    if changed:
        spec = json.loads(run.spec.to_json())
        texts = [f"{name} {now} instead of {before}" for name, (before, now) in changed.items()]
        reason = f"resume: {', '.join(texts)}"
        experiments.set_spec(connection, run.stored.id, spec, reason=reason)
    holder = lease.this_process()
    payload = {
        "head": epoch,
        "host": holder.host,
        "pid": holder.pid,
        "taken_over": _predecessor(old),
        "changes": {name: {"before": b, "now": n} for name, (b, n) in changed.items()},
        "spec_version": experiments.last_version(connection, run.stored.id),
        "versions": versions_for(run.spec),
    }
    events.append(connection, [events.row(run.stored.id, EventKind.RESUME, payload)])


def _predecessor(old: Lease | None) -> dict[str, Any] | None:
    """Return the head whose lease was taken over; None if it had let go of it or there was none."""
    if old is None or old.holder.pid == 0:
        return None
    why = "it was dead" if lease.is_dead(old.holder) else "its lease had expired"
    return {"host": old.holder.host, "pid": old.holder.pid, "why": why}


def _let_go(store: Store) -> None:
    # A database that is away lets the lease expire by itself.
    with contextlib.suppress(DatabaseError), store.write() as connection:
        leases.release(connection, store.experiment_id, epoch=store.epoch)


@dataclass(frozen=True)
class _Exit:
    """How a head ended: its loop's word for it, what the experiment is now, and why."""

    how: str
    status: ExperimentStatus
    reason: str | None


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
    cluster: Cluster
    generators: Generators
    note: Note
    alarm: Alarm


def _put_together(pieces: _Pieces, stack: contextlib.ExitStack) -> tuple[Loop, Ledger]:
    run, store, cluster = pieces.run, pieces.store, pieces.cluster
    generators, note, alarm = pieces.generators, pieces.note, pieces.alarm
    spec = run.spec
    threads = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="cluster")
    stack.callback(threads.shutdown, wait=False, cancel_futures=True)
    bell = make_bell(run.engine)
    stack.callback(bell.close)
    mailbox = Mailbox(run.run_dir)
    ledger = Ledger(spec.name, nodes=len(spec.strategy.nodes))
    ledger.load(store, in_flight=set())

    def cancel(jobs: list[str], pending_only: bool = False) -> None:  # noqa: FBT001, FBT002
        threads.submit(cluster.cancel, jobs, pending_only=pending_only)

    observer = Observer(
        ledger=ledger,
        cluster=cluster,
        mailbox=mailbox,
        timing=spec.timing,
        threads=threads,
        wake=alarm.ring,
    )
    proposer = Proposer(
        store=store,
        ledger=ledger,
        spec=spec,
        model=generators.model,
        fallback=generators.fallback,
        note=note,
    )
    settler = Settler(
        store=store,
        ledger=ledger,
        spec=spec,
        objective_ids=run.stored.objective_ids,
        mailbox=mailbox,
        cancel=cancel,
        note=note,
        measure=proposer.pace.measure_trial,
    )
    submitter = Submitter(
        store=store,
        ledger=ledger,
        spec=spec,
        cluster=cluster,
        mailbox=mailbox if run.transport == "spool" else None,
        run_dir=run.run_dir,
        threads=threads,
        wake=alarm.ring,
        note=note,
    )
    submitter.adopt()
    proposer.catch_up()
    parts = Parts(
        store=store,
        spec=spec,
        ledger=ledger,
        mailbox=mailbox,
        bell=bell,
        generators=(generators.model, generators.fallback),
        renewal=lease.Renewal(store, spec.timing),
        observer=observer,
        settler=settler,
        proposer=proposer,
        submitter=submitter,
        alarm=alarm,
        cancel=cancel,
        note=note,
    )
    limit = spec.time_limit_seconds
    return Loop(parts, deadline=None if limit is None else time.monotonic() + limit), ledger
