"""The head as a job of Slurm: submits it, and tells what a job has got."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.cluster.base import AnswerKind
from orchestrator.cluster.commands import CallBudget, Commands
from orchestrator.cluster.complaints import PERMANENT, UNCLEAR
from orchestrator.cluster.parsing import job_id_of
from orchestrator.cluster.surroundings import of_another_job

# What `scontrol show job` calls what sbatch was asked for (tried: 22.05.8).
_SHOWN = {
    "JobName": "job-name",
    "Account": "account",
    "QOS": "qos",
    "Partition": "partition",
    "TimeLimit": "time",
    "Reservation": "reservation",
    "Features": "constraint",
    "CPUs/Task": "cpus-per-task",
    "MinMemoryNode": "mem",
    "MinMemoryCPU": "mem-per-cpu",
    "StdOut": "output",
}
# In the name of a file %% stays %%, as sbatch wants it (tried: 22.05.8).
# What stands there for nothing.
_NOTHING = frozenset({"", "(null)", "N/A", "0", "0M"})
# Those that may hold spaces are the last ones of their lines.
_TO_THE_END = re.compile(r"(^|\s)(JobName|StdOut)=.*$")


@dataclass(frozen=True, kw_only=True)
class HeadAnswer:
    """What sbatch said to the job of a head.

    Attributes:
        kind: Accepted, refused, or unclear.
        job_id: Its id, if it was accepted.
        message: What sbatch said, if not.
        permanent: A refusal that can never turn into an acceptance.
    """

    kind: AnswerKind
    job_id: str | None = None
    message: str = ""
    permanent: bool = False


def submit_script(
    script: Path,
    *words: str,
    cluster: str | None,
    limit_seconds: float,
    is_trial: bool = False,
) -> HeadAnswer:
    """Hand a script to sbatch.

    Args:
        script: The script; all options are in it.
        *words: What it is called with.
        cluster: The cluster that is asked; None: the one that sbatch asks by itself.
        limit_seconds: How long sbatch may take.
        is_trial: Whether to ask only if it would be accepted (`--test-only`).
    """
    where = [] if cluster is None else [f"--clusters={cluster}"]
    how = ["--test-only"] if is_trial else ["--parsable"]
    # The run folder knows the database, and keeps its password.
    environment = {
        name: text
        for name, text in os.environ.items()
        if name != "HEADWAY_DB_URL" and not of_another_job(name)
    }
    limit = ["timeout", "--kill-after=5", f"{limit_seconds:g}"]
    try:
        done = subprocess.run(
            [*limit, "sbatch", *where, *how, str(script), *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except OSError as error:
        return HeadAnswer(kind=AnswerKind.REFUSED, message=f"sbatch: {error.strerror}")
    said = "\n".join(text for text in (done.stdout.strip(), done.stderr.strip()) if text)
    if done.returncode == 0 and (is_trial or job_id_of(done.stdout)):
        return HeadAnswer(kind=AnswerKind.ACCEPTED, job_id=job_id_of(done.stdout), message=said)
    # sbatch ends with 1 or 255 when it refuses; else it was ended, or a wrapper failed after it. An
    # answer that was lost on its way is no refusal either.
    is_lost = job_id_of(done.stdout) is not None or UNCLEAR.search(said) is not None
    is_refusal = done.returncode in {1, 255} and not is_lost
    kind = AnswerKind.REFUSED if is_refusal else AnswerKind.UNCLEAR
    is_permanent = is_refusal and PERMANENT.search(said) is not None
    return HeadAnswer(kind=kind, message=said or "it said nothing", permanent=is_permanent)


def options_of_job(job_id: str, *, limit_seconds: float) -> Mapping[str, str]:
    """Return what a job was given, as options of sbatch; empty if Slurm does not answer.

    Its command line is not known any more in the job; the next one of the same head is to get the
    same.
    """
    commands = Commands(CallBudget())
    told = commands.run("scontrol", "show", "job", job_id, limit_seconds=limit_seconds)
    return read_options(told.output) if told.is_ok else {}


def read_options(shown: str) -> dict[str, str]:
    """Read `scontrol show job`: what was asked for, as options of sbatch."""
    found: dict[str, str] = {}
    for line in shown.splitlines():
        whole = _TO_THE_END.search(line)
        for word in [whole[0].strip()] if whole else line.split():
            key, _, value = word.partition("=")
            if key in _SHOWN and value not in _NOTHING:
                found[_SHOWN[key]] = value
    return found
