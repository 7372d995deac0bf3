"""The loop of a head: wait for something to happen, do one tick, again."""

from __future__ import annotations

import select
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import tenacity

from db.errors import DatabaseUnavailable
from db.sql import events, experiments
from db.sql.store import Store
from db.sql.wakeup import Bell
from db.states import EventKind, ExperimentStatus
from orchestrator.cluster.base import Cluster
from orchestrator.generators.process import GeneratorProcess
from orchestrator.lease import Renewal
from orchestrator.reports.vitals import as_json
from orchestrator.spec.experiment import ExperimentSpec
from orchestrator.steps.alarm import Alarm
from orchestrator.steps.cancelling import Canceller
from orchestrator.steps.commands import Requests
from orchestrator.steps.goal import Goal
from orchestrator.steps.hosts import Hosts
from orchestrator.steps.ledger import Ledger
from orchestrator.steps.mailbox import Mailbox
from orchestrator.steps.never import NEVER as NEVER_WORD
from orchestrator.steps.never import Never
from orchestrator.steps.notes import Note
from orchestrator.steps.observe import Observer
from orchestrator.steps.propose import Proposer
from orchestrator.steps.settle import Settler
from orchestrator.steps.space import Space
from orchestrator.steps.steering import Steerer
from orchestrator.steps.submit import Submitter
from orchestrator.steps.throttle import Throttle
from orchestrator.steps.tolerance import FAILURES as FAILURES_WORD
from orchestrator.steps.tolerance import Tolerance
from orchestrator.steps.vitals import Checkup
from orchestrator.steps.withdrawing import cancel_all, withdraw_pending

# Files and SQLite have nothing to wait on: looked at so often, which costs 0.5 % of a core.
GLANCE_SECONDS = 0.02
# Where nothing has come for a while, nobody notices that a look comes a little later.
CALM_SHARE = 0.02
CALM_GLANCE_SECONDS, CALM_LOOK_SECONDS, CALM_TICK_SECONDS = 0.25, 5.0, 1.0
# Whatever was missed (a notification, a file with an old time stamp) is found after this.
LOOK_SECONDS = 1.0
TICK_SECONDS = 0.5
# A scheduler that does not get rid of cancelled jobs keeps nobody at the terminal; `resume` adopts
# what is left.
CANCEL_SECONDS = 20.0
LONGEST_DATABASE_PAUSE_SECONDS = 30.0


