"""Describes Slurm's reasons in Markdown: the end of docs/reasons.md.

    python -m orchestrator.health.reasons_page docs/reasons.md

writes that part anew, from the table of the code; what stands above the mark stays.
"""

from __future__ import annotations

import sys
from pathlib import Path

from db.description import fill_below
from orchestrator.health.reasons import TABLE, Fate, Row

MARK = (
    "<!-- From here on written by `make docs`, from the table in orchestrator/health/reasons. -->"
)
_HEADINGS = {
    Fate.NEVER: "As it is, it can never start",
    Fate.HELD: "A person, or Slurm in place of one, holds it",
    Fate.WAITS: "It starts by itself",
}


def render() -> str:
    """Return all reasons, one table a fate; in each the special ones stand first."""
    blocks = []
    for fate, heading in _HEADINGS.items():
        rows = [_row(row) for row in TABLE if row.fate is fate]
        head = ["| Slurm's word | what it means | what you can do |", "| --- | --- | --- |"]
        blocks += [f"## {heading}", "\n".join([*head, *rows])]
    return "\n\n".join(blocks) + "\n"


def _row(row: Row) -> str:
    words = ", ".join(f"`{word}`" for word in row.words if word)
    return f"| {words} | {row.says} | {row.remedy or 'wait'} |"


def fill(page: str) -> str:
    """Return the page with the part below the mark written anew."""
    return fill_below(MARK, page, render())


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.write_text(fill(target.read_text(encoding="utf-8")), encoding="utf-8")
