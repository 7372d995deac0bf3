"""Slurm: submits through submitit, asks with commands of our own."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from subprocess import CalledProcessError
from typing import TYPE_CHECKING

from db.states import ENDED_JOBS, JobState
from orchestrator.cluster.base import Answer, AnswerKind, JobStatus, Order
from orchestrator.cluster.commands import CallBudget, CommandResult, Commands
from orchestrator.cluster.parsing import (
    SACCT_FORMAT,
    SQUEUE_FORMAT,
    NamedStatus,
    job_id_of,
    read_sacct,
    read_squeue,
)
from orchestrator.errors import ClusterError, UsageError, did_you_mean
from orchestrator.spec.experiment import Timing

if TYPE_CHECKING:
    from submitit.core.utils import FailedJobError

    from orchestrator.cluster.templates import TokenExecutor

# timeout(1) ends with this when it had to end sbatch: nobody knows what the controller did. Above
# 128 and below 0 sbatch was killed by a signal; its own complaints end with 1 or 255.
TIMED_OUT_CODE = 124
SIGNAL_CODES = range(129, 193)
# sbatch said no, and will say no tomorrow, as the request or the user's rights must change first.
PERMANENT = re.compile(
    r"invalid (account|partition|qos|feature|generic resource|node name|user|wckey|job array)"
    r"|invalid --[\w-]+ specification|requested reservation is invalid"
    r"|partition .* (is not|unavailable)|invalid option|unrecognized option|unknown option"
    r"|not available on any partition|access denied|user's group not permitted"
    r"|node count specification invalid|Requested node configuration is not available"
    r"|more processors requested than permitted"
    r"|(memory specification|cpu count per node) can not be satisfied"
    r"|requested time limit is invalid|does not have access|Unable to open file",
    re.IGNORECASE,
)
NO_ACCOUNTING = re.compile(r"accounting storage is disabled", re.IGNORECASE)
# The controller may have taken the job before the answer was lost.
UNCLEAR = re.compile(r"timed out|zero bytes were transmitted|connection reset", re.IGNORECASE)


class SlurmCluster:
    """The scheduler that `sbatch` on PATH belongs to."""

    name = "slurm"

    def __init__(self, *, entry: Path, timing: Timing, user: str) -> None:
        self.entry = entry
        self.timing = timing
        self.user = user
        self.budget = CallBudget(per_minute=timing.calls_per_minute, burst=timing.calls_burst)
        self._commands = Commands(self.budget)
        self._has_accounting = True

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
            return _explain(error)
        except OSError as error:
            return Answer(kind=AnswerKind.REFUSED, message=f"sbatch script: {error}")
        if order.size == 1:
            return Answer(kind=AnswerKind.ACCEPTED, job_ids=(job_id,))
        ids = tuple(f"{job_id}_{index}" for index in range(order.size))
        return Answer(kind=AnswerKind.ACCEPTED, job_ids=ids)

    def pause_seconds(self) -> float:
        return self.budget.pause_seconds()

    def script(self, order: Order) -> str:
        return self._executor(order).text(*self._job(order), size=order.size)

    def _executor(self, order: Order) -> TokenExecutor:
        from orchestrator.cluster.templates import TokenExecutor

        folder = order.run_dir / "submissions"
        return TokenExecutor(folder, limit_seconds=self.timing.slurm_limit_seconds)

    def _job(self, order: Order) -> tuple[str, dict[str, object]]:
        from orchestrator.cluster.templates import entry_command, parameters_of

        return entry_command(sys.executable, self.entry, order), parameters_of(order)

    def statuses(self, jobs: Mapping[str, str]) -> dict[str, JobStatus]:
        queue = self._squeue()
        if queue is None:
            return dict.fromkeys(jobs, JobStatus(state=JobState.UNKNOWN))
        found = _matching(queue, jobs)
        missing = {key: name for key, name in jobs.items() if key not in found}
        ended = self._sacct(missing) if missing else []
        # Where only one of the two commands answered, nobody denies the rest.
        rest = JobStatus(state=JobState.UNKNOWN if ended is None else JobState.GONE)
        found |= _matching(ended or [], missing)
        found |= _never_split(queue, {key: jobs[key] for key in jobs if key not in found})
        return {key: found.get(key, rest) for key in jobs}

    def find(self, names: Iterable[str]) -> dict[str, dict[int, str]] | None:
        queue = self._squeue()
        if queue is None:
            return None
        found: dict[str, dict[int, str]] = {name: {} for name in names}
        _collect(queue, found)
        missing = [name for name, tasks in found.items() if not tasks]
        if missing:
            words = (f"--name={','.join(missing)}", "--starttime=now-7days")
            rows = self._ask_sacct(*words)
            if rows is None:
                return {name: tasks for name, tasks in found.items() if tasks}
            _collect(rows, found)
        return found

    def cancel(self, job_ids: Iterable[str], *, pending_only: bool = False) -> None:
        ids = sorted(job_ids)
        if ids:
            limit = self.timing.slurm_limit_seconds
            options = ["--quiet", *(["--state=PENDING"] if pending_only else [])]
            self._commands.run("scancel", *options, *ids, limit_seconds=limit)

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
        return read_squeue(result.output) if result.is_ok else None

    def _sacct(self, jobs: Mapping[str, str]) -> list[NamedStatus] | None:
        rows = self._ask_sacct(f"--jobs={','.join(jobs)}")
        if rows is None:
            return None
        # The accounting may be seconds behind: what it calls running left the queue already.
        return [row for row in rows if row.status.state in ENDED_JOBS]

    def _ask_sacct(self, *words: str) -> list[NamedStatus] | None:
        """Ask the accounting; a site without one knows no more than its queue, and says so."""
        if not self._has_accounting:
            return []
        result = self._commands.run(
            "sacct",
            "--allocations",
            "--noheader",
            "--parsable2",
            f"--format={SACCT_FORMAT}",
            *words,
            limit_seconds=self.timing.sacct_limit_seconds,
        )
        if result.is_ok:
            return read_sacct(result.output)
        if NO_ACCOUNTING.search(result.errors) or shutil.which("sacct") is None:
            self._has_accounting = False
            return []
        return None

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


def _matching(rows: Iterable[NamedStatus], jobs: Mapping[str, str]) -> dict[str, JobStatus]:
    """Return the statuses of `jobs`; an older job with the same id has another name."""
    return {row.job_id: row.status for row in rows if jobs.get(row.job_id) == row.name}


def _never_split(rows: Iterable[NamedStatus], jobs: Mapping[str, str]) -> dict[str, JobStatus]:
    """Return the statuses of array tasks that were cancelled before they became jobs of their own.

    When the last of them is cancelled by its own id, squeue prints one row for all, with the id of
    the array, and sacct knows none of them (tried: 22.05.8).
    """
    whole = {row.name: row for row in rows if row.status.state in ENDED_JOBS}
    return {
        key: whole[name].status
        for key, name in jobs.items()
        if name in whole and whole[name].job_id == key.partition("_")[0]
    }


def _explain(failed: FailedJobError) -> Answer:
    """Tell a refusal from an unclear end of sbatch."""
    error = failed.__cause__
    if not isinstance(error, CalledProcessError):
        return Answer(kind=AnswerKind.UNCLEAR, message=f"sbatch's answer cannot be read: {error}")
    text = f"{error.output or ''}\n{error.stderr or ''}".strip()
    # A wrapper of the site may fail after sbatch itself has printed the id.
    if _was_cut_off(error.returncode) or UNCLEAR.search(text) or job_id_of(text):
        return Answer(kind=AnswerKind.UNCLEAR, message=text or "sbatch did not answer in time")
    permanent = PERMANENT.search(text) is not None
    return Answer(kind=AnswerKind.REFUSED, message=text, permanent=permanent)


def _was_cut_off(code: int) -> bool:
    return code < 0 or code == TIMED_OUT_CODE or code in SIGNAL_CODES


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
