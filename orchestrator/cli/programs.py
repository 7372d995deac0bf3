"""The program of the trials, as the options of `headway run` give it."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.errors import UsageError, did_you_mean
from orchestrator.spec.encoding import decode_text
from worker.placeholders import render, unknown_names

OPTION = "--run_program"
# What a parameter's value would never be by chance; shows where a text uses the parameter.
_MARK = "headway0marks0this"


def read_program(given: Sequence[Sequence[str]]) -> str:
    """Return the text of the program; several words make one text.

    Raises:
        UsageError: It is missing, there twice, or empty.
    """
    if not given:
        raise UsageError(f"{OPTION}: missing; give the command of one trial, with %(x) for each x")
    if len(given) > 1:
        raise UsageError(f"{OPTION}: given {len(given)} times; give one text")
    text = decode_text(" ".join(given[0])).strip()
    if not text:
        raise UsageError(f"{OPTION}: it is empty; give the command of one trial")
    if "\0" in text:
        raise UsageError(f"{OPTION}: it holds a NUL character, which no program can take")
    return text


def check_program(text: str, names: Sequence[str]) -> list[str]:
    """Compare the placeholders in a program with the parameters.

    Returns:
        One line for each parameter that the program does not use.

    Raises:
        UsageError: The program uses a `%(name)` that is no parameter.
    """
    for unknown in unknown_names(text, names):
        hint = did_you_mean(unknown, names)
        raise UsageError(
            f"{OPTION}: %({unknown}) is no parameter; the parameters are {', '.join(names)}.", hint
        )
    unused = [
        name
        for name in names
        if _MARK not in render(text, {name: _MARK}) and f"HEADWAY_PARAM_{name}" not in text
    ]
    return [
        f"--parameter {name}: the program's text does not use it (%({name})); it can still read "
        f"HEADWAY_PARAM_{name}"
        for name in unused
        if "HEADWAY_PARAMS_FILE" not in text
    ]
