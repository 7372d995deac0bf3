"""What the scheduler says of jobs that wait, asked now: for `headway why`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from db.person import user_name
from db.states import JobState
from orchestrator.cluster.base import JobStatus, KnownJob
from orchestrator.health.reasons import explain
from orchestrator.reports.vitals import Waiting
from orchestrator.spec.experiment import Timing
from orchestrator.spec.site import Site
from orchestrator.steps.vitals import waiting_for

if TYPE_CHECKING:
    from orchestrator.cluster.slurm import SlurmCluster

# A person waits for the answer.
LIMIT_SECONDS = 10.0
_SAYS = {
    JobState.RUNNING: "it runs, and its worker has not told yet that it began",
    JobState.GONE: "it does not know the job (any more)",
    JobState.UNKNOWN: "it is not here, or it does not answer; ask on a login node of the cluster",
}


def ask(job_id: str, *, spec: Mapping[str, Any], name: str, owner: str | None) -> dict[str, Any]:
    """Return what Slurm says of a job; its state is UNKNOWN where Slurm does not answer.

    Args:
        job_id: As `squeue -r` prints it.
        spec: That of the experiment, as it is stored.
        name: Name of the experiment; a job of another name had the same id before.
        owner: user@host of the head.
    """
    return _told(job_id, _statuses([job_id], spec=spec, name=name, owner=owner)[job_id])


def ask_all(
    jobs: Sequence[str], *, spec: Mapping[str, Any], name: str, owner: str | None
) -> tuple[Waiting, ...] | None:
    """Return why jobs wait, by reason, the most frequent first; one call of Slurm for all.

    None: it is not here, or does not answer.

    Args:
        jobs: As `squeue -r` prints their ids; those that do not wait are left out.
        spec: That of the experiment, as it is stored.
        name: Name of the experiment.
        owner: user@host of the head.
    """
    by_reason: dict[str, list[str]] = {}
    statuses = _statuses(jobs, spec=spec, name=name, owner=owner)
    if statuses and all(status.state == JobState.UNKNOWN for status in statuses.values()):
        return None
    for job_id, status in statuses.items():
        if status.state == JobState.PENDING:
            by_reason.setdefault(status.reason, []).append(job_id)
    often = sorted(by_reason, key=lambda word: (-len(by_reason[word]), word))
    return tuple(waiting_for(word, by_reason[word]) for word in often)


def _statuses(
    jobs: Sequence[str], *, spec: Mapping[str, Any], name: str, owner: str | None
) -> dict[str, JobStatus]:
    from orchestrator.cluster.slurm import is_here

    if not jobs or not is_here():
        return dict.fromkeys(jobs, JobStatus(state=JobState.UNKNOWN))
    cluster = _cluster(spec, user=(owner or "").partition("@")[0] or user_name())
    asked = dict.fromkeys(jobs, KnownJob(name=""))
    return cluster.survey(asked, family=f"hw-{name}-").statuses


def _cluster(spec: Mapping[str, Any], *, user: str) -> SlurmCluster:
    from orchestrator.app.heads import ENTRY
    from orchestrator.cluster.slurm import SlurmCluster

    timing = Timing(slurm_limit_seconds=LIMIT_SECONDS, sacct_limit_seconds=LIMIT_SECONDS)
    return SlurmCluster(entry=ENTRY, timing=timing, user=user, site=site_of(spec))


def site_of(spec: Mapping[str, Any]) -> Site:
    """Return what the cluster of a stored spec wants of every job."""
    return Site.model_validate(spec.get("site") or {})


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
        "fate": found.fate.value if found else None,
        "host": status.host,
    }
