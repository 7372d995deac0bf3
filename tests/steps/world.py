"""A head without its loop: real steps on a real database, a scripted scheduler and generator.

Whatever happens, the ledger that the steps keep must say what a fresh one would read: `tick`
compares the two each time.
"""

from __future__ import annotations

import secrets
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from db.direct import DirectStore
from db.records import Claim, ReportMessage
from db.spool import assignments, layout, reports
from db.sql import experiments, leases
from db.sql.engine import connect, sqlite_url
from db.sql.experiments import NewExperiment
from db.sql.store import Store
from db.sql.tables import Base
from db.states import JobState
from orchestrator.cluster.base import Order
from orchestrator.steps.cancelling import Canceller
from orchestrator.steps.commands import Requests, waiting_requests
from orchestrator.steps.goal import Goal
from orchestrator.steps.hosts import Hosts
from orchestrator.steps.ledger import Ledger
from orchestrator.steps.mailbox import Mailbox
from orchestrator.steps.never import Never
from orchestrator.steps.observe import Observer
from orchestrator.steps.propose import Proposer
from orchestrator.steps.settle import Settler
from orchestrator.steps.space import Space
from orchestrator.steps.steering import Steerer
from orchestrator.steps.submit import Submitter
from orchestrator.steps.throttle import Throttle
from orchestrator.steps.tolerance import Tolerance
from tests.db.sql.samples import HOLDER, new_experiment
from tests.steps.picture import picture
from tests.steps.scripted import Clock, Inline, ScriptedCluster, ScriptedGenerator
from tests.steps.specs import make_spec
from tests.steps.worker import Worker


