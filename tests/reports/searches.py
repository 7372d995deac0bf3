"""A small search, written row by row into the real tables, as a head would leave it."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from db.sql import tables
from db.sql.engine import connect, mask
from db.states import AttemptState, ExperimentStatus, FailureClass, TrialStatus
from orchestrator.reports.documents import RunCard, write_card

BEGIN = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
FINAL = {TrialStatus.COMPLETED, TrialStatus.FAILED, TrialStatus.ABANDONED}
_STATES = {
    TrialStatus.COMPLETED: AttemptState.SUCCEEDED,
    TrialStatus.FAILED: AttemptState.FAILED,
    TrialStatus.RUNNING: AttemptState.STARTED,
    TrialStatus.STAGED: AttemptState.SUBMITTED,
    TrialStatus.ABANDONED: AttemptState.CANCELLED,
}


@dataclass
class Search:
    """One experiment in a database.

    Attributes:
        url: The database.
        run_dir: The run folder; it exists.
        goals: Name of each objective, and whether smaller is better.
        id: Key of the experiment.
    """

    url: str
    run_dir: Path
    name: str = "demo"
    run_number: int = 1
    goals: Mapping[str, bool] = field(default_factory=lambda: {"RESULT": True})
    status: ExperimentStatus = ExperimentStatus.RUNNING
    max_eval: int = 10
    id: int = 0

    def __post_init__(self) -> None:
        self.run_dir.mkdir(parents=True, exist_ok=True)
        self.engine = connect(self.url)
        self.id = self.insert(
            tables.Experiment,
            uuid=f"{self.name}-{self.run_number}",
            name=self.name,
            run_number=self.run_number,
            spec=self.spec(),
            status=self.status,
            owner="me@here",
            run_dir=str(self.run_dir),
            created_at=BEGIN,
        )
        for position, name in enumerate(("x", "kind")):
            self.insert(
                tables.Parameter,
                experiment_id=self.id,
                position=position,
                name=name,
                kind="range" if name == "x" else "choice",
                value_type="float" if name == "x" else "str",
            )
        self.objectives = {
            name: self.insert(
                tables.Objective,
                experiment_id=self.id,
                position=position,
                name=name,
                minimize=minimize,
            )
            for position, (name, minimize) in enumerate(self.goals.items())
        }
        self.generation = self.insert(
            tables.Generation,
            experiment_id=self.id,
            number=3,
            node=0,
            generator="SOBOL",
            requested=4,
            produced=4,
            fit_time=0.25,
            gen_time=0.05,
            seed=1,
            created_at=BEGIN,
        )

    def spec(self) -> dict[str, Any]:
        """What of the spec a viewer reads."""
        timing = {"lease_expire_seconds": 30}
        return {"max_eval": self.max_eval, "num_parallel_jobs": 4, "timing": timing}

    def insert(self, model: type[tables.Base], **values: object) -> int:
        """Insert one row and return its key."""
        with self.engine.begin() as connection:
            key = connection.execute(sa.insert(model).values(**values)).inserted_primary_key
        assert key is not None
        return int(key[0])

    def execute(self, statement: sa.Executable) -> None:
        """Change something."""
        with self.engine.begin() as connection:
            connection.execute(statement)

    def trial(
        self,
        index: int,
        status: TrialStatus,
        *means: float,
        x: float = 0.5,
        reason: str | None = None,
        seconds: float = 10,
        infos: dict[str, str] | None = None,
    ) -> int:
        """Add a trial and its attempt; it started `index` minutes after the experiment."""
        start = BEGIN + timedelta(minutes=index)
        is_final = status in FINAL
        key = self.insert(
            tables.Trial,
            experiment_id=self.id,
            index=index,
            generation_id=self.generation,
            parameters={"x": x, "kind": "a"},
            parameter_hash="",
            status=status,
            status_reason=reason,
            created_at=BEGIN,
            run_started_at=start,
            completed_at=start + timedelta(seconds=seconds) if is_final else None,
        )
        if status == TrialStatus.CANDIDATE:
            return key
        attempt = self.attempt(
            key, 1, _STATES[status], start=start, seconds=seconds, reason=reason, infos=infos
        )
        for (_, objective), mean in zip(self.objectives.items(), means, strict=False):
            self.insert(
                tables.Outcome,
                trial_id=key,
                objective_id=objective,
                mean=mean,
                source="ATTEMPT",
                attempt_id=attempt,
            )
        return key

    def attempt(
        self,
        trial_id: int,
        number: int,
        state: AttemptState,
        *,
        start: datetime = BEGIN,
        seconds: float = 10,
        reason: str | None = None,
        infos: dict[str, str] | None = None,
        **columns: Any,
    ) -> int:
        """Add an attempt of a trial; `columns` of it may be others than usual."""
        has_ended = state not in {AttemptState.STARTED, AttemptState.SUBMITTED}
        usual: dict[str, Any] = {
            "trial_id": trial_id,
            "array_index": 0,
            "number": number,
            "token": f"t{self.id}-{trial_id}-{number}",
            "state": state,
            "slurm_job_id": f"{trial_id}_0",
            "host": f"node{trial_id}",
            "measured": {"wall_seconds": seconds} if has_ended else None,
            "infos": infos,
            "exit_code": {AttemptState.SUCCEEDED: 0, AttemptState.FAILED: 1}.get(state),
            "failure_class": FailureClass.PROGRAM if state == AttemptState.FAILED else None,
            "failure_message": reason,
            "log_path": f"logs/{trial_id}-{number}.log",
            "created_at": BEGIN,
            "started_at": start,
            "ended_at": start + timedelta(seconds=seconds) if has_ended else None,
        }
        return self.insert(tables.Attempt, **usual | columns)

    def metric(self, trial_id: int, attempt_id: int, value: float | None, step: int) -> None:
        """Add a measurement of the loss."""
        self.insert(
            tables.Metric,
            trial_id=trial_id,
            attempt_id=attempt_id,
            name="loss",
            value=value,
            split="VALIDATION",
            level="STEP",
            step=step,
            created_at=BEGIN,
        )

    def lease(self, seconds_left: float, *, pid: int = 42) -> None:
        """Give the experiment a head whose lease expires then."""
        lease = tables.table_of(tables.HeadLease)
        expires = datetime.now(UTC) + timedelta(seconds=seconds_left)
        values = {"host": "login1", "boot_id": "b", "pid": pid, "process_started": 1, "epoch": 1}
        self.execute(sa.delete(lease).where(lease.c.experiment_id == self.id))
        self.execute(sa.insert(lease).values(experiment_id=self.id, expires_at=expires, **values))

    def end(self, status: ExperimentStatus, reason: str | None = None) -> None:
        """Let the experiment end an hour after its begin."""
        table = tables.table_of(tables.Experiment)
        values = {"status": status, "stop_reason": reason, "ended_at": BEGIN + timedelta(hours=1)}
        self.execute(sa.update(table).where(table.c.id == self.id).values(**values))

    def write_documents(self, *, host: str | None = None) -> None:
        """Write what makes the folder a run folder."""
        card = RunCard(
            name=self.name,
            run_number=self.run_number,
            uuid=f"{self.name}-{self.run_number}",
            created_at=BEGIN.isoformat(),
            host=host or socket.gethostname(),
            database=mask(self.url),
            spec=self.spec(),
        )
        write_card(self.run_dir, card)
        job = {"db_url": None if self.url.startswith("sqlite") else self.url}
        (self.run_dir / "job.json").write_text(json.dumps(job))


def local_search(
    root: Path,
    *,
    name: str = "demo",
    run_number: int = 1,
    goals: Mapping[str, bool] | None = None,
    max_eval: int = 10,
) -> Search:
    """Make a search with its SQLite file in its run folder."""
    run_dir = root / name / str(run_number)
    run_dir.mkdir(parents=True)
    search = Search(
        url=f"sqlite:///{run_dir}/database.db",
        run_dir=run_dir,
        name=name,
        run_number=run_number,
        goals=goals or {"RESULT": True},
        max_eval=max_eval,
    )
    search.write_documents()
    return search


def fill(search: Search) -> None:
    """Give a search eight trials: four completed, one failed twice, two running, one waiting."""
    two = len(search.objectives) > 1
    for index, (mean, other) in enumerate([(5.0, 1.0), (3.0, 2.0), (4.0, 9.0), (1.5, 1.0)]):
        means = (mean, other) if two else (mean,)
        infos = {"colour": f"c{index}"} if index else None
        search.trial(index, TrialStatus.COMPLETED, *means, x=index / 10, infos=infos)
    failed = search.trial(4, TrialStatus.FAILED, reason="exit code 1")
    search.attempt(failed, 2, AttemptState.FAILED, reason="exit code 1")
    for index in (5, 6):
        search.trial(index, TrialStatus.RUNNING)
    search.trial(7, TrialStatus.CANDIDATE)
