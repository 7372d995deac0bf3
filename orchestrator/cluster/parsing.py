"""Reads what Slurm's commands print. Pure functions; recorded answers are in the tests."""

from __future__ import annotations

import re
from dataclasses import dataclass

from orchestrator.cluster.base import JobStatus
from orchestrator.cluster.states import job_state

SQUEUE_FORMAT = "%i|%T|%N|%r|%j"
SACCT_FORMAT = "JobID,State,NodeList,ExitCode,JobName"
_ID_LINE = re.compile(r"^([0-9]+)(?:;[\w.-]+)?$")


@dataclass(frozen=True, kw_only=True)
class NamedStatus:
    """One task as a command printed it."""

    job_id: str
    name: str
    status: JobStatus


def job_id_of(output: str) -> str | None:
    """Return the job id in what `sbatch --parsable` printed, or None if there is not exactly one.

    A site's banner may stand before or after it and may speak of "job 48 hours": only a line that
    is nothing but the id counts.
    """
    found = {match[1] for line in output.splitlines() if (match := _ID_LINE.match(line.strip()))}
    return found.pop() if len(found) == 1 else None


def read_squeue(output: str) -> list[NamedStatus]:
    """Read `squeue --array --noheader --format=SQUEUE_FORMAT`."""
    rows = []
    for line in output.splitlines():
        fields = line.strip().split("|", 4)
        if len(fields) != 5:  # noqa: PLR2004
            continue
        job_id, word, nodes, reason, name = fields
        status = JobStatus(
            state=job_state(word),
            word=word,
            host=_one_host(nodes),
            reason="" if reason == "None" else reason,
        )
        rows.append(NamedStatus(job_id=job_id, name=name, status=status))
    return rows


def read_sacct(output: str) -> list[NamedStatus]:
    """Read `sacct --allocations --noheader --parsable2 --format=SACCT_FORMAT`."""
    rows = []
    for line in output.splitlines():
        fields = line.strip().split("|", 4)
        if len(fields) != 5 or "." in fields[0]:  # noqa: PLR2004
            continue
        job_id, word, nodes, exit_code, name = fields
        code, _, _ = exit_code.partition(":")
        status = JobStatus(
            state=job_state(word),
            word=word,
            host=_one_host(nodes),
            exit_code=int(code) if code.isdecimal() else None,
        )
        rows.append(NamedStatus(job_id=job_id, name=name, status=status))
    return rows


def _one_host(nodes: str) -> str | None:
    """Return the first node of a list as Slurm prints it."""
    if not nodes or nodes.startswith(("None", "(null)")):
        return None
    first = re.match(r"([^,\[]+)(?:\[(\d+))?", nodes)
    return None if first is None else first[1] + (first[2] or "")
