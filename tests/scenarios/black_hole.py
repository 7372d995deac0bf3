"""A search on four nodes of which one ends every program at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.cluster.slurm import PrivateSlurm

# Slurm prefers the first node that is free: it gets more than its share.
BROKEN = "node1"
PARTITION = "four"
NODES = 4
# So many of its jobs each node takes.
AT_ONCE = 4
# Three jobs wait in Slurm: if it gives them to the broken node in the moment in which the first
# ones have failed there and the head does not know it yet, they are lost as well.
SLOTS = NODES * AT_ONCE + 3
PROGRAM = (
    'echo "$HEADWAY_TRIAL $HEADWAY_ATTEMPT $SLURMD_NODENAME" >> seen; '
    f'if [ "$SLURMD_NODENAME" = {BROKEN} ]; then echo "cannot go on" >&2; exit 1; fi; '
    "sleep {length}; echo RESULT: %(x)"
)


def command(
    name: str, trials: int, *words: str, length: float = 1.0, slots: int = SLOTS
) -> tuple[str, ...]:
    """Return the command of a search whose trials take so many seconds on a sound node."""
    return (
        *("run", "--experiment_name", name, "--partition", PARTITION, "--mem_gb", "0.1"),
        *("--max_eval", str(trials), "--num_parallel_jobs", str(slots), "--seed", "1"),
        *("--parameter", "x", "range", "0", "1", "--model", "SOBOL"),
        *("--timing", "poll_max_seconds=2", "calls_per_minute=600", "calls_burst=400"),
        *("--run_program", PROGRAM.replace("{length}", str(length)), *words),
    )


@contextmanager
def four_nodes(cluster: PrivateSlurm) -> Iterator[None]:
    """Give a larger cluster a partition of its first four nodes for a while."""
    name = f"PartitionName={PARTITION}"
    cluster.run("scontrol", "create", name, f"Nodes=node[1-{NODES}]", "State=UP")
    try:
        yield
    finally:
        cluster.run("scancel", f"--partition={PARTITION}", check=False)
        cluster.run("scontrol", "delete", name, check=False)
