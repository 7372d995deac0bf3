"""A user's own modules and PYTHONPATH neither reach Headway nor are they taken from programs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TRAPS = (
    "db.py",
    "worker/__init__.py",
    "orchestrator.py",
    "sqlalchemy.py",
    "headway.py",
    "typing.py",
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A user's folder full of modules that break whoever imports them."""
    for name in TRAPS:
        path = tmp_path / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"raise SystemExit('{name} of the user was imported')\n")
    return tmp_path / "project"


def headway(
    project: Path, *words: str, entry: tuple[str, ...] = (str(ROOT / "headway.py"),)
) -> subprocess.CompletedProcess[str]:
    """Run the command in the user's folder, with PYTHONPATH to it."""
    environment = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("SLURM_", "HEADWAY_"))
    }
    return subprocess.run(
        # Only the interpreter itself is isolated here; Headway isolates itself.
        [sys.executable, *entry, *words],
        cwd=project,
        env={**environment, "PYTHONPATH": str(project), "XDG_CONFIG_HOME": str(project)},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("words", [("--help",), ("run", "--help"), ("list",)])
def test_commands_work_among_modules_of_the_same_names(
    project: Path, words: tuple[str, ...]
) -> None:
    done = headway(project, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "of the user was imported" not in done.stdout + done.stderr


def test_trials_run_among_modules_of_the_same_names_and_see_the_users_own_path(
    project: Path, tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    seen.mkdir()
    program = (
        f"printf '%s' \"$PYTHONPATH\" > {seen}/path-$HEADWAY_TRIAL; pwd > {seen}/folder; "
        "echo RESULT: %(x)"
    )
    done = headway(
        project,
        *("run", "--experiment_name", "e", "--force_local_execution", "--max_eval", "2"),
        *("--num_random_steps", "2", "--model", "SOBOL", "--parameter", "x", "range", "0", "1"),
        *(
            "--run_program",
            program,
            "--num_parallel_jobs",
            "2",
            "--run_dir",
            str(tmp_path / "runs"),
        ),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    paths = sorted(seen.glob("path-*"))
    assert [path.read_text() for path in paths] == [str(project)] * 2
    assert (seen / "folder").read_text().strip() == str(project)


def test_a_worker_that_is_started_by_hand_imports_nothing_of_the_user(project: Path) -> None:
    done = headway(project, entry=("-I", "-S", str(ROOT / "worker" / "entry.py")))
    assert done.returncode == 2
    assert done.stderr.startswith("usage: entry.py")


def test_the_way_in_finds_headway_where_it_lies_and_before_other_packages(tmp_path: Path) -> None:
    script = (
        "import runpy, sys, json; sys.argv = ['headway', '--help']\n"
        f"module = runpy.run_path({str(ROOT / 'headway.py')!r}, run_name='headway')\n"
        "sys.path.append('/nowhere/site-packages'); sys.path.append('/later/site-packages')\n"
        f"sys.path[:] = [p for p in sys.path if p != {str(ROOT)!r}]\n"
        "module['add_home'](); module['add_home'](); print(json.dumps(sys.path))\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=True
    )
    path = json.loads(done.stdout)
    assert path.count(str(ROOT)) == 1
    assert path.index(str(ROOT)) < path.index("/nowhere/site-packages")
