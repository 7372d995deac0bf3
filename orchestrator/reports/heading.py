"""The upper part of the live view: how the search as a whole stands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from rich.text import Text

from orchestrator.reports import rows
from orchestrator.reports.brief import resume_command, spoken_best, spoken_end
from orchestrator.reports.closing import spoken_name
from orchestrator.reports.head_record import coming
from orchestrator.reports.looks import Look
from orchestrator.reports.outs import spoken
from orchestrator.reports.snapshot import HeadHealth, Snapshot
from orchestrator.reports.spans import flowed, folded, said_with
from orchestrator.reports.tables import style_of
from orchestrator.reports.texts import (
    NOTHING,
    clock,
    duration,
    local_time,
    number,
    printable,
    sparkline,
)
from orchestrator.reports.vitals import Waiting

_MOST_OBJECTIVES = 3
_PERCENT = 100
_SHORTEST_SPARKS = 40
# A terminal of fewer columns gets some facts in two lines.
_NARROW = 60
# With more lines than these, hosts and reasons get more of them.
_TALL = 40
_STATES = {"completed": "green", "failed": "red", "running": "cyan", "waiting": ""}
_OTHER_STATES = {"early_stopped": "", "abandoned": "yellow"}
_FATES = {"NEVER": "bold red", "HELD": "yellow"}


class _Fact(NamedTuple):
    """A line, and how much it matters: 0 is never left out."""

    rank: int
    line: Text


def heading(snapshot: Snapshot, width: int, height: int, look: Look) -> list[Text]:
    """Draw the facts of a search, the most important ones in at most three fifths of the lines.

    Args:
        snapshot: The moment.
        width: Columns of the terminal.
        height: Lines of the terminal.
        look: How to draw.
    """
    facts = list(_facts(snapshot, width, height, look))
    room = max(1, height * 3 // 5)
    while len(facts) > room and (last := max(fact.rank for fact in facts)) > 0:
        place = max(place for place, fact in enumerate(facts) if fact.rank == last)
        del facts[place]
    return [fact.line for fact in facts]


def _facts(snapshot: Snapshot, width: int, height: int, look: Look) -> Iterator[_Fact]:
    most = 5 if height > _TALL else 2
    yield _Fact(0, _title(snapshot, width))
    yield _Fact(0, _bar(snapshot, width, ascii_only=look.ascii_only))
    for line in _states(snapshot, width):
        yield _Fact(1, line)
    if look.problem:
        yield _Fact(0, Text(printable(look.problem), style="bold red"))
    for line in _alarms(snapshot, look):
        yield _Fact(1, line)
    for place, line in enumerate(_bests(snapshot, width, ascii_only=look.ascii_only)):
        yield _Fact(2 if place == 0 else 4, line)
    waiting = _waiting(snapshot, width, most, ascii_only=look.ascii_only)
    for place, line in enumerate(waiting):
        # The second line is the remedy where there is one.
        yield _Fact(2 if place <= 1 else 3, line)
    for line in _generator(snapshot, width):
        yield _Fact(3, line)
    is_missing = snapshot.head_is_missing
    for line in _head(snapshot, width):
        yield _Fact(0 if is_missing else 2, line)
    for place, line in enumerate(_outs(snapshot, most + 1, width)):
        yield _Fact(3 if place == 0 else 4, line)


def _title(snapshot: Snapshot, width: int) -> Text:
    experiment = snapshot.experiment
    status = str(experiment.status)
    until = experiment.ended_at or snapshot.taken_at
    age = duration((until - experiment.created_at).total_seconds())
    line = Text.assemble((snapshot.name, "bold"), "  ", (status, style_of(status)))
    line.append(" " * max(2, width - line.cell_len - len(age)))
    return line.append(age)


def _bar(snapshot: Snapshot, width: int, *, ascii_only: bool) -> Text:
    wanted = max(1, snapshot.max_eval)
    share = min(1.0, snapshot.done / wanted)
    words = f" {snapshot.done}/{snapshot.max_eval}  {int(share * _PERCENT)} %"
    # Nothing is known of trials that have run longer than usual, or that nobody goes on with.
    if snapshot.eta_seconds and snapshot.health is HeadHealth.ALIVE:
        words += f"  ETA {duration(snapshot.eta_seconds)}"
    room = max(0, width - len(words))
    filled = int(room * share)
    full, empty = ("#", ".") if ascii_only else ("━", "╌")
    return Text.assemble((full * filled, "green"), (empty * (room - filled), "dim"), words)


def _states(snapshot: Snapshot, width: int) -> list[Text]:
    counts = rows.counts(snapshot.experiment.trials)
    busy = f"slots {snapshot.running_count}/{snapshot.slots} busy"
    if snapshot.queued_count:
        busy += f", {snapshot.queued_count} queued"
    others = {name: style for name, style in _OTHER_STATES.items() if counts[name]}
    pieces = [
        Text(f"{name.replace('_', ' ')} {counts[name]}", style if counts[name] else "dim")
        for name, style in (_STATES | others).items()
    ]
    return flowed([*pieces, Text(busy)], width, gap="   ", lines=2 if width < _NARROW else 1)


def _alarms(snapshot: Snapshot, look: Look) -> Iterator[Text]:
    """Say what keeps the search from going on as usual."""
    vitals = snapshot.vitals
    if vitals is None or snapshot.health is not HeadHealth.ALIVE:
        return
    if vitals.stopping:
        again = "; Ctrl-C once more ends them at once" if look.leads else ""
        yield Text(printable(vitals.stopping) + again, style="yellow")
    if vitals.disk_full:
        yield Text("the disk of the run folder is full: nothing is submitted", style="bold red")
    if vitals.refused:
        since = vitals.refused_for_seconds
        ago = "" if since is None else f" for {duration(since)}"
        yield Text(f"sbatch refuses{ago}: {printable(vitals.refused)}", style="yellow")
    if vitals.generator is not None and vitals.generator.problem:
        problem = printable(vitals.generator.problem)
        yield Text(f"the model gives no points: {problem}", style="yellow")


def _bests(snapshot: Snapshot, width: int, *, ascii_only: bool) -> list[Text]:
    if not snapshot.best:
        return [Text("best: no outcome yet", style="dim")]
    lines = []
    for place, best in enumerate(snapshot.best[:_MOST_OBJECTIVES]):
        goal = "min" if best.objective.minimize else "max"
        line = Text.assemble("best ", (spoken_best(best), "bold"), f" {goal}  ")
        if place == 0:
            if snapshot.front_size:
                line.append(f"Pareto front: {snapshot.front_size}  ")
            most = max(_SHORTEST_SPARKS, width // 2)
            course = _thinned(snapshot.course, min(most, width - line.cell_len))
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


def _waiting(snapshot: Snapshot, width: int, most: int, *, ascii_only: bool) -> Iterator[Text]:
    """Say why jobs wait in Slurm; what a person can do only where waiting does not help."""
    vitals = snapshot.vitals
    if vitals is None or snapshot.health is not HeadHealth.ALIVE:
        return
    # What never starts comes first, however few they are.
    order = {fate: place for place, fate in enumerate(_FATES)}
    found = sorted(vitals.waiting, key=lambda each: order.get(each.fate, len(order)))
    for each in found[:most]:
        yield Text(_spoken_waiting(each), style=_FATES.get(each.fate, ""))
        if each.remedy and each.fate in _FATES:
            arrow = "->" if ascii_only else "→"
            yield Text(f"  {arrow} {printable(each.remedy)}")
    if left := sum(each.count for each in found[most:]):
        command = f"headway why {spoken_name(snapshot.experiment)}"
        yield said_with(f"and {left} more for other reasons", command, width)


def _spoken_waiting(waiting: Waiting) -> str:
    many = "1 job" if waiting.count == 1 else f"{waiting.count} jobs"
    match waiting.fate:
        case "NEVER":
            what = f"{many} can never start"
        case "HELD":
            what = f"{many} held"
        case _:
            what = f"{many} waiting"
    said = ": ".join(filter(None, (waiting.reason, waiting.says)))
    return printable(f"{what}: {said}" if said else what)


def _generator(snapshot: Snapshot, width: int) -> list[Text]:
    last, vitals = snapshot.generation, snapshot.vitals
    if last is None:
        pieces = [Text("generator: no points yet", style="dim")]
    else:
        spent = (last.fit_time or 0) + (last.gen_time or 0)
        ago = (snapshot.taken_at - last.created_at).total_seconds()
        points = f"{last.produced} of {last.requested} points in {duration(spent)}"
        pieces = [
            Text(f"generator {last.generator}, call {last.number}: {points}"),
            Text(f"{duration(ago)} ago"),
        ]
    if vitals is not None and vitals.generator is not None and snapshot.health is HeadHealth.ALIVE:
        now = vitals.generator
        if now.is_busy:
            since = "" if now.busy_seconds is None else f" for {duration(now.busy_seconds)}"
            pieces.insert(1, Text(f"thinking{since}", style="cyan"))
        pieces.append(Text(f"{now.stock} ready"))
    if last is not None and last.fallback_reason:
        why = Text(f"as fallback: {printable(last.fallback_reason)}", style="yellow")
        return [*flowed(pieces, width, gap=", "), why]
    return flowed(pieces, width, gap=", ", lines=2 if width < _NARROW else 1)


def _head(snapshot: Snapshot, width: int) -> list[Text]:
    lease = snapshot.lease
    match snapshot.health:
        case HeadHealth.ALIVE:
            narrow = width < _NARROW
            return flowed(list(_signs(snapshot)), width, gap=", ", lines=2 if narrow else 1)
        case HeadHealth.DEAD:
            where = "" if lease is None else f" on {printable(lease.host)}"
            seconds = snapshot.sign_seconds
            since = "" if not seconds or seconds < 0 else f", last sign {duration(seconds)} ago"
            command = Text(f"Go on with: {resume_command(snapshot)}", style="bold")
            return [Text(f"head DEAD{where}{since}", style="bold red"), *folded(command, width)]
        case HeadHealth.NEVER:
            said = coming(snapshot) or "none has taken the experiment yet"
            return folded(Text(f"head: {said}", style="yellow"), width)
        case HeadHealth.ENDED:
            ended = snapshot.experiment.ended_at
            when = "" if ended is None else f" at {local_time(ended)}"
            return [Text(f"ended{when}: {spoken_end(snapshot)}")]


def _signs(snapshot: Snapshot) -> Iterator[Text]:
    """Say how a head that lives is, the most important first."""
    lease, vitals = snapshot.lease, snapshot.vitals
    yield Text("head alive" + ("" if lease is None else f" on {printable(lease.host)}"))
    sign = NOTHING if snapshot.sign_seconds is None else duration(snapshot.sign_seconds)
    yield Text(f"last sign {sign} ago")
    if vitals is not None:
        if vitals.calls and vitals.calls_last_hour is not None:
            yield Text(f"{vitals.calls_last_hour} Slurm calls/h")
        if vitals.database_ms is not None:
            yield Text(f"database {number(round(vitals.database_ms, 1))} ms")
    if lease is not None:
        yield Text(f"process {lease.pid}")
    if vitals is None:
        return
    # Without a call of Slurm's commands it is this machine that was asked.
    if vitals.calls and vitals.scheduler_seconds is not None:
        yield Text(f"Slurm answers in {duration(vitals.scheduler_seconds)}")
    if vitals.calls and vitals.poll_seconds is not None:
        yield Text(f"asked every {duration(vitals.poll_seconds)}")
    if vitals.cpu_percent is not None:
        yield Text(f"CPU {vitals.cpu_percent:.1f} %")
    if vitals.memory_mb is not None:
        yield Text(f"{vitals.memory_mb:.0f} MB")
    if vitals.started_at is not None:
        yield Text(f"since {clock(vitals.started_at)}")


def _outs(snapshot: Snapshot, most: int, width: int) -> Iterator[Text]:
    """Say which hosts new jobs avoid; of many the last line counts the rest."""
    shown = snapshot.outs if len(snapshot.outs) <= most else snapshot.outs[: most - 1]
    for out in shown:
        yield Text(f"host {printable(out.host)} {spoken(out)}", style="yellow")
    if left := len(snapshot.outs) - len(shown):
        command = f"headway hosts {spoken_name(snapshot.experiment)}"
        rest = said_with(f"and {left} more hosts", command, width)
        rest.stylize("yellow")
        yield rest
