"""Figure (i): what a million finished trials cost the head, workers and viewers, beside a thousand."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.figures import Row, Table
from benchmarks.load import load, set_up_search
from benchmarks.place import HOME, Place, headway_command
from benchmarks.running import run
from db.direct import DirectStore
from db.records import Claim
from db.sql import attempts, incoming, leases, trials
from db.sql.attempts import NewAttempt
from db.sql.leases import Holder
from db.sql.store import Store
from db.states import AttemptState, TrialStatus
from orchestrator.app.runs import Run
from tests.cluster.postgres import PrivatePostgres

FEW = 1_000
# Few and many take turns, so that what else the machine does hits both.
ROUNDS, POLLS, CLAIMS = 10, 30, 20
HOLDER = Holder(host="here", boot_id="b", pid=1, process_started=2)
CLAIM: Claim = {
    "claim": "nonce",
    "host": "node7",
    "slurm_job_id": None,
    "pid": 4,
    "started_at": "2030-01-02T03:04:05.000000+00:00",
}
# What is measured, its unit and its goal for the many.
FIGURES = {
    "load": ("s", "minutes"),
    "head poll": ("ms", "at most 1.2x"),
    "claim": ("ms", "at most 1.2x"),
    "headway status": ("s", "under 1 s"),
    "resume: the ledger": ("s", "under 5 s"),
    "resume: its memory": ("MB", "under 200 MB"),
    "resume: results for the generators": ("s", ""),
    "resume: memory with the results": ("MB", ""),
}
Found = dict[str, dict[str, list[float]]]


def measure(place: Place, *, repeats: int, small: bool) -> list[Table]:
    """Fill both kinds of database with few and with many trials, and ask each the same."""
    many = 20_000 if small else 1_000_000
    tables = []
    with PrivatePostgres() as server:
        for system, new in (("SQLite", lambda: None), ("PostgreSQL", server.clone)):
            runs = {
                count: _loaded(place.folder / f"{system}{count}", new, count)
                for count in (FEW, many)
            }
            tables.append(_compare(place, system, runs, repeats))
            for loaded, _ in runs.values():
                loaded.engine.dispose()
                shutil.rmtree(loaded.run_dir)
    return tables


def _loaded(folder: Path, new: Callable[[], str | None], count: int) -> tuple[Run, float]:
    """Fill a database; return the run and how many seconds it took."""
    began = time.monotonic()
    loaded = set_up_search(folder, database=new())
    load(loaded, count)
    with loaded.engine.begin() as connection:
        leases.take(connection, loaded.stored.id, holder=HOLDER, old=None, seconds=36000)
    return loaded, time.monotonic() - began


def _compare(place: Place, system: str, runs: dict[int, tuple[Run, float]], repeats: int) -> Table:
    found: Found = {name: {f"{name}, {count} trials": [] for count in runs} for name in FIGURES}
    for count, (_, seconds) in runs.items():
        found["load"][f"load, {count} trials"].append(seconds)
    for number in range(repeats * ROUNDS):
        for count, (loaded, _) in runs.items():
            found["head poll"][f"head poll, {count} trials"] += _polls(loaded)
            found["claim"][f"claim, {count} trials"] += _claims(loaded, number)
    for _ in range(repeats):
        for count, (loaded, _) in runs.items():
            for name, value in _commands(place, loaded).items():
                found[name][f"{name}, {count} trials"].append(value)
    rows = []
    for name, pair in found.items():
        unit, goal = FIGURES[name]
        few, many = pair
        rows.append(Row(what=few, values=pair[few], unit=unit))
        rows.append(Row(what=many, values=pair[many], unit=unit, goal=goal, compared_to=few))
    notes = (
        (
            "Head poll: one read of the reports that wait, of which there are none. Claim: by the "
            "worker's own statements; over a held connection on PostgreSQL, since connecting takes "
            "longer than all of it. Memory: the highest of a process that does only this."
        ),
    )
    return Table(f"(i) many finished trials, {system}", rows, notes)


def _commands(place: Place, loaded: Run) -> dict[str, float]:
    environment = {**place.environment(), "HEADWAY_DB_URL": loaded.db_url}
    status = run(
        [*headway_command(), "status", loaded.label], environment=environment, folder=place.folder
    )
    resumed = run(
        [sys.executable, "-m", "benchmarks.resuming", loaded.db_url, str(loaded.stored.id)],
        environment=place.environment(),
        folder=HOME,
    )
    resume = json.loads(resumed.output)
    return {
        "headway status": status.wall,
        "resume: the ledger": resume["ledger"],
        "resume: its memory": resume["memory_ledger"],
        "resume: results for the generators": resume["results"],
        "resume: memory with the results": resume["memory_results"],
    }


def _polls(loaded: Run) -> list[float]:
    """Look for reports as the head does at each tick."""
    store = Store(loaded.engine, loaded.stored.id, 1)
    times = []
    for _ in range(POLLS):
        began = time.perf_counter()
        with store.read() as connection:
            incoming.waiting(connection, loaded.stored.id)
        times.append(1000 * (time.perf_counter() - began))
    return times[1:]


def _claims(loaded: Run, number: int) -> list[float]:
    """Plan attempts, claim them, and end them again, so that nothing stays open."""
    key, token = loaded.stored.id, f"claims{number}"
    with loaded.engine.begin() as connection:
        first = trials.next_index(connection, key)
        points = [{"x": 0.5, "y": 0.5, "layers": 1, "kind": "a"}] * CLAIMS
        ids = trials.insert(connection, key, first_index=first, points=points, generation_id=1)
        new = [
            NewAttempt(
                trial_id=trial, array_index=place, number=1, token=f"{token}-{place}", log_path=""
            )
            for place, trial in enumerate(ids)
        ]
        _, opened = attempts.plan(connection, key, token=token, resources={}, attempts=new)
    store = DirectStore(loaded.db_url, run_dir="/run", experiment_id=key, hold=True)
    times = []
    for index in range(CLAIMS):
        began = time.perf_counter()
        assert store.claim(token, index, CLAIM) is not None
        times.append(1000 * (time.perf_counter() - began))
    with loaded.engine.begin() as connection:
        waiting = [report.id for report in incoming.waiting(connection, key)]
        incoming.consume(connection, waiting)
        expected = tuple(TrialStatus)
        trials.move(connection, ids, TrialStatus.ABANDONED, expected=expected)
        how = attempts.End(state=AttemptState.CANCELLED)
        for attempt in opened:
            attempts.end(connection, attempt, how, expected=tuple(AttemptState))
    return times[1:]  # the first one opens the connection
