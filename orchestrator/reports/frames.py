"""One frame of the live view: facts above, panes below, keys in the last line."""

from __future__ import annotations

from rich.text import Text

from orchestrator.reports.closing import spoken_name
from orchestrator.reports.heading import heading
from orchestrator.reports.looks import KEYS, Look
from orchestrator.reports.panes import panes
from orchestrator.reports.snapshot import Snapshot
from orchestrator.reports.spans import cut, flowed, folded
from orchestrator.reports.texts import local_time

_AS_USUAL = Look()
# Fewer lines show the search only.
_LEAST_FOR_KEYS = 6


def frame(snapshot: Snapshot, width: int, height: int, look: Look = _AS_USUAL) -> Text:
    """Draw one moment.

    Args:
        snapshot: The moment.
        width: Columns of the terminal.
        height: Lines that may be used.
        look: How to draw.

    Returns:
        At most `height` lines of at most `width` columns.
    """
    room = max(1, height)
    below = _keys(snapshot, width, look) if look.has_keys and height >= _LEAST_FOR_KEYS else []
    room -= len(below)
    if look.helping:
        lines = _help(snapshot, width, look)
    else:
        lines = heading(snapshot, width, room, look)
        lines += panes(snapshot, width, room - len(lines), look)
    lines = lines[:room]
    if below:
        lines += [Text() for _ in range(room - len(lines))] + below
    drawn = Text("\n").join([cut(line, width, ascii_only=look.ascii_only) for line in lines])
    drawn.no_wrap = True
    return drawn


def _keys(snapshot: Snapshot, width: int, look: Look) -> list[Text]:
    """Name the keys, and say what the view leaves out at present."""
    if look.frozen:
        when = local_time(snapshot.taken_at)
        frozen = Text(f"FROZEN at {when}", style="bold yellow")
        return flowed([frozen, Text("p goes on"), Text("q quit"), Text("? help")], width, gap="  ")
    words = dict(KEYS) | ({"f": "all again"} if look.failed_only else {})
    pieces = [Text.assemble((key, "bold"), f" {word}", style="dim") for key, word in words.items()]
    return flowed(pieces, width, gap="  ")


def _help(snapshot: Snapshot, width: int, look: Look) -> list[Text]:
    name = spoken_name(snapshot.experiment)
    if look.leads:
        leave = "close the view; the search goes on, with plain lines"
        interrupt = "end gently: running trials finish; twice: end at once"
    else:
        leave, interrupt = "close the view; the search goes on", "the same"
    keys = (
        ("q", leave),
        ("p", "freeze the view, and let it go on"),
        ("f", "only what failed, and all again"),
        ("?", "this page; any key leaves it"),
        ("Ctrl-C", interrupt),
    )
    commands = (
        ("what is known of a trial", f"headway show {name} TRIAL"),
        ("what it prints", f"headway logs {name} TRIAL -f"),
        ("why it waits or failed", f"headway why {name} TRIAL"),
        ("hosts, and why they are out", f"headway hosts {name}"),
        ("end the search", f"headway stop {name}"),
    )
    lines = [Text("keys of the live view", style="bold")]
    lines += [Text.assemble((f"  {key:<8}", "bold"), said) for key, said in keys]
    lines += [Text(), Text("in another terminal", style="bold")]
    for what, command in commands:
        lines.append(Text(f"  {what}"))
        lines += folded(Text(f"    {command}", style="cyan"), width)
    return lines
