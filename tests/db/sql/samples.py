"""An experiment as a head would have stored it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from db.sql import attempts, experiments, generations, leases, trials
from db.sql.attempts import AttemptRow, NewAttempt
from db.sql.experiments import NewExperiment
from db.sql.generations import NewGeneration
from db.sql.leases import Holder
from db.sql.store import Store
from db.sql.tables import Attempt, Base, Trial, table_of
from db.states import AttemptState, ExperimentStatus, TrialStatus

NOW = datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
HOLDER = Holder(host="here", boot_id="b", pid=1, process_started=2)
TRIALS = 3


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One experiment in a database, and the keys of what it has."""

    engine: sa.Engine
    store: Store
    objective_ids: dict[str, int]
    trial_ids: list[int]
    attempt_ids: list[int]
    submission_id: int

    def trial_status(self, place: int = 0) -> TrialStatus:
        """Return the status of a trial as the database has it."""
        table = table_of(Trial)
        query = sa.select(table.c.status).where(table.c.id == self.trial_ids[place])
        with self.store.read() as connection:
            return TrialStatus(connection.execute(query).scalar_one())

    def attempt(self, place: int = 0) -> sa.RowMapping:
        """Return an attempt's row."""
        table = table_of(Attempt)
        query = sa.select(table).where(table.c.id == self.attempt_ids[place])
        with self.store.read() as connection:
            return connection.execute(query).mappings().one()

    def set_attempt(self, state: AttemptState, place: int = 0) -> None:
        """Put an attempt into a state, whatever it was."""
        table = table_of(Attempt)
        where = table.c.id == self.attempt_ids[place]
        with self.store.write() as connection:
            connection.execute(table.update().where(where).values(state=state))

    def open_attempts(self) -> list[AttemptRow]:
        """Return the attempts that may still run."""
        with self.store.read() as connection:
            return attempts.open_attempts(connection, self.store.experiment_id)


def new_experiment(name: str = "e") -> NewExperiment:
    """Everything about an experiment with one parameter and two objectives."""
    return NewExperiment(
        experiment={
            "uuid": f"uuid-{name}",
            "name": name,
            "run_number": 1,
            "spec": {"x": 0.1},
            "status": ExperimentStatus.RUNNING,
            "owner": "me@here",
            "run_dir": "/run",
            "created_at": NOW,
        },
        parameters=[{"name": "x", "kind": "range", "value_type": "float", "lower": 0, "upper": 1}],
        constraints=[{"text": "x <= 1", "coefficients": {"x": 1.0}, "bound": 1.0}],
        objectives=[{"name": "LOSS", "minimize": True}, {"name": "ACC", "minimize": False}],
        nodes=[{"generator": "SOBOL", "num_trials": None, "min_observed": 0}],
    )


def new_generation(number: int = 0, **changes: Any) -> NewGeneration:
    """One call of a generator."""
    values: dict[str, Any] = {
        "number": number,
        "node": 0,
        "generator": "SOBOL",
        "requested": TRIALS,
        "produced": TRIALS,
        "fit_time": 0.0,
        "gen_time": 0.1,
        "seed": 2**32 - 1,
        "state": {"drawn": TRIALS},
        "predictions": None,
        "fallback_reason": None,
    }
    return NewGeneration(**(values | changes))


def fill(engine: sa.Engine, name: str = "e") -> Sample:
    """Store an experiment whose lease is held, with three trials and an attempt of each."""
    with engine.begin() as connection:
        experiment_id = experiments.insert(connection, new_experiment(name))
        epoch = leases.take(connection, experiment_id, holder=HOLDER, old=None, seconds=30)
        generation_id = generations.insert(connection, experiment_id, new_generation())
        trial_ids = trials.insert(
            connection,
            experiment_id,
            first_index=0,
            points=[{"x": number / 10} for number in range(TRIALS)],
            generation_id=generation_id,
        )
        new = [
            NewAttempt(
                trial_id=key,
                array_index=place,
                number=1,
                token=f"{name}-a{place}",
                log_path=f"logs/{place}.log",
            )
            for place, key in enumerate(trial_ids)
        ]
        submission_id, attempt_ids = attempts.plan(
            connection, experiment_id, token=f"{name}-t", resources={"cpus": 1}, attempts=new
        )
        objective_ids = experiments.get(connection, experiment_id).objective_ids
    return Sample(
        engine=engine,
        store=Store(engine, experiment_id, epoch),
        objective_ids=objective_ids,
        trial_ids=trial_ids,
        attempt_ids=attempt_ids,
        submission_id=submission_id,
    )


def tables() -> dict[str, sa.Table]:
    """Return all tables by name."""
    return dict(Base.metadata.tables)
