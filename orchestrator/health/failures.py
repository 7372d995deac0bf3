"""Tells why an attempt gave no result, from what its worker and its scheduler say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from signal import SIGKILL, Signals

from db.records import EndPayload
from db.states import FailureClass, JobState

# A kill this close to the memory limit was a kill for memory.
MEMORY_SHARE = 0.9


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why an attempt gave no result.

    Attributes:
        kind: The class (DESIGN section 5).
        message: The same in one sentence for the user.
    """

    kind: FailureClass
    message: str


def judge_report(
    end: EndPayload, *, objectives: Sequence[str], memory_bytes: int | None
) -> Failure | None:
    """Return why a reported end is no success, or None if it is one.

    Exit codes are never ignored: a program that prints a result and then exits with another code
    than 0 has failed. An end that the worker was told to make is judged by `judge_job` if it is no
    success, as only the scheduler knows who asked for it.
    """
    if end["cause"] == "NOT_STARTED":
        # A worker that knows only its place in the submission could not claim its attempt, or would
        # not: then, and if it claimed it and could not start its program, its host lacks something.
        is_unclaimed = "submission_token" in end and not end.get("is_unfit")
        kind = FailureClass.NO_DATABASE if is_unclaimed else FailureClass.NODE
        return Failure(kind=kind, message=_first(end["problems"]))
    if end["cause"] == "TIMEOUT":
        seconds = end["measured"]["wall_seconds"]
        message = f"the program ran into the limit for one trial after {seconds:.0f} s"
        return Failure(kind=FailureClass.TIMEOUT, message=message)
    if end["signal"] is not None:
        return _killed(end, memory_bytes)
    if end["exit_code"] != 0:
        message = f"the program ended with exit code {end['exit_code']}"
        return Failure(kind=FailureClass.PROGRAM, message=message)
    missing = [name for name in objectives if name not in end["results"]]
    if missing:
        told = "; ".join(end["problems"]) or f"no line '{missing[0]}: NUMBER' in its output"
        message = f"the program gave no result for {', '.join(missing)}: {told}"
        return Failure(kind=FailureClass.NO_RESULT, message=message)
    return None


def _killed(end: EndPayload, memory_bytes: int | None) -> Failure:
    number = end["signal"]
    assert number is not None
    peak = end["measured"]["peak_memory_bytes"]
    if number == SIGKILL and memory_bytes and peak >= MEMORY_SHARE * memory_bytes:
        message = f"the program was killed at {peak / 2**30:.2f} GiB, its memory limit"
        return Failure(kind=FailureClass.OUT_OF_MEMORY, message=message)
    message = f"the program was ended by {signal_name(number)}"
    return Failure(kind=FailureClass.PROGRAM, message=message)


def signal_name(number: int) -> str:
    """Return SIGKILL for 9, and so on."""
    try:
        return Signals(number).name
    except ValueError:
        return f"signal {number}"


def _first(problems: Sequence[str]) -> str:
    return problems[0] if problems else "the worker could not claim its attempt"


_BY_STATE = {
    JobState.NODE_FAIL: (FailureClass.NODE, "its node failed"),
    JobState.TIMEOUT: (FailureClass.TIMEOUT, "its job ran into Slurm's time limit"),
    JobState.OUT_OF_MEMORY: (FailureClass.OUT_OF_MEMORY, "Slurm killed its job for its memory"),
    JobState.PREEMPTED: (FailureClass.PREEMPTED, "its job had to make room"),
    JobState.CANCELLED: (FailureClass.CANCELLED, "its job was cancelled"),
}


def judge_job(
    state: JobState,
    word: str,
    *,
    was_claimed: bool,
    was_told: bool,
    was_warned: bool = False,
    was_interrupted: bool = False,
) -> Failure:
    """Return why a job that ended gave no result.

    Args:
        state: What the scheduler says; an end, or GONE.
        word: The same in the scheduler's own word.
        was_claimed: Whether a worker had started the attempt.
        was_told: Whether the worker reported that it was told to stop.
        was_warned: Whether that was Slurm's warning, which comes before the time limit and, at some
            sites, before a job has to make room.
        was_interrupted: Whether that was a signal that only persons send.
    """
    said = f" ({word})" if word else ""
    if state in _BY_STATE:
        kind, message = _BY_STATE[state]
        return Failure(kind=kind, message=f"{message}{said}")
    if was_warned:
        message = f"its job was so near its time limit that Slurm warned it{said}"
        return Failure(kind=FailureClass.TIMEOUT, message=message)
    if was_told:
        return _told(said, was_interrupted=was_interrupted)
    if state == JobState.FAILED and not was_claimed:
        return Failure(kind=FailureClass.NODE, message=f"its job failed before it began{said}")
    if state == JobState.GONE:
        return Failure(kind=FailureClass.LOST, message="its job is gone and left no report")
    return Failure(kind=FailureClass.LOST, message=f"its job ended without a report{said}")


def _told(said: str, *, was_interrupted: bool) -> Failure:
    """Judge a worker that was told to stop and whose scheduler does not say why."""
    if was_interrupted:
        message = f"its worker was interrupted by somebody{said}"
        return Failure(kind=FailureClass.CANCELLED, message=message)
    # As when a machine is shut down: a scheduler that was asked for the end would say so.
    message = f"its worker was told to stop, and nobody is known to have cancelled its job{said}"
    return Failure(kind=FailureClass.LOST, message=message)
