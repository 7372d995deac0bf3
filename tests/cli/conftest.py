"""What the tests of commands share."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.cli import places


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, and no database in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(places.VARIABLE, raising=False)
    return tmp_path
