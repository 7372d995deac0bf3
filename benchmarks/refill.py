"""Figure (b): from a worker's report to the next trial being handed over."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Row, Table, percentile
from benchmarks.place import UNTHROTTLED, Place, Run, Trial

SLOTS = 6
PROGRAM = "sleep $(( 1 + RANDOM % 2 )).$(( RANDOM % 10 ))$(( RANDOM % 10 )); echo RESULT: $x"
# First on PATH: notes when a submission began and ended, and which one it was.
_WRAPPER = """#!/bin/bash
began=$EPOCHREALTIME
{real} "$@"
code=$?
ended=$EPOCHREALTIME
while read -r line; do
    [[ $line == *--job-name=* ]] && echo "$began $ended ${{line##*-}}" >> {log}
done < "${{@: -1}}"
exit $code
"""


@dataclass(frozen=True)
class Call:
    """One call of sbatch, as the wrapper saw it; seconds since 1970."""

    began: float
    ended: float


def measure(place: Place, *, repeats: int, small: bool) -> list[Table]:
    """Run three transports in turn and put each one's waits together."""
    count = 20 if small else 40
    local = ("--force_local_execution",)
    sides = {
        "PostgreSQL, Slurm": (place.postgres_url, ()),
        "SQLite and spool, Slurm": ("", ()),
        "SQLite, local": ("", local),
        "PostgreSQL, local": (place.postgres_url, local),
    }
    waits: dict[str, list[float]] = {name: [] for name in sides}
    calls: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, (database, words) in sides.items():
            place.rest()
            found, seen = _watched(place, words, count=count, database=database)
            is_spool = name.startswith("SQLite and spool")
            handed = _handed_over(found.trials, seen)
            waits[name] += _waits(found.trials, handed, is_spool=is_spool)
            calls[name] += [call.ended - call.began for call in seen.values()]
    return [_table(waits, calls)]


def _watched(
    place: Place, words: tuple[str, ...], *, count: int, database: str
) -> tuple[Run, dict[str, Call]]:
    """Run a search with the wrapper first on PATH; return also its calls by token."""
    folder = place.folder / "wrapper"
    folder.mkdir(exist_ok=True)
    log = folder / "calls"
    log.write_text("", encoding="utf-8")
    wrapper = folder / "sbatch"
    real = place.slurm.run("sh", "-c", "command -v sbatch").stdout.strip()
    wrapper.write_text(_WRAPPER.format(real=real, log=log), encoding="utf-8")
    wrapper.chmod(0o755)
    place.extra["PATH"] = f"{folder}:{os.environ['PATH']}"
    try:
        found = place.headway(
            *UNTHROTTLED, *words, program=PROGRAM, trials=count, slots=SLOTS, database=database
        )
    finally:
        del place.extra["PATH"]
    return found, _read_calls(log)


def _read_calls(log: Path) -> dict[str, Call]:
    calls = {}
    for line in log.read_text(encoding="utf-8").splitlines():
        began, ended, token = line.split()
        calls[token] = Call(float(began), float(ended))
    return calls


def _handed_over(trials: list[Trial], calls: dict[str, Call]) -> list[float]:
    """Return when each trial was handed over, in order: sbatch's or the worker's start."""
    return sorted(
        calls[trial.token].began if trial.token in calls else process_started(trial.job_id)
        for trial in trials
    )


def process_started(job_id: str) -> float:
    """Return when a local worker was started, in seconds since 1970; in steps of 10 ms."""
    ticks = int(job_id.rpartition("-")[2])
    booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    # The kernel rounds down; the middle of the step is the best guess.
    return booted + (ticks + 0.5) / os.sysconf("SC_CLK_TCK")


def _waits(trials: list[Trial], handed: list[float], *, is_spool: bool) -> list[float]:
    """Return how long each freed slot waited: the k-th report lets trial k + SLOTS begin.

    A spooled report is deleted once it was read, so the end of its program stands for it.
    """
    freed = sorted(trial.ended_at if is_spool else trial.reported_at for trial in trials)
    return [begun - report for report, begun in zip(freed, handed[SLOTS:], strict=False)]


def _table(waits: dict[str, list[float]], calls: dict[str, list[float]]) -> Table:
    rows = []
    for name, values in waits.items():
        for share, goal in ((0.5, "at most 50 ms"), (0.99, "at most 250 ms")):
            what = f"{name}: p{share * 100:.0f} of {len(values)}"
            rows.append(
                Row(what=what, values=[1000 * percentile(values, share)], unit="ms", goal=goal)
            )
        if calls[name]:
            took = [1000 * value for value in calls[name]]
            rows.append(Row(what=f"{name}: sbatch itself, beside it", values=took, unit="ms"))
    notes = (
        (
            "Report: the database's time of the END report; with the spool the end of the program, "
            "so that writing the file is in it. Handed over: the moment sbatch is called, or the "
            "local worker's process starts (known to 10 ms). A report that comes while another sbatch "
            "runs waits for that one: it is in the figure. The call budget was raised, so that it "
            "holds nothing back. Ax's orchestrator looks at its jobs in intervals that begin at 1 s "
            "and grow: up to 3 s (quoted)."
        ),
    )
    return Table(f"(b) from a report to the next trial handed over, {SLOTS} slots", rows, notes)
