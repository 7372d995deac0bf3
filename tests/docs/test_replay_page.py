"""docs/replay.md: every kind of event has its row."""

from __future__ import annotations

import re
from pathlib import Path

from db.states import EventKind

PAGE = (Path(__file__).parents[2] / "docs" / "replay.md").read_text()


def test_every_kind_of_event_has_its_row_and_no_other_has_one() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", PAGE, flags=re.MULTILINE)
    assert set(rows) == {kind.value for kind in EventKind}
