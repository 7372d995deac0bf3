"""The head as a job of Slurm: its script, which continues itself, and what is known of the job.

The script of a run lies in its folder, `head.sbatch`: a copy of slurm_templates/head.sbatch with all
options of sbatch in it, so that the next job of the chain, or a person, only has to submit it.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import headway
from db.spool.layout import write_whole
from orchestrator.cluster.base import Limits
from orchestrator.cluster.head_jobs import options_of_job
from orchestrator.reports.head_record import FIRST, find_record
from orchestrator.spec.experiment import ExperimentSpec
from slurm_templates import HEAD

SCRIPT = "head.sbatch"
OUTPUT = "head.out"
# With this word the script goes on only if a head is needed.
CONTINUE = "continue"
# Set by the script when it asks for its run folder, to the id of its own job: a trial, or the next
# job of the chain, has inherited it and has another id.
_VARIABLE = "HEAD_JOB_OF_HEADWAY"
# The job needs longer than the search: to start, to let running trials end, and to say so.
_AROUND_MINUTES = 10
_COMMAND_LINE = "headway=()\n"
_FOLDER_LINE = "run_dir=\n"


def this_job(environment: Mapping[str, str]) -> str | None:
    """Return the id of the job that runs the script of a head and has asked for its run folder."""
    job_id = environment.get("SLURM_JOB_ID")
    return job_id if job_id and environment.get(_VARIABLE) == job_id else None


def options_for(spec: ExperimentSpec, run_dir: Path, limits: Limits | None) -> dict[str, str]:
    """Return the options of sbatch for the head of a search; an empty value: one without a value.

    Args:
        spec: What was asked for.
        run_dir: The run folder.
        limits: What the trials' partitions allow; None: not known.
    """
    wanted, site = spec.resources, spec.site
    asked = {
        "job-name": f"headway-{spec.name}",
        # In a file name Slurm reads %% as one % (sbatch(1), "filename pattern").
        "output": f"{str(run_dir).replace('%', '%%')}/{OUTPUT}",
        "partition": wanted.partition,
        "account": wanted.account,
        "qos": wanted.qos,
        "reservation": wanted.reservation,
        "constraint": wanted.constraint,
        "clusters": site.cluster,
        "time": _minutes(spec, limits),
        "mail-user": site.mail_user,
        "mail-type": ",".join(site.mail_type),
    }
    found = {name: text for name, text in asked.items() if text}
    if site.mail_user is None:
        found.pop("mail-type")
    return found | dict(site.head_sbatch)


def _minutes(spec: ExperimentSpec, limits: Limits | None) -> str | None:
    """Return how long the job of the head may run: what is left goes into the next one."""
    if spec.time_limit_seconds is None:
        return None
    wanted = int(-(-spec.time_limit_seconds // 60)) + _AROUND_MINUTES
    most = limits.minutes if limits else None
    return str(wanted if most is None else min(wanted, most))


def write_script(run_dir: Path, spec: ExperimentSpec, options: Mapping[str, str]) -> Path:
    """Write the script of a run's head into its folder, whole or not at all.

    Args:
        run_dir: The run folder, absolute.
        spec: What was asked for.
        options: Options of sbatch; they win over those of the template.

    Raises:
        OSError: The folder cannot be written.
    """
    path = run_dir / SCRIPT
    text = script_text(run_dir, options, omit=spec.site.omit)
    write_whole(str(path), text, durable=True)
    return path


def script_text(run_dir: Path, options: Mapping[str, str], *, omit: Iterable[str]) -> str:
    """Return the text of the script of a run's head."""
    before, after = _template()
    lines = [line for line in before if line.startswith("#SBATCH ")]
    own = dict(_read_line(line) for line in lines)
    wanted = {name: text for name, text in {**own, **options}.items() if name not in set(omit)}
    written = [_line(name, text) for name, text in wanted.items()]
    comments = [line for line in before if not line.startswith("#SBATCH ")]
    command = " ".join(map(shlex.quote, (sys.executable, "-I", str(Path(headway.__file__)))))
    rest = "".join(after)
    for old, new in (
        (_COMMAND_LINE, f"headway=({command})\n"),
        (_FOLDER_LINE, f"run_dir={shlex.quote(str(run_dir))}\n"),
    ):
        if rest.count(old) != 1:
            raise ValueError(f"{HEAD} has no line {old!r}")
        rest = rest.replace(old, new)
    return "".join([*comments, *written, rest])


def _template() -> tuple[list[str], list[str]]:
    """Return the lines of the template up to its last option, and those after it."""
    lines = HEAD.read_text(encoding="utf-8").splitlines(keepends=True)
    last = max(place for place, line in enumerate(lines) if line.startswith("#SBATCH "))
    return lines[: last + 1], lines[last + 1 :]


def _read_line(line: str) -> tuple[str, str]:
    name, _, text = line.strip().removeprefix("#SBATCH --").partition("=")
    return name, text


def _line(name: str, text: str) -> str:
    return f"#SBATCH --{name}" + (f"={shlex.quote(text)}" if text else "") + "\n"


def options_here(job_id: str, *, limit_seconds: float) -> Mapping[str, str]:
    """Return what this job was given, for the next one of its chain.

    What `sbatch --time=… head.sbatch` was told is not in the script.
    """
    return options_of_job(job_id, limit_seconds=limit_seconds)


def find_own_run(run_root: Path, name: str, job_id: str) -> Path | None:
    """Return the run folder that this job has made before Slurm requeued it; None if it has none."""
    if os.environ.get("SLURM_RESTART_COUNT", "0") == "0":
        return None
    folders = [path.parent for path in (run_root / name).glob(f"*/{FIRST}")]
    for folder in sorted(folders, key=lambda path: path.stat().st_mtime, reverse=True):
        record = find_record(folder)
        if record is not None and record.job_id == job_id:
            return folder
    return None
