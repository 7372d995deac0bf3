"""Hosts that Slurm took out in front of jobs whose workers had not begun.

So it looks when a prolog fails in front of a job that may not be requeued: the node is drained, and
the job is CANCELLED by Slurm's own user. A task of an array is not even that: the kill that its node
asks for fails, and it stays RUNNING for about a minute before it becomes NODE_FAIL (tried: 22.05.8).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from db.states import JobState
from orchestrator.cluster.base import JobStatus, KnownJob
from orchestrator.cluster.commands import Commands
from orchestrator.cluster.parsing import SINFO_FORMAT, HostFault, read_sinfo

# A worker is heard a moment after its job has begun, but some prologs take minutes: its host is
# looked at with the third look, the sixth, the twelfth and so on.
PATIENT_LOOKS = 3
_PROLOG = re.compile(r"\bprolog\b", re.IGNORECASE)


def ask_faults(
    commands: Commands, *, limit_seconds: float, hosts: Iterable[str] = ()
) -> dict[str, HostFault]:
    """Return why hosts take no jobs, by name; `hosts`: only these. Empty if nobody answers."""
    named = ",".join(sorted(set(hosts)))
    chosen = [f"--nodes={named}"] if named else []
    words = ("sinfo", "--noheader", "--Node", *chosen, f"--format={SINFO_FORMAT}")
    result = commands.run(*words, limit_seconds=limit_seconds)
    return read_sinfo(result.output) if result.is_ok else {}


def is_riddle(status: JobStatus, job: KnownJob) -> bool:
    """Whether a job was cancelled and nobody here knows by whom."""
    return status.state == JobState.CANCELLED and not job.is_unwanted


class HostFaults:
    """Finds the faults of hosts that explain why workers did not begin; one call a look at most."""

    def __init__(self, commands: Commands, *, limit_seconds: float) -> None:
        self._commands = commands
        self._limit_seconds = limit_seconds
        self._looks: Counter[str] = Counter()
        self._lost: dict[str, JobStatus] = {}

    def explain(
        self, found: Mapping[str, JobStatus], jobs: Mapping[str, KnownJob]
    ) -> dict[str, JobStatus]:
        """Return the statuses that say more when one looks at their hosts."""
        overdue = self._overdue(found, jobs)
        cancelled = {
            key: status
            for key, status in found.items()
            if status.host and is_riddle(status, jobs[key]) and not jobs[key].is_claimed
        }
        hosts = {status.host for status in (*overdue.values(), *cancelled.values()) if status.host}
        if not hosts:
            return dict(self._lost)
        faults = ask_faults(self._commands, limit_seconds=self._limit_seconds, hosts=hosts)
        for key, status in overdue.items():
            fault = faults.get(status.host or "")
            if fault is not None and _PROLOG.search(fault.why):
                self._lost[key] = _never_began(status, fault)
        explained = {
            key: replace(status, host_fault=faults[status.host].why)
            for key, status in cancelled.items()
            if status.host in faults
        }
        return explained | self._lost

    def _overdue(
        self, found: Mapping[str, JobStatus], jobs: Mapping[str, KnownJob]
    ) -> dict[str, JobStatus]:
        """Return jobs that are called running, and whose workers should have been heard by now."""
        silent = {
            key: status
            for key, status in found.items()
            if status.state == JobState.RUNNING
            and status.host
            and not (jobs[key].is_claimed or jobs[key].is_unwanted)
        }
        self._looks = Counter({key: self._looks[key] + 1 for key in silent})
        self._lost = {key: status for key, status in self._lost.items() if key in silent}
        return {
            key: status
            for key, status in silent.items()
            if key not in self._lost and _is_due(self._looks[key])
        }


def _is_due(looks: int) -> bool:
    times, rest = divmod(looks, PATIENT_LOOKS)
    return rest == 0 and times.bit_count() == 1


def _never_began(status: JobStatus, fault: HostFault) -> JobStatus:
    word = f"launch failed ({fault.why})"
    return replace(status, state=JobState.NODE_FAIL, word=word, host_fault=fault.why, is_held=True)
