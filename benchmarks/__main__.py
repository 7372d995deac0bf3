"""`python -m benchmarks [NAME…]`: print the figures; exit 1 only if something went wrong."""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence

from benchmarks import (
    ax_views,
    black_hole,
    busy,
    hosts,
    jobs,
    million,
    refill,
    reports,
    resume,
    starts,
    typing_to_end,
    viewer,
    waiting,
)
from benchmarks.figures import BenchmarkError, Grid, Table
from benchmarks.place import Place, open_place

Measure = Callable[..., Sequence[Table | Grid]]
FIGURES: dict[str, Measure] = {
    "starts": starts.measure,
    "typing": typing_to_end.measure,
    "jobs": jobs.measure,
    "refill": refill.measure,
    "busy": busy.measure,
    "reports": reports.measure,
    "million": million.measure,
    "resume": resume.measure,
    "ax": ax_views.measure,
    "hosts": hosts.measure,
    "black_hole": black_hole.measure,
    "viewer": viewer.measure,
    "waiting": waiting.measure,
}
# These are simulated, or start what they need: no service is started for them.
_ALONE = frozenset({"hosts", "viewer"})


def main(words: list[str] | None = None) -> int:
    """Run what was asked for and return the exit code; no timing ever fails anything."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(FIGURES))
    parser.add_argument("--repeats", type=int, default=3, help="of each run (%(default)s)")
    parser.add_argument("--small", action="store_true", help="fewer trials, to try it out")
    given = parser.parse_args(words)
    unknown = [name for name in given.names if name not in FIGURES]
    if unknown or given.repeats < 1:
        parser.error(f"choose from {', '.join(FIGURES)}; at least one repetition")
    print(_machine(), flush=True)
    names = given.names or list(FIGURES)
    services = contextlib.nullcontext() if _ALONE.issuperset(names) else open_place()
    with services as place:
        failures = [
            name
            for name in names
            if not _print(name, place, repeats=given.repeats, small=given.small)
        ]
    return 1 if failures else 0


def _print(name: str, place: Place | None, *, repeats: int, small: bool) -> bool:
    """Print one figure; whether every run did what it should have done."""
    began = time.monotonic()
    try:
        tables = FIGURES[name](place, repeats=repeats, small=small)
    except BenchmarkError as error:
        print(f"FAILED: {name}: {error}", file=sys.stderr, flush=True)
        return False
    for table in tables:
        print(table.text(), flush=True)
    print(f"({name} took {time.monotonic() - began:.0f} s)\n", flush=True)
    return True


def _machine() -> str:
    date = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return (
        f"{date}; {os.cpu_count()} processors; Linux {platform.release()}; "
        f"Python {platform.python_version()}; load {load}\n"
    )


if __name__ == "__main__":
    sys.exit(main())
