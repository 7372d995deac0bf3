"""Runs: creating one, loading one, and the documents in its folder."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from db.errors import DatabaseError, DatabaseFull
from db.filesystems import filesystem_type, is_network, is_shared
from db.person import this_person
from db.records import Preflight, SeenFile, WorkerJob
from db.spool.layout import write_whole
from db.sql import events, experiments
from db.sql.engine import (
    connect,
    is_sqlite,
    mask,
    open_existing,
    parse_url,
    sqlite_url,
    translated,
)
from db.sql.experiments import NewExperiment, StoredExperiment
from db.sql.store import Engine, now
from db.states import EventKind, ExperimentStatus
from orchestrator.app import snapshot
from orchestrator.errors import UsageError
from orchestrator.generators.versions import library_versions
from orchestrator.reports.documents import RunCard, write_card
from orchestrator.spec.experiment import ExperimentSpec
from worker.fitness import PROTOCOL, python_version

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
        is_resumed: Whether it was set up by an earlier command.
        is_automatic: Whether no person asked for this head: the last one was cut off.
        seconds_left: Of the time for the whole search; None: all of it, if there is a limit.
    """

    engine: Engine
    db_url: str
    stored: StoredExperiment
    spec: ExperimentSpec
    run_dir: Path
    is_resumed: bool = False
    is_automatic: bool = False
    seconds_left: float | None = None

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

    @property
    def is_kept_by_lock(self) -> bool:
        """Whether `head.lock` keeps other hosts away from the run's SQLite file."""
        if not is_sqlite(self.db_url):
            return False
        file = Path(self.engine.url.database or "").absolute()
        # Both may be named by several paths.
        is_own = os.path.realpath(file.parent) == os.path.realpath(self.run_dir)
        return is_own and is_network(file)

    @property
    def folders(self) -> tuple[Path, ...]:
        """Where the run writes to: its folder, and that of an SQLite file."""
        if not is_sqlite(self.db_url):
            return (self.run_dir,)
        return self.run_dir, Path(self.engine.url.database or "").absolute().parent

    def close(self) -> None:
        """Let go of the database: the last one to close an SQLite file makes it whole again.

        Until then a part of what was committed is in `database.db-wal` alone.
        """
        self.engine.dispose()


def set_up(spec: ExperimentSpec, *, db_url: str | None, run_root: Path) -> Run:
    """Create the run folder and the experiment.

    The database is asked first, so that one that does not answer leaves no folder behind. Should
    anything fail later, the folder and the experiment are removed again.

    Raises:
        UsageError: The database cannot be reached or used, or the folder cannot be written.
        DatabaseError: The database refused, or went away.
    """
    _check_file(db_url)
    try:
        engine = None if db_url is None else connect(db_url, timeout_seconds=_patience(spec))
        run_number, run_dir = _make_run_dir(run_root / spec.name, _taken(engine, spec.name))
    except DatabaseError as error:
        raise UsageError(f"--db_url: {error.message}", error.hint) from error
    except OSError as error:
        raise UsageError(f"--run_dir: {run_root} cannot be used: {error.strerror}") from error
    experiment_id = None
    try:
        _copy_code(spec, run_root=run_root, run_dir=run_dir)
        url = db_url or sqlite_url(run_dir / DATABASE)
        engine = engine or connect(url)
        experiment_id = _insert(engine, spec, run_number=run_number, run_dir=run_dir)
        run = load(engine, url, experiment_id)
        write_documents(run)
    except BaseException as error:
        if engine is not None:
            if experiment_id is not None:
                _forget(engine, experiment_id)
            engine.dispose()  # a network file system keeps the folder of a file that is open
        shutil.rmtree(run_dir, ignore_errors=True)
        if isinstance(error, DatabaseFull) and db_url is None:
            raise UsageError(f"--run_dir: there is no room in {run_root}.") from error
        if isinstance(error, OSError):
            raise UsageError(f"--run_dir: {run_dir} cannot be written: {error.strerror}") from error
        raise
    return run


def _forget(engine: Engine, experiment_id: int) -> None:
    """Take an experiment out of a database again that has got no folder."""
    # One that is away now keeps it; nothing ever ran for it.
    with contextlib.suppress(DatabaseError), translated(), engine.begin() as connection:
        experiments.delete(connection, experiment_id)


def _check_file(db_url: str | None) -> None:
    """Refuse an SQLite file that searches on two hosts could share.

    In a run folder `head.lock` keeps other hosts away from it.
    """
    if db_url is None or not is_sqlite(db_url):
        return
    file = Path(parse_url(db_url).database or "")
    kind = filesystem_type(file)
    if is_shared(kind):
        raise UsageError(
            f"--db_url: {file} lies on a network file system ({kind}), where SQLite cannot keep "
            "two hosts from damaging it.",
            "Leave --db_url out, which gives each run a file of its own, or name a server.",
        )


def _copy_code(spec: ExperimentSpec, *, run_root: Path, run_dir: Path) -> None:
    """Make the copies of `--snapshot`."""
    if not spec.snapshot:
        return
    try:
        snapshot.take(spec, run_root=run_root, run_dir=run_dir)
    except OSError as error:
        where = error.filename2 or error.filename or run_dir
        raise UsageError(f"--snapshot: {where}: {error.strerror}") from error


def _patience(spec: ExperimentSpec) -> float:
    return spec.timing.connect_seconds


