"""Terminals to type into, and searches to look at in them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.fixtures import require_programs
from tests.reports.searches import Search, fill, local_search
from tests.terminal.tmux import PROGRAMS, Terminal


@pytest.fixture
def search(tmp_path: Path) -> Iterator[Search]:
    """A filled search in the run folder of the terminal, with a head that lives for a while."""
    made = local_search(tmp_path / "runs", goals={"LOSS": True, "SPEED": False})
    fill(made)
    made.lease(3600)
    yield made
    made.engine.dispose()


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """A terminal of 80 by 24."""
    require_programs("tmux", PROGRAMS)
    with Terminal(tmp_path) as opened:
        yield opened
