"""Makes the captures of the live view anew, from a real search on a private Slurm.

    python -m tests.terminal.captures docs/live.md

They are what tmux shows, as text: files in docs/captures. Those that the page names in a comment
are put into it, too.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.cluster.slurm import PrivateSlurm, SlurmSettings
from tests.main_job.runs import Place, wait_until
from tests.terminal.tmux import Terminal

# A comment that names a capture, with the block that stands below it already.
BLOCK = re.compile(r"<!-- (captures/\S+) -->\n(?:\n```text\n.*?\n```\n)?", re.DOTALL)
# It learns for 6 s, fails for bad luck and for bad settings, and tells how it gets on.
PROGRAM = (
    "#!/bin/bash",
    "for step in 1 2 3 4 5 6; do",
    """  awk "BEGIN { print \\"METRIC: loss=\\" ($1 - 0.3)^2 + 1 / $step \\" step=$step\\" }" """,
    "  sleep 1",
    "done",
    """awk "BEGIN { exit $1 > 0.8 }" || { echo "loss is not finite" >&2; exit 3; }""",
    """awk "BEGIN { print \\"RESULT: \\" ($1 - 0.3)^2 + $2 / 100 }" """,
)
SEARCH = (
    *(
        "run",
        "--experiment_name",
        "first",
        "--partition",
        "alpha",
        "--mem_gb",
        "0.1",
        "--seed",
        "1",
    ),
    *("--parameter", "x", "range", "0", "1", "--parameter", "y", "range", "0", "1"),
    *("--max_eval", "400", "--num_parallel_jobs", "20", "--worker_timeout", "5"),
    *("--model", "TPE", "--num_random_steps", "20", "--run_program", "./train.sh %(x) %(y)"),
)


def capture_all(folder: Path) -> None:
    """Write all captures into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with _site() as (place, environment):
        with Terminal(place.folder, environment=environment) as terminal:
            terminal.headway(*SEARCH)
            terminal.wait_for("ended last", "waiting: Priority", seconds=120)
            place.run("hosts", "exclude", "node3", "--reason", "its fan is broken", "--hours", "6")
            terminal.wait_for("host node3 kept out", "FAILED", " at step 4", seconds=120)
            _capture(terminal, folder / "run-80x24.txt")
            terminal.press("?")
            terminal.wait_for("keys of the live view")
            _capture(terminal, folder / "help-80x24.txt")
            terminal.press("?")
        for name, width, height in (("160x50", 160, 50), ("40x20", 40, 20)):
            with _follower(place, environment, width, height) as terminal:
                _capture(terminal, folder / f"follow-{name}.txt")
        with _follower(place, environment | {"LANG": "C"}, 80, 24) as terminal:
            terminal.press("f")
            terminal.wait_for("failed for good")
            _capture(terminal, folder / "failed-only-ascii-80x24.txt")
            os.kill(place.json("status", "first")["head_pid"], signal.SIGKILL)
            terminal.press("f")
            terminal.wait_for("head DEAD", seconds=120)
            _capture(terminal, folder / "dead-80x24.txt")
        (folder / "once.txt").write_text(place.run("follow", "first", "--once"))
        place.run("stop", "first", "--now")


@contextlib.contextmanager
def _site() -> Iterator[tuple[Place, dict[str, str]]]:
    """Give a login node of a private Slurm, and what its shell needs in its environment."""
    settings = SlurmSettings(nodes=4, cpus=4)
    with (
        tempfile.TemporaryDirectory(prefix="headway-captures-", dir="/tmp") as folder,
        PrivateSlurm(settings) as slurm,
        Place(Path(folder), slurm.environment()) as place,
    ):
        place.script("train.sh", PROGRAM[1:])
        yield place, slurm.environment()


@contextlib.contextmanager
def _follower(
    place: Place, environment: dict[str, str], width: int, height: int
) -> Iterator[Terminal]:
    with Terminal(place.folder, width=width, height=height, environment=environment) as terminal:
        terminal.headway("follow", "first")
        terminal.wait_for("first/1", "ended last")
        yield terminal


def _capture(terminal: Terminal, path: Path) -> None:
    # The frame may be half drawn: the same twice is whole.
    seen = [""]

    def is_quiet() -> bool:
        seen.append(terminal.text())
        time.sleep(0.1)
        return seen[-1] == seen[-2]

    wait_until(is_quiet)
    path.write_text(seen[-1] + "\n", encoding="utf-8")


def filled(page: str, folder: Path) -> str:
    """Return a page with each capture that it names in a comment below that comment."""

    def put(found: re.Match[str]) -> str:
        shown = (folder.parent / found[1]).read_text(encoding="utf-8")
        return f"<!-- {found[1]} -->\n\n```text\n{shown}```\n"

    return BLOCK.sub(put, page)


def main(page: Path) -> None:
    """Make all captures of a page, and write it anew."""
    folder = page.parent / "captures"
    capture_all(folder)
    page.write_text(filled(page.read_text(encoding="utf-8"), folder), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