def _taken(engine: Engine | None, name: str) -> int:
    """Return the highest run number that the database knows of a name."""
    if engine is None:
        return 0
    with translated(), engine.connect().execution_options(reading=True) as connection:
        return experiments.last_run_number(connection, name)


def _make_run_dir(folder: Path, taken: int) -> tuple[int, Path]:
    """Make the folder of the next run; two heads that start at once get two numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    here = [int(entry.name) for entry in folder.iterdir() if entry.name.isdecimal()]
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
            "owner": this_person(),
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
    with translated(), engine.connect().execution_options(reading=True) as connection:
        stored = experiments.get(connection, experiment_id)
    spec = ExperimentSpec.from_json(json.dumps(stored.spec))
    return Run(engine=engine, db_url=db_url, stored=stored, spec=spec, run_dir=Path(stored.run_dir))


def write_documents(run: Run) -> None:
    """Write `spec.json` and `job.json`; both atomic, readable by their owner only.

    Raises:
        UsageError: The copies of --snapshot are gone.
        OSError: The run folder cannot be written.
    """
    folder = snapshot.working_folder_of(run.spec, run.run_dir)
    if run.spec.snapshot and not folder.is_dir():
        raise UsageError(f"{run.label}: {folder} is gone, where the copies of --snapshot were")
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


def _seen_before(run_dir: Path) -> dict[str, SeenFile]:
    """Return the files that the program names as an earlier head saw them."""
    try:
        job = json.loads((run_dir / "job.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # there was none, or it is about to be written whole again
    seen: dict[str, SeenFile] = job.get("code", {})
    return seen


def _worker_job(run: Run) -> WorkerJob:
    spec, timing = run.spec, run.spec.timing
    job = WorkerJob(
        experiment_id=run.stored.id,
        experiment_name=run.label,
        run_dir=str(run.run_dir),
        transport=run.transport,
        db_url=run.db_url if run.transport == "direct" else None,
        import_folders=[folder for folder in sys.path if folder and Path(folder).is_dir()],
        program=snapshot.program_of(spec, run.run_dir),
        working_folder=str(snapshot.working_folder_of(spec, run.run_dir)),
        code=snapshot.code_of(spec, run.run_dir, before=_seen_before(run.run_dir)),
        objectives=[objective.name for objective in spec.objectives],
        worker_timeout_seconds=spec.worker_timeout_seconds,
        grace_seconds=timing.grace_seconds,
        heartbeat_seconds=timing.heartbeat_seconds,
        claim_patience_seconds=timing.claim_patience_seconds,
        report_patience_seconds=timing.report_patience_seconds,
        protocol=PROTOCOL,
        python=python_version(),
        preflight=_preflight(spec),
    )
    if spec.snapshot:
        job["snapshot"] = str(run.run_dir / snapshot.FOLDER)
    return job


def _preflight(spec: ExperimentSpec) -> Preflight:
    resources = spec.resources
    return Preflight(
        gpus=resources.gpus or gpus_in(resources.gres or ""),
        memory_mb=resources.memory_mb,
        command=spec.preflight,
        seconds=spec.timing.preflight_seconds,
    )


def gpus_in(gres: str) -> int:
    """Return the GPUs a node in `--gres`: words `gpu[:TYPE][:COUNT]` among others (sbatch(1))."""
    words = [word.strip().split(":") for word in gres.split(",")]
    counts = [parts[-1] for parts in words if parts[0] == "gpu"]
    return sum(int(count) if count.isdecimal() else 1 for count in counts)


def open_run(db_url: str, experiment_id: int) -> Run:
    """Open a run that was set up earlier, to go on with it.

    Raises:
        DatabaseError: The database cannot be reached or used.
        UsageError: Its folder is not there, or has another database.
    """
    run = replace(load(open_existing(db_url), db_url, experiment_id), is_resumed=True)
    try:
        _check_folder(run)
    except BaseException:
        run.close()
        raise
    return run


def _check_folder(run: Run) -> None:
    """Make sure that the run's folder and its database belong together.

    Both may have been moved or copied. A head that goes by a copy would take reports out of the
    spool of the original, and tell workers another database.
    """
    if not os.path.isdir(run.run_dir):  # noqa: PTH112 - says no where Path raises
        raise UsageError(
            f"resume: the run folder of {run.label}, {run.run_dir}, is not there.",
            "Jobs and results go by this path: move or link it back.",
        )
    own = run.run_dir / DATABASE
    if not os.path.isfile(own):  # noqa: PTH113 - as above
        return
    file = run.engine.url.database if is_sqlite(run.db_url) else None
    if file is None or not own.samefile(file):
        raise UsageError(
            f"resume: {run.label} in {mask(run.db_url)} is a copy: its run folder has the database "
            f"{own}.",
            "Resume that one, or move that file away first.",
        )


def change(run: Run, updates: Mapping[str, int]) -> Run:
    """Ask a run for other numbers; the head that takes it over writes them down.

    Args:
        run: The run.
        updates: The numbers by their names in the spec.
    """
    return replace(run, spec=run.spec.model_copy(update=dict(updates)))


def changes(run: Run) -> dict[str, tuple[Any, Any]]:
    """Return which options of a run differ from what its database had, as (before, now)."""
    # Through the model: a spec of an older Headway lacks options that it has got since.
    before = json.loads(ExperimentSpec.from_json(json.dumps(run.stored.spec)).to_json())
    after = json.loads(run.spec.to_json())
    return {name: (before[name], after[name]) for name in after if before[name] != after[name]}
