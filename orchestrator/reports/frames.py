"""One frame of the live view, and the same as one plain line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from db.sql.reading.setbacks import Setback
from db.sql.reading.trials import TrialRow
from orchestrator.reports import rows
from orchestrator.reports.history import Best
from orchestrator.reports.outs import Standing, spoken
from orchestrator.reports.snapshot import HeadHealth, Snapshot
from orchestrator.reports.tables import style_of
from orchestrator.reports.texts import (
    NOTHING,
    duration,
    local_time,
    number,
    printable,
    sparkline,
    values,
)

if TYPE_CHECKING:
    from rich.text import Text

_MOST_OBJECTIVES = 3
_LEAST_ENDINGS = 3
_PERCENT = 100
_MOST_OUTS = 3
_MOST_NAMES = 5
_MOST_SETBACKS = 3
# With fewer lines than these, what runs and what ended comes first.
_LEAST_FOR_SETBACKS = 10


def plain_line(snapshot: Snapshot) -> str:
    """Say where an experiment stands, e.g. `12/60 done, 8 running, best RESULT=0.1 (trial 7)`."""
    counts = rows.counts(snapshot.experiment.trials)
    parts = [f"{snapshot.done}/{snapshot.max_eval} done", f"{snapshot.running_count} running"]
    parts += [f"{counts[name]} {name}" for name in ("failed", "abandoned") if counts[name]]
    parts += [f"best {_best(best)}" for best in snapshot.best]
    if snapshot.front_size:
        parts.append(f"Pareto front of {snapshot.front_size}")
    if excluded := [out.host for out in snapshot.outs if out.standing is Standing.EXCLUDED]:
        many = f"{len(excluded)} hosts" if len(excluded) > _MOST_NAMES else ", ".join(excluded)
        parts.append(f"kept out {many}")
    if snapshot.health == HeadHealth.DEAD:
        parts.append(f"the head is dead, go on with: headway resume {snapshot.name}")
    if not snapshot.is_active:
        parts.append(_ended(snapshot))
    return ", ".join(parts)


def frame(
    snapshot: Snapshot,
    width: int,
    height: int,
    *,
    ascii_only: bool = False,
    problem: str = "",
) -> Text:
    """Draw one moment.

    Args:
        snapshot: The moment.
        width: Columns of the terminal.
        height: Lines that may be used.
        ascii_only: Draw without Unicode.
        problem: Why there is no newer snapshot; empty if this one is new.

    Returns:
        At most `height` lines of at most `width` columns.
    """
    from rich.text import Text

    lines = [
        _title(snapshot, width),
        _bar(snapshot, width, ascii_only=ascii_only),
        _states(snapshot),
        *_bests(snapshot, width, ascii_only=ascii_only),
        _generator(snapshot),
        _head(snapshot),
        *_outs(snapshot),
    ]
    if problem:
        lines.append(Text(printable(problem), style="bold red"))
    lines += _below(snapshot, width, height - len(lines), ascii_only=ascii_only)
    for line in lines:
        line.no_wrap = True
        line.truncate(width, overflow="crop" if ascii_only else "ellipsis")
    drawn = Text("\n").join(lines[: max(1, height)])
    drawn.no_wrap = True
    return drawn


def _best(best: Best) -> str:
    return f"{best.objective.name}={number(best.value)} (trial {best.trial})"


def _ended(snapshot: Snapshot) -> str:
    why = snapshot.experiment.stop_reason
    return str(snapshot.experiment.status) + (f": {printable(why)}" if why else "")


def _title(snapshot: Snapshot, width: int) -> Text:
    from rich.text import Text

    experiment = snapshot.experiment
    status = str(experiment.status)
    until = experiment.ended_at or snapshot.taken_at
    age = duration((until - experiment.created_at).total_seconds())
    line = Text.assemble((snapshot.name, "bold"), "  ", (status, style_of(status)))
    line.append(" " * max(2, width - line.cell_len - len(age)))
    return line.append(age)


def _bar(snapshot: Snapshot, width: int, *, ascii_only: bool) -> Text:
    from rich.text import Text

    wanted = max(1, snapshot.max_eval)
    share = min(1.0, snapshot.done / wanted)
    words = f" {snapshot.done}/{snapshot.max_eval}  {int(share * _PERCENT)} %"
    if snapshot.eta_seconds is not None and snapshot.is_active:
        words += f"  ETA {duration(snapshot.eta_seconds)}"
    room = max(0, width - len(words))
    filled = int(room * share)
    full, empty = ("#", ".") if ascii_only else ("━", "╌")
    return Text.assemble((full * filled, "green"), (empty * (room - filled), "dim"), words)


def _states(snapshot: Snapshot) -> Text:
    from rich.text import Text

    counts = rows.counts(snapshot.experiment.trials)
    line = Text()
    styles = {"completed": "green", "failed": "red", "running": "cyan", "abandoned": "yellow"}
    for name in ("completed", "failed", "running", "waiting", "early_stopped", "abandoned"):
        if counts[name] or name in {"completed", "failed", "running", "waiting"}:
            style = styles.get(name, "") if counts[name] else "dim"
            line.append(f"{name.replace('_', ' ')} {counts[name]}   ", style)
    busy = f"slots {snapshot.running_count}/{snapshot.slots} busy"
    return line.append(
        busy + (f", {snapshot.queued_count} queued" if snapshot.queued_count else "")
    )


def _bests(snapshot: Snapshot, width: int, *, ascii_only: bool) -> list[Text]:
    from rich.text import Text

    if not snapshot.best:
        return [Text("best: no outcome yet", style="dim")]
    lines = []
    for place, best in enumerate(snapshot.best[:_MOST_OBJECTIVES]):
        goal = "min" if best.objective.minimize else "max"
        line = Text.assemble("best ", (_best(best), "bold"), f" {goal}  ")
        if place == 0:
            if snapshot.front_size:
                line.append(f"Pareto front: {snapshot.front_size}  ")
            course = _thinned(snapshot.course, min(40, width - line.cell_len))
            line.append(sparkline(course, ascii_only=ascii_only), "cyan")
        lines.append(line)
    return lines


def _thinned(course: tuple[float, ...], room: int) -> list[float]:
    """Take `room` points, the first and the last among them."""
    if len(course) <= room:
        return list(course)
    if room <= 1:
        return []
    return [course[place * (len(course) - 1) // (room - 1)] for place in range(room)]


def _generator(snapshot: Snapshot) -> Text:
    from rich.text import Text

    last = snapshot.generation
    if last is None:
        return Text("generator: no points yet", style="dim")
    spent = (last.fit_time or 0) + (last.gen_time or 0)
    ago = (snapshot.taken_at - last.created_at).total_seconds()
    line = Text(
        f"generator {last.generator}, call {last.number}: {last.produced} of {last.requested} "
        f"points in {duration(spent)}, {duration(ago)} ago"
    )
    if last.fallback_reason:
        line.append(f", as fallback: {printable(last.fallback_reason)}", "yellow")
    return line


def _head(snapshot: Snapshot) -> Text:
    from rich.text import Text

    lease = snapshot.lease
    sign = NOTHING if snapshot.sign_seconds is None else duration(snapshot.sign_seconds)
    where = "" if lease is None else f" on {lease.host}, process {lease.pid}"
    match snapshot.health:
        case HeadHealth.ALIVE:
            return Text(f"head alive{where}, last sign {sign} ago")
        case HeadHealth.DEAD:
            return Text(f"head DEAD. Go on with: headway resume {snapshot.name}", style="bold red")
        case HeadHealth.NEVER:
            return Text("head: none has taken the experiment yet", style="yellow")
        case HeadHealth.ENDED:
            ended = snapshot.experiment.ended_at
            when = "" if ended is None else f" at {local_time(ended)}"
            return Text(f"ended{when}: {_ended(snapshot)}")


def _outs(snapshot: Snapshot) -> list[Text]:
    """Say which hosts new jobs avoid; of many the last line counts the rest."""
    from rich.text import Text

    shown = snapshot.outs if len(snapshot.outs) <= _MOST_OUTS else snapshot.outs[: _MOST_OUTS - 1]
    lines = [Text(f"host {printable(out.host)} {spoken(out)}", style="yellow") for out in shown]
    if left := len(snapshot.outs) - len(shown):
        lines.append(Text(f"and {left} more hosts: headway hosts {snapshot.name}", style="yellow"))
    return lines


def _below(snapshot: Snapshot, width: int, room: int, *, ascii_only: bool) -> list[Text]:
    """Running trials, failures that are tried again, and recent endings, in the lines left."""
    running, endings = snapshot.running, snapshot.endings
    setbacks = snapshot.setbacks[:_MOST_SETBACKS] if room > _LEAST_FOR_SETBACKS else ()
    room -= len(setbacks) + (1 if setbacks else 0)
    has_both = bool(running) and bool(endings)
    room -= 2 if has_both else 1
    least = min(len(endings), max(_LEAST_ENDINGS, room // 3)) if has_both else 0
    shown = min(len(running), max(0, room - least))
    lines: list[Text] = []
    if running:
        lines.append(_rule(f"running {snapshot.running_count}", width, ascii_only=ascii_only))
        lines += [_running_line(snapshot, place) for place in range(shown)]
    if setbacks:
        lines.append(_rule("failed, but not over", width, ascii_only=ascii_only))
        lines += [_setback_line(setback) for setback in setbacks]
    if endings:
        lines.append(_rule("ended last", width, ascii_only=ascii_only))
        lines += [_ending_line(trial) for trial in endings[: max(0, room - shown)]]
    return lines


def _rule(title: str, width: int, *, ascii_only: bool) -> Text:
    from rich.text import Text

    mark = "-" if ascii_only else "─"
    return Text(f"{mark * 2} {title} ".ljust(width, mark), style="dim")


def _running_line(snapshot: Snapshot, place: int) -> Text:
    from rich.text import Text

    attempt = snapshot.running[place]
    elapsed = NOTHING
    if attempt.started_at is not None:
        elapsed = duration((snapshot.taken_at - attempt.started_at).total_seconds())
    again = f" (try {attempt.number})" if attempt.number > 1 else ""
    metric = ""
    if attempt.metric is not None:
        name, value, step = attempt.metric
        metric = f"{printable(name)}={'not finite' if value is None else number(value)}"
        metric += "" if step is None else f" at step {step}"
    host = printable(attempt.host or NOTHING)
    return Text(f"trial {attempt.trial_index:<6} {host:<20} {elapsed:>10}  {metric}{again}")


def _setback_line(setback: Setback) -> Text:
    from rich.text import Text

    host = printable(setback.host or NOTHING)
    kind = rows.failure_word(setback.failure_class, setback.failure_name)
    line = Text(f"trial {setback.trial_index:<6} {host:<20} ").append(printable(kind), "red")
    said = "; ".join(filter(None, (setback.failure_action, setback.failure_message)))
    return line.append(printable(f"  {said}"))


def _ending_line(trial: TrialRow) -> Text:
    from rich.text import Text

    last = trial.last
    host = printable((last.host if last else None) or NOTHING)
    seconds = rows.run_seconds(last) if last else None
    took = NOTHING if seconds is None else duration(seconds)
    word = trial.status.name
    line = Text(f"trial {trial.index:<6} {host:<20} {took:>10}  ")
    line.append(word, style_of(word))
    why = rows.reason(trial) or ""
    if last and last.failure_class:
        why = f"{rows.failure_word(last.failure_class, last.failure_name)}: {why}"
    return line.append("  " + (values(trial.means) or printable(why)))
