"""The lower part of the live view: what runs, what failed and is tried again, what ended last."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.text import Text

from db.sql.reading.activity import RunningAttempt
from db.sql.reading.setbacks import Setback
from db.sql.reading.trials import TrialRow
from orchestrator.reports import rows
from orchestrator.reports.closing import spoken_name
from orchestrator.reports.looks import Look
from orchestrator.reports.snapshot import Snapshot
from orchestrator.reports.spans import columns, cut, rule, said_with
from orchestrator.reports.tables import style_of
from orchestrator.reports.texts import NOTHING, duration, number, printable, values

# From so many columns on, what runs and what ended stand beside each other.
_TWO_PANES = 140
# Fewer columns have no room for the word "trial" in each line.
_NARROW = 60
_BETWEEN = 2
_MOST_SETBACKS = 3
# With fewer lines than these, what runs and what ended comes first.
_LEAST_FOR_SETBACKS = 10
# A worker tells that it lives every 15 s; when it has not for so long, something may be wrong.
_SILENT_SECONDS = 60.0
_WIDEST_HOST = 20
_NEEDED = 5  # columns that every terminal shows


def panes(snapshot: Snapshot, width: int, height: int, look: Look) -> list[Text]:
    """Draw the lower part.

    Args:
        snapshot: The moment.
        width: Columns of the terminal.
        height: Lines that may be used.
        look: How to draw.
    """
    if look.failed_only:
        return _failures(snapshot, width, height, look)
    if width < _TWO_PANES or not snapshot.running:
        return _stacked(snapshot, width, height, look)
    left_width = (width - _BETWEEN) // 2
    right_width = width - _BETWEEN - left_width
    left = _running(snapshot, left_width, height, look)
    right = _failed_and_ended(snapshot, right_width, height, look)
    return _beside(left, right, left_width, look)


def _stacked(snapshot: Snapshot, width: int, height: int, look: Look) -> list[Text]:
    running, endings = snapshot.running, snapshot.endings
    others = len(endings)
    if snapshot.setbacks and height > _LEAST_FOR_SETBACKS:
        others += min(len(snapshot.setbacks), _MOST_SETBACKS) + 1
    if not running:
        return _failed_and_ended(snapshot, width, height, look)
    rules = 2 if others else 1
    least = min(others, max(1, (height - rules) // 2))
    shown = _running(snapshot, width, max(0, height - least - rules + 1), look)
    return [*shown, *_failed_and_ended(snapshot, width, height - len(shown), look)]


def _failed_and_ended(snapshot: Snapshot, width: int, height: int, look: Look) -> list[Text]:
    lines: list[Text] = []
    if height > _LEAST_FOR_SETBACKS or not snapshot.endings:
        lines = _setback_pane(snapshot, width, min(_MOST_SETBACKS, height - 1), look)
    shown = snapshot.endings[: max(0, height - len(lines) - 1)]
    found = [_ending_cells(trial, width) for trial in shown]
    return lines + _pane("ended last", found, width, ascii_only=look.ascii_only)


def _failures(snapshot: Snapshot, width: int, height: int, look: Look) -> list[Text]:
    if not snapshot.failures and not snapshot.setbacks:
        return [rule("failed only", width, ascii_only=look.ascii_only), Text("nothing has failed")]
    share = height // 2 if snapshot.failures else height
    lines = _setback_pane(snapshot, width, share - 1, look)
    shown = snapshot.failures[: max(0, height - len(lines) - 1)]
    found = [_ending_cells(trial, width) for trial in shown]
    return lines + _pane("failed for good", found, width, ascii_only=look.ascii_only)


def _pane(title: str, found: Sequence[list[Text]], width: int, *, ascii_only: bool) -> list[Text]:
    """Draw cells under their title; nothing where there is none."""
    if not found:
        return []
    return [rule(title, width, ascii_only=ascii_only), *columns(found, width, needed=_NEEDED)]


def _setback_pane(snapshot: Snapshot, width: int, most: int, look: Look) -> list[Text]:
    found = [_setback_cells(setback, width) for setback in snapshot.setbacks[: max(0, most)]]
    return _pane("failed, but not over", found, width, ascii_only=look.ascii_only)


def _running(snapshot: Snapshot, width: int, height: int, look: Look) -> list[Text]:
    if height < 1:
        return []
    count = snapshot.running_count
    room = height - 1
    has_rest = room > 1 and count > room
    shown = snapshot.running[: room - 1 if has_rest else room]
    cells = [_running_cells(attempt, snapshot.taken_at, width) for attempt in shown]
    title = f"running {count}"
    lines = [rule(title, width, ascii_only=look.ascii_only), *columns(cells, width, needed=4)]
    if has_rest:
        command = f"headway trials {spoken_name(snapshot.experiment)} --status running"
        lines.append(said_with(f"and {count - len(shown)} more", command, width))
    return lines


def _beside(left: list[Text], right: list[Text], left_width: int, look: Look) -> list[Text]:
    lines = []
    for place in range(max(len(left), len(right))):
        line = left[place] if place < len(left) else Text()
        cut(line, left_width, ascii_only=look.ascii_only)
        line.pad_right(left_width + _BETWEEN - line.cell_len)
        lines.append(line + right[place] if place < len(right) else line)
    return lines


def _trial(index: int, width: int) -> Text:
    return Text(str(index) if width < _NARROW else f"trial {index}")


def _host(name: str | None, width: int) -> Text:
    host = Text(printable(name or NOTHING))
    host.truncate(max(8, min(_WIDEST_HOST, width // 4)), overflow="crop")
    return host


def _span(seconds: float | None) -> Text:
    said = NOTHING if seconds is None else duration(seconds)
    return Text(said, justify="right")


def _running_cells(attempt: RunningAttempt, now: datetime, width: int) -> list[Text]:
    """Trial, host, elapsed, what is new of it; then try, job and last sign where there is room."""
    elapsed = None if attempt.started_at is None else (now - attempt.started_at).total_seconds()
    sign = None
    if attempt.heartbeat_at is not None:
        sign = max(0.0, (now - attempt.heartbeat_at).total_seconds())
    news = Text(_metric(attempt))
    if sign is not None and sign > _SILENT_SECONDS:
        news = Text.assemble((f"silent for {duration(sign)}", "yellow"), " ", news)
    return [
        _trial(attempt.trial_index, width),
        _host(attempt.host, width),
        _span(elapsed),
        news,
        Text(f"try {attempt.number}" if attempt.number > 1 else ""),
        Text("" if sign is None else f"sign {duration(sign)} ago", style="dim"),
        Text(f"job {attempt.slurm_job_id}" if attempt.slurm_job_id else "", style="dim"),
    ]


def _metric(attempt: RunningAttempt) -> str:
    if attempt.metric is None:
        return ""
    name, value, step = attempt.metric
    said = f"{printable(name)}={'not finite' if value is None else number(value)}"
    return said if step is None else f"{said} at step {step}"


def _setback_cells(setback: Setback, width: int) -> list[Text]:
    kind = rows.failure_word(setback.failure_class, setback.failure_name)
    said = "; ".join(filter(None, (setback.failure_action, setback.failure_message)))
    return [
        _trial(setback.trial_index, width),
        _host(setback.host, width),
        Text(f"try {setback.number}"),
        Text(printable(kind), style="red"),
        Text(printable(said)),
    ]


def _ending_cells(trial: TrialRow, width: int) -> list[Text]:
    """Trial, host, how long it ran, how it ended, its values or why; then its point."""
    last = trial.last
    word = trial.status.name
    # The class has said it; what the log says of it comes next, and is to be seen.
    why = (rows.reason(trial) or "").replace("the program ended with ", "")
    if last and last.failure_class:
        kind = rows.failure_word(last.failure_class, last.failure_name)
        why = f"{kind}: {why}"
    return [
        _trial(trial.index, width),
        _host(last.host if last else None, width),
        _span(rows.run_seconds(last) if last else None),
        Text(word, style=style_of(word)),
        Text(printable(values(trial.means) or why)),
        Text(printable(values(trial.parameters)), style="dim"),
    ]
