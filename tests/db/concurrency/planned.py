"""A search whose attempts wait for their workers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from benchmarks.load import set_up_search
from db.direct import DirectStore
from db.records import Assignment, ReportMessage
from db.sql import attempts, generations, incoming, leases, trials
from db.sql.attempts import NewAttempt
from db.sql.store import Store
from db.sql.tables import Attempt, Report, table_of
from orchestrator.app.runs import Run
from tests.db.sql.samples import HOLDER, new_generation

TOKEN = "crowded"
POINT = {"x": 0.5, "y": 0.25, "layers": 3, "kind": "a"}


@dataclass(frozen=True)
class Planned:
    """One array of attempts, as the head sees it; no connection stays open."""

    run: Run
    epoch: int

    def worker(self, *, hold: bool = False) -> DirectStore:
        """Return a worker's way to the database."""
        return DirectStore(
            self.run.db_url,
            run_dir=str(self.run.run_dir),
            experiment_id=self.run.stored.id,
            hold=hold,
        )

    def rows(self, model: type[Attempt | Report]) -> list[sa.RowMapping]:
        """Return all rows of a table in the order of their keys."""
        with self.run.engine.connect() as connection:
            query = sa.select(table_of(model)).order_by(sa.text("id"))
            found = list(connection.execute(query).mappings())
        self.run.engine.dispose()
        return found

    def take_in(self) -> list[int]:
        """Consume the reports that wait, as the head does in one tick; return their keys."""
        store = Store(self.run.engine, self.run.stored.id, self.epoch)
        with store.write() as connection:
            keys = [report.id for report in incoming.waiting(connection, store.experiment_id)]
            incoming.consume(connection, keys)
        return keys


def plan(folder: Path, *, database: str | None, count: int, **changes: Any) -> Planned:
    """Set a search up and plan `count` attempts as one array."""
    run = set_up_search(folder, database=database, **changes)
    key = run.stored.id
    with run.engine.begin() as connection:
        generation = generations.insert(connection, key, new_generation())
        ids = trials.insert(
            connection, key, first_index=0, points=[POINT] * count, generation_id=generation
        )
        new = [
            NewAttempt(trial_id=trial, array_index=place, number=1, token=f"t{place}", log_path="")
            for place, trial in enumerate(ids)
        ]
        attempts.plan(connection, key, token=TOKEN, resources={}, attempts=new)
        epoch = leases.take(connection, key, holder=HOLDER, old=None, seconds=3600)
    run.engine.dispose()
    return Planned(run, epoch)


def end_of(assignment: Assignment, sequence: int = 0) -> ReportMessage:
    """Make the report of an attempt's end."""
    return {
        "attempt_id": assignment["attempt_id"],
        "attempt_token": assignment["attempt_token"],
        "kind": "END",
        "sequence": sequence,
        "created_at": "2030-01-02T03:04:06.000000+00:00",
        "payload": {"results": {"LOSS": 1.5}},
    }
