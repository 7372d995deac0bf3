"""What the head tells of itself: asks its parts how they are.

Nothing here is worth an error, and nothing is asked of the scheduler or of the database for it.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from db.sql.store import Store, now
from db.states import JobState
from orchestrator.cluster.base import Cluster
from orchestrator.health.reasons import explain
from orchestrator.reports.vitals import Vitals, Waiting
from orchestrator.steps.goal import Goal
from orchestrator.steps.ledger import Ledger
from orchestrator.steps.observe import Observer
from orchestrator.steps.propose import Proposer
from orchestrator.steps.space import Space
from orchestrator.steps.submit import Submitter

PROCESS = Path("/proc/self/status")
# What a viewer has room for; the rest is one line in `squeue`.
MOST_REASONS = 20
# Whoever wants all of a message finds it in the log.
LONGEST_TEXT = 500
_KB_PER_MB = 1024
_PERCENT = 100
_MS = 1000


@dataclass(kw_only=True)
class Checkup:
    """Asks the parts of one head."""

    store: Store
    goal: Goal
    ledger: Ledger
    cluster: Cluster
    observer: Observer
    proposer: Proposer
    submitter: Submitter
    space: Space

    def __post_init__(self) -> None:
        self._started_at = now()
        self._spent = time.process_time(), time.monotonic()

    def take(self, *, stopping: str | None) -> Vitals:
        """Say how the head is now.

        Args:
            stopping: Why there are no new trials any more; None: there are.
        """
        budget, refusal = self.cluster.budget, self.submitter.refusal
        memory_mb, threads = _process()
        return Vitals(
            told_at=now(),
            started_at=self._started_at,
            slots=self.goal.slots,
            max_eval=self.goal.max_eval,
            stopping=stopping,
            calls={} if budget is None else dict(budget.counted),
            calls_last_hour=None if budget is None else budget.last_hour(),
            calls_left=None if budget is None else budget.left(),
            poll_seconds=self.observer.pause_seconds,
            scheduler_seconds=self.observer.answer_seconds,
            database_ms=_median_ms(self.store),
            waiting=waiting(self.ledger),
            refused=refusal[0][:LONGEST_TEXT] if refusal else None,
            refused_for_seconds=refusal[1] if refusal else None,
            generator=self.proposer.vitals(),
            disk_full=self.space.is_full,
            cpu_percent=self._cpu_percent(),
            memory_mb=memory_mb,
            threads=threads,
        )

    def _cpu_percent(self) -> float | None:
        """Return the share of a core that this process took since it was asked last."""
        before, self._spent = self._spent, (time.process_time(), time.monotonic())
        passed = self._spent[1] - before[1]
        return _PERCENT * (self._spent[0] - before[0]) / passed if passed > 0 else None


def waiting(ledger: Ledger) -> tuple[Waiting, ...]:
    """Return why our jobs wait, as the scheduler said last; those that are to go are left out."""
    jobs: defaultdict[str, list[str]] = defaultdict(list)
    for attempt in ledger.attempts.values():
        is_to_go = attempt.is_cancelled or attempt.is_withdrawn
        job = attempt.job
        if job is not None and attempt.job_id and job.state == JobState.PENDING and not is_to_go:
            jobs[job.reason].append(attempt.job_id)
    often = sorted(jobs, key=lambda word: (-len(jobs[word]), word))
    return tuple(waiting_for(word, jobs[word]) for word in often[:MOST_REASONS])


def waiting_for(word: str, jobs: Sequence[str]) -> Waiting:
    """Return what is told of jobs that wait for the same, by the scheduler's word for it."""
    reason = explain(word)
    return Waiting(
        reason=reason.word,
        count=len(jobs),
        job=jobs[0],
        says=reason.says,
        remedy=reason.remedy.replace("JOB", jobs[0]),
        fate=reason.fate.value,
    )


def _median_ms(store: Store) -> float | None:
    times = sorted(store.write_seconds)
    return _MS * times[len(times) // 2] if times else None


def _process() -> tuple[float | None, int | None]:
    """Return the memory of this process in MB, and its threads; None where Linux does not say."""
    try:
        lines = PROCESS.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None, None
    told = dict(line.split(":", 1) for line in lines if ":" in line)
    try:
        return int(told["VmRSS"].split()[0]) / _KB_PER_MB, int(told["Threads"])
    except (KeyError, ValueError, IndexError):
        return None, None
