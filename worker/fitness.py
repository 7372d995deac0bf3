"""Whether this node can run an attempt at all: asked before the attempt is claimed."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from db.records import WorkerJob
    from worker.stopping import Stopping

# Of what head and worker tell each other. A job that has waited while Headway was exchanged meets a
# worker of another age; raise this whenever one of the two could misunderstand the other.
PROTOCOL = 1
# An automounter, or a compute node that believes for a moment that a folder is not there (NFS).
_LOOKS = 4
_LOOK_SECONDS = 0.5
# Arrays up to this size start at once; the tasks of larger ones come at about this rate, and none
# waits for longer than this.
_AT_ONCE = 50
_STARTS_A_SECOND = 200
_LONGEST_WAIT_SECONDS = 2.0


def python_version() -> str:
    """Return the version that compiled libraries are made for, e.g. 3.11."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def find_misfit(job: WorkerJob, stopping: Stopping) -> str | None:
    """Say what keeps this node from running attempts of a job; None if nothing does.

    Nothing was claimed yet, so that the attempt can go elsewhere. If all is well, the program's
    working folder is the current one afterwards.
    """
    spoken = job.get("protocol", 0)  # the first ones did not say
    if spoken != PROTOCOL:
        return (
            f"this is the worker of another Headway than the head's (it speaks {PROTOCOL}, the "
            f"head {spoken}): was Headway exchanged while the experiment ran?"
        )
    if job["python"] != python_version():
        return (
            f"{sys.executable} is Python {python_version()} on this node, and {job['python']} "
            "where the head runs"
        )
    return _enter(job["working_folder"], stopping)


def _enter(folder: str, stopping: Stopping) -> str | None:
    """Go to the working folder; returns why that cannot be done."""
    for look in range(_LOOKS):
        try:
            os.chdir(folder)
        except OSError as error:
            if look + 1 == _LOOKS or stopping.is_requested():
                return f"the working folder cannot be entered: {error}"
            stopping.sleep(_LOOK_SECONDS)
        else:
            return None
    return None


def start_delay(environ: Mapping[str, str]) -> float:
    """Return the seconds that this task of an array waits, so that not all come in one moment.

    Two hundred workers that read the same files and open the same database within one second are
    what file servers and databases fall over from.
    """
    text = environ.get("SLURM_ARRAY_TASK_COUNT", "")
    count = int(text) if text.isdecimal() else 0
    if count <= _AT_ONCE:
        return 0.0
    share = int.from_bytes(os.urandom(2), "big") / 65536
    return share * min(_LONGEST_WAIT_SECONDS, count / _STARTS_A_SECOND)
