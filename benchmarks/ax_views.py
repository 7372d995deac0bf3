"""Figure (k): Ax loads 1 000 trials from our views, beside the same trials from its own tables."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec

from benchmarks.figures import Row, Table
from benchmarks.load import load, set_up_search
from benchmarks.place import HOME, Place
from benchmarks.running import run
from tests.cluster.postgres import PrivatePostgres

OWN = "its own tables, SQLite"
_NOTE = (
    "Nearly all of it is pandas, which reads a data frame a trial. Ax's own tables cannot be made "
    "on PostgreSQL: its text columns have a length there is none of."
)
_MISSING = (
    "Not measured: it needs an interpreter with Ax. `make test-botorch` makes"
    " .venv-botorch/bin/python, which is then taken."
)


def measure(place: Place, *, repeats: int, small: bool) -> list[Table]:
    """Fill both kinds of database with the same trials and let Ax load them."""
    title = "(k) Ax's load_experiment, one objective"
    interpreter = _interpreter()
    if interpreter is None:
        return [Table(title, [], (_MISSING,))]
    trials = 100 if small else 1_000
    with PrivatePostgres() as server:
        runs = {
            system: set_up_search(place.folder / f"ax{system}", database=url)
            for system, url in (("SQLite", None), ("PostgreSQL", server.clone()))
        }
        for each in runs.values():
            load(each, trials)
            each.engine.dispose()
        own = f"sqlite:///{place.folder}/ax-own.db"
        urls = [each.engine.url.render_as_string(hide_password=False) for each in runs.values()]
        command = [interpreter, "-m", "benchmarks.peer_ax", "loaded", str(trials), str(repeats)]
        done = run([*command, own, *urls], environment=place.environment(), folder=HOME)
    # Ax's log lines come before.
    found = json.loads(done.output.strip().splitlines()[-1])
    names = {own: f"{trials} trials from {OWN}"}
    names |= {
        url: f"{trials} trials from our views, {system}"
        for system, url in zip(runs, urls, strict=True)
    }
    rows = [
        Row(
            what=f"{what}: {clock}",
            values=[seconds[place] for seconds in found[url]],
            goal="" if url == own else "not slower",
            compared_to="" if url == own else f"{names[own]}: {clock}",
        )
        for place, clock in enumerate(("wall", "CPU of the reader"))
        for url, what in names.items()
    ]
    return [Table(title, rows, (_NOTE,))]


def _interpreter() -> str | None:
    """Find a Python that has Ax."""
    if find_spec("ax") is not None:
        return sys.executable
    other = HOME / ".venv-botorch" / "bin" / "python"
    return str(other) if other.exists() else None
