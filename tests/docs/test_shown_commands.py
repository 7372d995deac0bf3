"""Every command that the documents show works.

Blocks marked `bash` run here, in the order of their page, as somebody would type them who reads it
from its begin. What cannot run in a test (it needs a network, or is a template with `…`) stands in
another kind of block (`sh`, `text`): of that, and of what stands within sentences, the names of
commands and options have to be right.
"""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from orchestrator.cli.commands import COMMANDS, LATER
from orchestrator.cli.parsers import all_parsers
from tests.cluster.slurm import PrivateSlurm
from tests.main_job.runs import HEADWAY, ROOT, clean_environment
from tests.reports.searches import fill, local_search

PAGES = {path.name: path for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))}
# Pages that begin with nothing, and make their searches themselves.
FROM_NOTHING = {"laptop.md", "omniopt2.md", "slurm.md"}
# README.md and reading.md have tests of their own (test_readme, test_reading).
ELSEWHERE = {"README.md", "reading.md"}
BASH = re.compile(r"^```bash\n(.*?)^```", re.DOTALL | re.MULTILINE)
BLOCK = re.compile(r"^```[a-z]*\n(.*?)^```", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`(headway [^`]+)`")
TOLD = {name: BASH.findall(path.read_text()) for name, path in PAGES.items()}
ON_SLURM = {name for name, blocks in TOLD.items() if "--partition alpha" in "".join(blocks)}
ON_SLURM -= {"omniopt2.md"}
PARSERS = dict(all_parsers())


def run(block: str, folder: Path, environment: dict[str, str]) -> str:
    """Run a block with the headway of this checkout on PATH."""
    tools = folder / ".tools"
    tools.mkdir(exist_ok=True)
    command = tools / "headway"
    command.write_text(f'#!/bin/sh\nexec {shlex.join(HEADWAY)} "$@"\n')
    command.chmod(0o755)
    variables = clean_environment() | environment
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.replace(".venv/bin/headway", "headway")],
        cwd=folder,
        env=variables | {"PATH": f"{tools}:{variables['PATH']}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, f"{block}\n{done.stdout}"
    assert "Traceback" not in done.stdout
    return done.stdout


def prepare(folder: Path) -> None:
    """Make the searches that pages speak of: first (two runs), second, parabola and net."""
    for name, number in (
        *(("first", 1), ("first", 2)),
        *((n, 1) for n in ("second", "parabola", "net")),
    ):
        made = local_search(folder / "runs", name=name, run_number=number)
        fill(made)
        made.engine.dispose()
    for name in ("url", "server"):
        (folder / f"{name}.txt").write_text(f"sqlite:///{folder}/{name}.db\n")
        (folder / f"{name}.txt").chmod(0o600)


@pytest.mark.parametrize("page", sorted(set(TOLD) - ON_SLURM - ELSEWHERE))
def test_what_a_page_shows_works(page: str, tmp_path: Path) -> None:
    if TOLD[page] and page not in FROM_NOTHING:
        prepare(tmp_path)
    for block in TOLD[page]:
        run(block, tmp_path, {})


@pytest.mark.slurm
@pytest.mark.parametrize("page", sorted(ON_SLURM - ELSEWHERE))
def test_what_a_page_shows_works_on_slurm(
    page: str, tmp_path: Path, slurm_cluster: PrivateSlurm
) -> None:
    if page not in FROM_NOTHING:
        prepare(tmp_path)
    for block in TOLD[page]:
        run(block, tmp_path, slurm_cluster.environment())


def lines_of(text: str) -> list[str]:
    """Return every `headway …` of a page: lines of its blocks, and words within its sentences."""
    joined = re.sub(r"\\\n\s*", " ", text)
    blocks = "\n".join(BLOCK.findall(joined))
    found = re.findall(r"^(?:\.venv/bin/)?(headway .*)$", blocks, re.MULTILINE)
    return found + INLINE.findall(re.sub(r"\s+", " ", BLOCK.sub("", joined)))


def parser_for(words: list[str]) -> argparse.ArgumentParser | None:
    """Return the parser of the command that words begin with."""
    return PARSERS.get(" ".join(words[1:3])) or PARSERS.get(words[1])


@pytest.mark.parametrize("page", sorted(PAGES))
def test_commands_and_options_that_a_page_names_are_there(page: str) -> None:
    for line in lines_of(PAGES[page].read_text()):
        words = re.split(r"[\s|,]+", line.partition(" #")[0].strip())
        if len(words) < 2 or not re.fullmatch(r"[a-z]+", words[1]) or words[1] in LATER:
            continue  # `headway COMMAND`, or one that is said to come later
        assert words[1] in COMMANDS, line
        parser = parser_for(words)
        known = (
            {text for action in parser._actions for text in action.option_strings}
            if parser
            else set()
        )
        for option in re.findall(r"(?<!\S)--[a-z_-]+", line.partition("--run_program")[0]):
            name = "--" + option[2:].replace("-", "_")
            assert parser is None or name in known or name == "--help", line
