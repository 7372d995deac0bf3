"""The text of the sbatch script of a submission, and the executor that submits it.

submitit writes the script and calls sbatch; the job runs our own entry. submitit's launcher cannot
carry this design: it finds its pickle by the job id, so a job whose sbatch "failed" but ran cannot
start, its sbatch has no time limit, and it takes any "job 123" in a banner for the id (DESIGN 9).
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
from pathlib import Path
from typing import Any

from submitit import SlurmExecutor

from orchestrator.cluster.base import Order
from orchestrator.cluster.parsing import job_id_of
from orchestrator.cluster.preparing import setup_lines
from orchestrator.cluster.surroundings import of_another_job
from orchestrator.spec.site import Site

# Slurm sends the warning this many seconds before the time limit; the worker then stops the program
# and reports. Slurm may be up to 60 s off (sbatch(1), --signal).
WARNING_SECONDS = 60
# What Slurm tells a job only where it applies: a trial of a head that is a job itself would read
# the head's (tried: 22.05.8; a job without --mem has both SLURM_MEM_PER_CPU and the other one).
_OF_THE_HEAD = (
    "SLURM_RESTART_COUNT SLURM_ARRAY_JOB_ID SLURM_ARRAY_TASK_ID SLURM_ARRAY_TASK_COUNT "
    "SLURM_MEM_PER_NODE SLURM_MEM_PER_CPU SLURM_MEM_PER_GPU"
)
_OPTION = re.compile(r"#SBATCH --([a-z-]+)")


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

    def __init__(self, folder: Path, *, limit_seconds: float, site: Site) -> None:
        super().__init__(folder)
        self.limit_seconds = limit_seconds
        self.site = site

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
        """Leave out what this site refuses, whoever put it there.

        The time limit is left to the partition where none was asked for: submitit says 5 min.
        """
        text = str(super()._make_submission_file_text(command, uid))
        omitted = {*self.site.omit, *([] if "time" in self.parameters else ["time"])}
        # What looks like an option in a line of the setup is no concern of sbatch.
        options, blank, rest = text.partition("\n\n# setup\n")
        kept = [line for line in options.splitlines(keepends=True) if not _is_of(line, omitted)]
        return "".join(kept).rstrip("\n") + blank + rest if blank else "".join(kept)

    def _make_submission_command(self, submission_file_path: Path) -> list[str]:
        """Call sbatch with a time limit, its errors on standard output.

        submitit would print the errors over the live view, and waits for ever. sbatch hands its
        environment on: what is true of a head in a job is not to be told to its trials.
        """
        limit = f"timeout --kill-after=5 {self.limit_seconds:g}"
        where = f" --clusters={self.site.cluster}" if self.site.cluster else ""
        script = f'unset {_of_the_head()}; exec {limit} sbatch{where} --parsable "$0" 2>&1'
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


def _is_of(line: str, names: set[str]) -> bool:
    """Whether a line of a script is one of these options of sbatch."""
    match = _OPTION.match(line)
    return match is not None and match[1] in names


def _of_the_head() -> str:
    """Return the names of variables that are about the head's own job, and not about trials."""
    known = set(_OF_THE_HEAD.split())
    if "SLURM_JOB_ID" in os.environ:
        known |= {name for name in os.environ if of_another_job(name) and name.isidentifier()}
    return " ".join(sorted(known))


def parameters_of(order: Order, site: Site = Site()) -> dict[str, Any]:  # noqa: B008 - never changed
    """Return an order's resources as submitit's parameters, in the way that a site wants."""
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
    gres = [wanted.gres] if wanted.gres else []
    if wanted.gpus:
        option, text = site.gpu_words(wanted.gpus, wanted.nodes)
        if option == "gres":
            gres.append(text)
        else:
            additional[option] = text
        if option == "gpus-per-task":
            additional["ntasks"] = wanted.nodes  # sbatch refuses it otherwise (tried: 22.05.8)
    parameters: dict[str, Any] = {
        "job_name": order.name,
        "partition": wanted.partition,
        "nodes": wanted.nodes,
        "cpus_per_task": wanted.cpus,
        "mem": None if wanted.memory_mb is None else f"{wanted.memory_mb}M",
        "account": wanted.account,
        "qos": wanted.qos,
        "constraint": wanted.constraint,
        "gres": ",".join(gres) or None,
        "exclude": ",".join(wanted.exclude) or None,
        "stderr_to_stdout": True,
        "use_srun": False,
        "setup": setup_lines(site) or None,
        "additional_parameters": additional,
    }
    additional |= {name: value or True for name, value in site.sbatch.items()}
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
