"""Figure (l): from typing `headway resume` to its first submission, by the number of ended trials."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa

from benchmarks.figures import BenchmarkError, Row, Table
from benchmarks.load import load, set_up_search
from benchmarks.place import Place, headway_command, seconds
from benchmarks.running import run
from orchestrator.app.runs import Run
from tests.cluster.postgres import PrivatePostgres

FEW, MANY, SMALL = 1_000, 100_000, 5_000
_LAST = sa.text("SELECT MAX(created_at) FROM submission")
_NOTE = (
    "The whole command `headway resume --max_eval N+1` on this machine with local processes: from "
    "typing it until the submission of the one trial that is missing is in the database, and until "
    "the command has ended."
)


def measure(place: Place, *, repeats: int, small: bool) -> list[Table]:
    """Fill both kinds of database with few and with many trials, and resume each in turn."""
    counts = (FEW, SMALL if small else MANY)
    tables = []
    with PrivatePostgres() as server:
        for system, new in (("SQLite", lambda: None), ("PostgreSQL", server.clone)):
            runs = {
                count: _loaded(place.folder / f"resume{system}{count}", new, count)
                for count in counts
            }
            tables.append(_compare(place, system, runs, repeats))
            for loaded in runs.values():
                shutil.rmtree(loaded.run_dir)
    return tables


def _loaded(folder: Path, new: Callable[[], str | None], count: int) -> Run:
    loaded = set_up_search(folder, database=new())
    load(loaded, count)
    loaded.engine.dispose()
    return loaded


def _compare(place: Place, system: str, runs: dict[int, Run], repeats: int) -> Table:
    first: dict[int, list[float]] = {count: [] for count in runs}
    whole: dict[int, list[float]] = {count: [] for count in runs}
    for number in range(1, repeats + 1):
        for count, loaded in runs.items():
            to_submission, wall = _resume(place, loaded, count + number)
            first[count].append(to_submission)
            whole[count].append(wall)
    rows = []
    for what, found in (("first submission", first), ("end of the command", whole)):
        few, many = (f"{what}, {count} trials" for count in runs)
        goal = "under 5 s" if found is first else ""
        few_values, many_values = found.values()
        rows.append(Row(what=few, values=few_values, unit="s"))
        rows.append(Row(what=many, values=many_values, unit="s", goal=goal, compared_to=few))
    return Table(f"(l) resume, {system}", rows, (_NOTE,))


def _resume(place: Place, loaded: Run, goal: int) -> tuple[float, float]:
    """Run the one trial that is missing; return the two times."""
    before = _last_submission(loaded)
    done = run(
        [*headway_command(), "resume", str(loaded.run_dir), "--max_eval", str(goal)],
        environment=place.environment() | {"HEADWAY_DB_URL": loaded.db_url},
        folder=place.folder,
    )
    after = _last_submission(loaded)
    if after == before:
        raise BenchmarkError(f"nothing was submitted:\n{done.output}")
    return after - done.started_at, done.wall


def _last_submission(loaded: Run) -> float:
    with loaded.engine.connect() as connection:
        found = connection.execute(_LAST).scalar_one()
    loaded.engine.dispose()
    return seconds(found)
