"""Workers that give no sign of life: their jobs are cancelled, and their trials try again.

A heartbeat that stopped proves nothing by itself. The head may have been away from the database, or
have slept with its whole machine: then nobody's heartbeat arrived. The scheduler may have halted
the job, or requeued it. So a worker counts as dead only if the head has been in touch with the
database for a good while without a break, and the scheduler says that the job runs all the same.
A shared file system that hangs, and with it every worker that writes to its log, is such a break:
the head reads its run folder in each tick and hangs as well.
Even then its trial tries again only after the job is gone (DESIGN section 10): until it is, a sign
of life lets the worker stay. All ages are told by the clock of the database alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial

from db.sql import attempts, events
from db.sql.attempts import Quiet
from db.sql.store import Transaction
from db.states import AttemptState, EventKind, FailureClass, JobState
from orchestrator.cluster.states import is_halted
from orchestrator.health.failures import Failure
from orchestrator.steps.docket import Docket
from orchestrator.steps.ledger import OpenAttempt, OpenTrial
from orchestrator.steps.observe import LINES_SECONDS
from orchestrator.steps.recalls import recalled

# A heartbeat is looked for eight times until it counts as dead, but never more often than this
# and, as a look costs next to nothing, not less often than that.
LOOKS = 8
SHORTEST_LOOK_SECONDS = 1.0
LONGEST_LOOK_SECONDS = 15.0


class Silence:
    """Finds workers whose heartbeat is dead although their jobs run.

    Args of the constructor:
        docket: The decisions of this tick.
        spare: Takes jobs that are not to be cancelled any more.
    """

    def __init__(self, docket: Docket, *, spare: Callable[[list[str]], None]) -> None:
        timing = docket.spec.timing
        self._docket = docket
        self._spare = spare
        # Through the spool, a heartbeat is seen a little later than it is given.
        seen_late = timing.heartbeat_seconds + 2 * LINES_SECONDS
        self._limit = timedelta(seconds=max(timing.dead_seconds, seen_late))
        pause = self._limit.total_seconds() / LOOKS
        self._pause = min(max(SHORTEST_LOOK_SECONDS, pause), LONGEST_LOOK_SECONDS)
        self._next_look = 0.0
        self._in_touch_since: datetime | None = None
        self._last_touch: datetime | None = None
        self._halted: dict[int, datetime] = {}
        self._cancelled: set[int] = set()

    def lose_touch(self) -> None:
        """Take note that the database was away: whatever was not heard meanwhile proves nothing."""
        self._in_touch_since = None

    def listen(self) -> bool:
        """Look whether there is something to `decide`, when it is time for a look."""
        if time.monotonic() < self._next_look:
            return False
        self._next_look = time.monotonic() + self._pause
        with self._docket.store.read() as connection:
            moment, quiet = self._ask(connection)
        self._keep_touch(moment)
        return bool(self._dead(moment, quiet) or self._heard(quiet))

    def decide(self, connection: Transaction) -> None:
        """Cancel the jobs of dead workers; let those stay that were heard again."""
        moment, quiet = self._ask(connection)
        for attempt in self._dead(moment, quiet):
            self._cancel(connection, attempt, quiet[attempt.id])
        heard = self._heard(quiet)
        # Whose end was settled in this very tick has fallen silent for good.
        running = attempts.running(connection, [attempt.id for attempt in heard])
        for attempt in heard:
            trial = self._docket.ledger.trials.get(attempt.trial_id)
            if trial is not None and attempt.id in running:
                self._docket.log(connection, EventKind.HEARD, trial, attempt.id, {})
                self._docket.then(partial(self._let_stay, attempt, trial))

    def _ask(self, connection: Transaction) -> tuple[datetime, dict[int, Quiet]]:
        seconds = self._limit.total_seconds()
        return attempts.quiet(connection, self._docket.store.experiment_id, seconds=seconds)

    def _keep_touch(self, moment: datetime) -> None:
        """See whether the contact was unbroken since the last look, and whom nobody could hear."""
        last, self._last_touch = self._last_touch, moment
        longest = max(self._limit / 4, timedelta(seconds=3 * self._pause))
        # A clock that was put back is a break as well.
        is_unbroken = last is not None and last <= moment <= last + longest
        if self._in_touch_since is None or not is_unbroken:
            self._in_touch_since = moment
        running = self._docket.ledger.attempts
        self._halted = {key: at for key, at in self._halted.items() if key in running}
        self._cancelled &= running.keys()
        for attempt in running.values():
            if attempt.job and (
                attempt.job.state == JobState.PENDING or is_halted(attempt.job.word)
            ):
                self._halted[attempt.id] = moment

    def _dead(self, moment: datetime, quiet: Mapping[int, Quiet]) -> list[OpenAttempt]:
        """Return those whose jobs are to be cancelled now."""
        if self._in_touch_since is None or moment - self._in_touch_since < self._limit / 2:
            return []
        keys = [key for key, found in quiet.items() if not found.has_ended]
        found = (self._docket.ledger.attempts.get(key) for key in keys)
        return [attempt for attempt in found if attempt and self._is_dead(moment, attempt)]

    def _is_dead(self, moment: datetime, attempt: OpenAttempt) -> bool:
        halted = self._halted.get(attempt.id)
        return (
            not (attempt.id in self._cancelled or attempt.is_cancelled)
            and attempt.trial_id in self._docket.ledger.trials
            and attempt.job is not None
            and attempt.job.state == JobState.RUNNING
            and (halted is None or moment - halted >= self._limit / 2)
        )

    def _heard(self, quiet: Mapping[int, Quiet]) -> list[OpenAttempt]:
        """Return those that have given a sign of life since their jobs were to be cancelled."""
        return [
            attempt
            for attempt in self._docket.ledger.attempts.values()
            if attempt.id in self._cancelled
            and attempt.id not in quiet
            and attempt.state == AttemptState.STARTED
            and attempt.job is not None
            and attempt.job.state == JobState.RUNNING
        ]

    def _cancel(self, connection: Transaction, attempt: OpenAttempt, quiet: Quiet) -> None:
        trial = self._docket.ledger.trials[attempt.trial_id]
        fields = {"seconds": round(quiet.seconds), "job": attempt.job_id, "host": quiet.host}
        self._docket.log(connection, EventKind.SILENT, trial, attempt.id, fields)

        def follow() -> None:
            self._cancelled.add(attempt.id)
            if attempt.job_id:
                self._docket.cancel([attempt.job_id])
            text = "no sign of life from a worker: its job is cancelled"
            self._docket.note(text, level="warning", trial=trial.index, **fields)

        self._docket.then(follow)

    def _let_stay(self, attempt: OpenAttempt, trial: OpenTrial) -> None:
        self._cancelled.discard(attempt.id)
        if attempt.job_id:
            self._spare([attempt.job_id])
        self._docket.note("a silent worker gave a sign of life: it stays", trial=trial.index)

    def own_doing(self, connection: Transaction, attempt: OpenAttempt, failure: Failure) -> Failure:
        """Tell a job that Headway cancelled, as its worker was silent, from one that a person did.

        The event is asked: the head that cancelled it may have died since.
        """
        is_killed = failure.kind == FailureClass.LOST and attempt.id in self._cancelled
        if attempt.is_cancelled or not (is_killed or failure.kind == FailureClass.CANCELLED):
            return recalled(connection, attempt, failure)
        asked = events.find_payload(
            connection, EventKind.SILENT, trial_id=attempt.trial_id, attempt_id=attempt.id
        )
        if asked is None:
            return recalled(connection, attempt, failure)
        message = f"its worker gave no sign of life for {asked['seconds']} s: its job was cancelled"
        return Failure(kind=FailureClass.LOST, message=message)