class World:
    """Everything that a head has, on one run folder."""

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        *,
        transport: str,
        objectives: tuple[str, str] = ("LOSS", "ACC"),
        **changes: Any,
    ) -> None:
        self.clock = clock
        self.transport = transport
        self.names = objectives
        directions = ({"name": objectives[0]}, {"name": objectives[1], "minimize": False})
        self.spec = make_spec(**({"objectives": directions} | changes))
        self.run_dir = folder / "run"
        self.run_dir.mkdir(exist_ok=True)
        self.url = sqlite_url(self.run_dir / "database.db")
        self.engine = connect(self.url)
        self._watching = sqlite3.connect(self.run_dir / "database.db")
        self._seen = -1
        self._fresh: dict[str, Any] = {}
        self.notes: list[tuple[str, dict[str, Any]]] = []
        self.cluster = ScriptedCluster()
        self.threads = Inline()
        self.model = ScriptedGenerator()
        self.fallback = ScriptedGenerator()
        self.fallback._count = 10**6
        with self.engine.begin() as connection:
            self.experiment_id = experiments.insert(connection, self._new_experiment())
            self.objective_ids = experiments.get(connection, self.experiment_id).objective_ids
        self.start_head()

    def _new_experiment(self) -> NewExperiment:
        rows = [{"name": each.name, "minimize": each.minimize} for each in self.spec.objectives]
        nodes = [node.model_dump(mode="json") for node in self.spec.strategy.nodes]
        return replace(new_experiment(), objectives=rows, nodes=nodes)

    def start_head(self) -> None:
        """Start a head, the first one or the next after one that died."""
        too_late = waiting_requests(self.run_dir)
        with self.engine.begin() as connection:
            old = leases.find(connection, self.experiment_id)
            epoch = leases.take(
                connection, self.experiment_id, holder=HOLDER, old=old, seconds=10**6
            )
        self.store = Store(self.engine, self.experiment_id, epoch)
        self.threads = Inline()
        self.space = Space([self.run_dir], note=self.note)
        self.mailbox = Mailbox(self.run_dir, note=self.note)
        self.ledger = self._new_ledger(set())
        self.goal = Goal.of(self.spec)
        self.canceller = Canceller(
            ledger=self.ledger,
            cluster=self.cluster,
            threads=Inline(),
            wake=lambda: None,
            note=self.note,
        )
        self.observer = Observer(
            ledger=self.ledger,
            cluster=self.cluster,
            mailbox=self.mailbox,
            timing=self.spec.timing,
            threads=self.threads,
            wake=lambda: None,
            unwanted=lambda: self.canceller.jobs,
        )
        self.proposer = Proposer(
            store=self.store,
            ledger=self.ledger,
            spec=self.spec,
            goal=self.goal,
            model=self.model,  # type: ignore[arg-type]
            fallback=self.fallback,  # type: ignore[arg-type]
            note=self.note,
        )
        self.hosts = Hosts(
            store=self.store,
            spec=self.spec,
            cluster=self.cluster,
            ledger=self.ledger,
            canceller=self.canceller,
            threads=Inline(),
            wake=lambda: None,
            note=self.note,
        )
        self.hosts.begin()
        self.settler = Settler(
            store=self.store,
            ledger=self.ledger,
            spec=self.spec,
            objective_ids=self.objective_ids,
            mailbox=self.mailbox,
            cancel=self.canceller.cancel,
            hosts=self.hosts,
            spare=self.canceller.spare,
            note=self.note,
            measure=self.proposer.pace.measure_trial,
        )
        self.submitter = Submitter(
            store=self.store,
            ledger=self.ledger,
            spec=self.spec,
            goal=self.goal,
            cluster=self.cluster,
            mailbox=self.mailbox if self.transport == "spool" else None,
            run_dir=self.run_dir,
            threads=self.threads,
            wake=lambda: None,
            note=self.note,
            canceller=self.canceller,
            hosts=self.hosts,
        )
        self.amending = Inline()
        self.steerer = Steerer(
            store=self.store,
            ledger=self.ledger,
            cluster=self.cluster,
            threads=self.amending,
            wake=lambda: None,
            note=self.note,
            canceller=self.canceller,
            hosts=self.hosts,
        )
        self.never = Never(
            store=self.store,
            spec=self.spec,
            ledger=self.ledger,
            hosts=self.hosts,
            canceller=self.canceller,
            note=self.note,
        )
        self.throttle = Throttle(
            store=self.store,
            ledger=self.ledger,
            goal=self.goal,
            cluster=self.cluster,
            canceller=self.canceller,
            threads=Inline(),
            wake=lambda: None,
            note=self.note,
        )
        self.requests = Requests(
            store=self.store,
            ledger=self.ledger,
            spec=self.spec,
            goal=self.goal,
            hosts=self.hosts,
            run_dir=self.run_dir,
            note=self.note,
            too_late=too_late,
        )
        self.submitter.adopt()
        self.tolerance = Tolerance(
            store=self.store, ledger=self.ledger, spec=self.spec, hosts=self.hosts
        )

    def _new_ledger(self, in_flight: set[str]) -> Ledger:
        ledger = Ledger(self.spec.name, nodes=len(self.spec.strategy.nodes))
        ledger.load(self.store, in_flight=in_flight)
        return ledger

    def note(self, text: str, /, *, level: str = "info", **fields: Any) -> None:
        """Take what the steps tell."""
        self.notes.append((text, {"level": level, **fields}))

    def noted(self, text: str) -> list[dict[str, Any]]:
        """What was told under this text."""
        return [fields for found, fields in self.notes if found == text]

    # What a head does

    def tick(self, *, accept_new: bool = True) -> None:
        """Do the four steps once, and see that the ledger is right."""
        news = self.observer.gather()
        self.settler.settle(news, look=True)
        self.requests.take()
        self.hosts.decide()
        self.never.look(news.poll)
        if accept_new:
            self.steerer.steer(news.poll)
            self.throttle.follow(news.poll)
            self.proposer.propose(self.submitter.free_slots())
        has_room = self.space.has_room()
        if not has_room:
            self.settler.lose_touch()
        may_submit = has_room and accept_new
        self.submitter.submit(news.poll, accept_new=may_submit)
        if self.throttle.is_due or self.submitter.needs_look:
            self.observer.poll_soon()
        elif self.submitter.awaits_room:
            self.observer.look_for_room()
        self.check()

    def ticks(self, count: int = 4, *, seconds: float = 0.0) -> None:
        """Do so many ticks, so many seconds apart."""
        for _ in range(count):
            self.clock.now += seconds
            self.tick()

    def look(self, times: int = 1) -> None:
        """Let the scheduler be asked, and hear its answer, so many times."""
        for _ in range(times):
            self.clock.now += self.spec.timing.poll_max_seconds
            self.tick()
            self.tick()

    # What workers do

    def claim(
        self, order: Order, index: int = 0, *, reports: bool = True, host: str = ""
    ) -> Worker | None:
        """Let a worker begin; None if there is nothing for it."""
        host = host or f"node{index}"
        job_id = self.cluster.names.get(order.name, {}).get(index)
        memory_mb = order.resources.memory_mb or self.cluster.default_memory_mb
        claim: Claim = {
            "claim": secrets.token_hex(4),
            "host": host,
            "slurm_job_id": job_id,
            "pid": 1,
            "started_at": "2030-01-02T03:04:05.000000+00:00",
        }
        if memory_mb is not None:
            claim["memory_mb"] = memory_mb
        if self.transport == "direct":
            found = self._direct().claim(order.token, index, claim)
        else:
            found = assignments.claim(self._spool, order.token, index, claim["claim"])
        if found is None:
            return None
        if job_id is not None:
            self.cluster.set(job_id, JobState.RUNNING, host=host)
        worker = Worker(self, found)
        if self.transport == "spool" and reports:
            worker.send("START", claim)
        return worker

    def claim_all(self) -> list[Worker]:
        """Let a worker begin for each task that has none yet."""
        found = self.claim_all_quietly()
        self.tick()
        return found

    def claim_all_quietly(self) -> list[Worker]:
        """The same, and the head has not seen it yet."""
        places = [(order, index) for order in self.cluster.orders for index in range(order.size)]
        found = [self.claim(order, index) for order, index in places]
        return [worker for worker in found if worker is not None]

    def deliver(self, message: ReportMessage) -> None:
        """Bring a report on its way."""
        if self.transport == "direct":
            self._direct().send(message)
        else:
            reports.write_report(self._spool, message)

    def finish_job(self, worker: Worker, state: JobState = JobState.COMPLETED) -> None:
        """Let the job of a worker end."""
        self.cluster.set(self.job_of(worker), state)

    def job_of(self, worker: Worker) -> str:
        """The job of a worker."""
        (found,) = self.rows("attempt", id=worker.assignment["attempt_id"])
        return str(found["slurm_job_id"])

    def _direct(self) -> DirectStore:
        return DirectStore(self.url, run_dir=str(self.run_dir), experiment_id=self.experiment_id)

    @property
    def _spool(self) -> str:
        return layout.spool_of(str(self.run_dir))

    # What the database says

    def rows(self, table: str, **where: Any) -> list[dict[str, Any]]:
        """Rows of a table, in the order of their keys."""
        found = Base.metadata.tables[table]
        query = sa.select(found).order_by(found.c.id)
        for name, value in where.items():
            query = query.where(found.c[name] == value)
        with self.store.read() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def statuses(self) -> list[str]:
        """The status of each trial."""
        return [row["status"].name for row in self.rows("trial")]

    def states(self) -> list[str]:
        """The state of each attempt."""
        return [row["state"].value for row in self.rows("attempt")]

    def outcomes(self) -> dict[int, dict[str, float]]:
        """The accepted values by index of the trial."""
        names = {key: name for name, key in self.objective_ids.items()}
        index = {row["id"]: row["index"] for row in self.rows("trial")}
        found: dict[int, dict[str, float]] = {}
        for row in self.rows("outcome"):
            found.setdefault(index[row["trial_id"]], {})[names[row["objective_id"]]] = row["mean"]
        return found

    def check(self) -> None:
        """See that the ledger says what a new head would read, and that nothing is there twice."""
        (version,) = self._watching.execute("PRAGMA data_version").fetchone()
        if version != self._seen:
            self._seen = version
            self._fresh = picture(self._new_ledger(self.submitter.in_flight))
            self._check_rows()
        assert picture(self.ledger) == self._fresh

    def _check_rows(self) -> None:
        live = [row["trial_id"] for row in self.rows("attempt") if row["state"].value in LIVE]
        assert len(live) == len(set(live)), "a trial has two live attempts"
        done = {row["index"] for row in self.rows("trial") if row["status"].name == "COMPLETED"}
        outcomes = self.outcomes()
        assert outcomes.keys() == done
        assert all(set(values) == set(self.names) for values in outcomes.values())
        assert self.ledger.created <= max(self.spec.max_eval, self.goal.max_eval)

    def close(self) -> None:
        """Let go of the database."""
        self._watching.close()
        self.engine.dispose()


LIVE = ("PLANNED", "SUBMITTED", "STARTED")


def attempts_of(world: World, index: int) -> list[tuple[str, str | None]]:
    """State and failure class of each attempt of a trial, the first one first."""
    (trial,) = world.rows("trial", index=index)
    rows = world.rows("attempt", trial_id=trial["id"])
    return [
        (row["state"].value, row["failure_class"] and row["failure_class"].value) for row in rows
    ]


def status_of(world: World, index: int) -> str:
    return world.statuses()[index]


def try_again(world: World, index: int) -> Worker:
    """Let the next attempt of a trial begin."""
    world.ticks(3)
    found = {worker.index: worker for worker in world.claim_all()}
    return found[index]
