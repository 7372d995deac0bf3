"""What `sbatch` and `scontrol update` complain about, and what that means for the jobs."""

from __future__ import annotations

import re
from collections.abc import Collection
from subprocess import CalledProcessError
from typing import TYPE_CHECKING

from orchestrator.cluster.base import Amendment, Answer, AnswerKind, HostTrouble
from orchestrator.cluster.commands import CommandResult
from orchestrator.cluster.parsing import job_id_of, read_tasks

if TYPE_CHECKING:
    from submitit.core.utils import FailedJobError

# timeout(1) ends with this when it had to end sbatch: nobody knows what the controller did. Above
# 128 and below 0 sbatch was killed by a signal; its own complaints end with 1 or 255.
TIMED_OUT_CODE = 124
SIGNAL_CODES = range(129, 193)
# And with these when it could not run the command at all (timeout(1)).
NOT_RUN_CODES = frozenset({126, 127})
# sbatch said no, and will say no tomorrow, as the request or the user's rights must change first.
PERMANENT = re.compile(
    r"invalid (account|partition|qos|feature|license|generic resource|node name|user|wckey|job array)"
    r"|invalid --[\w-]+ specification|requested reservation is invalid"
    r"|partition .* (is not|unavailable)|invalid option|unrecognized option|unknown option"
    r"|not available on any partition|access denied|user's group not permitted"
    r"|node count specification invalid|Requested node configuration is not available"
    r"|more processors requested than permitted"
    r"|(memory specification|cpu count per node) can not be satisfied"
    r"|requested time limit is invalid|does not have access|Unable to open file",
    re.IGNORECASE,
)
# The controller may have taken the job before the answer was lost.
UNCLEAR = re.compile(r"timed out|zero bytes were transmitted|connection reset", re.IGNORECASE)
_UNKNOWN_HOST = re.compile(r"invalid node name", re.IGNORECASE)
# Said when the excluded hosts leave none that fits. Where no host would fit anyway, it says in
# another line what cannot be satisfied (tried: 22.05.8).
_NONE_LEFT = re.compile(r"Requested node configuration is not available", re.IGNORECASE)
# Which limit of the accounting a job would pass: "QOSMaxSubmitJobPerUserLimit" is for their number.
_LIMIT = re.compile(r"\b(?:QOS|Assoc)\w*(?:Limit|Max|Grp)\w*", re.IGNORECASE)
_OF_JOBS = re.compile(r"Submit", re.IGNORECASE)
# In the line after that, which is all where a site hides the first one.
_SOME_LIMIT = re.compile(r"job submit limit", re.IGNORECASE)
_ARRAY_TOO_LARGE = re.compile(r"invalid job array specification", re.IGNORECASE)
_NONE_FITS = re.compile(r"can not be satisfied", re.IGNORECASE)
# scontrol on tasks of an array that it has changed while it complains of others, and on jobs that
# need no change any more (tried: 22.05.8).
_CHANGED = re.compile(r"no error", re.IGNORECASE)
_NO_CHANGE_NEEDED = re.compile(
    r"no longer pending|already finished|invalid job id|already completing", re.IGNORECASE
)
# Words of slurm_strerror(3) for a controller that could not be spoken with; they say nothing of jobs.
_AWAY = re.compile(
    r"unable to contact|connection (refused|failure)|communication|standby mode"
    r"|authentication error|message (receive|send) failure|resource temporarily unavailable",
    re.IGNORECASE,
)
# `2_1-5,7: Job has already finished`, and `Invalid job id specified for job 99`.
_OF_TASKS = re.compile(r"^(?P<tasks>\d+_\d+(-\d+)?(,\d+(-\d+)?)*): ")
_OF_JOB = re.compile(r"for job (?P<job>\d+)\b")


def explain(failed: FailedJobError) -> Answer:
    """Tell a refusal from an unclear end of sbatch."""
    error = failed.__cause__
    if not isinstance(error, CalledProcessError):
        return Answer(kind=AnswerKind.UNCLEAR, message=f"sbatch's answer cannot be read: {error}")
    text = f"{error.output or ''}\n{error.stderr or ''}".strip()
    # A wrapper of the site may fail after sbatch itself has printed the id.
    if _was_cut_off(error.returncode) or UNCLEAR.search(text) or job_id_of(text):
        return Answer(kind=AnswerKind.UNCLEAR, message=text or "sbatch did not answer in time")
    return Answer(
        kind=AnswerKind.REFUSED,
        message=text,
        permanent=PERMANENT.search(text) is not None,
        host_trouble=_host_trouble(text),
        is_full=_is_full(text),
        is_array_too_large=_ARRAY_TOO_LARGE.search(text) is not None,
    )


def _is_full(text: str) -> bool:
    named = [word[0] for word in _LIMIT.finditer(text)]
    if named:
        return any(_OF_JOBS.search(word) for word in named)
    return _SOME_LIMIT.search(text) is not None


def was_turned_away(code: int | None, text: str) -> bool:
    """Whether a command that failed may have been one too many for the site.

    A controller that is away or slow says nothing of that.
    """
    return not (_said_nothing(code) or UNCLEAR.search(text) or _AWAY.search(text))


def _was_cut_off(code: int) -> bool:
    return code < 0 or code == TIMED_OUT_CODE or code in SIGNAL_CODES


def _host_trouble(text: str) -> HostTrouble | None:
    if _UNKNOWN_HOST.search(text):
        return HostTrouble.UNKNOWN
    is_list = _NONE_LEFT.search(text) and not _NONE_FITS.search(text)
    return HostTrouble.NONE_LEFT if is_list else None


def amendment(result: CommandResult, asked: Collection[str]) -> Amendment:
    """Tell what became of tasks that one `scontrol update` was to change.

    It changes what it can, and complains of the rest one by one.
    """
    jobs = frozenset(asked)
    text = f"{result.output}\n{result.errors}".strip()
    if result.is_ok:
        return Amendment()
    if _said_nothing(result.code) or not text or UNCLEAR.search(text) or _AWAY.search(text):
        return Amendment(unclear=jobs, message=text)
    if _UNKNOWN_HOST.search(text):
        return Amendment(unclear=jobs, has_unknown_host=True, message=text)
    complaints, refused, left_alone = [], set[str](), set[str]()
    for line in text.splitlines():
        if _NO_CHANGE_NEEDED.search(line):
            left_alone |= _named(line)
        elif not _CHANGED.search(line):
            refused |= _named(line) or jobs
            complaints.append(line)
    return Amendment(
        left_alone=_of(jobs, left_alone) - _of(jobs, refused),
        refused=_of(jobs, refused),
        message="\n".join(complaints),
    )


def _of(jobs: Collection[str], named: Collection[str]) -> frozenset[str]:
    """Return the jobs that are named, or tasks of which are."""
    arrays = {name.partition("_")[0] for name in named}
    return frozenset(job for job in jobs if job in named or ("_" not in job and job in arrays))


def _said_nothing(code: int | None) -> bool:
    """Whether a command did not end by itself, or was never run."""
    return code is None or code in NOT_RUN_CODES or _was_cut_off(code)


def _named(line: str) -> set[str]:
    """Return the tasks that a complaint is about; empty if it names none."""
    if found := _OF_TASKS.match(line):
        return set(read_tasks(found["tasks"]))
    found = _OF_JOB.search(line)
    return {found["job"]} if found else set()
