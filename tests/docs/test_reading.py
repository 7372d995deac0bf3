"""docs/reading.md: its Python runs, and it names every column with its type and meaning."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from db import frames
from db.sql.reading import catalogue, long, wide
from db.sql.reading.fields import Column
from db.sql.tables import GenerationNode
from tests.reports.searches import Search, fill, local_search

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "reading.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", DOCUMENT, flags=re.DOTALL)
COMMANDS = re.findall(r"^headway (export .*?)(?:  +#.*)?$", DOCUMENT, flags=re.MULTILINE)


@pytest.fixture
def parabola(tmp_path: Path) -> Iterator[Search]:
    """The experiment of the document, in a user's folder."""
    made = local_search(tmp_path / "runs", name="parabola")
    fill(made)
    made.metric(1, 1, 0.5, 0)
    node = {"position": 0, "generator": "SOBOL", "min_observed": 0}
    made.insert(GenerationNode, experiment_id=made.id, **node)
    yield made
    made.engine.dispose()


def _run(words: list[str], folder: Path) -> str:
    done = subprocess.run(
        words,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("block", BLOCKS)
def test_the_python_of_the_document_runs(parabola: Search, tmp_path: Path, block: str) -> None:
    printed = _run([sys.executable, "-c", block], tmp_path)
    for promised in re.findall(r"print\(.*\)  # (.+)", block):
        assert promised in printed
    assert printed


@pytest.mark.parametrize("command", COMMANDS)
def test_the_exports_of_the_document_run(parabola: Search, tmp_path: Path, command: str) -> None:
    headway = f"'{sys.executable}' -I '{ROOT / 'headway.py'}'"
    _run(["bash", "-euc", f"{headway} {command}"], tmp_path)
    target = re.split(r" > | --output ", command)[1]
    assert (tmp_path / target).exists()


def test_every_column_is_in_the_document() -> None:
    tables: list[tuple[Column, ...]] = [wide.BEFORE, wide.AFTER, frames.EXPERIMENTS]
    tables += [getattr(long, name.upper()) for name in catalogue.NAMES if name != "trials"]
    lines = [
        f"| `{column.name}` | {column.kind} | {column.meaning} |"
        for table in tables
        for column in table
    ]
    assert not [line for line in lines if line not in DOCUMENT]


def test_every_table_has_its_section() -> None:
    for name in catalogue.NAMES:
        assert f"\n### {name}\n" in DOCUMENT
        assert f"`{name}`" in DOCUMENT
        assert getattr(frames, name)
