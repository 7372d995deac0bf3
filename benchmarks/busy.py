"""Figure (c): how much of the time 8 slots work when every tenth trial takes ten times as long."""

from __future__ import annotations

from benchmarks.figures import Row, Table
from benchmarks.place import UNTHROTTLED, Place

SLOTS, SHORT, LONG = 8, 1, 10
LIMIT = "one bare sbatch --array, throttled by Slurm"
_SCRIPT = f"""#!/bin/bash
begun=$EPOCHREALTIME
sleep $(( SLURM_ARRAY_TASK_ID % 10 == 9 ? {LONG} : {SHORT} ))
echo $begun $EPOCHREALTIME > $SLURM_ARRAY_TASK_ID.times
"""
PROGRAM = f"sleep $(( HEADWAY_TRIAL % 10 == 9 ? {LONG} : {SHORT} )); echo RESULT: $x"


def measure(place: Place, *, repeats: int, small: bool) -> list[Table]:
    """Run it on Slurm and locally, in turn."""
    count = 40 if small else 80
    sides = {
        "local, SQLite": ("", ("--force_local_execution",)),
        "on Slurm, SQLite": ("", ()),
        "on Slurm, PostgreSQL": (place.postgres_url, ()),
        "on Slurm, SQLite, call budget raised": ("", UNTHROTTLED),
    }
    shares: dict[str, list[float]] = {name: [] for name in (*sides, LIMIT)}
    for _ in range(repeats):
        for name, (database, words) in sides.items():
            place.rest()
            run = place.headway(
                *words, program=PROGRAM, trials=count, slots=SLOTS, database=database
            )
            spans = [(trial.started_at, trial.ended_at) for trial in run.trials]
            shares[name].append(100 * busy_share(spans))
        place.rest()
        shares[LIMIT].append(100 * busy_share(_bare(place, count)))
    rows = [
        Row(what=name, values=values, unit="%", goal="" if name == LIMIT else "at least 97 %")
        for name, values in shares.items()
    ]
    rows.append(
        Row(what="a batch barrier (computed)", values=[100 * barrier_share(count)], unit="%")
    )
    notes = (
        (
            "From the first program's start until the last trial was handed out: afterwards nothing "
            "is left that could fill a slot."
        ),
    )
    title = f"(c) busy share of {SLOTS} slots, {count} trials of {SHORT} s, every tenth {LONG} s"
    return [Table(title, rows, notes)]


def _bare(place: Place, count: int) -> list[tuple[float, float]]:
    """Run the same programs as one array that Slurm throttles; return when each ran."""
    place.peers += 1
    folder = place.folder / f"bare{place.peers}"
    folder.mkdir()
    script = folder / "script"
    script.write_text(_SCRIPT, encoding="utf-8")
    array = f"--array=0-{count - 1}%{SLOTS}"
    place.slurm.run("sbatch", array, "--output=/dev/null", f"--chdir={folder}", str(script))
    place.rest()
    spans = [
        tuple(map(float, (folder / f"{index}.times").read_text(encoding="ascii").split()))
        for index in range(count)
    ]
    return [(begun, ended) for begun, ended in spans]


def busy_share(spans: list[tuple[float, float]]) -> float:
    """Return which share of the slots' time programs ran, while there were trials to start."""
    begin = min(started for started, _ in spans)
    end = max(started for started, _ in spans)
    worked = sum(min(ended, end) - started for started, ended in spans)
    return worked / (SLOTS * (end - begin))


def barrier_share(count: int) -> float:
    """Return what is reached if each batch of trials has to end before the next one starts."""
    lengths = [LONG if index % 10 == 9 else SHORT for index in range(count)]
    batches = [lengths[start : start + SLOTS] for start in range(0, count, SLOTS)]
    return sum(lengths) / (SLOTS * sum(max(batch) for batch in batches))
