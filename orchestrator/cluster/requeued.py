"""Jobs that ran and that Slurm put back into its queue: did their host fail?

The queue only says that such a job waits. The accounting has a row for each run, which is NODE_FAIL
if the host failed, and PREEMPTED or REQUEUED if the job had to make room or a person wanted it
(tried: 22.05.8). Without accounting nobody knows, and no host is blamed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from db.states import JobState
from orchestrator.cluster.accounting import Accounting
from orchestrator.cluster.base import JobStatus, KnownJob
from orchestrator.cluster.parsing import NamedStatus

# The accounting may be behind.
MOST_QUESTIONS = 3
# A job may wait for days, and its host be repaired meanwhile. Longer than clocks can differ.
RECENT = timedelta(minutes=10)

# A job, and when it was put back.
_Return = tuple[str, datetime]


class RequeuedJobs:
    """Remembers which hosts failed under jobs that wait again; asks for all with one call."""

    def __init__(self, accounting: Accounting) -> None:
        self._accounting = accounting
        self._hosts: dict[_Return, str | None] = {}
        self._asked: Counter[_Return] = Counter()

    def name_lost_hosts(
        self,
        found: Mapping[str, JobStatus],
        *,
        queue: Mapping[str, NamedStatus],
        jobs: Mapping[str, KnownJob],
    ) -> dict[str, JobStatus]:
        """Return the statuses of jobs that wait again as the host of their last run has failed.

        Args:
            found: What the queue says of tasks, by id.
            queue: Its rows, by id.
            jobs: What is known of the tasks.
        """
        moment = datetime.now(UTC)
        returns = {
            (key, row.submitted): row
            for key, row in queue.items()
            if key in found
            and found[key].state == JobState.PENDING
            and jobs[key].is_claimed
            and row.submitted is not None
            and abs(moment - row.submitted) <= RECENT
        }
        self._ask({back: row for back, row in returns.items() if self._is_worth_asking(back)})
        lost = {back: self._hosts.get(back) for back in returns}
        return {key: replace(found[key], lost_host=host) for (key, _), host in lost.items() if host}

    def _is_worth_asking(self, back: _Return) -> bool:
        return back not in self._hosts and self._asked[back] < MOST_QUESTIONS

    def _ask(self, returns: Mapping[_Return, NamedStatus]) -> None:
        if not returns:
            return
        self._asked.update(returns.keys())
        told = self._accounting.ask_runs({key for key, _ in returns}).rows
        for back, row in returns.items():
            runs = [
                (run.submitted, run.status)
                for run in told
                if (run.job_id, run.name) == (row.job_id, row.name)
                # Each return submits the job anew.
                and run.submitted is not None
                and run.submitted < back[1]
            ]
            _, last = max(runs, key=lambda run: run[0], default=(None, None))
            if last is not None and last.state != JobState.RUNNING:
                self._hosts[back] = last.host if last.state == JobState.NODE_FAIL else None
