"""What the documents show works: commands run, links resolve, every command is mentioned."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from orchestrator.cli.commands import COMMANDS
from tests.cluster.slurm import PrivateSlurm
from tests.main_job.runs import HEADWAY, ROOT, clean_environment

DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```bash\n(.*?)```", README, flags=re.DOTALL)


def _blocks_with(words: str) -> list[str]:
    return [block for block in BLOCKS if words in block]


def _run(script: str, folder: Path, environment: dict[str, str] | None = None) -> str:
    """Run a block as a user would, with the headway of this checkout."""
    script = script.replace(".venv/bin/headway", shlex.join(HEADWAY))
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=clean_environment() | (environment or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_first_experiment_of_the_readme_and_what_follows_works(tmp_path: Path) -> None:
    (first,) = _blocks_with("cat > parabola.sh")
    # Two runs are compared; the one that nobody looks at closer may be short.
    assert "4 completed" in _run(first.replace("--max_eval 30", "--max_eval 4"), tmp_path)
    assert "30 completed" in _run(first, tmp_path)
    for command in ("headway list", "headway db info", "headway rules"):
        (block,) = _blocks_with(command)
        assert "parabola" in _run(block, tmp_path)
    assert (tmp_path / "parabola.csv").is_file()
    assert (tmp_path / "all.db").is_file()
    (resume,) = _blocks_with("headway resume")
    assert "40 completed" in _run(resume, tmp_path)


@pytest.mark.slurm
def test_the_slurm_experiment_of_the_readme_works(
    tmp_path: Path, slurm_cluster: PrivateSlurm
) -> None:
    (first,) = _blocks_with("cat > parabola.sh")
    _run(first.partition(".venv/bin/headway")[0], tmp_path)
    (on_slurm,) = _blocks_with("--partition alpha")
    assert "30 completed" in _run(on_slurm, tmp_path, slurm_cluster.environment())


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_resolve(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text())
    missing = [link for link in links if not (document.parent / link).exists()]
    assert not missing


def test_every_command_is_in_the_readme_and_the_other_way_round() -> None:
    shown = re.findall(r"^\.venv/bin/headway ([a-z]+)\b", "\n".join(BLOCKS), re.MULTILINE)
    named = re.findall(r"`headway ([a-z]+)[^`]*`|\$\(\.venv/bin/headway ([a-z]+)", README)
    assert {*shown, *("".join(words) for words in named)} == set(COMMANDS)


def test_every_make_target_that_is_mentioned_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    text = "\n".join(path.read_text() for path in DOCUMENTS)
    for target in set(re.findall(r"\bmake ([a-z-]+)\b`|^make ([a-z-]+)$", text, re.MULTILINE)):
        assert re.search(rf"^{target[0] or target[1]}:", makefile, re.MULTILINE), target


def test_ci_runs_what_the_readme_says() -> None:
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    assert lines[-1] == "exec make test"
