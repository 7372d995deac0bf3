"""Figure (a2): 20 trials of one second in 8 slots, from typing the command to its end."""

from __future__ import annotations

from benchmarks.figures import Row, Table
from benchmarks.place import Place, Run

TRIALS, SLOTS = 20, 8


def measure(place: Place, *, repeats: int, small: bool) -> list[Table]:
    """Run it on Slurm and locally, in turn."""
    del small
    sides = {
        "on Slurm, SQLite": ("", ()),
        "on Slurm, PostgreSQL": (place.postgres_url, ()),
        "local, SQLite": ("", ("--force_local_execution",)),
    }
    found: dict[str, list[Run]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, (database, words) in sides.items():
            place.rest()
            program = "sleep 1; echo RESULT: $x"
            run = place.headway(
                *words, program=program, trials=TRIALS, slots=SLOTS, database=database
            )
            found[name].append(run)
    return [_table(found)]


def _table(found: dict[str, list[Run]]) -> Table:
    rows = []
    for name, runs in found.items():
        walls = [run.measured.wall for run in runs]
        first = [run.trials[0].planned_at - run.measured.started_at for run in runs]
        begun = [
            min(trial.started_at for trial in run.trials) - run.measured.started_at for run in runs
        ]
        last = [
            run.measured.started_at
            + run.measured.wall
            - max(trial.ended_at for trial in run.trials)
            for run in runs
        ]
        rows += [
            Row(what=name, values=walls, goal="at most 6 s"),
            Row(what=f"{name}: typing to the first submission", values=first),
            Row(what=f"{name}: typing to the first program", values=begun),
            Row(what=f"{name}: last program's end to the prompt", values=last),
        ]
    notes = (
        (
            "Ideal: 3 s. OmniOpt2 needs 77 to 86 s, or 163 to 175 s with its defaults (quoted from "
            "earlier measurements on such a machine, not run here)."
        ),
    )
    return Table(f"(a2) {TRIALS} trials of `sleep 1` in {SLOTS} slots", rows, notes)
