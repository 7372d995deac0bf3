"""Submissions that are refused: how long the next one waits, and when nobody tries any more."""

from __future__ import annotations

import time

import tenacity

from orchestrator.cluster.base import Answer
from orchestrator.cluster.patience import Patience
from orchestrator.errors import ClusterError
from orchestrator.steps.docket import Note

# Two seconds at first, then twice as long each time, up to a minute.
PAUSE = tenacity.wait_exponential(multiplier=2, max=60)
END = tenacity.stop_after_delay(1800)


class Refusals:
    """The refusals since the scheduler last took a submission.

    Attributes:
        until: When (monotonic) the next submission may be tried.
    """

    def __init__(self, note: Note) -> None:
        self._note = note
        self._scheduler = Patience(PAUSE, END)
        self._disk = Patience(PAUSE, END)
        self._complaint = ""
        self.until = 0.0

    def take(self, answer: Answer, *, is_alone: bool) -> None:
        """Put the next submission off.

        As long as jobs of ours wait or run, that they are so many may be the reason, and there is
        something to wait for: nothing is given up then.

        Args:
            answer: What was answered.
            is_alone: Whether no job of ours waits or runs.

        Raises:
            ClusterError: The scheduler will never take these jobs, or took none for half an hour.
        """
        why = _last_line(answer.message)
        if answer.permanent:
            raise ClusterError(
                f"the scheduler refuses these jobs: {why}",
                "Change the request and go on with `headway resume`.",
            )
        if answer.no_room:
            # However long it takes. `Space` tells of it too, but looks earlier, with a small file.
            self._put_off(self._disk.lose(), answer, "no room for a submission; trying again")
            return
        seconds = self._scheduler.lose()
        if self._scheduler.is_over() and is_alone:
            raise ClusterError(
                f"the scheduler took no job for half an hour: {why}",
                "Go on with `headway resume` when it does.",
            )
        self._put_off(seconds, answer, "submission refused; trying again")

    def end(self) -> None:
        """Take note that a submission was taken."""
        if self._scheduler.tries:
            text = "the scheduler takes jobs again"
            self._note(text, level="warning", tries=self._scheduler.tries)
        elif self._disk.tries:
            text = "there was room for a submission again"
            self._note(text, level="warning", tries=self._disk.tries)
        self._scheduler.regain()
        self._disk.regain()
        self.until, self._complaint = 0.0, ""

    def _put_off(self, seconds: float, answer: Answer, text: str) -> None:
        """Wait, with one word about it for each reason, not for each try."""
        self.until = time.monotonic() + seconds
        why = _last_line(answer.message)
        level = "debug" if why == self._complaint else "warning"
        self._complaint = why
        self._note(text, level=level, why=answer.message)


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no reason given"
