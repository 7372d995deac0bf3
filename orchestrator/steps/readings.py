"""Reads what failed attempts have said, between the transactions of a tick; part of `settle`.

A log may lie on a slow file system, and to search it takes its time, 20 ms for Headway's own table
alone: nobody who wants to write to the database must wait for that. So whoever judges an attempt
asks for its reading, leaves it where it is for now, and finds the reading in the next transaction,
in the same tick.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from orchestrator.health.patterns import Pattern, find_pattern, find_slurms_word
from orchestrator.spec.experiment import ExperimentSpec
from orchestrator.spec.rules import Rule, first_fitting
from orchestrator.steps.docket import Docket
from orchestrator.steps.ledger import OpenAttempt
from orchestrator.steps.log_ends import LogEnds

# The lease is not renewed meanwhile; what is not read by then has its turn in the next tick.
TURN_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Reading:
    """What the output of an attempt says: the end of its log, and what was reported of it.

    Attributes:
        fitting: The first rule that fits, and by what.
        pattern: What explains the failure of a program, with the line that says so.
        word: What Slurm says of a job that left no report, with the line.
    """

    fitting: tuple[Rule, str] | None
    pattern: tuple[Pattern, str] | None
    word: tuple[Pattern, str] | None


# One attempt may have two reports: a job that had not claimed it says so, too.
_Key = tuple[int, str, int | None]


class Readings:
    """The readings of one tick."""

    def __init__(self, docket: Docket) -> None:
        self._docket = docket
        self._has_gpus = _asks_for_gpus(docket.spec)
        self._logs = LogEnds()
        self._is_told = False
        # Regular expressions that took too long, with the names of their rules.
        self._slow: dict[str, str] = {}
        self._wishes: dict[_Key, OpenAttempt] = {}
        self._found: dict[_Key, Reading] = {}

    def begin(self) -> None:
        """Forget those of the last tick: logs grow."""
        self._wishes.clear()
        self._found.clear()

    def find(self, attempt: OpenAttempt, tail: str, exit_code: int | None) -> Reading | None:
        """Return the reading of an attempt; None: it will be there after the next `read`.

        Args:
            attempt: Its log is read.
            tail: What its worker reported of its output.
            exit_code: Of its program, for the rules; None if there is none.
        """
        key = attempt.id, tail, exit_code
        self._wishes[key] = attempt
        return self._found.get(key)

    def awaited(self) -> set[int]:
        """Return the attempts whose readings were asked for and are not there yet."""
        return {attempt for attempt, *_ in self._wishes.keys() - self._found.keys()}

    def read(self) -> bool:
        """Read what was asked for, or at least some of it; whether anything was."""
        end = time.monotonic() + TURN_SECONDS
        for key, attempt in self._wishes.items():
            if self._found and time.monotonic() >= end:
                break
            _, tail, exit_code = key
            self._found[key] = self._read(attempt, tail, exit_code)
        return bool(self._found)

    def of_text(self, text: str, exit_code: int | None) -> Reading:
        """Return what an output says."""
        fitting = self._fitting(text, exit_code)
        pattern = find_pattern(text, has_gpus=self._has_gpus)
        return Reading(fitting, pattern, find_slurms_word(text))

    def _fitting(self, text: str, exit_code: int | None) -> tuple[Rule, str] | None:
        known = len(self._slow)
        fitting = first_fitting(self._docket.spec.rules, text, exit_code, self._slow)
        for expression, rule in list(self._slow.items())[known:]:
            said = "a regular expression of a rule takes too long: left out from now on"
            self._docket.note(said, level="warning", rule=rule, expression=expression)
        return fitting

    def _read(self, attempt: OpenAttempt, tail: str, exit_code: int | None) -> Reading:
        log = self._logs.read(self._docket.log_of(attempt))
        if log is None and not self._is_told:
            said = "logs cannot be read: their file system does not answer"
            self._docket.note(said, level="warning", log=attempt.log_path)
        self._is_told = log is None
        # What Slurm writes comes last, and the last word counts.
        text = log if log and tail in log else f"{log or ''}\n{tail}"
        return self.of_text(text, exit_code)


def _asks_for_gpus(spec: ExperimentSpec) -> bool:
    return spec.resources.gpus > 0 or "gpu" in (spec.resources.gres or "").casefold()
