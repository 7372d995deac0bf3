"""Runs: creating one, loading one, and the documents in its folder."""

from __future__ import annotations

import getpass
import json
import shutil
import socket
import sys
import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from db.errors import DatabaseError
from db.filesystems import is_network
from db.records import WorkerJob
from db.spool.layout import write_whole
from db.sql import events, experiments
from db.sql.engine import connect, is_sqlite, mask, open_existing, sqlite_url, translated
from db.sql.experiments import NewExperiment, StoredExperiment
from db.sql.store import Engine, now
from db.states import EventKind, ExperimentStatus
from orchestrator.errors import UsageError
from orchestrator.generators.versions import library_versions
from orchestrator.reports.documents import RunCard, write_card
from orchestrator.spec.experiment import ExperimentSpec

DATABASE = "database.db"


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of an experiment that exists in its database and on disk.

    Attributes:
        engine: The database.
        db_url: Its URL; may hold a password.
        stored: The experiment as the database has it.
        spec: What was asked for.
        run_dir: The run folder, absolute.
    """

    engine: Engine
    db_url: str
    stored: StoredExperiment
    spec: ExperimentSpec
    run_dir: Path

    @property
    def label(self) -> str:
        """The run as a user names it: NAME/N."""
        return f"{self.stored.name}/{self.stored.run_number}"

    @property
    def transport(self) -> Literal["direct", "spool"]:
        """How workers report: an SQLite file is opened by processes of one host only."""
        if not is_sqlite(self.db_url):
            return "direct"
        file = Path(self.engine.url.database or "")
        is_one_host = self.spec.executor == "local" and not is_network(file)
        return "direct" if is_one_host else "spool"

    def close(self) -> None:
        """Let go of the database: the last one to close an SQLite file makes it whole again.

        Until then a part of what was committed is in `database.db-wal` alone.
        """
        self.engine.dispose()


def set_up(spec: ExperimentSpec, *, db_url: str | None, run_root: Path) -> Run:
    """Create the run folder and the experiment.

    The database is asked first, so that one that does not answer leaves no folder behind. Should
    anything fail later, the folder is removed again.

    Raises:
        UsageError: The database cannot be reached or used, or the folder cannot be written.
    """
    try:
        engine = None if db_url is None else connect(db_url, timeout_seconds=_patience(spec))
        run_number, run_dir = _make_run_dir(run_root / spec.name, _taken(engine, spec.name))
    except DatabaseError as error:
        raise UsageError(f"--db_url: {error.message}", error.hint) from error
    except OSError as error:
        raise UsageError(f"--run_dir: {run_root} cannot be used: {error.strerror}") from error
    try:
        url = db_url or sqlite_url(run_dir / DATABASE)
        engine = engine or connect(url)
        experiment_id = _insert(engine, spec, run_number=run_number, run_dir=run_dir)
        run = load(engine, url, experiment_id)
        write_documents(run)
    except BaseException:
        if engine is not None:
            engine.dispose()  # a network file system keeps the folder of a file that is open
        shutil.rmtree(run_dir, ignore_errors=True)
        raise
    return run


def _patience(spec: ExperimentSpec) -> float:
    return spec.timing.connect_seconds


def _taken(engine: Engine | None, name: str) -> int:
    """Return the highest run number that the database knows of a name."""
    if engine is None:
        return 0
    with translated(), engine.connect() as connection:
        return experiments.last_run_number(connection, name)


def _make_run_dir(folder: Path, taken: int) -> tuple[int, Path]:
    """Make the folder of the next run; two heads that start at once get two numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    here = [int(entry.name) for entry in folder.iterdir() if entry.name.isdigit()]
    number = max([taken, *here]) + 1
    while True:
        try:
            (folder / str(number)).mkdir(mode=0o700)
        except FileExistsError:
            number += 1
        else:
            return number, folder / str(number)


