"""Loads what a head needs to go on, in a process of its own: `python -m benchmarks.resuming URL ID`.

Prints JSON: seconds for the ledger, seconds for what generators have to be told again, and the
highest memory in MB before and after each.
"""

from __future__ import annotations

import json
import resource
import sys
import time

from db.sql import trials
from db.sql.engine import open_existing
from db.sql.store import Store
from orchestrator.steps.ledger import Ledger


def main(url: str, experiment_id: int) -> dict[str, float]:
    """Load and measure."""
    store = Store(open_existing(url), experiment_id, 1)
    found = {"memory_before": _megabytes()}
    began = time.monotonic()
    Ledger("loaded", nodes=1).load(store, in_flight=set())
    found |= {"ledger": time.monotonic() - began, "memory_ledger": _megabytes()}
    began = time.monotonic()
    with store.read() as connection:
        count = sum(1 for _ in trials.results(connection, experiment_id))
    seconds = time.monotonic() - began
    return found | {"results": seconds, "count": count, "memory_results": _megabytes()}


def _megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]))))
