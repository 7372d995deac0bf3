"""Tells why an attempt gave no result, from what its worker and its scheduler say."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from signal import SIGKILL, Signals
from typing import Any

from db.records import EndPayload
from db.states import FailureClass, JobState
from orchestrator.health.patterns import VERSION, Pattern, plain_lines
from orchestrator.spec.rules import Behavior, Rule

# A kill this close to the memory limit was a kill for memory.
MEMORY_SHARE = 0.9
# What a shell adds to the number of a signal that ended its command.
_BY_SIGNAL = 128
# A shell did not find the command, or could not run it.
_NO_COMMAND = (126, 127)
# How much of a line becomes part of a message.
_QUOTED = 120
_SHOWN = 300
_PROBLEMS = 3
# Workers send 4 KB.
_LONGEST_TAIL = 8192
# A line of a progress bar, or under a table, says nothing.
_WORD = re.compile(r"[^\W\d_]{2}")
# Bash fills up with blanks what it says of a command that was killed; other shells say no more.
_KILLED = re.compile(r"\bKilled(?:\.?[ \t\r]*$| {2})", re.MULTILINE)


class Blame(StrEnum):
    """How much a failure says about its host; stored with its evidence."""

    NONE = "NONE"  # nothing: it happens to any host
    WEAK = "WEAK"  # a quarter of a paired one
    PAIRED = "PAIRED"  # what the same trial does elsewhere decides
    STRONG = "STRONG"  # by itself enough to keep the host out


BLAMES = {
    FailureClass.PROGRAM: Blame.PAIRED,
    FailureClass.NO_RESULT: Blame.PAIRED,
    FailureClass.NO_DATABASE: Blame.PAIRED,
    FailureClass.TIMEOUT: Blame.WEAK,
    FailureClass.OUT_OF_MEMORY: Blame.WEAK,
    FailureClass.LOST: Blame.WEAK,
    FailureClass.NODE: Blame.STRONG,
}
RULE_BLAMES = {
    Behavior.EXCLUDE_NODE: Blame.STRONG,
    Behavior.EXCLUDE_NODE_AND_RESTART_ALL: Blame.STRONG,
    Behavior.RESTART_ON_DIFFERENT_NODE: Blame.PAIRED,
    Behavior.RESTART: Blame.NONE,
}


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why an attempt gave no result.

    Attributes:
        kind: The class (DESIGN section 5).
        message: The same in one sentence for the user.
        name: The rule or the log pattern that gave it its class.
        own_blame: What it says about its host, where that is not what its class says.
        evidence: What the class rests on: short texts and numbers, for the user.
    """

    kind: FailureClass
    message: str
    name: str | None = None
    own_blame: Blame | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)

    @property
    def blame(self) -> Blame:
        """What it says about its host."""
        return self.own_blame or BLAMES.get(self.kind, Blame.NONE)

    @property
    def points_to_host(self) -> bool:
        """Whether it says itself that the host is at fault: suspect at once, if not kept out."""
        return self.kind is FailureClass.NODE or self.evidence.get("points_to_host") is True

    @property
    def stored_evidence(self) -> dict[str, Any]:
        """What is stored of it beside class, name and message."""
        return {"blame": self.blame.value, **self.evidence}

    def with_evidence(self, **more: Any) -> Failure:
        """Return the same with more to rest on."""
        return replace(self, evidence={**self.evidence, **more})


