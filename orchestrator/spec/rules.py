"""Rules of the user's own about failures: what a log must hold, and what is done then.

OmniOpt2's file is read as it is (`errors`, a list of `name`, `match_strings`, `behavior`);
`match_regex`, `exit_codes` and `max_restarts` are ours. The first rule that fits decides.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import Field, field_validator, model_validator

from orchestrator.spec.frozen import Frozen
from orchestrator.spec.searching import TooSlowError, compiled, search

# OmniOpt2 names no limit; a rule without one would restart a hopeless trial for ever.
MAX_RESTARTS = 3
LARGEST_EXIT_CODE = 255
_SHOWN = 80


class Behavior(StrEnum):
    """What is done about a failure that a rule fits."""

    EXCLUDE_NODE = "ExcludeNode"  # keep the host out; the trial is not tried again by this rule
    RESTART = "Restart"  # try again anywhere
    RESTART_ON_DIFFERENT_NODE = "RestartOnDifferentNode"  # try again on another host
    EXCLUDE_NODE_AND_RESTART_ALL = "ExcludeNodeAndRestartAll"  # keep it out, restart all there


class Rule(Frozen):
    """One rule; it is only asked about attempts that gave no result.

    Attributes:
        name: Becomes the class of failure that is shown.
        match_strings: Any of these in the log, upper and lower case alike.
        match_regex: Any of these found in a line of the log (Python's `re`); longer lines than
            500 characters are searched in pieces.
        exit_codes: Any of these as the program's exit code. With texts, both must fit.
        behavior: What is done.
        max_restarts: A trial is restarted so many times by this rule at most.
    """

    name: str = Field(min_length=1, max_length=60)
    match_strings: tuple[str, ...] = ()
    match_regex: tuple[str, ...] = ()
    exit_codes: tuple[int, ...] = ()
    behavior: Behavior
    max_restarts: int = Field(default=MAX_RESTARTS, ge=0)

    @field_validator("match_strings", "match_regex", "exit_codes", mode="before")
    @classmethod
    def _one_is_a_list_too(cls, given: Any) -> Any:
        return (given,) if isinstance(given, str | int) else given

    @field_validator("name")
    @classmethod
    def _is_one_line(cls, given: str) -> str:
        if not given.strip() or not given.isprintable():
            raise ValueError(f"{given!r} is no name: letters and digits in one line")
        return given

    @field_validator("match_strings", "match_regex")
    @classmethod
    def _can_be_stored(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for text in given:
            if "\0" in text or text.encode(errors="ignore").decode() != text:
                raise ValueError(f"{text!r} holds characters that no log holds")
        return given

    @field_validator("match_strings")
    @classmethod
    def _say_something(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        if any(not text.strip() for text in given):
            raise ValueError("an empty text would fit every log")
        return given

    @field_validator("match_regex")
    @classmethod
    def _can_be_compiled(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for text in given:
            if compiled(text).search(""):
                raise ValueError(f"{text!r} would fit every log")
        return given

    @field_validator("exit_codes")
    @classmethod
    def _are_failures(cls, given: tuple[int, ...]) -> tuple[int, ...]:
        if any(not 0 < code <= LARGEST_EXIT_CODE for code in given):
            raise ValueError(f"an exit code is a number from 1 to {LARGEST_EXIT_CODE}")
        return given

    @model_validator(mode="after")
    def _fits_something(self) -> Rule:
        if not (self.match_strings or self.match_regex or self.exit_codes):
            raise ValueError("needs match_strings, match_regex or exit_codes")
        return self

    def fits(
        self, log: str, exit_code: int | None, slow: dict[str, str] | None = None
    ) -> str | None:
        """Return what of it fits, in words, or None.

        Args:
            log: The end of an attempt's log.
            exit_code: Of its program; None: it was killed or never ended.
            slow: Expressions that took too long to search for, with the names of their rules: they
                are left out, and others that do are entered.
        """
        if self.exit_codes and exit_code not in self.exit_codes:
            return None
        if not (self.match_strings or self.match_regex):
            return f"exit code {exit_code}"
        folded = log.casefold()
        for text in self.match_strings:
            if text.casefold() in folded:
                return f"the text {text!r}"
        return self._by_regex(log, {} if slow is None else slow)

    def _by_regex(self, log: str, slow: dict[str, str]) -> str | None:
        for text in self.match_regex:
            if text in slow:
                continue
            try:
                found = search(text, log)
            except TooSlowError:
                slow[text] = self.name
                continue
            if found:
                return f"{found[:_SHOWN]!r}, by {text!r}"
        return None


def first_fitting(
    rules: tuple[Rule, ...], log: str, exit_code: int | None, slow: dict[str, str] | None = None
) -> tuple[Rule, str] | None:
    """Return the first rule that fits, with what of it fits; `slow` as for `Rule.fits`."""
    for rule in rules:
        fitting = rule.fits(log, exit_code, slow)
        if fitting is not None:
            return rule, fitting
    return None
