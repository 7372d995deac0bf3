"""How a worker that is a process of the head's own machine is called: as a job of Slurm by its id.

The worker says it with its claim, so that it is known even if the head died before it could write
down which process it had started.
"""

from __future__ import annotations


def local_job_id(pid: int, start: int) -> str:
    """Return the job id of a process: its pid alone may belong to somebody else tomorrow.

    Args:
        pid: The process id.
        start: When it started, in clock ticks after boot.
    """
    return f"local-{pid}-{start}"


def own_job_id(pid: int) -> str | None:
    """Return the job id of this process; None where there is no /proc."""
    try:
        with open("/proc/self/stat", "rb") as file:
            text = file.read()
    except OSError:
        return None
    # The name in parentheses may hold spaces and parentheses (proc(5)).
    return local_job_id(pid, int(text.rpartition(b")")[2].split()[19]))