class Ending(StrEnum):
    """Why a loop ended."""

    DONE = "DONE"  # all trials have their final status
    STOPPED = "STOPPED"  # asked to stop; the running trials have finished
    CANCELLED = "CANCELLED"  # asked to stop at once; the running trials were cancelled
    LEFT = "LEFT"  # asked to go (SIGTERM); running jobs go on and wait for a resume
    TIME = "TIME"  # the time for the whole search is over
    FAILURES = FAILURES_WORD  # more failed than is allowed, or all over the place
    NEVER = NEVER_WORD  # the scheduler will never start its jobs


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What a loop runs, put together by `app`."""

    store: Store
    spec: ExperimentSpec
    goal: Goal
    ledger: Ledger
    cluster: Cluster
    mailbox: Mailbox
    bell: Bell
    generators: tuple[GeneratorProcess, ...]
    renewal: Renewal
    observer: Observer
    settler: Settler
    proposer: Proposer
    submitter: Submitter
    hosts: Hosts
    steerer: Steerer
    throttle: Throttle
    requests: Requests
    never: Never
    tolerance: Tolerance
    space: Space
    alarm: Alarm
    canceller: Canceller
    checkup: Checkup
    note: Note


class Loop:
    """Runs ticks until the experiment is done or somebody wants it to end.

    Attributes:
        complaint: Which failures ended the search, or why no trial can start, in words; None:
            it ended otherwise.
    """

    def __init__(self, parts: Parts, *, deadline: float | None) -> None:
        self._parts = parts
        self._deadline = deadline
        self._stopping: Ending | None = None
        self._why_stopping: str | None = None
        self._give_up_at: float | None = None
        self._next_look = 0.0
        self._last_news = time.monotonic()
        self._writes = 0
        self._logged: Ending | None = None
        self.complaint: str | None = None

    @property
    def remedy(self) -> str:
        """What one can do if no trial can start, a sentence."""
        return self._parts.never.remedy

    def run(self) -> Ending:
        """Run to an end; the ledger then says where everything stands."""
        is_new = True
        while True:
            try:
                ending = self._tick(look=is_new)
            except DatabaseUnavailable as error:
                self._reconnect(error)
                ending = None
            if ending is not None:
                return ending
            is_new = self._wait()

    def _tick(self, *, look: bool) -> Ending | None:
        """Do the four steps once; return an ending if it is reached."""
        parts = self._parts
        parts.renewal.renew(self._tell)
        news = parts.observer.gather()
        parts.settler.settle(news, look=look)
        parts.requests.take()
        parts.hosts.decide()
        parts.never.look(news.poll)
        self._listen()
        self._log_stop()
        is_ending = self._stopping is not None or parts.alarm.is_leaving
        if not is_ending:
            parts.steerer.steer(news.poll)
            parts.throttle.follow(news.poll)
            parts.proposer.propose(parts.submitter.free_slots())
        is_needed = bool(parts.ledger.waiting) and parts.submitter.free_slots() > 0
        has_room = parts.space.has_room(is_needed=is_needed)
        if not has_room:
            parts.settler.lose_touch()  # heartbeats find no room either
        parts.submitter.submit(news.poll, accept_new=has_room and not is_ending)
        self._look_in_time()
        return self._ending()

    def _look_in_time(self) -> None:
        """Let the scheduler be asked sooner if somebody waits for its word."""
        parts = self._parts
        open_ones = parts.ledger.submissions.values()
        is_unclear = any(s.attempt_ids for s in open_ones if not s.is_in_flight)
        if parts.throttle.is_due or parts.submitter.needs_look or is_unclear:
            parts.observer.poll_soon()
        elif parts.submitter.awaits_room:
            parts.observer.look_for_room()

    @property
    def asked_by(self) -> str | None:
        """Who asked for the end by a command; None: nobody, or otherwise."""
        stop = self._parts.requests.stop
        return None if stop is None else stop.by

    def _tell(self) -> dict[str, Any]:
        """Return what this head tells of itself."""
        return as_json(self._parts.checkup.take(stopping=self._why_stopping))

    # Stopping

    def _listen(self) -> None:
        """Act on what a person, the clock or the failure limit asked for."""
        parts, wish = self._parts, self._parts.requests.stop
        if parts.alarm.interrupts > 1 or (wish is not None and wish.now):
            self._cancel_all()
        elif self._stopping is not None:
            self._withdraw_pending()
        elif parts.alarm.interrupts:
            self._stop(Ending.STOPPED, "stopping: no new trials, running ones finish")
        elif wish is not None:
            text = f"stopping, as {wish.by} asked: no new trials, running ones finish"
            self._stop(Ending.STOPPED, text)
        elif self._deadline is not None and time.monotonic() >= self._deadline:
            self._stop(Ending.TIME, "the time for the search is over: no new trials")
        elif (complaint := parts.tolerance.complaint()) is not None:
            self.complaint = complaint
            self._stop(Ending.FAILURES, f"no new trials: {complaint}")
        elif parts.never.complaint is not None:
            self.complaint = parts.never.complaint
            self._stop(Ending.NEVER, f"no new trials: {self.complaint}")

    def _log_stop(self) -> None:
        """Write down that the end was asked for; a database that was away hears it later."""
        asked = self._stopping or (Ending.LEFT if self._parts.alarm.is_leaving else None)
        if asked not in {None, self._logged}:
            self._write_stop(asked)
            self._logged = asked
        if self._stopping is not None:
            self._parts.requests.stop_is_noted()

    def _write_stop(self, asked: Ending | None) -> None:
        store = self._parts.store
        payload = {"how": asked, "reason": self.complaint, "by": self.asked_by}
        with store.write() as connection:
            row = events.row(store.experiment_id, EventKind.STOP, payload)
            events.append(connection, [row])
            if self._stopping is not None:
                experiments.set_status(
                    connection,
                    store.experiment_id,
                    ExperimentStatus.STOPPING,
                    expected=(ExperimentStatus.RUNNING,),
                    reason=self.complaint or self._why_stopping,
                )

    def _stop(self, ending: Ending, text: str) -> None:
        self._stopping, self._why_stopping = ending, text
        self._parts.note(text, level="warning")
        self._withdraw_pending()

    def _withdraw_pending(self) -> None:
        """Take back jobs that have not begun; those of calls in flight are caught later."""
        self._end_jobs(withdraw_pending(self._parts.ledger), pending_only=True)

    def _cancel_all(self) -> None:
        """Cancel everything that runs, with one call for all."""
        if self._give_up_at is None:
            self._stopping, self._why_stopping = Ending.CANCELLED, "cancelling the running trials"
            self._give_up_at = time.monotonic() + CANCEL_SECONDS
            self._parts.note(self._why_stopping, level="warning")
        self._end_jobs(cancel_all(self._parts.ledger), pending_only=False)

    def _end_jobs(self, jobs: list[str], *, pending_only: bool) -> None:
        if jobs:
            self._parts.canceller.cancel(jobs, pending_only=pending_only)
            self._parts.observer.poll_soon()

    def _ending(self) -> Ending | None:
        parts, ledger = self._parts, self._parts.ledger
        if parts.alarm.is_leaving and not parts.submitter.in_flight:
            return Ending.LEFT
        if self._give_up_at is not None and time.monotonic() >= self._give_up_at:
            return Ending.CANCELLED
        if ledger.attempts or parts.submitter.in_flight:
            return None
        if self._stopping is not None:
            return self._stopping
        is_done = not ledger.trials and ledger.created >= parts.goal.max_eval
        return Ending.DONE if is_done else None

    # Waiting

    def _wait(self) -> bool:
        """Sleep until there is something to do; whether the database may hold new reports."""
        parts = self._parts
        if parts.settler.has_more:
            return True
        end = time.monotonic() + self._longest_wait()
        listened = parts.bell.fileno()
        watched = [parts.alarm.fileno(), *(g.fileno() for g in parts.generators)]
        is_glancing = listened is None or self._reads_spool
        if listened is not None:
            watched.append(listened)
        while True:
            left = max(0.0, end - time.monotonic())
            pause = self._calmly(GLANCE_SECONDS, CALM_GLANCE_SECONDS)
            glance = min(left, pause) if is_glancing else left
            ready, _, _ = select.select(watched, [], [], glance)
            if parts.alarm.fileno() in ready:
                parts.alarm.silence()
            rang = parts.bell.rang()
            is_changed = parts.mailbox.is_changed()
            self._measure_calm(rang=rang, is_changed=is_changed)
            if rang or ready or is_changed or time.monotonic() >= end:
                break
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + self._heard(LOOK_SECONDS, CALM_LOOK_SECONDS)
            return True
        return rang

    def _measure_calm(self, *, rang: bool, is_changed: bool) -> None:
        """Remember when somebody else last wrote; SQLite's bell rings for this head's writes, too."""
        before, self._writes = self._writes, self._parts.store.writes
        if is_changed or (rang and before == self._writes):
            self._last_news = time.monotonic()

    def _calmly(self, least: float, most: float) -> float:
        """Return a pause in seconds: the longer nobody else wrote anything, the longer."""
        calm = time.monotonic() - self._last_news
        return min(max(least, CALM_SHARE * calm), most)

    def _heard(self, least: float, most: float) -> float:
        """Return such a pause where every commit is heard: PostgreSQL tells of ends, MariaDB of none."""
        return self._calmly(least, most) if self._reads_spool else least

    @property
    def _reads_spool(self) -> bool:
        """Whether results are expected in files."""
        return self._parts.store.engine.dialect.name == "sqlite"

    def _longest_wait(self) -> float:
        parts = self._parts
        waits = [self._heard(TICK_SECONDS, CALM_TICK_SECONDS)]
        may_submit = not (self._stopping or parts.space.is_full)
        if parts.ledger.waiting and parts.submitter.free_slots() > 0 and may_submit:
            waits.append(max(GLANCE_SECONDS, parts.submitter.seconds_to_submit()))
        fallback = parts.proposer.seconds_to_fallback()
        if fallback is not None and parts.submitter.free_slots() > len(parts.ledger.waiting):
            waits.append(max(GLANCE_SECONDS, fallback))
        return min(waits)

    def _reconnect(self, error: DatabaseUnavailable) -> None:
        """Wait until the database answers again, then read everything anew.

        It is not known whether the transaction that broke was committed, so nothing that the
        ledger holds can be trusted.
        """
        parts = self._parts
        # A full disk has its own message, and keeps nobody from reading.
        is_full = self._reads_spool and parts.space.explains(error)
        if not is_full:
            parts.note("the database went away; trying again", level="error", why=str(error))
        parts.settler.lose_touch()
        waiting = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(DatabaseUnavailable),
            wait=tenacity.wait_exponential_jitter(initial=0.2, max=LONGEST_DATABASE_PAUSE_SECONDS),
            stop=lambda _: parts.alarm.interrupts > 1 or parts.alarm.is_leaving,
            reraise=True,
        )
        waiting(self._load_anew)
        if not is_full:
            parts.note("the database is back")

    def _load_anew(self) -> None:
        parts = self._parts
        parts.renewal.keep_lock()
        if parts.space.is_full and self._reads_spool:
            parts.space.require()
        parts.renewal.check_file()
        parts.store.await_last_write()
        parts.ledger.load(parts.store, in_flight=parts.submitter.in_flight)
        parts.hosts.remember()
        parts.proposer.forget()
        parts.submitter.adopt()
