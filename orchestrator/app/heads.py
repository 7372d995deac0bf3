"""A head: its parts, put together, run to an end, and taken apart again."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

import worker
from db.errors import DatabaseError
from db.person import user_name
from db.sql import events, experiments, generations, snapshots, trials
from db.sql.engine import translated
from db.sql.store import Store, Transaction
from db.states import EventKind, ExperimentStatus, SnapshotReason, TrialStatus
from orchestrator.app.assembling import Pieces, put_together
from orchestrator.app.generating import Generators
from orchestrator.app.owning import own, renew_documents
from orchestrator.app.runs import Run
from orchestrator.cluster.base import Cluster
from orchestrator.errors import HeadwayError, UsageError
from orchestrator.generators.strategy import node_for
from orchestrator.loop import Ending, Loop
from orchestrator.spec.experiment import ExperimentSpec
from orchestrator.steps.alarm import Alarm
from orchestrator.steps.code import record
from orchestrator.steps.commands import Stop, waiting_requests
from orchestrator.steps.ledger import Ledger
from orchestrator.steps.mailbox import Mailbox
from orchestrator.steps.never import NeverStartsError
from orchestrator.steps.notes import Note

ENTRY = Path(worker.__file__).with_name("entry.py")
_ENDS = {
    Ending.DONE: (ExperimentStatus.FINISHED, None),
    Ending.STOPPED: (ExperimentStatus.INTERRUPTED, "stopped by Ctrl-C"),
    Ending.CANCELLED: (ExperimentStatus.INTERRUPTED, "cancelled by Ctrl-C"),
    Ending.LEFT: (ExperimentStatus.INTERRUPTED, "the head was ended; running jobs go on"),
    Ending.TIME: (ExperimentStatus.INTERRUPTED, "the time for the search was over"),
    Ending.FAILURES: (ExperimentStatus.FAILED, None),  # the loop says why
    Ending.NEVER: (ExperimentStatus.FAILED, None),  # so it does here
}


def make_cluster(spec: ExperimentSpec, *, is_new: bool = True) -> Cluster:
    """Return what runs the trials of a spec, after a look at what the scheduler has.

    Args:
        spec: What was asked for.
        is_new: Whether it has not begun. What has begun may have trials that run, whatever the
            site allows by now; and a host that it was to avoid may be gone: it is left out of the
            lists of its jobs then.

    Raises:
        UsageError: The partition does not exist, a host that is to be avoided does not, none is
            left, or what is asked for is nowhere to be had.
        ClusterError: Slurm does not answer.
    """
    if spec.executor == "local":
        from orchestrator.cluster.local import LocalCluster

        return LocalCluster(entry=ENTRY, site=spec.site)
    from orchestrator.app.prechecks import refuse_impossible
    from orchestrator.cluster.commands import Commands
    from orchestrator.cluster.slurm import SlurmCluster, check_exclude, check_partition

    cluster = SlurmCluster(
        entry=ENTRY,
        timing=spec.timing,
        user=user_name(),
        reservation=spec.resources.reservation,
        account=spec.resources.account,
        qos=spec.resources.qos,
        partition=spec.resources.partition,
        site=spec.site,
    )
    check_partition(spec.resources.partition, cluster.partitions())
    if is_new:
        limits = cluster.limits(spec.resources.partition)
        check_exclude(spec.resources.exclude, limits)
        commands = Commands(cluster.budget, cluster=spec.site.cluster)
        refuse_impossible(spec, limits, commands=commands, user=cluster.user)
    return cluster


def run_head(
    run: Run,
    cluster: Cluster,
    generators: Generators,
    *,
    note: Note,
    stop: Stop | None = None,
) -> Ending:
    """Own an experiment until it ends; the database then says how it ended.

    Args:
        run: What to run.
        cluster: What runs its trials.
        generators: Its generator processes; closed at the end.
        note: Takes what happens, for the log and the terminal.
        stop: An end that is wanted from the beginning: what runs is adopted, and nothing new begins.

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
        # Whoever asked an earlier head is asked again, unless nobody but a machine resumes.
        too_late = frozenset() if run.is_automatic else waiting_requests(run.run_dir)
        store, lock = own(run, stack)
        pieces = Pieces(
            run=run,
            store=store,
            lock=lock,
            cluster=cluster,
            generators=generators,
            note=note,
            alarm=alarm,
            mailbox=mailbox,
            stop=stop,
            too_late=too_late,
        )
        ledger = None
        try:
            renew_documents(run)
            record(store, run.run_dir, note=note)
            generators.enter(run.run_dir)
            loop, ledger = put_together(pieces, stack)
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
        _end(store, run.spec, _ended_by(ending, loop), ledger)
        if ending is Ending.NEVER:
            hint = f"{loop.remedy} When the site has changed, `headway resume` goes on."
            raise NeverStartsError(f"{loop.complaint}.", hint)
        return ending


def end_without_head(run: Run, *, by: str) -> None:
    """Write down that a person has ended an experiment whose head is dead; jobs stay as they are.

    Args:
        run: What is to end.
        by: Who wants it: user@host.

    Raises:
        HeadAliveError: A head has taken it meanwhile; nothing was changed.
    """
    with contextlib.ExitStack() as stack:
        store, _ = own(run, stack)
        ledger = Ledger(run.spec.name, nodes=len(run.spec.strategy.nodes))
        ledger.load(store, in_flight=set())
        reason = f"stopped by {by}, when no head was alive"
        _end(store, run.spec, _Exit(Ending.STOPPED, ExperimentStatus.STOPPED, reason), ledger)


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


def _ended_by(ending: Ending, loop: Loop) -> _Exit:
    """Return what the end of a loop means for the experiment."""
    status, why = _ENDS[ending]
    by = loop.asked_by
    if by is not None and ending in {Ending.STOPPED, Ending.CANCELLED}:
        return _Exit(ending, ExperimentStatus.STOPPED, f"{ending.lower()} by {by}")
    if by is not None and ending is Ending.LEFT:
        # It has not come to its end: a head that goes on by itself has to know.
        return _Exit(ending, ExperimentStatus.STOPPING, f"stopping, as {by} asked; {why}")
    return _Exit(ending, status, why or loop.complaint)


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
