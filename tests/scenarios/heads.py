"""Starts heads that die at a chosen instant, that lie elsewhere, or that are killed at random."""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

from tests.main_job.runs import Place, Started, lines_of

STRANGE = Path(__file__).with_name("strange_head.py")


def strange(place: Place, how: str, what: object, *words: str, host: str = "") -> Started:
    """Start a command in a head that is not quite itself (`strange_head`).

    Args:
        place: Where.
        how: before, after, at or network.
        what: The number of the commit, the statement, or the folder.
        *words: The command.
        host: The name that its host seems to have; empty: its own.
    """
    command = [sys.executable, "-I", str(STRANGE), how, str(what), *words]
    if host:
        script = 'hostname "$1"; shift; exec "$@"'
        command = ["unshare", "--uts", "sh", "-c", script, "sh", host, *command]
    return place.execute(*command)


def killed_at_random(head: Started, run_dir: Path, chance: random.Random, longest: float) -> bool:
    """Kill a head some moment after it began to work; False if it had ended before."""
    log = run_dir / "head.log"
    before = len(lines_of(log))
    while head.process.poll() is None and len(lines_of(log)) == before:
        time.sleep(0.02)
    time.sleep(longest * chance.random())
    if head.process.poll() is not None:
        head.wait()
        return False
    head.kill()
    return True
