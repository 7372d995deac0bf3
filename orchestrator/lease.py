"""The head's lease: one head an experiment (DESIGN section 10).

The row in the database decides. Where no second host may open the database, the file `head.lock`
decides before it (`db.sql.head_lock`); everywhere else that file only tells people.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import db.sql.leases as rows
from db.errors import LeaseLost
from db.sql import head_lock, sqlite
from db.sql.head_lock import Held
from db.sql.leases import Holder, Lease
from db.sql.store import Store, Transaction
from orchestrator.cluster.local import process_start
from orchestrator.errors import HeadAliveError, HeadwayError
from orchestrator.spec.experiment import Timing

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# How often somebody who waits for a lease to expire looks whether it was renewed.
LOOK_SECONDS = 0.5
# Several heads that take a stale lock away at once settle it among themselves in fewer.
_TRIES = 5
# What a head tells of itself is to be there soon after its start.
_FIRST_SECONDS = 1.0
# Between the look at a lock and its removal lie microseconds, and two answers of a file server.
SETTLE_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Hold:
    """What keeps other heads away from an experiment.

    Attributes:
        holder: The head that has it.
        mark: Another one after every renewal.
        seconds_left: Until it expires if it is not renewed.
    """

    holder: Holder
    mark: object
    seconds_left: float


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
        HeadAliveError: Another head holds it, is not known to be dead, and its lease has not
            expired.
    """
    old = rows.find(connection, experiment_id)
    if (hold := _hold_of(old)) is not None:
        raise _alive(hold)
    epoch = rows.take(
        connection,
        experiment_id,
        holder=this_process(),
        old=old,
        seconds=timing.lease_expire_seconds,
    )
    return epoch, old


def find_hold(connection: Transaction, experiment_id: int) -> Hold | None:
    """Return the lease that another head holds, or None if it may be taken; waits for nobody."""
    return _hold_of(rows.find(connection, experiment_id, is_locked=False))


def _hold_of(lease: Lease | None) -> Hold | None:
    if lease is None or is_dead(lease.holder) or lease.seconds_left <= 0:
        return None
    if lease.holder == this_process():
        return None  # taken by a commit whose answer got lost
    return Hold(
        holder=lease.holder,
        mark=(lease.epoch, lease.expires_at),
        seconds_left=lease.seconds_left,
    )


def find_lock_hold(database: Path) -> Hold | None:
    """Return what another host's lock says of an SQLite file; None if it may be opened."""
    held = head_lock.find_foreign(database)
    return None if held is None else _hold_of_lock(held)


def _hold_of_lock(held: Held) -> Hold | None:
    if is_dead(held.holder) or held.seconds_left <= 0:
        return None
    return Hold(
        holder=held.holder,
        mark=(held.nonce, held.renewed),
        seconds_left=held.seconds_left,
    )


def wait_until_free(look: Callable[[], Hold | None], *, tell: Callable[[str], None]) -> None:
    """Wait for the head of another host, which cannot be seen from here, to be alive or expired.

    Args:
        look: Tells who holds it; None: nobody any more.
        tell: Told once why it takes a while.

    Raises:
        HeadAliveError: It is alive: it runs on this host, or renewed its lease meanwhile.
    """
    first = look()
    if first is None:
        return
    if first.holder.host == socket.gethostname():
        raise _alive(first)
    tell(
        f"process {first.holder.pid} on {first.holder.host} was the head and cannot be seen from "
        f"here: its lease ends in {max(1, round(first.seconds_left))} s unless it is renewed; "
        "waiting for that"
    )
    while (hold := look()) is not None:
        if hold.mark != first.mark:
            raise _alive(hold)
        time.sleep(min(LOOK_SECONDS, max(0.05, hold.seconds_left)))


def _alive(hold: Hold) -> HeadAliveError:
    return HeadAliveError(
        f"another head owns this experiment: process {hold.holder.pid} on {hold.holder.host}.",
        f"Follow it with `headway follow`, or try again in {hold.seconds_left:.0f} s.",
    )


