"""Heads that do not run in this terminal: in the background (--detach), or as a job (--head slurm).

The search is set up first, with all its checks; then a head goes on with it elsewhere, as `headway
resume RUN_DIR` does. So a mistake is told here and now, and whatever happens to the head later, the
search is there and can be resumed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import headway
from orchestrator.errors import ClusterError, HeadwayError, UsageError

if TYPE_CHECKING:
    from orchestrator.app.runs import Run
    from orchestrator.cli.requests import RunRequest
    from orchestrator.cluster.base import Limits
    from orchestrator.spec.experiment import ExperimentSpec

# What a resume can change of a search.
CHANGEABLE = ("max_eval", "num_parallel_jobs")
# A head takes its lease within two or three seconds; a busy login node takes its time.
_START_SECONDS = 60.0
_LOOK_SECONDS = 0.1
_LAST_LINES = 5


def is_elsewhere(options: argparse.Namespace) -> bool:
    """Whether the options ask for a head that does not run in this terminal."""
    return bool(options.detach) or options.head == "slurm"


def start_elsewhere(request: RunRequest) -> int:
    """Set a search up and let its head begin in the background or as a job; return the exit code.

    Raises:
        UsageError: Slurm would never take the job of the head; nothing was created.
        HeadwayError: The head could not be started; the search is there and can be resumed.
    """
    from orchestrator.app.head_job import find_own_run, this_job
    from orchestrator.app.heads import make_cluster
    from orchestrator.app.runs import set_up
    from orchestrator.app.snapshot import still_named

    job_id = this_job(os.environ) if request.options.head == "slurm" else None
    if job_id is not None:
        before = find_own_run(request.run_root, request.spec.name, job_id)
        if before is not None:
            print(before, flush=True)
            return 0
    cluster = make_cluster(request.spec)
    limits = None
    if request.options.head == "slurm":
        limits = cluster.limits(request.spec.resources.partition)
        if job_id is None:
            _try(request.spec, limits)
    made = set_up(request.spec, db_url=request.db_url, run_root=request.run_root)
    with contextlib.closing(made):
        say = _to_errors if job_id else _to_output
        for notice in request.notices:
            say(f"note: {notice}")
        for path in still_named(made.spec, made.run_dir):
            say(f"note: --snapshot: the program still names the original {path}")
        if job_id is not None:
            return _lead_in_this_job(made, job_id)
        say(f"{made.label} in {made.run_dir}")
        return _submit(made, limits) if request.options.head == "slurm" else _detach(made)


def resume_elsewhere(resumed: Run, options: argparse.Namespace) -> int:
    """Let the head of a search that exists go on in the background or as a job.

    Raises:
        UsageError: It cannot go on as a job, or not with these options.
        HeadwayError: The head could not be started.
    """
    from orchestrator.app.head_job import this_job
    from orchestrator.app.heads import make_cluster
    from orchestrator.cluster.slurm import is_here

    changed = {name: vars(options)[name] for name in CHANGEABLE}
    given = {name: number for name, number in changed.items() if number is not None}
    if options.head != "slurm":
        return _detach(resumed, given)
    if resumed.spec.executor == "local":
        raise UsageError(
            "--head: slurm makes no sense for trials that run without Slurm.", "Leave it out."
        )
    if given:
        raise UsageError(
            f"--{next(iter(given))}: cannot be changed together with --head slurm.",
            "Give it to a head here, or `headway tune` when the head runs.",
        )
    job_id = this_job(os.environ)
    if job_id is not None:
        return _lead_in_this_job(resumed, job_id)
    if not is_here():
        raise UsageError("--head: slurm was given, but there is no Slurm here.", "Leave it out.")
    cluster = make_cluster(resumed.spec, is_new=False)
    return _submit(resumed, cluster.limits(resumed.spec.resources.partition))


def _to_output(text: str) -> None:
    print(text, flush=True)


def _to_errors(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# A job


def _try(spec: ExperimentSpec, limits: Limits | None) -> None:
    """Ask Slurm whether it would ever take the job of the head, before anything is created."""
    import tempfile

    from orchestrator.app.head_job import options_for, write_script
    from orchestrator.cluster.head_jobs import submit_script

    with tempfile.TemporaryDirectory(prefix="headway-") as folder:
        options = options_for(spec, Path(folder), limits)
        script = write_script(Path(folder), spec, options)
        answer = submit_script(
            script,
            cluster=spec.site.cluster,
            limit_seconds=spec.timing.slurm_limit_seconds,
            is_trial=True,
        )
    if answer.permanent:
        raise UsageError(
            f"--head: Slurm refuses the job of the head: {_one_line(answer.message)}.",
            "head_sbatch in a profile gives it options of its own.",
        )


def _submit(made: Run, limits: Limits | None) -> int:
    """Submit the job of a head and say where it is."""
    from orchestrator.app.head_job import CONTINUE, OUTPUT, SCRIPT, options_for, write_script
    from orchestrator.cluster.base import AnswerKind
    from orchestrator.cluster.head_jobs import submit_script
    from orchestrator.reports.head_record import HeadJob, write_record

    with _writing(made):
        script = write_script(made.run_dir, made.spec, options_for(made.spec, made.run_dir, limits))
    where = made.spec.site.cluster
    limit = made.spec.timing.slurm_limit_seconds
    # A search that has ended, or that a person has stopped, before its head began is left alone,
    # unless a person wants it to go on all the same.
    words = [] if made.is_resumed and not made.is_automatic else [CONTINUE]
    answer = submit_script(script, *words, cluster=where, limit_seconds=limit)
    again = f"Later: sbatch {shlex.quote(str(made.run_dir / SCRIPT))}"
    if answer.kind is AnswerKind.REFUSED:
        raise ClusterError(
            f"the job of the head was refused: {_one_line(answer.message)}.",
            f"{made.label} is set up. {again}",
        )
    if answer.job_id is None:
        raise ClusterError(
            f"it is not clear whether the job of the head exists: {_one_line(answer.message)}.",
            f"Look for it with squeue --me. {again}; two of them do no harm.",
        )
    with contextlib.suppress(OSError):  # only told to people
        write_record(made.run_dir, HeadJob(job_id=answer.job_id, cluster=where))
    folder = shlex.quote(str(made.run_dir))
    print(f"head: Slurm job {answer.job_id}; its output: {made.run_dir / OUTPUT}")
    print(
        f"`headway follow {folder}` shows the search; scancel {answer.job_id} ends the head alone"
    )
    return 0


def _lead_in_this_job(made: Run, job_id: str) -> int:
    """Write down how the head in this job goes on in the next one, and print the run folder."""
    from orchestrator.app.head_job import options_for, options_here, write_script
    from orchestrator.reports.head_record import HeadJob, write_record

    own = options_here(job_id, limit_seconds=made.spec.timing.slurm_limit_seconds)
    options = options_for(made.spec, made.run_dir, None)
    if own:
        # What this job has got counts: a person has chosen it, or a plug-in of the site.
        kept = {"clusters", "mail-user", "mail-type", *made.spec.site.head_sbatch}
        options = {name: text for name, text in options.items() if name in kept} | dict(own)
    with _writing(made):
        write_script(made.run_dir, made.spec, options)
        write_record(made.run_dir, HeadJob(job_id=job_id, cluster=made.spec.site.cluster))
    print(made.run_dir, flush=True)
    return 0


@contextlib.contextmanager
def _writing(made: Run) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise HeadwayError(f"{made.run_dir} cannot be written: {error.strerror}") from error


def _one_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " / ".join(lines).rstrip(".")


# The background


def _detach(made: Run, changed: Mapping[str, int] | None = None) -> int:
    """Start a head that outlives this terminal; return when it is at work.

    It leads a session of its own, so that no signal of the terminal reaches it.

    Args:
        made: The run.
        changed: What it is to do otherwise than before, by option.
    """
    from orchestrator.app.head_job import OUTPUT

    output = made.run_dir / OUTPUT
    words = [sys.executable, "-I", str(Path(headway.__file__)), "resume", str(made.run_dir)]
    for name, number in (changed or {}).items():
        words += [f"--{name}", str(number)]
    words += ["--if_needed"] if made.is_automatic else []
    with _writing(made), output.open("ab", buffering=0) as stream:
        before = stream.tell()
        child = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True
        )
    _wait_for(lambda: child.poll() is not None or _leads(made.run_dir, child.pid))
    if child.returncode is not None:
        _print_end(output, before)
        return child.returncode
    folder = shlex.quote(str(made.run_dir))
    print(f"head: process {child.pid} on {os.uname().nodename}; its output: {output}")
    print(f"`headway follow {folder}` shows the search, `headway stop {folder}` ends it")
    return 0


def _wait_for(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + _START_SECONDS
    while not is_so() and time.monotonic() < end:
        time.sleep(_LOOK_SECONDS)


def _leads(run_dir: Path, pid: int) -> bool:
    """Whether a process of this host has the run now."""
    from db.sql import head_lock

    try:
        held = head_lock.find(run_dir)
    except OSError:
        return False
    return held is not None and held.holder.pid == pid and held.epoch > 0


def _print_end(output: Path, before: int) -> None:
    """Print the last lines that a head wrote which has ended already."""
    with contextlib.suppress(OSError), output.open("rb") as stream:
        stream.seek(before)
        lines = stream.read().decode(errors="replace").splitlines()
        print("\n".join(lines[-_LAST_LINES:]))