def judge_report(
    end: EndPayload, *, objectives: Sequence[str], memory_bytes: int | None
) -> Failure | None:
    """Return why a reported end is no success, or None if it is one.

    Exit codes are never ignored: a program that prints a result and then exits with another code
    than 0 has failed. An end that the worker was told to make is judged by `judge_job` if it is no
    success, as only the scheduler knows who asked for it.
    """
    if end["cause"] == "NOT_STARTED":
        return _not_started(end)
    if end["cause"] == "TIMEOUT":
        seconds = end["measured"]["wall_seconds"]
        message = f"the program ran into the limit for one trial after {seconds:.0f} s"
        return Failure(
            kind=FailureClass.TIMEOUT, message=message, evidence={"wall_seconds": round(seconds, 1)}
        )
    missing = [name for name in objectives if name not in end["results"]]
    if end["exit_code"] == 0 and end["signal"] is None and not missing:
        return None
    if was_killed(end) and memory_bytes:
        peak = end["measured"]["peak_memory_bytes"]
        if peak >= MEMORY_SHARE * memory_bytes:
            message = f"the program was killed at {peak / 2**30:.2f} GiB, its memory limit"
            return Failure(
                kind=FailureClass.OUT_OF_MEMORY,
                message=message,
                evidence={"peak_memory_bytes": peak, "memory_limit_bytes": memory_bytes},
            )
    if end["exit_code"] == 0 and end["signal"] is None:
        return _without_result(end, missing)
    return _failed(end)


def was_killed(end: EndPayload) -> bool:
    """Whether something in the program was ended by SIGKILL, as far as its end tells.

    A shell that lived on says so, by its exit code or by a word.
    """
    return signal_of(end) == SIGKILL or _KILLED.search(tail_of(end)) is not None


def signal_of(end: EndPayload) -> int | None:
    """Return the signal that ended a program, or its last command as its shell tells."""
    code = end["exit_code"]
    if end["signal"] is not None or code is None:
        return end["signal"]
    return code - _BY_SIGNAL if code - _BY_SIGNAL in set(Signals) else None


def tail_of(end: EndPayload) -> str:
    """Return the last lines of a program's output; empty if its worker did not send any."""
    tail = end.get("tail")
    return tail[-_LONGEST_TAIL:] if isinstance(tail, str) else ""


def _not_started(end: EndPayload) -> Failure:
    """Judge an attempt whose worker could not claim it, or would not, or could not start it."""
    message = end["problems"][0] if end["problems"] else "the worker could not claim its attempt"
    is_unfit = bool(end.get("is_unfit"))
    if "submission_token" in end and not is_unfit:
        return Failure(kind=FailureClass.NO_DATABASE, message=message)
    checks = end.get("checks")
    if is_unfit and checks:
        # Neither a mistake in --preflight nor a file server that is away may empty a partition.
        is_typo = checks.get("preflight_exit_code") in _NO_COMMAND
        is_certain = not (is_typo or "no_answer_seconds" in checks)
        blame = Blame.STRONG if is_certain else Blame.PAIRED
        evidence = {"checks": checks}
        return Failure(kind=FailureClass.NODE, message=message, own_blame=blame, evidence=evidence)
    # It may be the fault of every host: Headway was exchanged, a folder was removed, the disk that
    # all share is full. What happens elsewhere tells.
    return Failure(kind=FailureClass.NODE, message=message, own_blame=Blame.PAIRED)


def _without_result(end: EndPayload, missing: Sequence[str]) -> Failure:
    told = "; ".join(end["problems"]) or f"no line '{missing[0]}: NUMBER' in its output"
    killed = " (a part of it was killed)" if was_killed(end) else ""
    message = f"the program gave no result for {', '.join(missing)}: {told}{killed}"
    evidence = {"exit_code": 0, "missing": list(missing), **_last_words(end)}
    return Failure(kind=FailureClass.NO_RESULT, message=message, evidence=evidence)


def _failed(end: EndPayload) -> Failure:
    number, code = end["signal"], end["exit_code"]
    evidence: dict[str, Any] = {}
    if number is not None:
        evidence["signal"] = signal_name(number)
        message = f"the program was ended by {signal_name(number)}"
    else:
        evidence["exit_code"] = code
        within = signal_of(end)
        message = f"the program ended with exit code {code}"
        message += f", as after {signal_name(within)}" if within else ""
    if end["problems"]:
        evidence["problems"] = end["problems"][:_PROBLEMS]
    last = _last_words(end)
    message += "".join(f": {line[:_QUOTED]}" for line in last.values())
    return Failure(kind=FailureClass.PROGRAM, message=message, evidence={**evidence, **last})


