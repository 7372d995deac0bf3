"""Every module stands by itself, and a worker imports next to nothing."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("db", "worker", "orchestrator", "slurm_templates")
# Run as scripts or by Alembic, never imported.
SCRIPTS = {"db.migrations.env", "orchestrator.generators.child"}
HEAVY = {
    *("alembic", "argparse", "asyncio", "dataclasses", "enum", "inspect", "numpy", "optuna"),
    *("pandas", "pathlib", "psycopg2", "pydantic", "rich", "scipy", "sqlalchemy", "submitit"),
    *("tenacity", "typing", "typing_extensions", "yaml"),
}
# Libraries once, in the process that all others are copies of; our own modules in each anew.
ALL_AT_ONCE = """
import importlib, os, sys
import alembic.command, pandas, psycopg2, pydantic, rich.live, rich_argparse, scipy, sqlalchemy.orm
import submitit, tenacity, yaml
sys.path.insert(0, sys.argv[1])
for name in sys.argv[2:]:
    child = os.fork()
    if not child:
        try:
            importlib.import_module(name)
        except BaseException as error:
            print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
            os._exit(1)
        os._exit(0)
    os.waitpid(child, 0)
"""


def modules() -> list[str]:
    """The names of all modules."""
    found = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            if name.replace(".", "").replace("_", "").isalpha() and name not in SCRIPTS:
                found.append(name)
    return found


def path_of(name: str) -> Path:
    """The file of a module."""
    path = ROOT.joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def imported(path: Path, known: frozenset[str]) -> set[str]:
    """The modules of ours that a module needs before it is there itself."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= names & known or {str(node.module)}
    return found & known


def test_no_modules_import_each_other() -> None:
    paths = {name: path_of(name) for name in modules()}
    known = frozenset(paths)
    left = {name: imported(path, known) - {name} for name, path in paths.items()}
    assert sum(map(len, left.values())) > 1000
    while ready := {name for name, needs in left.items() if not needs & left.keys()}:
        left = {name: needs for name, needs in left.items() if name not in ready}
    assert not left, "these, or what they import, import each other"


@pytest.mark.slow
def test_every_module_can_be_imported_first() -> None:
    names = modules()
    assert len(names) > 80
    done = subprocess.run(
        [sys.executable, "-I", "-c", ALL_AT_ONCE, str(ROOT), *names],
        capture_output=True,
        text=True,
        cwd="/",
        env={"PATH": os.environ["PATH"]},
    )
    assert done.stderr == ""


def test_a_worker_imports_no_heavy_library() -> None:
    script = f"import sys; sys.path.append({str(ROOT)!r}); import worker.attempt"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-X", "importtime", "-c", script],
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "worker.attempt" in imported
    assert not imported & HEAVY
    assert not any(name.startswith(("db.sql", "orchestrator")) for name in imported)
