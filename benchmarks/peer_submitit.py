"""The peer of figure (a1): submitit's `map_array` of a function that does nothing.

Run as a script: `python peer_submitit.py FOLDER JOBS SLOTS`.
"""

from __future__ import annotations

import sys

import submitit


def nothing(number: int) -> int:
    """Return what came in."""
    return number


def main(folder: str, jobs: int, slots: int) -> None:
    """Submit and wait for all results."""
    executor = submitit.AutoExecutor(folder=folder, cluster="slurm")
    executor.update_parameters(timeout_min=5, slurm_array_parallelism=slots)
    results = [job.result() for job in executor.map_array(nothing, range(jobs))]
    if results != list(range(jobs)):
        raise SystemExit("submitit gave other results")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
