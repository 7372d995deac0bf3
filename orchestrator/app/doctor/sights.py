"""What probes saw on their nodes, as findings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from db.sql.engine import mask
from orchestrator.app.doctor.findings import Finding, failed, ok, warning

if TYPE_CHECKING:
    from worker.probe import Sight

# What people who compare logs of two hosts still bear.
CLOCK_SECONDS = 5.0
# A minute before munge refuses a host altogether (its credentials hold for five).
BROKEN_CLOCK_SECONDS = 240.0
# A probe of another version may tell something else.
_ALWAYS = frozenset({"content", "python", "headway", "told_at", "read_at", "written_at"})
_LOCAL_NAMES = ("@localhost", "@127.0.0.1", "@[::1]")


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What a probe has to see.

    Attributes:
        folder: The folder of all runs, for people.
        content: The text of the question.
        python: The version that compiled libraries are made for.
        headway: The digest of Headway's code.
        db_url: The database that workers would speak to; None: none.
    """

    folder: Path
    content: str
    python: str
    headway: str
    db_url: str | None


def judge(sight: Sight, expected: Expected, *, seen_at: float) -> Iterator[Finding]:
    """Compare what a probe saw with what it has to see: one finding a fault, or one that all is well.

    Args:
        sight: What the probe saw.
        expected: What it has to see.
        seen_at: When this process found its file, by its own clock, in seconds since 1970.
    """
    host = sight["host"]
    if not sight.keys() >= _ALWAYS:
        yield _other_headway(host)
        return
    faults = [
        *_same_folder(sight, expected),
        *_same_code(sight, expected),
        *_database(sight, expected),
        *_clock(sight, seen_at),
    ]
    yield from faults
    if not faults:
        said = [f"{host} sees the run folder, runs the same Headway and Python, its clock agrees"]
        if "database_ms" in sight:
            said.append(f"the database answers it in {sight['database_ms']:.0f} ms")
        yield ok("node", ", and ".join(said), host=host)


def _same_folder(sight: Sight, expected: Expected) -> Iterator[Finding]:
    if sight["content"] != expected.content:
        yield failed(
            "shared folder",
            f"{sight['host']} sees old or other files in {expected.folder}",
            "Keep runs on a file system that all nodes share: --run_dir.",
            host=sight["host"],
        )


def _same_code(sight: Sight, expected: Expected) -> Iterator[Finding]:
    host = sight["host"]
    if sight["python"] != expected.python:
        yield failed(
            "python",
            f"the same path is Python {sight['python']} on {host}, and {expected.python} here",
            "Use a Python on a file system that all nodes share, a venv in your home say.",
            host=host,
        )
    if sight["headway"] != expected.headway:
        yield _other_headway(host)


def _other_headway(host: str) -> Finding:
    return failed(
        "headway",
        f"{host} has another Headway than this host at the same path",
        "Install Headway on a file system that all nodes share, or anew on each node.",
        host=host,
    )


def _database(sight: Sight, expected: Expected) -> Iterator[Finding]:
    error = sight.get("database_error")
    if error is None or expected.db_url is None:
        return
    url = mask(expected.db_url)
    if any(name in url for name in _LOCAL_NAMES):
        remedy = "On a node this name means the node itself: give the server's own in --db_url."
    else:
        remedy = (
            "The server has to listen for the nodes' network, and firewall and pg_hba.conf to let "
            "them in; without --db_url no node needs a database."
        )
    says = f"{sight['host']} cannot reach {url}: {error}"
    yield failed("database from nodes", says, remedy, host=sight["host"])


def _clock(sight: Sight, seen_at: float) -> Iterator[Finding]:
    """Tell a clock that is off, by what is certain: how old a file was does not matter.

    What the probe read had been written before, and what it wrote was found later.
    """
    ahead = sight["written_at"] - seen_at
    behind = sight["told_at"] - sight["read_at"]
    off = max(ahead, behind)
    if off <= CLOCK_SECONDS:
        return
    way = "ahead of" if ahead > behind else "behind"
    says = f"the clock of {sight['host']} is {off:.0f} s {way} this host's"
    if off < BROKEN_CLOCK_SECONDS:
        remedy = "Times in logs mislead. Tell the cluster's support: chronyd or ntpd should run."
        yield warning("clock", says, remedy, host=sight["host"])
        return
    remedy = (
        "Slurm refuses a host that is off by five minutes. Tell the cluster's support: chronyd or "
        "ntpd should run."
    )
    yield failed("clock", says, remedy, host=sight["host"])
