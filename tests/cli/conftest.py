"""What the tests of commands share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.cli import urls
from tests.reports.searches import Search, fill, local_search


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, and no database in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(urls.VARIABLE, raising=False)
    return tmp_path


@pytest.fixture
def search(here: Path) -> Iterator[Search]:
    """A filled search in the run folder here."""
    made = local_search(here / "runs", goals={"LOSS": True, "SPEED": False})
    fill(made)
    made.lease(25)
    yield made
    made.engine.dispose()