class HeadLock:
    """This head's file `head.lock`.

    Where it decides nothing, a file that cannot be written is no reason for anything.
    """

    def __init__(self, run_dir: Path, timing: Timing, *, is_binding: bool) -> None:
        """Write nothing yet.

        Args:
            run_dir: The run folder.
            timing: How long the lease lasts.
            is_binding: Whether other hosts go by the file, as they must not open the database.
        """
        self._folder = run_dir
        self._is_binding = is_binding
        self._lock = Held(
            holder=this_process(),
            epoch=0,
            since=datetime.now(UTC).isoformat(timespec="seconds"),
            expire_seconds=timing.lease_expire_seconds,
            nonce=head_lock.new_nonce(),
        )

    def take(self) -> None:
        """Keep other hosts away, before the database is changed.

        Raises:
            HeadAliveError: A head is alive that has it.
            HeadwayError: The run folder cannot be written.
        """
        if not self._is_binding:
            return
        try:
            self._take()
        except OSError as error:
            place = self._folder / head_lock.FILE_NAME
            raise HeadwayError(f"{place} cannot be written: {error.strerror}.") from error

    def _take(self) -> None:
        for _ in range(_TRIES):
            if head_lock.create(self._folder, self._lock):
                # Whoever saw the stale lock before this one came may have taken this one away.
                time.sleep(SETTLE_SECONDS)
                if head_lock.renew(self._folder, self._lock):
                    return
                break
            held = head_lock.find(self._folder)
            if held is None:
                continue
            if (hold := _hold_of_lock(held)) is not None:
                raise _alive(hold)
            head_lock.remove(self._folder, held)
        raise HeadAliveError("other heads take this experiment at this moment.", "Try again.")

    def tell(self, epoch: int) -> None:
        """Say which lease this head has got."""
        self._lock = replace(self._lock, epoch=epoch)
        with contextlib.suppress(OSError):
            head_lock.overwrite(self._folder, self._lock)

    def renew(self) -> None:
        """Keep the lock from getting stale.

        Raises:
            LeaseLost: Another head goes by its own lock now.
        """
        # A disk that does not answer says nothing about other heads.
        with contextlib.suppress(OSError):
            if head_lock.renew(self._folder, self._lock):
                return
            is_back = head_lock.create(self._folder, self._lock)  # somebody removed it
            if self._is_binding and not is_back:
                raise LeaseLost(
                    f"another head has taken {self._folder / head_lock.FILE_NAME}.",
                    "This one stops; its jobs go on and the other head has them.",
                )

    def release(self) -> None:
        """Remove the lock, if it is still this head's."""
        with contextlib.suppress(OSError):
            if head_lock.renew(self._folder, self._lock):
                head_lock.remove(self._folder, self._lock)


class Renewal:
    """Puts the expiry of the lease off, at the pace that the spec asks for."""

    def __init__(self, store: Store, timing: Timing, *, lock: HeadLock) -> None:
        self._store = store
        self._timing = timing
        self._lock = lock
        self._due = time.monotonic() + min(_FIRST_SECONDS, timing.lease_renew_seconds)
        self._file = _file_of(store)

    def renew(self, tell: Callable[[], dict[str, Any]] | None = None) -> None:
        """Renew the lease if it is due.

        Args:
            tell: Asked what the head tells of itself, which is stored with it; None: nothing new.

        Raises:
            LeaseLost: Another head has it.
            HeadwayError: As `check_file`.
        """
        if time.monotonic() < self._due:
            return
        self.check_file()
        self._lock.renew()
        vitals = None if tell is None else tell()
        with self._store.write() as connection:
            rows.renew(
                connection,
                self._store.experiment_id,
                epoch=self._store.epoch,
                seconds=self._timing.lease_expire_seconds,
                vitals=vitals,
            )
        self._due = time.monotonic() + self._timing.lease_renew_seconds

    def keep_lock(self) -> None:
        """Keep other hosts away while the database does not answer.

        Raises:
            LeaseLost: Another head goes by its own lock now.
        """
        self._lock.renew()

    def check_file(self) -> None:
        """Make sure that the file of SQLite is still where workers and viewers look for it.

        Raises:
            HeadwayError: It was moved, removed, or replaced: what this head writes reaches nobody.
        """
        if _file_of(self._store) == self._file:
            return
        raise HeadwayError(
            f"{self._store.engine.url.database} is not the file any more that this head opened: it "
            "was moved, removed or replaced.",
            "Put it back, with the files whose names begin alike, and `headway resume`; running "
            "jobs go on.",
        )


def _file_of(store: Store) -> tuple[int, int] | None:
    is_file = store.engine.dialect.name == "sqlite"
    return sqlite.identity(store.engine) if is_file else None


def _boot_id() -> str:
    try:
        return BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return "unknown"
