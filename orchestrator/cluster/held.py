"""Jobs that a host could not start and that wait for a person now: which host was it?

A job with `--requeue` whose prolog fails is put back into the queue and held. By then squeue and
scontrol have forgotten where it was; the accounting has a row for each run, and the host itself was
taken out in the same moment (tried: 22.05.8).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from db.states import JobState
from orchestrator.cluster.accounting import Accounting
from orchestrator.cluster.base import JobStatus, KnownJob
from orchestrator.cluster.commands import Commands
from orchestrator.cluster.faults import ask_faults
from orchestrator.cluster.parsing import HostFault, NamedStatus

# An administrator may hold a job, too; only one that Slurm has started before was held by Slurm.
HELD_BY_ADMIN = "JobHeldAdmin"
# The accounting may be behind, but an administrator may hold a job for days.
MOST_QUESTIONS = 3
# Slurm drains the host and requeues the job in one go.
SAME_MOMENT = timedelta(seconds=5)


class HeldJobs:
    """Remembers where held jobs could not begin; asks for as many as there are with one call."""

    def __init__(self, commands: Commands, accounting: Accounting, *, limit_seconds: float) -> None:
        self._commands = commands
        self._accounting = accounting
        self._limit_seconds = limit_seconds
        self._hosts: dict[str, str] = {}
        self._asked: Counter[str] = Counter()

    def name_hosts(
        self,
        found: Mapping[str, JobStatus],
        *,
        queue: Mapping[str, NamedStatus],
        jobs: Mapping[str, KnownJob],
    ) -> dict[str, JobStatus]:
        """Return the statuses of held jobs, with their hosts as far as anybody knows.

        Args:
            found: What the queue says of tasks, by id.
            queue: Its rows, by id.
            jobs: What is known of the tasks.
        """
        held = {
            key: status
            for key, status in found.items()
            if status.is_held or (status.reason == HELD_BY_ADMIN and not jobs[key].is_claimed)
        }
        # For a moment squeue shows the host.
        self._hosts |= {key: status.host for key, status in held.items() if status.host}
        self._ask({key: queue[key] for key in held if self._is_worth_asking(key)})
        return {
            key: _as_held(status, self._hosts.get(key))
            for key, status in held.items()
            if status.is_held or key in self._hosts
        }

    def _is_worth_asking(self, job_id: str) -> bool:
        return job_id not in self._hosts and self._asked[job_id] < MOST_QUESTIONS

    def _ask(self, rows: Mapping[str, NamedStatus]) -> None:
        if not rows:
            return
        self._asked.update(rows.keys())
        for run in self._accounting.ask_runs(rows.keys()).rows:
            row = rows.get(run.job_id)
            if row is not None and run.name == row.name and run.status.host:
                self._hosts[run.job_id] = run.status.host
        unknown = {
            key: row
            for key, row in rows.items()
            if key not in self._hosts and row.status.is_held and row.submitted is not None
        }
        if unknown:
            faults = ask_faults(self._commands, limit_seconds=self._limit_seconds)
            for key, row in unknown.items():
                if (host := _only_one(faults, row.submitted)) is not None:
                    self._hosts[key] = host


def _only_one(faults: Mapping[str, HostFault], moment: datetime | None) -> str | None:
    """Return the host that was taken out at a moment; None if there are several or no such one."""
    hosts = [
        host
        for host, fault in faults.items()
        if fault.since and moment and abs(fault.since - moment) <= SAME_MOMENT
    ]
    return hosts[0] if len(hosts) == 1 else None


def _as_held(status: JobStatus, host: str | None) -> JobStatus:
    return replace(
        status,
        state=JobState.NODE_FAIL,
        word=status.reason or status.word,
        host=host,
        is_held=True,
    )
