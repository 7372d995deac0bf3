"""Figure (n): one of four nodes ends every job at once, with and without Headway's guard."""

from __future__ import annotations

import os
from dataclasses import dataclass
from statistics import median

import sqlalchemy as sa

from benchmarks.figures import BenchmarkError, Grid
from benchmarks.place import Place, headway_command, seconds
from benchmarks.running import run
from db.sql.engine import open_existing
from tests.scenarios.black_hole import BROKEN, command, four_nodes

SIDES: dict[str, tuple[str, ...]] = {
    "Headway": (),
    "`--no-auto-exclude`": ("--no-auto-exclude",),
    "`--no-auto-exclude --retries 0`": ("--no-auto-exclude", "--retries", "0"),
}
SLOTS = 20
_ATTEMPTS = sa.text("SELECT host, state, started_at, ended_at FROM attempt WHERE host IS NOT NULL")
_COMPLETED = sa.text("SELECT COUNT(*) FROM trial WHERE status = 3")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One search.

    Attributes:
        wall: Seconds.
        attempts: How many ran.
        eaten: How many of them the broken node ended.
        later: Of these, how many began there after the first failure was known.
        completed: How many trials have a result.
    """

    wall: float
    attempts: int
    eaten: int
    later: int
    completed: int


def measure(place: Place, *, repeats: int, small: bool) -> list[Grid]:
    """Run the same search with and without the guard, in turn."""
    trials = 40 if small else 100
    found: dict[str, list[Outcome]] = {side: [] for side in SIDES}
    with four_nodes(place.slurm):
        for number in range(repeats):
            for place_of_side, (side, words) in enumerate(SIDES.items()):
                place.rest()
                name = f"hole{os.getpid()}x{number}x{place_of_side}"
                found[side].append(_search(place, name, trials, words))
    for outcome in found["Headway"]:
        if outcome.completed < trials:
            raise BenchmarkError(f"{outcome.completed} of {trials} trials have a result")
    return [_grid(found, trials, repeats)]


def _search(place: Place, name: str, trials: int, words: tuple[str, ...]) -> Outcome:
    done = run(
        [*headway_command(), *command(name, trials, *words, length=2.0, slots=SLOTS)],
        environment=place.environment(),
        folder=place.folder,
    )
    engine = open_existing(f"sqlite:///{place.folder}/runs/{name}/1/database.db")
    with engine.connect() as connection:
        attempts = connection.execute(_ATTEMPTS).all()
        completed = connection.execute(_COMPLETED).scalar_one()
    engine.dispose()
    eaten = [row for row in attempts if row.host == BROKEN]
    known = min((seconds(row.ended_at) for row in eaten), default=0.0)
    return Outcome(
        wall=done.wall,
        attempts=len(attempts),
        eaten=len(eaten),
        later=sum(seconds(row.started_at) > known for row in eaten),
        completed=completed,
    )


def _grid(found: dict[str, list[Outcome]], trials: int, repeats: int) -> Grid:
    head = (
        *("", "attempts", "lost on the broken node", "begun there after the first failure"),
        *("trials with a result", "wall"),
    )
    lines = [
        (
            side,
            f"{median(each.attempts for each in outcomes):g}",
            f"{median(each.eaten for each in outcomes):g}",
            f"{median(each.later for each in outcomes):g}",
            f"{median(each.completed for each in outcomes):g} of {trials}",
            f"{median(each.wall for each in outcomes):.1f} s",
        )
        for side, outcomes in found.items()
    ]
    note = (
        f"{trials} trials of 2 s on four nodes of 4 CPUs, of which one ends each at once; "
        f"{SLOTS} jobs in Slurm at a time; medians of {repeats}. Without the guard a retry still goes to "
        "another host than the one where its trial failed."
    )
    return Grid(f"(n) one node of four is a black hole, {trials} trials", head, lines, (note,))