def _insert(engine: Engine, spec: ExperimentSpec, *, run_number: int, run_dir: Path) -> int:
    frozen = json.loads(spec.to_json())
    new = NewExperiment(
        experiment={
            "uuid": str(uuid.uuid4()),
            "name": spec.name,
            "run_number": run_number,
            "group": spec.group,
            "description": spec.description,
            "participant": spec.participant,
            "user_metadata": spec.user_metadata or None,
            "spec": frozen,
            "status": ExperimentStatus.RUNNING,
            "owner": f"{getpass.getuser()}@{socket.gethostname()}",
            "run_dir": str(run_dir),
            "created_at": now(),
        },
        parameters=[_parameter_row(p) for p in frozen["space"]["parameters"]],
        constraints=[
            {name: constraint.get(name) for name in ("text", "coefficients", "bound")}
            for constraint in frozen["space"]["constraints"]
        ],
        objectives=frozen["objectives"],
        nodes=frozen["strategy"]["nodes"],
    )
    with translated(), engine.begin() as connection:
        experiment_id = experiments.insert(connection, new)
        payload = {
            "spec": frozen,
            "database": mask(str(engine.url)),
            "run_dir": str(run_dir),
            "versions": versions_for(spec),
        }
        events.append(connection, [events.row(experiment_id, EventKind.SETUP, payload)])
    return experiment_id


def versions_for(spec: ExperimentSpec) -> dict[str, str]:
    """Return the versions of what the strategy of a spec calculates with."""
    return library_versions(node.generator for node in spec.strategy.nodes)


def _parameter_row(parameter: dict[str, Any]) -> dict[str, Any]:
    names = ("name", "kind", "value_type", "lower", "upper", "log_scale", "choices", "is_ordered")
    row = {name: parameter.get(name) for name in names}
    is_fixed = parameter["kind"] == "fixed"
    return row | {"fixed_value": {"value": parameter["value"]} if is_fixed else None}


def load(engine: Engine, db_url: str, experiment_id: int) -> Run:
    """Return a run that is in the database."""
    with translated(), engine.connect() as connection:
        stored = experiments.get(connection, experiment_id)
    spec = ExperimentSpec.from_json(json.dumps(stored.spec))
    return Run(engine=engine, db_url=db_url, stored=stored, spec=spec, run_dir=Path(stored.run_dir))


def write_documents(run: Run) -> None:
    """Write `spec.json` and `job.json`; both atomic, readable by their owner only."""
    card = RunCard(
        name=run.stored.name,
        run_number=run.stored.run_number,
        uuid=run.stored.uuid,
        created_at=run.stored.created_at.isoformat(),
        host=socket.gethostname(),
        database=mask(run.db_url),
        spec=json.loads(run.spec.to_json()),
    )
    write_card(run.run_dir, card)
    job = json.dumps(_worker_job(run), indent=2)
    write_whole(str(run.run_dir / "job.json"), job + "\n", durable=True)


def _worker_job(run: Run) -> WorkerJob:
    spec, timing = run.spec, run.spec.timing
    return WorkerJob(
        experiment_id=run.stored.id,
        experiment_name=run.label,
        run_dir=str(run.run_dir),
        transport=run.transport,
        db_url=run.db_url if run.transport == "direct" else None,
        import_folders=[folder for folder in sys.path if folder and Path(folder).is_dir()],
        program=spec.program,
        working_folder=spec.working_folder,
        objectives=[objective.name for objective in spec.objectives],
        worker_timeout_seconds=spec.worker_timeout_seconds,
        grace_seconds=timing.grace_seconds,
        heartbeat_seconds=timing.heartbeat_seconds,
        claim_patience_seconds=timing.claim_patience_seconds,
        report_patience_seconds=timing.report_patience_seconds,
    )


def open_run(db_url: str, experiment_id: int) -> Run:
    """Open a run that was set up earlier.

    Raises:
        DatabaseError: The database cannot be reached or used.
    """
    return load(open_existing(db_url), db_url, experiment_id)


def change_goal(run: Run, max_eval: int) -> Run:
    """Ask a run for another number of trials in all; the head that takes it over writes it down."""
    return replace(run, spec=run.spec.model_copy(update={"max_eval": max_eval}))


def changes(run: Run) -> dict[str, tuple[Any, Any]]:
    """Return which options of a run differ from what its database had, as (before, now)."""
    # Through the model: a spec of an older Headway lacks options that it has got since.
    before = json.loads(ExperimentSpec.from_json(json.dumps(run.stored.spec)).to_json())
    after = json.loads(run.spec.to_json())
    return {name: (before[name], after[name]) for name in after if before[name] != after[name]}
