"""What a head told of itself, as rows for programs and as lines for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from orchestrator.reports.texts import duration, number, printable
from orchestrator.reports.vitals import Vitals, Waiting

Row = dict[str, Any]

_OF_SLURM = (
    "calls",
    "calls_last_hour",
    "calls_left",
    "poll_seconds",
    "scheduler_seconds",
    "waiting",
    "refused",
    "refused_for_seconds",
)
_OF_HEAD = (
    "told_at",
    "started_at",
    "stopping",
    "database_ms",
    "disk_full",
    "cpu_percent",
    "memory_mb",
    "threads",
)


def vitals_row(vitals: Vitals | None) -> Row:
    """Return what `headway status` says of the head: None where it has told nothing."""
    if vitals is None:
        return {"slurm": None, "generator_state": None, "head_state": None}
    generator = vitals.generator
    return {
        "slurm": {name: getattr(vitals, name) for name in _OF_SLURM if name != "waiting"}
        | {"waiting": [asdict(each) for each in vitals.waiting]},
        "generator_state": None if generator is None else asdict(generator),
        "head_state": {name: getattr(vitals, name) for name in _OF_HEAD},
    }


def vitals_lines(vitals: Vitals | None) -> Row:
    """Return the same as short lines, by the names of the fields that they stand for."""
    if vitals is None:
        return {"slurm": None, "generator_state": None, "head_state": None}
    return {
        "slurm": _slurm(vitals),
        "generator_state": _generator(vitals),
        "head_state": _head(vitals),
    }


def _slurm(vitals: Vitals) -> str | None:
    """Say what Slurm is asked and how it answers; None where trials run without it."""
    if not vitals.calls:
        return None
    most = sorted(vitals.calls.items(), key=lambda entry: -entry[1])
    counts = ", ".join(f"{printable(name)} {count}" for name, count in most)
    parts = []
    if vitals.calls_last_hour is not None:
        parts.append(f"{vitals.calls_last_hour} calls in the last hour")
    parts.append(f"{counts} since the head began")
    if vitals.poll_seconds is not None:
        parts.append(f"asked every {duration(vitals.poll_seconds)}")
    if vitals.scheduler_seconds is not None:
        parts.append(f"its last answer took {duration(vitals.scheduler_seconds)}")
    if vitals.refused is not None:
        since = vitals.refused_for_seconds
        how_long = "" if since is None else f" for {duration(since)}"
        parts.append(f"takes no submissions{how_long}: {printable(vitals.refused)}")
    return "; ".join(parts)


def waiting_lines(waiting: Sequence[Waiting]) -> list[str]:
    """Return one line for each reason for which jobs wait in Slurm."""
    lines = []
    for each in waiting:
        jobs = f"{each.count} {'job' if each.count == 1 else 'jobs'}"
        verb = "waits" if each.count == 1 else "wait"
        said = f"{jobs} {verb} for {each.reason or 'a reason that Slurm does not say yet'}"
        said += f" (such as {each.job})" if each.job else ""
        said += f": {each.says}" if each.says else ""
        lines.append(printable(said + (f". {each.remedy}" if each.remedy else "")))
    return lines


def _generator(vitals: Vitals) -> str | None:
    state = vitals.generator
    if state is None:
        return None
    parts = [state.name or "no generator", f"{state.stock} points in stock"]
    if state.is_busy:
        busy = "" if state.busy_seconds is None else f" for {duration(state.busy_seconds)}"
        parts.append(f"at work{busy}")
    if state.problem is not None:
        parts.append(printable(state.problem))
    return ", ".join(parts)


def _head(vitals: Vitals) -> str | None:
    parts = []
    if vitals.stopping is not None:
        parts.append(f"stopping: {printable(vitals.stopping)}")
    if vitals.disk_full:
        parts.append("no room to write in the run folder, nothing is submitted")
    if vitals.database_ms is not None:
        parts.append(f"database {number(round(vitals.database_ms, 1))} ms")
    if vitals.cpu_percent is not None:
        parts.append(f"CPU {number(round(vitals.cpu_percent, 1))} %")
    if vitals.memory_mb is not None:
        parts.append(f"memory {round(vitals.memory_mb)} MiB")
    if vitals.threads is not None:
        parts.append(f"{vitals.threads} threads")
    return ", ".join(parts) or None
