"""Taking an experiment over: nothing of it is changed before the lease is this head's."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import tenacity

from db.errors import DatabaseError, DatabaseUnavailable
from db.sql import attempts, events, experiments, leases
from db.sql.engine import check_version, schema_version, translated
from db.sql.leases import Lease
from db.sql.store import Store, Transaction
from db.states import AttemptState, EventKind, ExperimentStatus
from orchestrator import lease
from orchestrator.app.runs import Run, changes, versions_for, write_documents
from orchestrator.errors import UsageError
from orchestrator.lease import HeadLock, Hold

# A head that stood still, or lost its network, in a transaction keeps the row of the lease until the
# server ends it (`db.sql.postgres`): a minute, and the time to see it.
_PATIENTLY = tenacity.Retrying(
    retry=tenacity.retry_if_exception_type(DatabaseUnavailable),
    wait=tenacity.wait_fixed(0.5),
    stop=tenacity.stop_after_delay(75),
    reraise=True,
)


def wait_for_run(run: Run, *, tell: Callable[[str], None]) -> None:
    """Make sure that no other head is alive; one that cannot be seen is waited for.

    Args:
        run: The run.
        tell: Told once why it takes a while.

    Raises:
        HeadAliveError: One is alive.
    """

    def look() -> Hold | None:
        # A head that stands still may have the lock on a whole SQLite file.
        with translated(), run.engine.connect().execution_options(reading=True) as connection:
            return lease.find_hold(connection, run.stored.id)

    lease.wait_until_free(look, tell=tell)


def wait_for_file(database: Path, *, tell: Callable[[str], None]) -> None:
    """Wait until an SQLite file may be opened that a head on another host has used.

    Args:
        database: The file.
        tell: Told once why it takes a while.

    Raises:
        HeadAliveError: That head is alive.
    """
    lease.wait_until_free(lambda: lease.find_lock_hold(database), tell=tell)


def own(run: Run, stack: contextlib.ExitStack) -> tuple[Store, HeadLock]:
    """Take the lease and mark the experiment as running; a resume is written down with it.

    Args:
        run: The run.
        stack: Lets go of everything again at its end.

    Raises:
        HeadAliveError: Another head owns it.
        UsageError: Its trials run as processes of another machine, or its folder cannot be written.
        SchemaMismatch: Its database was upgraded since it was opened.
    """
    lock = HeadLock(run.run_dir, run.spec.timing, is_binding=run.is_kept_by_lock)
    stack.callback(lock.release)
    lock.take()
    epoch = _PATIENTLY(_take, run)
    store = Store(run.engine, run.stored.id, epoch)
    stack.callback(_let_go, store)
    lock.tell(epoch)
    return store, lock


def _take(run: Run) -> int:
    """Take the lease in one transaction, and return its epoch."""
    with translated(), run.engine.begin() as connection:
        epoch, old = lease.acquire(connection, run.stored.id, timing=run.spec.timing)
        # Since it was opened, an upgrade by a newer Headway may have come between.
        check_version(run.db_url, schema_version(connection) or "")
        _check_machine(connection, run, old)
        status = ExperimentStatus.RUNNING
        experiments.set_status(connection, run.stored.id, status, expected=tuple(ExperimentStatus))
        if old is not None or changes(run):
            _log_resume(connection, run, epoch=epoch, old=old)
    return epoch


def _let_go(store: Store) -> None:
    # A database that is away lets the lease expire by itself.
    with contextlib.suppress(DatabaseError), store.write() as connection:
        leases.release(connection, store.experiment_id, epoch=store.epoch)


def renew_documents(run: Run) -> None:
    """Write what the folder of a run says of itself anew when it is resumed.

    Raises:
        UsageError: The folder cannot be written.
    """
    if not run.is_resumed:
        return
    try:
        write_documents(run)
    except OSError as error:
        raise UsageError(
            f"resume: {run.run_dir} cannot be written: {error.strerror}", "Nothing was lost."
        ) from error


def _check_machine(connection: Transaction, run: Run, old: Lease | None) -> None:
    """Make sure that local processes are led by a head that can see them.

    Any other head would take them for dead and run their trials a second time.
    """
    this = lease.this_process()
    if run.spec.executor != "local" or old is None or old.holder.boot_id == this.boot_id:
        return
    fresh = leases.database_time(connection) - timedelta(seconds=run.spec.timing.dead_seconds)
    for attempt in attempts.open_attempts(connection, run.stored.id):
        is_elsewhere = attempt.state == AttemptState.STARTED and attempt.host != this.host
        if is_elsewhere and attempt.heartbeat_at is not None and attempt.heartbeat_at > fresh:
            raise UsageError(
                f"resume: trials of {run.label} run as processes on {attempt.host}.",
                "Resume it there, or when they have ended.",
            )


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
        "automatic": run.is_automatic,
        "taken_over": _predecessor(old),
        "changes": {name: {"before": b, "now": n} for name, (b, n) in changed.items()},
        "spec_version": experiments.last_version(connection, run.stored.id),
        "versions": versions_for(run.spec),
    }
    events.append(connection, [events.row(run.stored.id, EventKind.RESUME, payload)])


def _predecessor(old: Lease | None) -> dict[str, Any] | None:
    """Return the head whose lease was taken over; None if there is none.

    One that let go of it, and this head itself after a commit without an answer, are none.
    """
    if old is None or old.holder.pid == 0 or old.holder == lease.this_process():
        return None
    why = "it was dead" if lease.is_dead(old.holder) else "its lease had expired"
    return {"host": old.holder.host, "pid": old.holder.pid, "why": why}
