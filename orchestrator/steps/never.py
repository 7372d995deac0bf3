"""Jobs that wait for what never comes: told by the scheduler's reason, and not waited for.

A job whose reason says that it cannot start as it is, is believed to be such a one when a second
look, a while later, says the same. If it asks for what the search began with, so do all others:
the search has to end, and `complaint` says why. If it asks for more, as its trial ran out of memory
or time before, that trial alone is given up. A job that is held is left to whoever holds it, and
what merely waits is never touched.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

from db.sql.store import Store
from db.states import AttemptState, FailureClass, JobState
from orchestrator.errors import ClusterError
from orchestrator.health.reasons import Fate, Reason, explain
from orchestrator.spec.experiment import ExperimentSpec
from orchestrator.steps.cancelling import Canceller
from orchestrator.steps.hopeless import end_hopeless, has_grown
from orchestrator.steps.hosts import Hosts
from orchestrator.steps.ledger import Ledger, OpenAttempt, OpenTrial
from orchestrator.steps.notes import Note
from orchestrator.steps.observe import Poll
from orchestrator.steps.parole import canary_on
from orchestrator.steps.recalls import Recall, Recalls
from orchestrator.steps.steering import NO_HOST_LEFT

# The word of the loop for such an end, as events keep it.
NEVER = "NEVER"
# A reason may be wrong for a moment: while hosts register anew, or while we let go of exclusions. So
# many looks have to say the same, `never_seconds` apart.
SURE_LOOKS = 2
_TOO_LONG = "PartitionTimeLimit"
# Reasons that a job may have as it asks for more memory or time than others do.
_BY_GROWTH = re.compile(r"TimeLimit|Wall|Mem|Minutes|BadConstraints", re.IGNORECASE)
# So many hosts are named in a sentence.
_NAMED = 10

_Case = tuple[OpenAttempt, Reason]


class NeverStartsError(ClusterError):
    """No trial of the search can start as it is."""


@dataclass
class _Doubt:
    """A job that seems never to start.

    Attributes:
        word: The reason that was given each time.
        exclude: The hosts that it avoided each time: with another list it is another request.
        since: When (monotonic) it was first given.
        looks: How many looks at the queue gave it.
    """

    word: str
    exclude: tuple[str, ...]
    since: float
    looks: int = 0


class Never:
    """Watches the reasons of the jobs that wait.

    Attributes:
        complaint: Why no trial can start, in words; None: nothing of the kind is known.
        remedy: What one can do about it, a sentence.
    """

    def __init__(
        self,
        *,
        store: Store,
        spec: ExperimentSpec,
        ledger: Ledger,
        hosts: Hosts,
        canceller: Canceller,
        note: Note,
    ) -> None:
        self._store = store
        self._spec = spec
        self._ledger = ledger
        self._hosts = hosts
        self._note = note
        self._recalls = Recalls(store=store, ledger=ledger, canceller=canceller, note=note)
        self._doubts: dict[int, _Doubt] = {}
        self._hopeless: dict[int, tuple[int, str]] = {}
        self._held: set[str] = set()
        self.complaint: str | None = None
        self.remedy = ""

    def look(self, poll: Poll | None) -> None:
        """Follow what the scheduler said of the jobs that wait.

        Raises:
            DatabaseUnavailable: Nobody was asked for anything, and nothing was given up.
        """
        self._give_up()
        if poll is None or self.complaint is not None:
            return
        found = list(self._waiting(poll))
        self._tell_held(found)
        stuck = [each for each in found if each[1].fate is Fate.NEVER and self._is_meant(*each)]
        sure = self._without_choice(self._doubt(stuck, poll))
        base = self._spec.resources
        usual = [
            (attempt, reason)
            for attempt, reason in sure
            if not (has_grown(attempt, base) and _BY_GROWTH.search(reason.word))
        ]
        if usual:
            self._complain(*usual[0])
        elif sure:
            self._take_back(sure)

    def _waiting(self, poll: Poll) -> Iterator[_Case]:
        """Yield the attempts whose jobs have not begun, and why, as the scheduler just said."""
        for attempt in self._ledger.attempts.values():
            job = poll.statuses.get(attempt.job_id or "")
            is_pending = job is not None and job.state == JobState.PENDING
            is_new = is_pending and attempt.state == AttemptState.SUBMITTED
            is_ending = attempt.is_cancelled or attempt.is_withdrawn
            # A host on parole that cannot take its canary is no reason to end anything.
            if job is not None and is_new and not is_ending and canary_on(attempt) is None:
                yield attempt, explain(job.reason)

    def _is_meant(self, attempt: OpenAttempt, reason: Reason) -> bool:
        """Whether a reason holds for all partitions that a job may go to."""
        partitions = attempt.requested.get("partition") or os.environ.get("SBATCH_PARTITION", "")
        if not reason.is_of_partition or "," not in partitions:
            return True
        asked, most = attempt.requested.get("minutes"), self._hosts.retries.ceiling.minutes
        if reason.word != _TOO_LONG or asked is None or most is None:
            return False
        return bool(asked > most)

    def _doubt(self, stuck: list[_Case], poll: Poll) -> list[_Case]:
        """Return those whose reason has stood for long enough; doubt the others."""
        moment, before, sure = time.monotonic(), self._doubts, []
        patience = self._spec.timing.never_seconds
        # Of what the scheduler says nothing this time, nothing new is known.
        self._doubts = {key: each for key, each in before.items() if self._is_unknown(key, poll)}
        for attempt, reason in stuck:
            doubt, exclude = before.get(attempt.id), tuple(attempt.requested.get("exclude", ()))
            if doubt is None or (doubt.word, doubt.exclude) != (reason.word, exclude):
                doubt = _Doubt(reason.word, exclude, since=moment)
            doubt.looks += 1
            self._doubts[attempt.id] = doubt
            if doubt.looks >= SURE_LOOKS and moment - doubt.since >= patience:
                sure.append((attempt, reason))
        return sure

    def _is_unknown(self, attempt_id: int, poll: Poll) -> bool:
        attempt = self._ledger.attempts.get(attempt_id)
        job = poll.statuses.get(attempt.job_id or "") if attempt is not None else None
        return job is not None and job.state == JobState.UNKNOWN

    def _without_choice(self, sure: list[_Case]) -> list[_Case]:
        """Return those that are not kept from starting by hosts that we avoid on our own account.

        For the others something is let go, and `steering` tells them, which may take its time.
        """
        by_hand = set(self._hosts.kept_out_by_hand())
        found = [
            (attempt, reason)
            for attempt, reason in sure
            if reason.word != NO_HOST_LEFT
            or by_hand.issuperset(attempt.requested.get("exclude", ()))
        ]
        if len(found) < len(sure) and self._hosts.relax():
            self._doubts = {}
        return found

    # Held

    def _tell_held(self, found: list[_Case]) -> None:
        """Say once for each reason that jobs are held back; again when it comes again."""
        held: dict[str, list[OpenAttempt]] = {}
        for attempt, reason in found:
            if reason.fate is Fate.HELD:
                held.setdefault(reason.word, []).append(attempt)
        for word, attempts in held.items():
            if word not in self._held:
                about, job = explain(word), attempts[0].job_id or ""
                fields = {"jobs": len(attempts), "job": job, "why": f"{about.says} ({word})"}
                do = about.remedy.replace("JOB", job)
                self._note("jobs are held, and left alone", level="warning", **fields, do=do)
        self._held = set(held)

    # The whole search

    def _complain(self, attempt: OpenAttempt, reason: Reason) -> None:
        job = f"job {attempt.job_id}"
        self.complaint = (
            f"no trial can start: {reason.says} ({reason.word}, {job}{self._time(attempt, reason)})"
        )
        self.remedy = reason.remedy.replace("JOB", attempt.job_id or "")
        by_hand = self._hosts.kept_out_by_hand() if reason.word == NO_HOST_LEFT else []
        if by_hand:
            listed = " ".join(by_hand[:_NAMED])
            self.remedy = f"Kept out by hand: {listed}. Let some in, or ask for less."

    def _time(self, attempt: OpenAttempt, reason: Reason) -> str:
        asked, most = attempt.requested.get("minutes"), self._hosts.retries.ceiling.minutes
        if reason.word != _TOO_LONG or asked is None:
            return ""
        # What the partition gave when it was last asked may have changed since.
        given = f", and gets {most} min at most" if most is not None and most < asked else ""
        return f"; it asks for {asked} min{given}"

    # Trials that ask for more

    def _take_back(self, sure: list[_Case]) -> None:
        """Take back jobs that ask for more than there is; their trials end when they are gone."""
        why = {attempt.id: f"{reason.says} ({reason.word})" for attempt, reason in sure}
        self._recalls.make(
            Recall(
                attempt,
                host="",
                why=f"it can never start: {why[attempt.id]}",
                is_pending=True,
                text="a job that can never start is taken back",
            )
            for attempt, _ in sure
        )
        self._hopeless |= {
            attempt.id: (
                attempt.trial_id,
                f"its further try with more memory or time can never start: {why[attempt.id]}",
            )
            for attempt, _ in sure
        }

    def _give_up(self) -> None:
        """End the trials whose jobs were taken back, and forget those whose jobs began after all.

        A head that dies before finds out the same once more.
        """
        ledger = self._ledger
        for attempt_id, (trial_id, message) in list(self._hopeless.items()):
            attempt, trial = ledger.attempts.get(attempt_id), ledger.trials.get(trial_id)
            if attempt is not None and attempt.state != AttemptState.STARTED:
                continue  # its job is not gone yet
            if trial is not None and self._was_taken_back(trial):
                end_hopeless(
                    {attempt_id: trial},
                    message,
                    store=self._store,
                    ledger=ledger,
                    note=self._note,
                )
                self._hosts.closed(trial_id)
            del self._hopeless[attempt_id]

    def _was_taken_back(self, trial: OpenTrial) -> bool:
        """Whether a trial waits again as its job never began; else it has tried, and may go on."""
        last = trial.failures[-1].failure if trial.failures else None
        return trial.id in self._ledger.waiting and last == FailureClass.CANCELLED
