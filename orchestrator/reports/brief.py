"""Where an experiment stands, in one plain line: what a log file and a pipe get of a live view."""

from __future__ import annotations

from orchestrator.reports import rows
from orchestrator.reports.closing import spoken_name
from orchestrator.reports.history import Best
from orchestrator.reports.outs import Standing
from orchestrator.reports.snapshot import HeadHealth, Snapshot
from orchestrator.reports.texts import number, printable

_MOST_NAMES = 5


def plain_line(snapshot: Snapshot) -> str:
    """Say where an experiment stands, e.g. `12/60 done, 8 running, best RESULT=0.1 (trial 7)`."""
    counts = rows.counts(snapshot.experiment.trials)
    parts = [f"{snapshot.done}/{snapshot.max_eval} done", f"{snapshot.running_count} running"]
    parts += [f"{counts[name]} {name}" for name in ("failed", "abandoned") if counts[name]]
    parts += [f"best {spoken_best(best)}" for best in snapshot.best]
    if snapshot.front_size:
        parts.append(f"Pareto front of {snapshot.front_size}")
    if excluded := [out.host for out in snapshot.outs if out.standing is Standing.EXCLUDED]:
        many = f"{len(excluded)} hosts" if len(excluded) > _MOST_NAMES else ", ".join(excluded)
        parts.append(f"kept out {many}")
    if snapshot.health == HeadHealth.DEAD:
        parts.append(f"the head is dead, go on with: {resume_command(snapshot)}")
    if not snapshot.is_active:
        parts.append(spoken_end(snapshot))
    return ", ".join(parts)


def spoken_best(best: Best) -> str:
    """Return the best value of an objective and its trial."""
    return f"{printable(best.objective.name)}={number(best.value)} (trial {best.trial})"


def spoken_end(snapshot: Snapshot) -> str:
    """Return how an experiment ended, and why."""
    why = snapshot.experiment.stop_reason
    return str(snapshot.experiment.status) + (f": {printable(why)}" if why else "")


def resume_command(snapshot: Snapshot) -> str:
    """Return what one types to go on, from the folder that one is in."""
    return f"headway resume {spoken_name(snapshot.experiment)}"
