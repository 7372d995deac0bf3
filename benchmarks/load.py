"""Fills a database with an experiment of very many finished trials.

`python -m benchmarks.load --trials 1000000 --folder DIR [--db_url URL] [--objectives 2]`

Each trial has what a head leaves behind: its call of a generator, an array job, one attempt, the
reports of its start and end, outcomes and an event; every fiftieth failed. The database makes the
rows itself (load.sql), so that a million trials take minutes.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from string import Template

import sqlalchemy as sa

from orchestrator.app.runs import Run, set_up
from orchestrator.cli.requests import read_request
from orchestrator.cli.sources import read_sources

# Trials of one transaction; a multiple of what load.sql puts into one array job.
CHUNK = 50_000
PROGRAM = "echo LOSS: %(x); echo COST: %(y)"
_STATEMENTS = Path(__file__).with_name("load.sql").read_text(encoding="utf-8").split(";\n")[:-1]
_ROWS = """
WITH RECURSIVE n(i) AS (
    SELECT CAST($first AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $stop
), d AS (
    SELECT i, ((i * 7919 + 123457) % 1000003) / 1000003.0 AS x,
           ((i * 104729 + 700001) % 1000003) / 1000003.0 AS y,
           CASE WHEN i % 50 = 49 THEN 1 ELSE 0 END AS failed, $times FROM n
)
"""
_JSON = {"sqlite": "TEXT", "postgresql": "JSON"}
# One trial is planned each second, starts 5 s later, and takes a minute.
_TIMES = {"planned": 0, "started": 5, "ended": 65}
_TIME = {
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f000', 1767225600 + i + {after}, 'unixepoch')",
    "postgresql": "to_timestamp(1767225600 + i + {after})",
}
_KEYS = ("generation", "trial", "submission", "attempt", "report")


def set_up_search(
    folder: Path, *, database: str | None, objectives: int = 1, program: str = PROGRAM
) -> Run:
    """Set an experiment up as `headway run` does, for workers on this machine.

    Args:
        folder: Takes the run folder.
        database: URL; None stands for the SQLite file in the run folder.
        objectives: 1 or 2.
        program: The program of its trials.
    """
    names = ["LOSS=min", "COST=min"][:objectives]
    words = ["--experiment_name", "loaded", "--max_eval", "10000000", "--num_parallel_jobs", "64"]
    words += ["--parameter", "x", "range", "0", "1", "--parameter", "y", "range", "0", "1"]
    words += ["--parameter", "layers", "range", "0", "8", "int"]
    words += ["--parameter", "kind", "choice", "a,b", "--model", "SOBOL", "--result_names", *names]
    words += ["--force_local_execution", "--run_program", program]
    request = read_request(read_sources(words, {}, folder), folder, has_slurm=lambda: False)
    return set_up(request.spec, db_url=database, run_root=folder)


def load(run: Run, trials: int, *, tell: Callable[[int], None] = lambda _: None) -> None:
    """Add finished trials to an experiment that has none, and bring the statistics up to date.

    Args:
        run: The experiment, on SQLite or PostgreSQL.
        trials: How many.
        tell: Told how many there are, after each transaction.
    """
    dialect = run.engine.dialect.name
    times = ", ".join(
        f"{_TIME[dialect].format(after=after)} AS {name}" for name, after in _TIMES.items()
    )
    ids = list(run.stored.objective_ids.values())
    with run.engine.connect() as connection:
        keys = {name: _next_key(connection, name) for name in _KEYS}
    names = {
        **keys,
        "json": _JSON[dialect],
        "times": times,
        "experiment": run.stored.id,
        "first_objective": ids[0],
        "second_objective": ids[1] if len(ids) > 1 else 0,
    }
    for first in range(0, trials, CHUNK):
        stop = min(first + CHUNK, trials)
        with run.engine.begin() as connection:
            for statement in _STATEMENTS:
                text = Template(_with_rows(statement)).substitute(names, first=first, stop=stop)
                connection.exec_driver_sql(text.replace("%", "%%") if dialect != "sqlite" else text)
        tell(stop)
    _finish(run.engine)


def _with_rows(statement: str) -> str:
    """Put the rows before the SELECT: SQLite knows `WITH` there as well as in front."""
    before, select, after = statement.partition("\nSELECT")
    return f"{before}{_ROWS}{select}{after}"


def _next_key(connection: sa.Connection, table: str) -> int:
    highest = connection.exec_driver_sql(f'SELECT MAX(id) FROM "{table}"').scalar()
    return 1 if highest is None else int(highest) + 1


def _finish(engine: sa.Engine) -> None:
    """Let keys go on after those that were given, and refresh what the planner knows."""
    if engine.dialect.name == "sqlite":
        return  # gives keys by itself, and nobody runs ANALYZE on a user's file either
    with engine.begin() as connection:
        for table in _KEYS:
            connection.exec_driver_sql(
                f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), MAX(id)) FROM {table}"
            )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")


def main() -> int:
    """Make such an experiment and say where it is."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("--trials", type=int, default=1_000_000, help="(default: %(default)s)")
    parser.add_argument("--folder", type=Path, required=True, help="takes the run folder")
    parser.add_argument("--db_url", help="default: an SQLite file in the run folder")
    parser.add_argument("--objectives", type=int, choices=(1, 2), default=1)
    given = parser.parse_args()
    began = time.monotonic()
    run = set_up_search(given.folder.absolute(), database=given.db_url, objectives=given.objectives)
    load(run, given.trials, tell=lambda count: print(f"{count} trials", flush=True))
    print(f"{run.label} in {run.run_dir} after {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
