"""Describes classes of failures and log patterns in Markdown: the end of docs/failures.md.

    python -m orchestrator.health.description docs/failures.md

writes that part anew, from the tables of the code; what stands above the mark stays.
"""

from __future__ import annotations

import sys
from pathlib import Path

from db.description import fill_below
from db.states import FailureClass
from orchestrator.health.classes import CLASSES
from orchestrator.health.failures import BLAMES, Blame
from orchestrator.health.patterns import JOB_TABLE, TABLE, VERSION, Pattern
from orchestrator.health.retries import BUDGETS, NODE_BY_TEXT, NODE_OF_LOCAL
from orchestrator.spec.experiment import ExperimentSpec
from orchestrator.spec.rules import MAX_RESTARTS

MARK = "<!-- From here on written by `make docs`, from the tables in orchestrator/health. -->"
_BLAMES = {
    Blame.NONE: "nothing",
    Blame.WEAK: "a little: a quarter of a paired one",
    Blame.PAIRED: "paired: what the same trial does elsewhere decides",
    Blame.STRONG: "strong: the host is kept out at once",
}
_OF_PROGRAMS = (FailureClass.PROGRAM, FailureClass.NO_RESULT)


def render() -> str:
    """Return the description of all classes and patterns."""
    blocks = ["## The classes", _overview()]
    for kind, about in CLASSES.items():
        blocks += [f"### {kind}", about.known, f"*Headway*: {about.done}"]
        if about.remedy:
            blocks.append(f"*You*: {about.remedy}")
    blocks += [f"## What is looked for in logs (version {VERSION})"]
    blocks += [_pattern(pattern) for pattern in TABLE]
    blocks += ["## What Slurm writes into the logs of jobs that leave no report"]
    blocks += [_pattern(pattern) for pattern in JOB_TABLE]
    return "\n\n".join(blocks) + "\n"


def _overview() -> str:
    rows = [
        "| class | further tries | what it says about the host |",
        "| --- | --- | --- |",
    ]
    for kind in CLASSES:
        blame = "as the rule says" if kind == FailureClass.RULE else _BLAMES[_blame(kind)]
        rows.append(f"| {kind} | {_tries(kind)} | {blame} |")
    return "\n".join(rows)


def _blame(kind: FailureClass) -> Blame:
    return BLAMES.get(kind, Blame.NONE)


def _tries(kind: FailureClass) -> str:
    if kind in _OF_PROGRAMS:
        return f"{ExperimentSpec.model_fields['retries'].default} (`--retries`)"
    if kind == FailureClass.RULE:
        return f"{MAX_RESTARTS} (`max_restarts`), none with `ExcludeNode`"
    budget = BUDGETS[kind]
    if budget is None:
        return "as many as needed"
    if kind == FailureClass.NODE:
        less = f"{NODE_BY_TEXT} if only words in a log say so, {NODE_OF_LOCAL} in a local run"
        return f"{budget} ({less})"
    return f"{budget or 'none'}"


def _pattern(pattern: Pattern) -> str:
    notes = [
        f"{pattern.failure}: {pattern.says}.",
        "The host becomes suspect." if pattern.is_host else "",
        "Only for trials that ask for GPUs." if pattern.needs_gpus else "",
        "Only if nothing else explains the failure." if pattern.is_echo else "",
        pattern.remedy,
    ]
    text = " ".join(note for note in notes if note)
    return f"**`{pattern.name}`** {text}\n\n```\n{pattern.regex}\n```"


def fill(page: str) -> str:
    """Return the page with the part below the mark written anew."""
    return fill_below(MARK, page, render())


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.write_text(fill(target.read_text(encoding="utf-8")), encoding="utf-8")
