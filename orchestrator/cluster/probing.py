"""A Slurm whose jobs are probes: what `headway doctor` submits instead of workers."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from orchestrator.cluster.base import Order
from orchestrator.cluster.checkup import Checkup
from orchestrator.cluster.slurm import SlurmCluster
from worker.probe import NO_FOLDER, NO_HEADWAY, NO_PYTHON, NOT_WRITABLE


def log_of(job_id: str) -> str:
    """Return the name of the file that holds what a probe printed."""
    return f"log-{job_id}"


class ProbingCluster(SlurmCluster):
    """Submits as any search would, but for the way of a job's output.

    A node that cannot open the file of its output ends a job before its first line: Slurm takes it
    to nowhere here, and the job itself to the folder as soon as it has seen that.
    """

    @property
    def checkup(self) -> Checkup:
        """What else can be asked of this Slurm."""
        return Checkup(self._commands)

    def _job(self, order: Order) -> tuple[str, dict[str, object]]:
        command, parameters = super()._job(order)
        additional = parameters["additional_parameters"]
        assert isinstance(additional, dict)
        additional["output"] = "/dev/null"
        setup = parameters.get("setup") or []
        assert isinstance(setup, list)
        # Before the site's own lines, so that what they complain of is kept as well.
        parameters["setup"] = [*_see_folder(order.run_dir), *setup]
        python, entry = shlex.quote(sys.executable), shlex.quote(str(self.entry))
        lines = (
            f"test -x {python} || exit {NO_PYTHON}",
            f"test -r {entry} || exit {NO_HEADWAY}",
        )
        return "\n".join((*lines, command)), parameters


def _see_folder(run_dir: Path) -> tuple[str, ...]:
    """Return lines of bash that look for the folder, and take the output of what follows there."""
    folder = shlex.quote(str(run_dir))
    log = f"{folder}/{log_of('$SLURM_JOB_ID')}"
    return (
        f"test -d {folder} || exit {NO_FOLDER}",
        f": > {log} || exit {NOT_WRITABLE}",
        f"exec >> {log} 2>&1",
    )
