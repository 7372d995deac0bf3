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
from db.sql import events, experiments, leases, trials
from db.sql.engine import translated
from db.sql.store import Store
from db.sql.wakeup import make_bell
from db.states import ExperimentStatus, TrialStatus
from orchestrator import lease
from orchestrator.app.generating import Generators
from orchestrator.app.runs import Run
from orchestrator.cluster.base import Cluster
from orchestrator.errors import HeadwayError
from orchestrator.generators.base import Observation
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
            _end(store, ledger, ExperimentStatus.FAILED, error.message)
            raise
        status, reason = _ENDS[ending]
        _end(store, ledger, status, reason)
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
    """Take the lease and mark the experiment as running."""
    with translated(), run.engine.begin() as connection:
        epoch = lease.acquire(connection, run.stored.id, timing=run.spec.timing)
        status = ExperimentStatus.RUNNING
        experiments.set_status(connection, run.stored.id, status, expected=tuple(ExperimentStatus))
    return Store(run.engine, run.stored.id, epoch)


def _let_go(store: Store) -> None:
    # A database that is away lets the lease expire by itself.
    with contextlib.suppress(DatabaseError), store.write() as connection:
        leases.release(connection, store.experiment_id, epoch=store.epoch)


def _end(store: Store, ledger: Ledger, status: ExperimentStatus, reason: str | None) -> None:
    """Write down how it ended; trials that wait for another try are candidates again."""
    with store.write() as connection:
        unfinished = (TrialStatus.STAGED, TrialStatus.RUNNING)
        trials.move(connection, list(ledger.waiting), TrialStatus.CANDIDATE, expected=unfinished)
        experiments.set_status(
            connection,
            store.experiment_id,
            status,
            expected=tuple(ExperimentStatus),
            reason=reason,
        )
        payload = {"status": status, "reason": reason}
        events.append(connection, [events.row(store.experiment_id, "end", payload)])


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
        measure=proposer.measure_trial,
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
    proposer.tell(_observations(store))
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


def _observations(store: Store) -> list[Observation]:
    """Return what earlier heads observed, for generators that have just been started."""
    with store.read() as connection:
        rows = trials.results(connection, store.experiment_id)
    return [
        Observation(trial=row.index, point=row.parameters, means=row.means, sems=row.sems)
        for row in rows
    ]
