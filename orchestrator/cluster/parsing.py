"""Reads what Slurm's commands print. Pure functions; recorded answers are in the tests."""

from __future__ import annotations

import contextlib
import pwd
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from db.states import JobState
from orchestrator.cluster.base import JobStatus
from orchestrator.cluster.states import job_state

# Times come as seconds since 1970 (SLURM_TIME_FORMAT=%s). A name may hold anything: it comes last.
SQUEUE_FORMAT = "%i|%T|%N|%r|%V|%j"
SACCT_FORMAT = "JobID,State,NodeList,ExitCode,Submit,JobName"
SINFO_FORMAT = "%N|%T|%E"
_FIELDS = 6
# How a job looks that its node could not start and that may be requeued: it waits, but for a person
# (tried: 22.05.8 with a failing prolog).
_HELD = re.compile(r"launch failed requeued held", re.IGNORECASE)
_OUT = ("drain", "down", "fail", "error")
_CANCELLER = re.compile(r"^CANCELLED by (\d+)$")
_ID_LINE = re.compile(r"^([0-9]+)(?:;[\w.-]+)?$")


@dataclass(frozen=True, kw_only=True)
class NamedStatus:
    """One task as a command printed it.

    Attributes:
        submitted: When it was submitted, or last requeued; None if that cannot be read.
        living: PENDING or RUNNING if there is something left to cancel; else None.
    """

    job_id: str
    name: str
    status: JobStatus
    submitted: datetime | None = None
    living: JobState | None = None


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
        fields = line.strip().split("|", _FIELDS - 1)
        if len(fields) != _FIELDS:
            continue
        job_id, word, nodes, reason, submitted, name = fields
        state = job_state(word)
        is_held = state == JobState.PENDING and _HELD.search(reason) is not None
        status = JobStatus(
            state=JobState.NODE_FAIL if is_held else state,
            word=reason if is_held else word,
            host=_one_host(nodes),
            reason="" if reason == "None" else reason,
        )
        # What is completing has ended for us: nothing is left to cancel.
        is_living = state in {JobState.PENDING, JobState.RUNNING} and word != "COMPLETING"
        rows.append(
            NamedStatus(
                job_id=job_id,
                name=name,
                status=status,
                submitted=_moment(submitted),
                living=state if is_living else None,
            )
        )
    return rows


def read_sacct(output: str) -> list[NamedStatus]:
    """Read `sacct --allocations --noheader --parsable2 --format=SACCT_FORMAT`."""
    rows = []
    for line in output.splitlines():
        fields = line.strip().split("|", _FIELDS - 1)
        if len(fields) != _FIELDS or "." in fields[0]:
            continue
        job_id, word, nodes, exit_code, submitted, name = fields
        code, _, _ = exit_code.partition(":")
        status = JobStatus(
            state=job_state(word),
            word=_CANCELLER.sub(lambda found: f"CANCELLED by {_user(found[1])}", word),
            host=_one_host(nodes),
            exit_code=int(code) if code.isdecimal() else None,
        )
        rows.append(
            NamedStatus(job_id=job_id, name=name, status=status, submitted=_moment(submitted))
        )
    return rows


def read_sinfo(output: str) -> dict[str, str]:
    """Read `sinfo --noheader --Node --format=SINFO_FORMAT`: why hosts take no jobs, by name."""
    found = {}
    for line in output.splitlines():
        host, _, rest = line.strip().partition("|")
        state, _, reason = rest.partition("|")
        if state.startswith(_OUT):
            told = "" if reason in {"", "none"} else f": {reason}"
            found[host] = f"{state}{told}"
    return found


def _moment(text: str) -> datetime | None:
    """Return a time that Slurm prints as seconds since 1970; None for `Unknown` and the like."""
    # Fewer digits than any year has that a datetime could not hold.
    return datetime.fromtimestamp(int(text), UTC) if re.fullmatch("[0-9]{1,11}", text) else None


def _user(number: str) -> str:
    """Return the name of a user; the number if nobody here has it."""
    with contextlib.suppress(KeyError, OverflowError):
        return pwd.getpwuid(int(number)).pw_name
    return number


def _one_host(nodes: str) -> str | None:
    """Return the first node of a list as Slurm prints it."""
    if not nodes or nodes.startswith(("None", "(null)")):
        return None
    first = re.match(r"([^,\[]+)(?:\[(\d+))?", nodes)
    return None if first is None else first[1] + (first[2] or "")