def _last_words(end: EndPayload) -> dict[str, str]:
    """Return the last line of the output that holds a word."""
    for line in reversed(plain_lines(tail_of(end))):
        if _WORD.search(line):
            return {"line": line.strip()[:_SHOWN]}
    return {}


def explained(failure: Failure, pattern: Pattern, line: str = "") -> Failure:
    """Return what a failure is in the light of a pattern that fits it."""
    evidence = {**failure.evidence, "patterns": VERSION}
    if line:
        evidence["line"] = line
    if pattern.is_host:
        evidence["points_to_host"] = True
    return replace(
        failure,
        kind=pattern.failure,
        message=f"{pattern.says} ({_how(failure)})" + (f": {line[:_QUOTED]}" if line else ""),
        name=pattern.name,
        own_blame=Blame.PAIRED if pattern.is_host else None,
        evidence=evidence,
    )


def _how(failure: Failure) -> str:
    """Return how a program or a job ended, in short."""
    evidence = failure.evidence
    if "signal" in evidence:
        return f"ended by {evidence['signal']}"
    if "missing" in evidence:
        return "exit code 0, no result"
    if "exit_code" in evidence:
        return f"exit code {evidence['exit_code']}"
    return f"{evidence['slurm']}, as its log says" if "slurm" in evidence else "as its log says"


def by_rule(failure: Failure, rule: Rule, fitting: str) -> Failure:
    """Return what a failure is for a rule that fits it, by `fitting`."""
    evidence = {**failure.evidence, "behavior": rule.behavior.value, "fits": fitting}
    return replace(
        failure,
        kind=FailureClass.RULE,
        message=f"{failure.message} (the rule {rule.name!r} fits, by {fitting})",
        name=rule.name,
        own_blame=RULE_BLAMES[rule.behavior],
        evidence={**evidence, "was": failure.kind.value},
    )


def signal_name(number: int) -> str:
    """Return SIGKILL for 9, and so on."""
    try:
        return Signals(number).name
    except ValueError:
        return f"signal {number}"


_BY_STATE = {
    JobState.NODE_FAIL: (FailureClass.NODE, "its node failed"),
    JobState.TIMEOUT: (FailureClass.TIMEOUT, "its job ran into Slurm's time limit"),
    JobState.OUT_OF_MEMORY: (FailureClass.OUT_OF_MEMORY, "Slurm killed its job for its memory"),
    JobState.PREEMPTED: (FailureClass.PREEMPTED, "its job had to make room"),
    JobState.CANCELLED: (FailureClass.CANCELLED, "its job was cancelled"),
}
# Ends that say why.
CERTAIN = frozenset(_BY_STATE)


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
    evidence = {"slurm": word} if word else {}
    if state in _BY_STATE:
        kind, message = _BY_STATE[state]
    elif was_warned:
        kind = FailureClass.TIMEOUT
        message = "its job was so near its time limit that Slurm warned it"
    elif was_told and was_interrupted:
        kind, message = FailureClass.CANCELLED, "its worker was interrupted by somebody"
    elif was_told:
        # As when a machine is shut down: a scheduler that was asked for the end would say so.
        kind = FailureClass.LOST
        message = "its worker was told to stop, and nobody is known to have cancelled its job"
    elif state == JobState.FAILED and not was_claimed:
        # A host that cannot start any job, or a Headway that somebody has removed: nobody knows.
        message = f"its job failed before it began{said}"
        return Failure(
            kind=FailureClass.NODE, message=message, own_blame=Blame.PAIRED, evidence=evidence
        )
    elif state == JobState.GONE:
        return Failure(kind=FailureClass.LOST, message="its job is gone and left no report")
    else:
        kind, message = FailureClass.LOST, "its job ended without a report"
    return Failure(kind=kind, message=f"{message}{said}", evidence=evidence)
