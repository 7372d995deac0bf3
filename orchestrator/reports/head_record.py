"""Which jobs of Slurm lead a run, if any does: two small files in its folder, for people.

`head.job` names the first job of the chain, and is written when the run is set up; `head.next` names
the one that is to go on, from the moment that it was submitted until it begins.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from db.spool.layout import write_whole
from db.states import ExperimentStatus
from orchestrator.reports.snapshot import HeadHealth, Snapshot

FIRST = "head.job"
NEXT = "head.next"


@dataclass(frozen=True, kw_only=True)
class HeadJob:
    """The job that a run was set up by, or for: the first one of a chain.

    Attributes:
        job_id: Its id.
        cluster: The cluster that it is a job of; None: the only one.
    """

    job_id: str
    cluster: str | None = None


def write_record(run_dir: Path, job: HeadJob) -> None:
    """Write down which job is the first one of a run's head.

    Raises:
        OSError: The folder cannot be written.
    """
    text = json.dumps({"job_id": job.job_id, "cluster": job.cluster})
    write_whole(str(run_dir / FIRST), text + "\n", durable=True)


def find_record(run_dir: Path) -> HeadJob | None:
    """Return the first job of a run's head; None if it has none."""
    try:
        found = json.loads((run_dir / FIRST).read_text(encoding="utf-8"))
        return HeadJob(job_id=str(found["job_id"]), cluster=found.get("cluster"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def find_next(run_dir: Path) -> str | None:
    """Return the id of the job that was submitted to go on; None if there is none."""
    try:
        word = (run_dir / NEXT).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    return word if word.isdecimal() else None


def coming(snapshot: Snapshot) -> str | None:
    """Say which job of Slurm was submitted to lead a search that nobody leads now.

    None if there is none, or the search has come to its end.
    """
    run_dir = Path(snapshot.experiment.run_dir)
    if snapshot.health is HeadHealth.NEVER:
        record = find_record(run_dir)
        if record is None:
            return None
        return f"Slurm job {record.job_id} is to lead it and has not begun: {_asked(record.job_id)}"
    is_cut_off = snapshot.experiment.status == ExperimentStatus.INTERRUPTED
    job_id = find_next(run_dir) if is_cut_off or snapshot.head_is_missing else None
    return None if job_id is None else f"Slurm job {job_id} goes on with it: {_asked(job_id)}"


def _asked(job_id: str) -> str:
    return f"squeue -j {job_id} tells when"
