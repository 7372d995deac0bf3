"""Figure (h): how many reports of ended trials PostgreSQL takes a second, beside Optuna's storage."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import optuna
import sqlalchemy as sa
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from benchmarks.crowd import rate
from benchmarks.figures import BenchmarkError, Row, Table
from benchmarks.load import set_up_search
from benchmarks.place import Place
from db.direct import DirectStore
from db.records import EndPayload
from db.sql import attempts, generations, leases, trials
from db.sql.attempts import NewAttempt
from db.sql.generations import NewGeneration
from db.sql.leases import Holder
from db.sql.store import Store
from db.sql.tables import Attempt, Report, table_of
from db.states import AttemptState, TrialStatus
from orchestrator.app.runs import Run
from orchestrator.cluster.local import LocalCluster
from orchestrator.steps.cancelling import Canceller
from orchestrator.steps.hosts import Hosts
from orchestrator.steps.ledger import Ledger
from orchestrator.steps.mailbox import Mailbox
from orchestrator.steps.notes import Note
from orchestrator.steps.observe import News
from orchestrator.steps.settle import Settler
from tests.cluster.postgres import PrivatePostgres

WRITERS = 64
HELD, EACH, PEER = "headway, held connections", "headway, a connection a report", "Optuna, tell"
INGEST = "headway, the head takes them in"
HOLDER = Holder(host="here", boot_id="b", pid=1, process_started=2)


def measure(place: Place, *, repeats: int, small: bool) -> list[Table]:
    """Report to the same server in turn, with a database of its own for each side."""
    ours, each, theirs = (20, 5, 2) if small else (100, 20, 8)
    found: dict[str, list[float]] = {HELD: [], EACH: [], INGEST: [], PEER: []}
    with PrivatePostgres(max_connections=3 * WRITERS) as server:
        for number in range(repeats):
            run = _started(place.folder / f"reports{number}", server, WRITERS * (ours + each))
            found[HELD].append(_report(run, ours, skip=0, hold=True))
            found[EACH].append(_report(run, each, skip=WRITERS * ours, hold=False))
            found[INGEST].append(_ingest(run, WRITERS * (ours + each)))
            run.engine.dispose()
            found[PEER].append(_optuna(server.clone(), theirs))
    rows = [
        Row(
            what=name,
            values=values,
            unit="a second",
            goal="at least 10x" if name == HELD else "",
            compared_to="" if name == PEER else PEER,
        )
        for name, values in found.items()
    ]
    notes = (
        (
            f"{WRITERS} processes, PostgreSQL with durable commits. Headway: the END report of a "
            "trial, a transaction each, and the notification of the head. Optuna: RDBStorage with "
            "an engine that holds one connection, `set_trial_state_values` alone; the trials were "
            "created before. Taken in: outcome, event, states of attempt and trial."
        ),
    )
    return [Table(f"(h) reports a second, {WRITERS} writers, PostgreSQL", rows, notes)]


def _started(folder: Path, server: PrivatePostgres, count: int) -> Run:
    """Set an experiment up whose trials run, each in an attempt with a token of its own."""
    run = set_up_search(folder, database=server.clone())
    key = run.stored.id
    new = NewGeneration(
        number=0,
        node=0,
        generator="SOBOL",
        requested=count,
        produced=count,
        fit_time=None,
        gen_time=None,
        seed=0,
        state=None,
        predictions=None,
        fallback_reason=None,
    )
    with run.engine.begin() as connection:
        generation = generations.insert(connection, key, new)
        points = [{"x": 0.5, "y": 0.5, "layers": 1, "kind": "a"}] * count
        ids = trials.insert(connection, key, first_index=0, points=points, generation_id=generation)
        planned = [
            NewAttempt(trial_id=trial, array_index=place, number=1, token=f"t{place}", log_path="")
            for place, trial in enumerate(ids)
        ]
        attempts.plan(connection, key, token=secrets.token_hex(8), resources={}, attempts=planned)
        trials.move(connection, ids, TrialStatus.RUNNING, expected=[TrialStatus.CANDIDATE])
        connection.execute(table_of(Attempt).update().values(state=AttemptState.STARTED))
        leases.take(connection, key, holder=HOLDER, old=None, seconds=3600)
    return run


def _report(run: Run, count: int, *, skip: int, hold: bool) -> float:
    """Let every writer report the end of `count` attempts."""
    with run.engine.connect() as connection:
        table = table_of(Attempt)
        query = sa.select(table.c.id, table.c.token).order_by(table.c.array_index)
        keys = [(key, token) for key, token in connection.execute(query.offset(skip))]
    run.engine.dispose()
    speed = rate(partial(_writer, run, keys, count, hold=hold), processes=WRITERS, steps=count)
    with run.engine.connect() as connection:
        stored = connection.execute(sa.select(sa.func.count()).select_from(Report)).scalar_one()
    if stored != skip + WRITERS * count:
        raise BenchmarkError(f"{stored} reports are stored instead of {skip + WRITERS * count}")
    return speed


def _writer(
    run: Run, keys: list[tuple[int, str]], count: int, number: int, *, hold: bool
) -> Iterator[None]:
    store = DirectStore(
        run.db_url, run_dir=str(run.run_dir), experiment_id=run.stored.id, hold=hold
    )
    if hold:
        store.beat({"attempt_id": 0, "attempt_token": ""})  # type: ignore[typeddict-item]
    yield
    for key, token in keys[number * count : (number + 1) * count]:
        store.send(
            {
                "attempt_id": key,
                "attempt_token": token,
                "kind": "END",
                "sequence": 0,
                "created_at": "2030-01-02T03:04:06.000000+00:00",
                "payload": {**_payload(number)},
            }
        )
        yield


def _payload(number: int) -> EndPayload:
    return {
        "results": {"LOSS": 0.25 + number},
        "sems": {},
        "infos": {},
        "artifacts": [],
        "problems": [],
        "cause": "EXIT",
        "exit_code": 0,
        "signal": None,
        "host": "node7",
        "slurm_job_id": None,
        "started_at": "2030-01-02T03:03:06.000000+00:00",
        "ended_at": "2030-01-02T03:04:06.000000+00:00",
        "measured": {
            "wall_seconds": 60.0,
            "user_seconds": 58.0,
            "system_seconds": 1.0,
            "peak_memory_bytes": 734003200,
        },
        "tail": "epoch 100 of 100 done\nLOSS: 0.25\n",
    }


def _ingest(run: Run, count: int) -> float:
    """Let a head deal with all reports that wait."""
    store = Store(run.engine, run.stored.id, 1)
    ledger = Ledger(run.spec.name, nodes=len(run.spec.strategy.nodes))
    ledger.load(store, in_flight=set())
    note: Note = lambda *_, **__: None  # noqa: E731 - nobody listens
    cluster, threads = LocalCluster(entry=run.run_dir), ThreadPoolExecutor(1)
    canceller = Canceller(
        ledger=ledger, cluster=cluster, threads=threads, wake=lambda: None, note=note
    )
    hosts = Hosts(
        store=store,
        spec=run.spec,
        cluster=cluster,
        ledger=ledger,
        canceller=canceller,
        threads=threads,
        wake=lambda: None,
        note=note,
    )
    settler = Settler(
        store=store,
        ledger=ledger,
        spec=run.spec,
        objective_ids=run.stored.objective_ids,
        mailbox=Mailbox(run.run_dir),
        cancel=lambda _: None,
        hosts=hosts,
        spare=lambda _: None,
        note=note,
        measure=lambda _: None,
    )
    began = time.monotonic()
    while ledger.attempts:
        settler.settle(News(), look=True)
    seconds = time.monotonic() - began
    if ledger.counts[TrialStatus.COMPLETED] != count:
        raise BenchmarkError(f"{ledger.counts} after {count} reports")
    return count / seconds


def _optuna(url: str, count: int) -> float:
    """Let every process tell the values of `count` trials that it has created before."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    database = url.replace("postgresql://", "postgresql+psycopg2://", 1)
    first = RDBStorage(database)
    study = first.create_new_study([optuna.study.StudyDirection.MINIMIZE], "peer")
    first.engine.dispose()
    return rate(partial(_teller, database, study, count), processes=WRITERS, steps=count)


def _teller(database: str, study: int, count: int, number: int) -> Iterator[None]:
    storage = RDBStorage(database, engine_kwargs={"pool_size": 1})
    keys = [storage.create_new_trial(study) for _ in range(count)]
    yield
    for key in keys:
        storage.set_trial_state_values(key, TrialState.COMPLETE, values=[0.25 + number])
        yield
