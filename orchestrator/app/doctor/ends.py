"""Probes that told nothing: refused, waiting, or ended before their first word."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from db.states import JobState
from orchestrator.app.doctor.findings import Finding, failed, warning
from orchestrator.cluster.base import Answer, AnswerKind, JobStatus
from orchestrator.health.reasons import explain
from worker.probe import NO_FOLDER, NO_HEADWAY, NO_PYTHON, NOT_WRITABLE

_SHARED = "Keep runs on a file system that all nodes share (--run_dir); is it mounted there?"
# What sbatch complains of, and what helps; the first that fits counts.
_REFUSALS = (
    (r"partition", "Take another --partition; `sinfo` lists them."),
    (
        r"account",
        "Take another --account; `sacctmgr show associations user=$USER` lists yours.",
    ),
    (r"qos.*submit|submit.*limit", "As many of your jobs are queued as may be: try again later."),
    (r"qos", "Take another --qos; `sacctmgr show associations user=$USER` lists yours."),
    (r"feature", "Take another --constraint; `sinfo --format=%f` lists what nodes have."),
    (r"generic resource|gres", "Ask for other GPUs; `sinfo --format=%G` lists what nodes have."),
    (r"time limit", "The partition gives less than five minutes: take another one."),
    (r"node configuration|can not be satisfied", "No node there has what the profile asks for."),
)
_OTHERWISE = "A profile can hold what this site asks of every job: see docs/profiles.md."


def refused(answer: Answer, host: str | None) -> Finding:
    """Say why sbatch did not take a probe."""
    message = " ".join(answer.message.split())
    if answer.kind is AnswerKind.UNCLEAR:
        says = f"sbatch gave no clear answer: {message}"
        remedy = "A head would look for the job by its name; tell the support if it stays so."
        return failed("submission", says, remedy, host=host)
    fitting = (remedy for words, remedy in _REFUSALS if re.search(words, message, re.IGNORECASE))
    says = f"sbatch refuses the probe: {message}"
    return failed("submission", says, next(fitting, _OTHERWISE), host=host)


def waiting(
    status: JobStatus, host: str | None, *, seconds: float, is_certain: bool = False
) -> Finding:
    """Say why a probe has not begun.

    Args:
        status: What Slurm says of it.
        host: Where it was sent.
        seconds: For how long it was waited for.
        is_certain: Whether it is believed that it can never begin.
    """
    where = f" on {host}" if host else ""
    if status.state is JobState.UNKNOWN:
        says = f"nobody knows whether the probe{where} has begun, as squeue does not answer"
        return failed("probe", says, "Slurm's controller is overloaded, or away: try again.")
    reason = explain(status.reason)
    says = f"Slurm says {reason.word or 'nothing'}: {reason.says}"
    if is_certain:
        return failed(
            "probe", f"the probe{where} can never begin. {says}", reason.remedy, host=host
        )
    says = f"the probe{where} did not begin within {seconds:g} s, and was taken back. {says}"
    later = "The nodes were not looked at: a longer --wait does that."
    return warning("probe", says, f"{reason.remedy} {later}".strip(), host=host)


def silent(place: str, seconds: float, host: str | None) -> Finding:
    """Say that a probe runs and tells nothing."""
    return failed(
        "probe",
        f"the probe began on {place}, and nothing was heard of it for {seconds:g} s",
        "That node hangs, or its file system does, or what it writes does not appear here.",
        host=host,
    )


def ended(status: JobStatus, code: int | None, place: str, folder: Path, log: str) -> Finding:
    """Say why a probe ended without a word.

    Args:
        status: What Slurm says of it.
        code: Its exit code; None: not known.
        place: Where it was, for people.
        folder: The folder of all runs.
        log: What it printed last; empty if that is nothing.
    """
    match code:
        case _ if status.state is JobState.COMPLETED:
            check, remedy = "shared folder", _SHARED
            says = f"{place} has written into {folder}, and nothing appears here"
        case None if status.state is JobState.FAILED:
            check, remedy = "probe", "Try again."
            says = f"the probe ended on {place} before its first word, and Slurm forgot why"
        case 0 | None:
            check, says, remedy = "probe", *_not_started(status, place)
        case _ if code == NO_FOLDER:
            check, says, remedy = "shared folder", f"{place} does not see {folder}", _SHARED
        case _ if code == NOT_WRITABLE:
            check, says = "shared folder", f"{place} cannot write into {folder}"
            remedy = "It may be mounted read-only there, or your user differs: tell the support."
        case _ if code in {NO_PYTHON, NO_HEADWAY}:
            what = sys.executable if code == NO_PYTHON else "Headway's folder"
            check, says = "python", f"{what} is not there on {place}"
            remedy = "Install Headway on a file system that all nodes share, your home say."
        case _:
            said = f": {log}" if log else ", without a word"
            check, says = "probe", f"the probe ended on {place} with code {code}{said}"
            remedy = "If the profile or --setup has lines of its own, try them on that node."
    return failed(check, says, remedy, host=status.host)


def _not_started(status: JobStatus, place: str) -> tuple[str, str]:
    """Return what became of a job that Slurm or a person ended, and what can be done."""
    if status.state is JobState.CANCELLED:
        return f"somebody has cancelled the probe ({status.word})", "Try again."
    word = status.host_fault or status.reason or status.word or status.state.value
    remedy = "`sinfo -R` shows nodes with a fault; --exclude keeps a search from one."
    return f"Slurm could not run the probe on {place}: {word}", remedy
