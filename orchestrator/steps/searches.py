"""Unclear submissions: is there a job, and which one?

It is looked for by the token in its name, in the queue and in the accounting, and by what workers
claim. Nothing is submitted again before the old token is good for nothing any more.
"""

from __future__ import annotations

import time

from db.states import AttemptState, SubmissionState
from orchestrator.spec.experiment import ExperimentSpec
from orchestrator.steps.answers import Answers
from orchestrator.steps.ledger import Ledger, OpenSubmission
from orchestrator.steps.observe import Poll

# An unclear submission whose job nobody can find is given up after this many searches and seconds:
# an sbatch that was cut off may still be on its way through a slow controller.
SEARCHES = 2
SEARCH_SECONDS = 60.0
LOCAL_SEARCH_SECONDS = 2.0
# The same where the queue denies the job and the accounting does not answer. Giving up is safe even
# then, since the job could claim nothing; it would only be in vain if the job still came.
DOUBTFUL_SECONDS = 300.0


class Searches:
    """Follows the submissions whose fate is not known."""

    def __init__(self, *, ledger: Ledger, spec: ExperimentSpec, answers: Answers) -> None:
        self._ledger = ledger
        self._answers = answers
        self._is_local = spec.executor == "local"
        self._patience = LOCAL_SEARCH_SECONDS if self._is_local else SEARCH_SECONDS

    def adopt(self) -> None:
        """Doubt every submission that an earlier head left behind without an answer."""
        for submission in list(self._ledger.submissions.values()):
            is_left = submission.state == SubmissionState.PREPARED
            if is_left and not submission.is_in_flight:
                message = "the head ended before sbatch had answered"
                self._answers.doubt(submission, message)
            submission.since = submission.since or time.monotonic()

    def search(self, poll: Poll | None) -> None:
        """Look for the jobs of unclear submissions in what workers and the scheduler said."""
        for submission in list(self._ledger.submissions.values()):
            if submission.is_in_flight or submission.state != SubmissionState.UNCLEAR:
                continue
            claimed = self._claimed(submission)
            if not submission.attempt_ids:
                self._answers.close(submission)
            elif claimed:
                self._answers.accept(submission, claimed, how="claimed an attempt of it")
            elif poll is not None and poll.found is not None:
                self._compare(submission, poll.found)

    def _claimed(self, submission: OpenSubmission) -> dict[int, str]:
        """Return the tasks whose workers have told their job ids, by array index."""
        mine = (self._ledger.attempts.get(key) for key in submission.attempt_ids)
        claimed = {
            attempt.array_index: attempt.job_id
            for attempt in mine
            if attempt is not None and attempt.state == AttemptState.STARTED and attempt.job_id
        }
        # Processes of this machine are no array: one of them tells nothing of the others.
        is_enough = not self._is_local or len(claimed) == len(submission.attempt_ids)
        return claimed if is_enough else {}

    def _compare(self, submission: OpenSubmission, found: dict[str, dict[int, str]]) -> None:
        tasks = found.get(submission.job_name)
        if tasks:
            self._answers.accept(submission, tasks, how="was found by its name")
            return
        submission.denials += 1
        waited = time.monotonic() - submission.since
        patience = self._patience if tasks is not None else DOUBTFUL_SECONDS
        if submission.denials >= SEARCHES and waited >= patience and self._may_withdraw(submission):
            self._answers.withdraw(submission, "no job of this name was found")

    def _may_withdraw(self, submission: OpenSubmission) -> bool:
        """Whether there is something that no worker is known to have claimed.

        What could not be taken back from the spool is tried again each time: a folder that did not
        answer looks like an assignment that was taken.
        """
        mine = (self._ledger.attempts.get(key) for key in submission.attempt_ids)
        return any(a is not None and a.state == AttemptState.PLANNED for a in mine)
