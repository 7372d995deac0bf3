"""The text of the sbatch script of a submission, and the executor that submits it.

submitit writes the script and calls sbatch; the job runs our own entry. submitit's launcher cannot
carry this design: it finds its pickle by the job id, so a job whose sbatch "failed" but ran cannot
start, its sbatch has no time limit, and it takes any "job 123" in a banner for the id (DESIGN 9).
"""

from __future__ import annotations

import contextlib
import shlex
from pathlib import Path
from typing import Any

from submitit import SlurmExecutor

from orchestrator.cluster.base import Order
from orchestrator.cluster.parsing import job_id_of

# Slurm sends the warning this many seconds before the time limit; the worker then stops the program
# and reports. Slurm may be up to 60 s off (sbatch(1), --signal).
WARNING_SECONDS = 60
# What Slurm tells a job only where it applies: a trial of a head that is a job itself would read
# the head's (tried: 22.05.8; a job without --mem has both SLURM_MEM_PER_CPU and the other one).
_OF_THE_HEAD = (
    "SLURM_RESTART_COUNT SLURM_ARRAY_JOB_ID SLURM_ARRAY_TASK_ID SLURM_ARRAY_TASK_COUNT "
    "SLURM_MEM_PER_NODE SLURM_MEM_PER_CPU SLURM_MEM_PER_GPU"
)


class NotUnderstoodError(Exception):
    """sbatch ended well, but no job id can be found in its answer."""


class _AcceptedJob:
    """Stands where submitit would build a Job that asks sacct without a time limit."""

    def __init__(self, folder: Path, job_id: str, tasks: list[int]) -> None:
        del tasks
        self.job_id = job_id
        self.paths = self
        self.folder = folder

    def move_temporary_file(self, tmp_path: Path, name: str, *, keep_as_symlink: bool) -> None:
        """Name the script after its job; one file a submission is enough."""
        del name, keep_as_symlink
        # The job exists already: a name is not worth an error.
        with contextlib.suppress(OSError):
            tmp_path.rename(self.folder / f"{self.job_id}.sh")


class TokenExecutor(SlurmExecutor):  # type: ignore[misc]
    """submitit's executor for one submission, named by its token."""

    job_class = _AcceptedJob

    def __init__(self, folder: Path, *, limit_seconds: float) -> None:
        super().__init__(folder)
        self.limit_seconds = limit_seconds

    def submit_entry(self, command: str, parameters: dict[str, Any], *, size: int) -> str:
        """Write the script, call sbatch, and return the job id."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._configure(parameters, size=size)
        return str(self._submit_command(command).job_id)

    def text(self, command: str, parameters: dict[str, Any], *, size: int) -> str:
        """Return the script without submitting it."""
        self._configure(parameters, size=size)
        return str(self._make_submission_file_text(command, "dryrun"))

    def _configure(self, parameters: dict[str, Any], *, size: int) -> None:
        self.update_parameters(**parameters)
        if size > 1:
            # Set behind submitit's back: its own arrays come only with pickled functions.
            self.parameters["map_count"] = size
            self.parameters["array_parallelism"] = size

    def _make_submission_file_text(self, command: str, uid: str) -> str:
        """Leave the time limit to the partition where none was asked for; submitit says 5 min."""
        text = str(super()._make_submission_file_text(command, uid))
        if "time" in self.parameters:
            return text
        lines = text.splitlines(keepends=True)
        return "".join(line for line in lines if not line.startswith("#SBATCH --time="))

    def _make_submission_command(self, submission_file_path: Path) -> list[str]:
        """Call sbatch with a time limit, its errors on standard output.

        submitit would print the errors over the live view, and waits for ever. sbatch hands its
        environment on: what is true of a head in a job is not to be told to its trials.
        """
        limit = f"timeout --kill-after=5 {self.limit_seconds:g}"
        script = f'unset {_OF_THE_HEAD}; exec {limit} sbatch --parsable "$0" 2>&1'
        return ["/bin/sh", "-c", script, str(submission_file_path)]

    @staticmethod
    def _get_job_id_from_submission_command(string: bytes | str) -> str:
        text = string.decode(errors="replace") if isinstance(string, bytes) else string
        job_id = job_id_of(text)
        if job_id is None:
            raise NotUnderstoodError(text)
        return job_id

    @classmethod
    def affinity(cls) -> int:
        """Say that Slurm is here; whether it is was checked before."""
        return 2


def parameters_of(order: Order) -> dict[str, Any]:
    """Return an order's resources as submitit's parameters."""
    wanted = order.resources
    pattern = order.log_pattern.format(index="%a" if order.size > 1 else "0")
    additional: dict[str, Any] = {
        # In a file name Slurm reads %% as one % (sbatch(1), "filename pattern").
        "output": f"{str(order.run_dir).replace('%', '%%')}/{pattern}",
        "signal": f"B:USR2@{WARNING_SECONDS}",
        # The site's default may be either. submitit lets each run of a job append to its log.
        "requeue" if wanted.requeue else "no-requeue": True,
    }
    if order.only_on:
        additional["nodelist"] = order.only_on
    if wanted.reservation:
        additional["reservation"] = wanted.reservation
    parameters: dict[str, Any] = {
        "job_name": order.name,
        "partition": wanted.partition,
        "nodes": wanted.nodes,
        "cpus_per_task": wanted.cpus,
        "mem": None if wanted.memory_mb is None else f"{wanted.memory_mb}M",
        "gpus_per_node": wanted.gpus or None,
        "account": wanted.account,
        "qos": wanted.qos,
        "constraint": wanted.constraint,
        "gres": wanted.gres,
        "exclude": ",".join(wanted.exclude) or None,
        "stderr_to_stdout": True,
        "use_srun": False,
        "additional_parameters": additional,
    }
    if wanted.minutes is not None:
        parameters["time"] = wanted.minutes
    # submitit sends a wckey of its own by default, which strict sites refuse.
    return {key: value for key, value in parameters.items() if value is not None} | {"wckey": None}


def entry_command(python: str, entry: Path, order: Order) -> str:
    """Return the shell command that a job runs: our own entry, isolated, in place of the shell.

    `exec` matters: the warning signal goes to the batch shell, and bash without a trap dies of it.
    `-S` leaves site-packages out, since a worker that reports through the spool needs none of it.
    `-X utf8`: paths and programs are the same bytes whatever the locale of a node is.
    """
    words = [python, "-I", "-S", "-X", "utf8", str(entry), str(order.run_dir), order.token]
    return "exec " + " ".join(shlex.quote(word) for word in words)
