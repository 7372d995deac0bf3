"""What an installed Headway brings along that is no Python: migrations, scripts and profiles."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("db", "orchestrator", "slurm_templates", "worker")
FILES = ("headway.py", "pyproject.toml", "README.md")
BUILD = "import setuptools; setuptools.setup()"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a wheel, where pip would put them; nothing of the checkout is touched."""
    source = tmp_path_factory.mktemp("source")
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, source / package, ignore=ignored)
    for name in FILES:
        shutil.copy(ROOT / name, source / name)
    target = source.with_name("site-packages")
    words = [sys.executable, "-c", BUILD, "-q", "build_py", "--build-lib", str(target)]
    subprocess.run(words, cwd=source, check=True, capture_output=True)
    return target


def test_all_files_for_slurm_are_in_a_wheel(installed: Path) -> None:
    here = ROOT / "slurm_templates"
    files = [path.relative_to(here) for path in here.rglob("*") if path.suffix != ".pyc"]
    wanted = {str(path) for path in files if (here / path).is_file()}
    assert wanted >= {"head.sbatch", "trial.sh", "profiles/plain.yaml", "profiles/strange.yaml"}
    assert all((installed / "slurm_templates" / name).is_file() for name in wanted)
    assert list((installed / "db" / "migrations").rglob("0001*.py"))


def test_the_installed_command_finds_them(installed: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-I", str(installed / "headway.py"), "profile"]
    done = subprocess.run(
        [*words, "check", "strange", "--json"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["path"] == str(installed / "slurm_templates" / "profiles" / "strange.yaml")
    assert str(installed / "headway.py") in told["scripts"]["head"]
    assert "headway_check()" in told["scripts"]["trial"]
