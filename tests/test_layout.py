"""Every module stands by itself, and a worker imports next to nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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
