"""What the program finds around it: the user's own environment, and Headway's variables."""

from __future__ import annotations

import os
import time

from db.light_json import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from db.records import Assignment, Value, WorkerJob

PREFIX = "HEADWAY_PARAM_"
_OWN = ("HEADWAY_PARAMS_FILE", "HEADWAY_TRIAL", "HEADWAY_ATTEMPT", "HEADWAY_CHECKPOINT_DIR")
_TIME_LEFT = "HEADWAY_TIME_LEFT"
_SNAPSHOT = "HEADWAY_SNAPSHOT"
# Python sets it for itself and its children where there is no locale (PEP 538).
_LOCALE = "LC_CTYPE"


def program_environment(job: WorkerJob, assignment: Assignment) -> dict[str, str]:
    """Return the environment of an attempt's program.

    It is the worker's own, unchanged, plus the variables of the protocol.
    """
    found = own_environment()
    for name, value in assignment["parameters"].items():
        found[PREFIX + name] = repr(value) if isinstance(value, float) else str(value)
    found["HEADWAY_PARAMS_FILE"] = parameters_file(assignment)
    found["HEADWAY_TRIAL"] = str(assignment["trial_index"])
    found["HEADWAY_ATTEMPT"] = str(assignment["number"])
    found["HEADWAY_CHECKPOINT_DIR"] = assignment["checkpoint_dir"]
    if "snapshot" in job:
        found[_SNAPSHOT] = job["snapshot"]
    limit = assignment.get("timeout_seconds", job["worker_timeout_seconds"])
    seconds = time_left(limit, os.environ)
    if seconds is not None:
        found[_TIME_LEFT] = str(seconds)
    return found


def own_environment() -> dict[str, str]:
    """Return the environment that the worker was started in.

    The variables of an outer trial (a program that itself runs Headway) are taken out.
    """
    own = (*_OWN, _TIME_LEFT, _SNAPSHOT)
    found = {
        name: value
        for name, value in os.environ.items()
        if name not in own and not name.startswith(PREFIX)
    }
    if found.get(_LOCALE) == "C.UTF-8" and not _was_given(_LOCALE):
        del found[_LOCALE]
    return found


def _was_given(name: str) -> bool:
    """Tell whether a variable was there when this process was started."""
    try:
        with open("/proc/self/environ", "rb") as file:
            return f"\0{name}=".encode() in b"\0" + file.read()
    except OSError:
        return True  # then it stays as it is


def time_left(limit: float | None, environ: Mapping[str, str]) -> int | None:
    """Return the whole seconds a program may run: the nearer of our limit and the Slurm job's end.

    `SLURM_JOB_END_TIME` (seconds since 1970) comes from newer versions of Slurm than 22.05, where it
    is missing (tried). None: no limit known.
    """
    limits = [] if limit is None else [limit]
    end = environ.get("SLURM_JOB_END_TIME", "")
    if end.isdecimal():
        limits.append(max(0.0, int(end) - time.time()))
    return int(min(limits)) if limits else None


def given_memory_mb(environ: Mapping[str, str]) -> int | None:
    """Return the memory of this node that Slurm gave to the job, in MiB, also if none was asked for.

    None: it does not say. So it is with `--mem=0`, and where memory is not shared out (tried:
    22.05.8).
    """
    whole = _count(environ, "SLURM_MEM_PER_NODE")
    by_cpu = _count(environ, "SLURM_MEM_PER_CPU") * _count(environ, "SLURM_CPUS_ON_NODE")
    by_gpu = _count(environ, "SLURM_MEM_PER_GPU") * _count(environ, "SLURM_GPUS_ON_NODE")
    return whole or by_cpu or by_gpu or None


def _count(environ: Mapping[str, str], name: str) -> int:
    text = environ.get(name, "")
    return int(text) if text.isdecimal() else 0


def parameters_file(assignment: Assignment) -> str:
    """Return the path of the JSON file with the parameters; of this attempt alone."""
    folder = assignment["checkpoint_dir"]
    return os.path.join(folder, f".parameters-{assignment['number']}.json")


def prepare_checkpoint_dir(assignment: Assignment) -> None:
    """Make the checkpoint folder with the parameters in it; raises OSError."""
    parameters: dict[str, Value] = assignment["parameters"]
    text = dumps(parameters).encode()
    for chance in (1, 2):
        os.makedirs(assignment["checkpoint_dir"], mode=0o700, exist_ok=True)
        try:
            with open(parameters_file(assignment), "wb") as file:
                file.write(text)
        except FileNotFoundError:
            # An earlier attempt of the same trial ended just now and tidied the empty folder away.
            if chance == 2:  # noqa: PLR2004
                raise
        else:
            return


def tidy_checkpoint_dir(assignment: Assignment) -> None:
    """Remove the parameters file, and the folder if the program left nothing in it.

    A run of a hundred thousand trials must not leave twice as many files behind.
    """
    try:
        os.unlink(parameters_file(assignment))
        os.rmdir(assignment["checkpoint_dir"])
    except OSError:
        return
