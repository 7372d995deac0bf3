"""The head's way to the database: short transactions, each fenced by the head's lease."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime

import sqlalchemy as sa

from db.sql import leases
from db.sql.engine import translated

# What the functions of db.sql take; other packages never see SQLAlchemy itself.
Transaction = sa.Connection
Engine = sa.Engine
# Of so many transactions the length is remembered.
_TIMED = 50


def now() -> datetime:
    """Return the time as every timestamp of the head is written."""
    return datetime.now(UTC)


class Store:
    """One experiment in one database, as the head that owns it may use it.

    Attributes:
        engine: The engine; connections are taken only for the length of a transaction.
        experiment_id: The experiment.
        epoch: The epoch of the lease that this head holds.
        write_seconds: How long the last write transactions took, the newest at the end.
        writes: How many there were.
    """

    def __init__(self, engine: sa.Engine, experiment_id: int, epoch: int) -> None:
        self.engine = engine
        self.experiment_id = experiment_id
        self.epoch = epoch
        self.write_seconds: deque[float] = deque(maxlen=_TIMED)
        self.writes = 0

    @contextlib.contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """One transaction of the head; commits at the end, rolls back on an error.

        Raises:
            LeaseLost: Another head owns the experiment; nothing was written.
            DatabaseUnavailable: It is not known whether the transaction was committed.
        """
        began = time.monotonic()
        with translated(), self.engine.begin() as connection:
            leases.check(connection, self.experiment_id, self.epoch)
            yield connection
        self.write_seconds.append(time.monotonic() - began)
        self.writes += 1

    def await_last_write(self) -> None:
        """Wait until no transaction of this head is under way on the server any more.

        A connection that broke says nothing of its transaction: the server may still be about to
        commit it, and whoever reads before that misses it. Every such transaction holds the row of
        the lease until its end, so whoever gets that row alone knows that all of them have ended.

        Raises:
            LeaseLost: Another head owns the experiment.
            DatabaseUnavailable: One has not ended yet, or nobody knows.
        """
        with translated(), self.engine.begin() as connection:
            leases.find(connection, self.experiment_id)
            leases.check(connection, self.experiment_id, self.epoch)

    @contextlib.contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """One short reading transaction, which blocks no writer."""
        with translated(), self.engine.connect() as plain:
            connection = plain.execution_options(reading=True)
            with connection.begin():
                yield connection
