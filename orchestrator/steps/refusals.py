"""Submissions that are refused: how long the next one waits, and when nobody tries any more."""

from __future__ import annotations

import time

import tenacity

from orchestrator.cluster.base import Answer, HostTrouble
from orchestrator.cluster.patience import Patience
from orchestrator.errors import ClusterError
from orchestrator.health.reasons import find_denial
from orchestrator.steps.hosts import Hosts
from orchestrator.steps.notes import Note

# Two seconds at first, then twice as long each time, up to a minute.
PAUSE = tenacity.wait_exponential(multiplier=2, max=60)
END = tenacity.stop_after_delay(1800)
# So many hosts are named in a sentence.
_NAMED = 10


class RefusedForGoodError(ClusterError):
    """The scheduler will never take such jobs."""


class Refusals:
    """The refusals since the scheduler last took a submission.

    Attributes:
        until: When (monotonic) the next submission may be tried.
    """

    def __init__(self, note: Note, *, hosts: Hosts) -> None:
        self._note = note
        self._hosts = hosts
        self._scheduler = Patience(PAUSE, END)
        self._disk = Patience(PAUSE, END)
        self._complaint = ""
        self._since: float | None = None
        self.until = 0.0

    @property
    def standing(self) -> tuple[str, float] | None:
        """Why no submission is taken at present, and for how many seconds; None: one would be."""
        if self._since is None:
            return None
        return self._complaint, time.monotonic() - self._since

    def take(self, answer: Answer, *, is_alone: bool) -> None:
        """Put the next submission off.

        As long as jobs of ours wait or run, that they are so many may be the reason, and there is
        something to wait for: nothing is given up then.

        Args:
            answer: What was answered.
            is_alone: Whether no job of ours waits or runs.

        Raises:
            RefusedForGoodError: The scheduler will never take these jobs.
            ClusterError: It took none for half an hour.
        """
        why = _last_line(answer.message)
        if answer.host_trouble == HostTrouble.UNKNOWN:
            # One unknown name makes sbatch refuse everything; the next list is without it.
            self._hosts.ask_soon()
            text = "submission refused: a host that it is to avoid is not known any more"
            self._try_again(answer, text, is_alone=is_alone)
            return
        if answer.host_trouble == HostTrouble.NONE_LEFT and self._hosts.relax():
            text = "submission refused: no host is left; trying again with fewer hosts kept out"
            self._put_off(0.0, answer, text)
            return
        denial = find_denial(answer.message)
        if denial is not None:
            raise RefusedForGoodError(
                f"the scheduler refuses these jobs: {denial.says} ({denial.word})", denial.remedy
            )
        if answer.permanent:
            raise RefusedForGoodError(
                f"the scheduler refuses these jobs: {why}", self._remedy(answer)
            )
        if answer.no_room:
            # However long it takes. `Space` tells of it too, but looks earlier, with a small file.
            self._put_off(self._disk.lose(), answer, "no room for a submission; trying again")
            return
        self._try_again(answer, "submission refused; trying again", is_alone=is_alone)

    def _remedy(self, answer: Answer) -> str:
        by_hand = self._hosts.kept_out_by_hand()
        if answer.host_trouble == HostTrouble.NONE_LEFT and by_hand:
            return (
                f"Kept out by hand (--exclude, headway hosts exclude): {' '.join(by_hand[:_NAMED])}. "
                "Let some in or change the request, and go on with `headway resume`."
            )
        return "Change the request and go on with `headway resume`."

    def _try_again(self, answer: Answer, text: str, *, is_alone: bool) -> None:
        seconds = self._scheduler.lose()
        if self._scheduler.is_over() and is_alone:
            raise ClusterError(
                f"the scheduler took no job for half an hour: {_last_line(answer.message)}",
                "Go on with `headway resume` when it does.",
            )
        self._put_off(seconds, answer, text)

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
        self.until, self._complaint, self._since = 0.0, "", None

    def _put_off(self, seconds: float, answer: Answer, text: str) -> None:
        """Wait, with one word about it for each reason, not for each try."""
        self.until = time.monotonic() + seconds
        self._since = time.monotonic() if self._since is None else self._since
        why = _last_line(answer.message)
        level = "debug" if why == self._complaint else "warning"
        self._complaint = why
        self._note(text, level=level, why=answer.message)


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no reason given"
