"""A head whose workers run on hosts that a test chooses, and what it thinks of these hosts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from db.sql import hosts
from db.sql.leases import database_time
from db.sql.tables import Base
from db.states import EventKind, ExclusionSource, HostState, JobState
from orchestrator.cluster.base import ClusterHost, Limits, Order
from orchestrator.steps import roster
from tests.steps.worker import Worker
from tests.steps.world import World

FAILS = {"exit_code": 1}


@dataclass
class Fleet:
    """The hosts `node0` to `node7` of a world."""

    world: World

    # What happens there

    def run_all(self, *places: str) -> list[Worker]:
        """Let the jobs that wait begin, each on its host, in the order of their submission."""
        waiting = [
            (order, index)
            for order in self.world.cluster.orders
            for index in range(order.size)
            if self._job(order, index) == JobState.PENDING
        ]
        assert len(waiting) == len(places), [order.only_on for order, _ in waiting]
        found = [
            self.world.claim(order, index, host=host)
            for (order, index), host in zip(waiting, places, strict=True)
        ]
        self.world.tick()
        assert None not in found
        return [worker for worker in found if worker is not None]

    def _job(self, order: Order, index: int) -> JobState:
        job = self.world.cluster.names.get(order.name, {}).get(index)
        return self.world.cluster.jobs[job].state if job else JobState.GONE

    def end(self, worker: Worker, host: str, **changes: Any) -> None:
        """Let a program end there; with success, if nothing is changed."""
        worker.end(host=host, **changes)
        self.world.finish_job(worker)
        self.world.ticks(3)

    def lose_node(self, worker: Worker, host: str) -> None:
        """Let a node die under a worker."""
        self.world.cluster.set(self.world.job_of(worker), JobState.NODE_FAIL, host=host)
        self.world.look(2)

    def change(self, name: str, **values: Any) -> None:
        """Let Slurm say something else of a host, and have it asked."""
        limits = self.world.cluster.hosts
        new = {**limits.hosts, name: replace(limits.hosts[name], **values)}
        self.world.cluster.hosts = replace(limits, hosts=new)
        self.ask()

    def keep_only(self, *names: str) -> None:
        """Let the partition have these hosts only."""
        known = {name: ClusterHost(name=name, memory_mb=8000) for name in names}
        self.world.cluster.hosts = Limits(known=frozenset(known), hosts=known)
        self.ask()

    def ask(self) -> None:
        """Let so much time pass that the scheduler is asked for its hosts again."""
        self.world.clock.now += roster.ASK_SECONDS
        self.world.ticks(2)

    def expire(self) -> None:
        """Let each exclusion be over that has an end, and have that seen."""
        table = Base.metadata.tables["exclusion"]
        with self.world.engine.begin() as connection:
            ago = database_time(connection) - timedelta(hours=2)
            open_ones = table.c.ended_at.is_(None) & table.c.expires_at.is_not(None)
            values = {"created_at": ago, "expires_at": ago + timedelta(hours=1)}
            connection.execute(table.update().where(open_ones).values(**values))
        self.look()

    def look(self) -> None:
        """Let so much time pass that the database is read again."""
        self.world.clock.now += 6
        self.world.tick()

    # What others do

    def by_hand(self, name: str, **values: Any) -> None:
        """A person excludes a host."""
        with self.world.engine.begin() as connection:
            given = {"source": ExclusionSource.USER, "reason": "it smells"} | values
            assert hosts.exclude(connection, "", name, **given)
        self.look()

    def include(self, name: str, **values: Any) -> None:
        """A person lets a host in again."""
        with self.world.engine.begin() as connection:
            given = {"reason": "repaired", "evidence": {hosts.LET_IN_BY: "me@login1"}} | values
            assert hosts.include(connection, "", name, **given)
        self.look()

    def note(self, name: str, state: HostState) -> None:
        """Another head thinks something of a host."""
        with self.world.engine.begin() as connection:
            hosts.note_state(connection, "", name, state, reason="another head said so")
        self.look()

    # What the head thinks

    def avoided(self, trial: int | None = None) -> list[str]:
        """What the next job is to avoid, or the next one of a trial."""
        failures = []
        if trial is not None:
            found = self.world.ledger.trials.values()
            (failures,) = (each.failures for each in found if each.index == trial)
        known = self.world.hosts
        return list(known.to_avoid(known.retries.request(failures)))

    def excluded(self) -> dict[str, str]:
        """Reasons of the exclusions that the database has, by host."""
        with self.world.engine.connect() as connection:
            return {name: row.reason for name, row in hosts.current(connection, "")[0].items()}

    def seconds(self) -> list[float]:
        """How long each exclusion lasts or lasted, the oldest first."""
        rows = self.world.rows("exclusion")
        return [round((row["expires_at"] - row["created_at"]).total_seconds()) for row in rows]

    def states(self) -> dict[str, str]:
        """What the database says is thought of hosts that are not GOOD."""
        with self.world.engine.connect() as connection:
            notes = hosts.current(connection, "")[1]
        return {name: note.state.value for name, note in notes.items()}

    def events(self, *kinds: EventKind) -> list[tuple[str, str, str]]:
        """Kind, host and state of the events about hosts."""
        table = Base.metadata.tables["event"]
        query = sa.select(table).where(table.c.kind.in_(kinds or ABOUT_HOSTS)).order_by(table.c.id)
        with self.world.engine.connect() as connection:
            rows = connection.execute(query).mappings().all()
        return [
            (str(row["kind"]), row["payload"]["host"], row["payload"].get("state", ""))
            for row in rows
        ]


ABOUT_HOSTS = (EventKind.SUSPECT, EventKind.EXCLUDED, EventKind.INCLUDED)
