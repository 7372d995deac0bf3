"""The peer of figure (k): Ax loads an experiment from our views, and the same from its own tables.

`python -m benchmarks.peer_ax NAME TRIALS REPEATS OWN URL…`, by an interpreter that has Ax: loads
from each URL and from OWN, a new SQLite file into which Ax saved what it had loaded, in turn.
Prints the seconds of each as JSON, wall and CPU.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
import warnings
from typing import Any

from ax.storage.sqa_store.db import create_all_tables, get_engine, session_context
from ax.storage.sqa_store.load import load_experiment
from ax.storage.sqa_store.save import save_experiment

OWN_NAME = "own"


def main(name: str, trials: int, *, repeats: int, own: str, urls: list[str]) -> None:
    """Save once, then load in turn."""
    save(load(urls[0], name)[0], own)
    turns = [own, *urls]
    found: dict[str, list[tuple[float, float]]] = {url: [] for url in turns}
    for _ in range(repeats):
        for url in turns:
            experiment, seconds = load(url, OWN_NAME if url == own else name)
            if len(experiment.trials) != trials or experiment.fetch_data().df.empty:
                raise SystemExit(f"Ax loaded {len(experiment.trials)} trials from {url}")
            found[url].append(seconds)
        # What else the machine does hits each place in the order alike.
        turns.append(turns.pop(0))
    print(json.dumps(found))


def load(url: str, name: str) -> tuple[Any, tuple[float, float]]:
    """Let Ax load an experiment; also return the seconds, wall and CPU of this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    with session_context(url=url):
        experiment = load_experiment(name)
    return experiment, (time.perf_counter() - wall, time.process_time() - cpu)


def save(experiment: Any, url: str) -> None:
    """Let Ax save what it has loaded into tables of its own."""
    copy = experiment.clone_with(name=OWN_NAME)
    with session_context(url=url):
        create_all_tables(get_engine())
        # After the commit Ax wants to print something, with a package that it does not require.
        with contextlib.suppress(ImportError):
            save_experiment(copy)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(
        sys.argv[1], int(sys.argv[2]), repeats=int(sys.argv[3]), own=sys.argv[4], urls=sys.argv[5:]
    )
