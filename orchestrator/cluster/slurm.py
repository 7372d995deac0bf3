"""Slurm: submits through submitit, asks with commands of our own."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from db.states import ENDED_JOBS, JobState
from orchestrator.cluster.accounting import Accounting, Told
from orchestrator.cluster.base import (
    Amendment,
    Answer,
    AnswerKind,
    JobStatus,
    KnownJob,
    Limits,
    LivingJob,
    Order,
    Quota,
    Survey,
    refused_by_files,
)
from orchestrator.cluster.commands import CallBudget, CommandResult, Commands
from orchestrator.cluster.complaints import amendment, explain, was_turned_away
from orchestrator.cluster.faults import HostFaults, is_riddle
from orchestrator.cluster.held import HeldJobs
from orchestrator.cluster.inventory import ask_limits
from orchestrator.cluster.parsing import (
    SQUEUE_FORMAT,
    NamedStatus,
    gathered,
    read_squeue,
)
from orchestrator.cluster.quotas import Quotas
from orchestrator.cluster.requeued import RequeuedJobs
from orchestrator.errors import ClusterError, UsageError, did_you_mean
from orchestrator.spec.experiment import Timing
from orchestrator.spec.site import Site

if TYPE_CHECKING:
    from orchestrator.cluster.templates import TokenExecutor

# More than clocks can differ where Slurm works at all: munge allows five minutes.
CLOCKS_DIFFER = timedelta(hours=1)


class SlurmCluster:
    """The scheduler that `sbatch` on PATH belongs to."""

    name = "slurm"

    def __init__(
        self,
        *,
        entry: Path,
        timing: Timing,
        user: str,
        reservation: str | None = None,
        account: str | None = None,
        qos: str | None = None,
        partition: str | None = None,
        site: Site = Site(),  # noqa: B008 - never changed
    ) -> None:
        self.entry = entry
        self.site = site
        self.reservation = reservation
        self.timing = timing
        self.user = user
        self.budget = CallBudget(per_minute=timing.calls_per_minute, burst=timing.calls_burst)
        self._commands = Commands(self.budget, cluster=site.cluster)
        self._accounting = Accounting(self._commands, limit_seconds=timing.sacct_limit_seconds)
        limit = timing.slurm_limit_seconds
        self._held = HeldJobs(self._commands, self._accounting, limit_seconds=limit)
        self._requeued = RequeuedJobs(self._accounting)
        self._faults = HostFaults(self._commands, limit_seconds=limit)
        self._quotas = Quotas(
            self._commands,
            accounting=Commands(self.budget),
            user=user,
            account=account,
            qos=qos,
            partition=partition,
            limit_seconds=limit,
        )

    def submit(self, order: Order) -> Answer:
        from submitit.core.utils import FailedJobError

        from orchestrator.cluster.templates import NotUnderstoodError

        self.budget.spend("sbatch")
        try:
            (order.run_dir / order.log_pattern).parent.mkdir(parents=True, exist_ok=True)
            job_id = self._executor(order).submit_entry(*self._job(order), size=order.size)
        except NotUnderstoodError as error:
            return Answer(kind=AnswerKind.UNCLEAR, message=str(error) or "sbatch printed nothing")
        except FailedJobError as error:
            return self._count_refusal(explain(error))
        except OSError as error:
            return refused_by_files("sbatch script", error)
        self.budget.was_answered()
        if order.size == 1:
            return Answer(kind=AnswerKind.ACCEPTED, job_ids=(job_id,))
        ids = tuple(f"{job_id}_{index}" for index in range(order.size))
        return Answer(kind=AnswerKind.ACCEPTED, job_ids=ids)

    def _count_refusal(self, answer: Answer) -> Answer:
        is_explained = answer.permanent or answer.host_trouble is not None or answer.is_full
        is_refused = answer.kind == AnswerKind.REFUSED and not is_explained
        if is_refused and was_turned_away(1, answer.message):
            self.budget.was_turned_away()
        return answer

    def pause_seconds(self) -> float:
        return self.budget.pause_seconds()

    def script(self, order: Order) -> str:
        return self._executor(order).text(*self._job(order), size=order.size)

    def _executor(self, order: Order) -> TokenExecutor:
        from orchestrator.cluster.templates import TokenExecutor

        folder = order.run_dir / "submissions"
        limit = self.timing.slurm_limit_seconds
        return TokenExecutor(folder, limit_seconds=limit, site=self.site)

    def _job(self, order: Order) -> tuple[str, dict[str, object]]:
        from orchestrator.cluster.templates import entry_command, parameters_of

        return entry_command(sys.executable, self.entry, order), parameters_of(order, self.site)

    def survey(
        self, jobs: Mapping[str, KnownJob], *, names: Collection[str] = (), family: str = ""
    ) -> Survey:
        queue = self._squeue()
        if queue is None:
            unknown = JobStatus(state=JobState.UNKNOWN)
            return Survey(statuses=dict.fromkeys(jobs, unknown), found=None)
        return Survey(
            statuses=self._statuses(queue, jobs, family),
            found=self._found(queue, names),
            living=tuple(
                LivingJob(
                    job_id=row.job_id, name=row.name, is_pending=row.living == JobState.PENDING
                )
                for row in queue
                if row.living and family and row.name.startswith(family)
            ),
            others=sum(
                1
                for row in queue
                if row.living
                and not (family and row.name.startswith(family))
                and self._quotas.counts(row)
            ),
        )

    def _statuses(
        self, queue: list[NamedStatus], jobs: Mapping[str, KnownJob], family: str
    ) -> dict[str, JobStatus]:
        found = _matching(queue, jobs, family)
        rows = {row.job_id: row for row in queue}
        found |= self._held.name_hosts(found, queue=rows, jobs=jobs)
        found |= self._requeued.name_lost_hosts(found, queue=rows, jobs=jobs)
        missing = {key: job for key, job in jobs.items() if key not in found}
        # The queue does not say who cancelled a job.
        riddles = {key for key, status in found.items() if is_riddle(status, jobs[key])}
        told = self._accounting.ask_jobs({*missing, *riddles})
        # It may be seconds behind: what it calls running left the queue already.
        ended = [row for row in told.rows if row.status.state in ENDED_JOBS]
        for key, status in _matching(ended, jobs, family).items():
            if key in missing or (key in riddles and status.state == JobState.CANCELLED):
                found[key] = status
        found |= _never_split(queue, {key: jobs[key] for key in jobs if key not in found})
        for key in jobs.keys() - found.keys():
            # Where only one of the two commands answered, nobody denies the job.
            is_denied = key in told.answered
            found[key] = JobStatus(state=JobState.GONE if is_denied else JobState.UNKNOWN)
        return found | self._faults.explain(found, jobs)

    def _found(self, queue: list[NamedStatus], names: Collection[str]) -> dict[str, dict[int, str]]:
        found: dict[str, dict[int, str]] = {name: {} for name in names}
        _collect(queue, found)
        missing = [name for name, tasks in found.items() if not tasks]
        told = self._accounting.ask_names(missing) if missing else Told()
        _collect(told.rows, found)
        return {name: tasks for name, tasks in found.items() if tasks or name in told.answered}

    def cancel(self, job_ids: Iterable[str], *, pending_only: bool = False) -> bool:
        ids = sorted(job_ids)
        if not ids:
            return True
        limit = self.timing.slurm_limit_seconds
        options = ["--quiet", *(["--state=PENDING"] if pending_only else [])]
        return self._commands.run("scancel", *options, *ids, limit_seconds=limit).is_ok

    def amend(self, job_ids: Iterable[str], *, exclude: Collection[str]) -> Amendment:
        ids = sorted(job_ids)
        if not ids:
            return Amendment()
        # One call for jobs and arrays alike: it takes a list, and `12_[0-3]` (tried: 22.05.8).
        words = (f"JobId={','.join(gathered(ids))}", f"ExcNodeList={','.join(sorted(exclude))}")
        limit = self.timing.slurm_limit_seconds
        result = self._commands.run("scontrol", "update", *words, limit_seconds=limit)
        return amendment(result, ids)

    def throttle(self, arrays: Iterable[str], *, most: int) -> Amendment:
        ids = sorted(arrays)
        if not ids:
            return Amendment()
        words = (f"JobId={','.join(ids)}", f"ArrayTaskThrottle={most}")
        limit = self.timing.slurm_limit_seconds
        result = self._commands.run("scontrol", "update", *words, limit_seconds=limit)
        return amendment(result, ids)

    def quota(self) -> Quota:
        return self._quotas.ask()

    def limits(self, partition: str | None) -> Limits | None:
        # sbatch reads them, too (sbatch(1), "INPUT ENVIRONMENT VARIABLES").
        partition = partition or os.environ.get("SBATCH_PARTITION")
        reservation = self.reservation or os.environ.get("SBATCH_RESERVATION")
        limit = self.timing.slurm_limit_seconds
        return ask_limits(self._commands, partition, reservation=reservation, limit_seconds=limit)

    def _squeue(self) -> list[NamedStatus] | None:
        """Ask for all own jobs, ended ones too while the controller remembers them (MinJobAge)."""
        result = self._commands.run(
            "squeue",
            "--array",
            "--noheader",
            "--states=all",
            f"--user={self.user}",
            f"--format={SQUEUE_FORMAT}",
            limit_seconds=self.timing.slurm_limit_seconds,
        )
        if not result.is_ok:
            if was_turned_away(result.code, result.errors):
                self.budget.was_turned_away()
            return None
        self.budget.was_answered()
        return read_squeue(result.output)

    def partitions(self) -> list[str]:
        """Return the names of the partitions.

        Raises:
            ClusterError: Slurm does not answer.
        """
        result = self._commands.run("sinfo", "--noheader", "--format=%R", limit_seconds=20)
        if not result.is_ok:
            raise ClusterError(f"Slurm does not answer: {_first_line(result)}.")
        return sorted(set(result.output.split()))


def _collect(rows: Iterable[NamedStatus], found: dict[str, dict[int, str]]) -> None:
    for row in rows:
        _, separator, index = row.job_id.partition("_")
        if row.name in found and (not separator or index.isdecimal()):
            found[row.name][int(index or 0)] = row.job_id


def _matching(
    rows: Iterable[NamedStatus], jobs: Mapping[str, KnownJob], family: str
) -> dict[str, JobStatus]:
    """Return the statuses of `jobs`; another job that had the same id is left out."""
    return {
        row.job_id: row.status
        for row in rows
        if row.job_id in jobs and _is_meant(row, jobs[row.job_id], family)
    }


def _is_meant(row: NamedStatus, job: KnownJob, family: str) -> bool:
    """Whether a row is about this job and not about one that had its id before or has it now."""
    is_named_so = row.name == job.name if job.name else row.name.startswith(family)
    if not is_named_so or row.submitted is None or job.not_before is None:
        return is_named_so
    return row.submitted >= job.not_before - CLOCKS_DIFFER


def _never_split(rows: Iterable[NamedStatus], jobs: Mapping[str, KnownJob]) -> dict[str, JobStatus]:
    """Return the statuses of array tasks that were cancelled before they became jobs of their own.

    When the last of them is cancelled by its own id, squeue prints one row for all, with the id of
    the array, and sacct knows none of them (tried: 22.05.8).
    """
    whole = {row.name: row for row in rows if row.status.state in ENDED_JOBS}
    return {
        key: whole[job.name].status
        for key, job in jobs.items()
        if job.name in whole and whole[job.name].job_id == key.partition("_")[0]
    }


def _first_line(result: CommandResult) -> str:
    lines = (result.errors or result.output).strip().splitlines()
    return lines[0] if lines else f"exit code {result.code}"


def is_here() -> bool:
    """Whether Slurm's commands are on PATH and know where their controller is."""
    if shutil.which("sbatch") is None:
        return False
    configured = os.environ.get("SLURM_CONF")
    places = [configured] if configured else ["/etc/slurm/slurm.conf", "/etc/slurm-llnl/slurm.conf"]
    return any(Path(place).is_file() for place in places) or _answers()


