"""Pieces of text put into lines of a given width."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

_GAP = 2  # between two columns


def flowed(pieces: Sequence[Text], width: int, *, gap: str, lines: int = 1) -> list[Text]:
    """Put pieces one behind the other, as many as there is room for.

    Args:
        pieces: The most important first; the first one is always there, cut if it must be.
        width: Columns of a line.
        gap: What stands between two pieces of a line.
        lines: How many lines there may be.

    Returns:
        At least one line.
    """
    found = [pieces[0].copy()]
    for piece in pieces[1:]:
        if found[-1].cell_len + len(gap) + piece.cell_len <= width:
            found[-1].append(gap).append_text(piece)
        elif len(found) < lines:
            found[-1].append(gap.rstrip())
            found.append(piece.copy())
        else:
            break
    return found


def folded(text: Text, width: int) -> list[Text]:
    """Break a text that must not be cut, a command say, into lines."""
    pieces = [text[start : start + width] for start in range(0, len(text), max(1, width))]
    return pieces or [text]


def columns(rows: Sequence[Sequence[Text]], width: int, *, needed: int) -> list[Text]:
    """Put rows of cells below each other.

    Args:
        rows: The cells of each row, the most important columns first; all rows have as many.
        width: Columns of the terminal. The last cell of a row may go beyond it.
        needed: So many columns are always there; of the others those that have room. A row whose
            last needed cell is much longer than those of other rows has none of the others.
    """
    if not rows:
        return []
    widths = [_width(column, width) for column in zip(*rows, strict=True)]
    shown = needed
    while shown < len(widths) and sum(widths[: shown + 1]) + _GAP * shown <= width:
        shown += 1
    lines = []
    for row in rows:
        is_long = row[needed - 1].cell_len > widths[needed - 1]
        cells = row[: needed if is_long else shown]
        lines.append(_row([pair for pair in zip(cells, widths, strict=False) if pair[1]]))
    return lines


def _width(column: Sequence[Text], width: int) -> int:
    """Return the width of a column; sentences that take half a line do not make it wider."""
    usual = [cell.cell_len for cell in column if cell.cell_len <= width // 2]
    return max(usual or [cell.cell_len for cell in column])


def _row(cells: Sequence[tuple[Text, int]]) -> Text:
    line = Text()
    for cell, width in cells:
        padding = " " * max(0, width - cell.cell_len)
        pieces = (padding, cell) if cell.justify == "right" else (cell, padding)
        line = Text.assemble(line, *pieces, " " * _GAP)
    line.rstrip()
    return line


def said_with(words: str, command: str, width: int) -> Text:
    """Return words, with the command that tells more where it fits."""
    whole = Text(f"{words}: {command}")
    return whole if whole.cell_len <= width else Text(words)


def rule(title: str, width: int, *, ascii_only: bool) -> Text:
    """Return a line that separates, with a title in it."""
    mark = "-" if ascii_only else "─"
    return Text(f"{mark * 2} {title} ".ljust(width, mark), style="dim")


def cut(line: Text, width: int, *, ascii_only: bool) -> Text:
    """Cut a line to the width of the terminal; the line itself is changed."""
    if ascii_only:
        line.plain = line.plain.encode("ascii", "replace").decode()
    line.no_wrap = True
    line.truncate(width, overflow="crop" if ascii_only else "ellipsis")
    return line
