"""The head's lease: one head an experiment, told by the database (DESIGN section 10)."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import db.sql.leases as rows
from db.sql.leases import Holder, Lease
from db.sql.store import Store, Transaction
from orchestrator.cluster.local import process_start
from orchestrator.errors import HeadAliveError
from orchestrator.spec.experiment import Timing

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def this_process() -> Holder:
    """Return what tells this process from every other one."""
    return Holder(
        host=socket.gethostname(),
        boot_id=_boot_id(),
        pid=os.getpid(),
        process_started=process_start(os.getpid()) or 0,
    )


def is_dead(holder: Holder) -> bool:
    """Whether a holder is known to be dead; False also when it cannot be known from here."""
    if holder.pid == 0:
        return True
    if holder.host != socket.gethostname():
        return False
    if holder.boot_id != _boot_id():
        return True
    return process_start(holder.pid) != holder.process_started


def acquire(
    connection: Transaction, experiment_id: int, *, timing: Timing
) -> tuple[int, Lease | None]:
    """Take the lease of an experiment.

    Returns:
        Its epoch, and the lease that it replaces; None if there never was one.

    Raises:
        HeadAliveError: As `check_free`.
    """
    old = check_free(connection, experiment_id)
    epoch = rows.take(
        connection,
        experiment_id,
        holder=this_process(),
        old=old,
        seconds=timing.lease_expire_seconds,
    )
    return epoch, old


def check_free(connection: Transaction, experiment_id: int) -> Lease | None:
    """Return the lease that may be replaced, or None if there never was one.

    Raises:
        HeadAliveError: Another head holds it, is not known to be dead, and its lease has not
            expired.
    """
    old = rows.find(connection, experiment_id)
    if old is not None and not is_dead(old.holder) and old.seconds_left > 0:
        raise HeadAliveError(
            f"another head owns this experiment: process {old.holder.pid} on {old.holder.host}.",
            f"Follow it with `headway follow`, or try again in {old.seconds_left:.0f} s.",
        )
    return old


class Renewal:
    """Puts the expiry of the lease off, at the pace that the spec asks for."""

    def __init__(self, store: Store, timing: Timing) -> None:
        self._store = store
        self._timing = timing
        self._due = time.monotonic() + timing.lease_renew_seconds

    def renew(self) -> None:
        """Renew the lease if it is due.

        Raises:
            LeaseLost: Another head has it.
        """
        if time.monotonic() < self._due:
            return
        with self._store.write() as connection:
            rows.renew(
                connection,
                self._store.experiment_id,
                epoch=self._store.epoch,
                seconds=self._timing.lease_expire_seconds,
            )
        self._due = time.monotonic() + self._timing.lease_renew_seconds


def _boot_id() -> str:
    try:
        return BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return "unknown"