def _answers() -> bool:
    """Whether a controller is found without a configuration file here (configless Slurm)."""
    result = Commands(CallBudget()).run("scontrol", "ping", limit_seconds=10)
    return result.is_ok


def check_partition(wanted: str | None, known: list[str]) -> None:
    """Refuse a partition that does not exist.

    Raises:
        UsageError: Slurm does not have it.
    """
    for name in (wanted or "").split(","):
        if name and name not in known:
            hint = did_you_mean(name, known)
            listed = ", ".join(known)
            raise UsageError(f"--partition: there is no partition {name!r} here ({listed}).", hint)


def check_exclude(wanted: Collection[str], limits: Limits | None) -> None:
    """Refuse to avoid hosts that do not exist, or all that there are.

    Raises:
        UsageError: Slurm does not have one of them, or nothing would be left.
    """
    if limits is None or not limits.known:
        return  # nobody knows; sbatch will say
    for name in wanted:
        if name not in limits.known:
            hint = did_you_mean(name, limits.known)
            raise UsageError(f"--exclude: Slurm has no node {name!r} (see sinfo -N).", hint)
    if limits.hosts and limits.hosts.keys() <= set(wanted):
        listed = ", ".join(sorted(limits.hosts))
        raise UsageError(f"--exclude: no node of the partition would be left ({listed}).")
