"""What the scheduler says of one job, asked now: for `headway why`."""

from __future__ import annotations

import getpass
from typing import Any

from db.states import JobState
from orchestrator.cli.slurm_reasons import explain
from orchestrator.cluster.base import JobStatus, KnownJob
from orchestrator.spec.experiment import Timing

# Only this job is asked for, by a person who waits for the answer.
_LIMIT_SECONDS = 10.0
_SAYS = {
    JobState.RUNNING: "it runs, and its worker has not told yet that it began",
    JobState.GONE: "it does not know the job (any more)",
    JobState.UNKNOWN: "it is not here, or it does not answer; ask on a login node of the cluster",
}


def ask(job_id: str, *, name: str, owner: str | None) -> dict[str, Any]:
    """Return what Slurm says of a job; its state is UNKNOWN where Slurm does not answer.

    Args:
        job_id: As `squeue -r` prints it.
        name: Name of the experiment; a job of another name had the same id before.
        owner: user@host of the head.
    """
    from orchestrator.app.heads import ENTRY
    from orchestrator.cluster.slurm import SlurmCluster, is_here

    if not is_here():
        return _told(job_id, JobStatus(state=JobState.UNKNOWN))
    user = (owner or "").partition("@")[0] or getpass.getuser()
    timing = Timing(slurm_limit_seconds=_LIMIT_SECONDS, sacct_limit_seconds=_LIMIT_SECONDS)
    cluster = SlurmCluster(entry=ENTRY, timing=timing, user=user)
    survey = cluster.survey({job_id: KnownJob(name="")}, family=f"hw-{name}-")
    return _told(job_id, survey.statuses[job_id])


def _told(job_id: str, status: JobStatus) -> dict[str, Any]:
    is_pending = status.state == JobState.PENDING
    # Its word says more than our state where a job is held or has ended.
    word = "" if status.word == status.state else status.word
    reason = status.reason or ("None" if is_pending else word)
    found = explain(reason) if is_pending or status.is_held else None
    return {
        "state": status.state.value,
        "reason": reason or None,
        "says": found.says if found else _SAYS.get(status.state),
        "remedy": found.remedy.replace("JOB", job_id) if found and found.remedy else None,
        "host": status.host,
    }
