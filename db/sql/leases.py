"""Which head owns an experiment: a row with an expiry by the database's own clock, and an epoch."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from db.errors import LeaseLost
from db.sql.tables import HeadLease, table_of

_lease = table_of(HeadLease)
# What a head tells of itself is for those who look at it.
_WHOSE = [column for column in _lease.c if column.name != "vitals"]


@dataclass(frozen=True, kw_only=True)
class Holder:
    """A head process, so that it can be told whether it is still alive.

    Attributes:
        host: Its hostname.
        boot_id: The boot of that host (/proc/sys/kernel/random/boot_id).
        pid: Its process id.
        process_started: Its start in clock ticks after boot (/proc/PID/stat, field 22).
    """

    host: str
    boot_id: str
    pid: int
    process_started: int


@dataclass(frozen=True, kw_only=True)
class Lease:
    """A row of `head_lease`.

    Attributes:
        holder: The head that holds it.
        epoch: Grows with every change of the holder.
        expires_at: When it ends unless it is renewed, by the database's clock.
        seconds_left: Until then; negative if it has expired.
    """

    holder: Holder
    epoch: int
    expires_at: datetime
    seconds_left: float


def database_time(connection: sa.Connection) -> datetime:
    """Return the time by the clock of the database, in UTC."""
    if connection.dialect.name == "sqlite":
        text = connection.exec_driver_sql("SELECT strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')")
        return datetime.fromisoformat(text.scalar_one())
    if connection.dialect.name == "postgresql":
        value = connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
        return datetime.fromisoformat(value.isoformat()).astimezone(UTC)
    value = connection.exec_driver_sql("SELECT UTC_TIMESTAMP(6)").scalar_one()
    return datetime.fromisoformat(value.isoformat()).replace(tzinfo=UTC)


def find(connection: sa.Connection, experiment_id: int, *, is_locked: bool = True) -> Lease | None:
    """Return the lease of an experiment, locked until the transaction ends if that is wanted."""
    query = sa.select(*_WHOSE).where(_lease.c.experiment_id == experiment_id)
    if is_locked:
        query = query.with_for_update()
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        return None
    holder = Holder(
        host=row["host"],
        boot_id=row["boot_id"],
        pid=row["pid"],
        process_started=row["process_started"],
    )
    expires_at: datetime = row["expires_at"]
    left = expires_at - database_time(connection)
    return Lease(
        holder=holder,
        epoch=row["epoch"],
        expires_at=expires_at,
        seconds_left=left.total_seconds(),
    )


def take(
    connection: sa.Connection,
    experiment_id: int,
    *,
    holder: Holder,
    old: Lease | None,
    seconds: float,
) -> int:
    """Make `holder` the owner and return the new epoch.

    The caller has read `old` with `find` in the same transaction and found that it may be replaced.

    Raises:
        LeaseLost: There was none, and another head has taken it at the same moment.
    """
    epoch = 1 if old is None else old.epoch + 1
    values = {
        "host": holder.host,
        "boot_id": holder.boot_id,
        "pid": holder.pid,
        "process_started": holder.process_started,
        "epoch": epoch,
        "expires_at": database_time(connection) + timedelta(seconds=seconds),
        "vitals": sa.null(),  # what an earlier head told is not this one's; JSON has a null as well
    }
    if old is None:
        try:
            connection.execute(_lease.insert().values(experiment_id=experiment_id, **values))
        except sa.exc.IntegrityError as error:
            # What is not there cannot be locked.
            raise _lost(experiment_id) from error
    else:
        where = (_lease.c.experiment_id == experiment_id) & (_lease.c.epoch == old.epoch)
        connection.execute(_lease.update().where(where).values(**values))
    return epoch


def renew(
    connection: sa.Connection,
    experiment_id: int,
    *,
    epoch: int,
    seconds: float,
    vitals: dict[str, Any] | None = None,
) -> None:
    """Put the expiry off.

    Args:
        connection: The database.
        experiment_id: The experiment.
        epoch: The lease that the head holds.
        seconds: For how long.
        vitals: What the head tells of itself; None: nothing new.

    Raises:
        LeaseLost: The lease has another epoch now.
    """
    values: dict[str, Any] = {"expires_at": database_time(connection) + timedelta(seconds=seconds)}
    if vitals is not None:
        values["vitals"] = vitals
    where = (_lease.c.experiment_id == experiment_id) & (_lease.c.epoch == epoch)
    if connection.execute(_lease.update().where(where).values(**values)).rowcount != 1:
        raise _lost(experiment_id)


def release(connection: sa.Connection, experiment_id: int, *, epoch: int) -> None:
    """Let the lease expire now; the row stays, since its epoch must never start again."""
    where = (_lease.c.experiment_id == experiment_id) & (_lease.c.epoch == epoch)
    values = {"expires_at": database_time(connection), "pid": 0, "process_started": 0}
    connection.execute(_lease.update().where(where).values(**values))


def check(connection: sa.Connection, experiment_id: int, epoch: int) -> None:
    """Make sure that this head may write, until the transaction ends.

    Raises:
        LeaseLost: Another head has taken the experiment over.
    """
    query = sa.select(_lease.c.epoch).where(_lease.c.experiment_id == experiment_id)
    # Two transactions of one head may hold it at once; a head that takes over waits for both.
    if connection.execute(query.with_for_update(read=True)).scalar() != epoch:
        raise _lost(experiment_id)


def _lost(experiment_id: int) -> LeaseLost:
    return LeaseLost(
        f"another head has taken experiment {experiment_id} over.",
        "This one stops; its jobs go on and the other head has them.",
    )
