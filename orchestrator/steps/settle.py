"""Second step of a tick: decide what the news means, in one transaction.

Every decision is written with the states that it expects, together with the report that it rests
on; the ledger follows when the transaction has been committed (`docket`). If the head dies before,
the same reports are found again; if it dies after, they are marked as dealt with. What a result
means is in `outcomes`, what the lack of one means in `endings`.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import cast

from db.messages import BadMessageError, read_payload
from db.records import EndPayload
from db.sql import attempts, incoming, requests, trials
from db.sql.incoming import Incoming
from db.sql.store import Store, Transaction
from db.states import OPEN_ATTEMPTS, ReportKind, TrialStatus
from orchestrator.spec.experiment import ExperimentSpec
from orchestrator.steps.code import take_code
from orchestrator.steps.docket import Docket
from orchestrator.steps.endings import Endings
from orchestrator.steps.hosts import Hosts
from orchestrator.steps.intake import take_in
from orchestrator.steps.jobs import find_overdue, follow
from orchestrator.steps.judging import Judge
from orchestrator.steps.ledger import Ledger, OpenAttempt
from orchestrator.steps.mailbox import Mailbox
from orchestrator.steps.notes import Note
from orchestrator.steps.observe import News
from orchestrator.steps.outcomes import Outcomes
from orchestrator.steps.restarts import Restarts
from orchestrator.steps.salvage import Salvage
from orchestrator.steps.silence import Silence


class Settler:
    """Turns reports and ended jobs into outcomes, retries and final states.

    Attributes:
        has_more: More reports wait than one tick deals with; the next one should come at once.
    """

    def __init__(
        self,
        *,
        store: Store,
        ledger: Ledger,
        spec: ExperimentSpec,
        objective_ids: Mapping[str, int],
        mailbox: Mailbox,
        cancel: Callable[[list[str]], None],
        hosts: Hosts,
        spare: Callable[[list[str]], None],
        note: Note,
        measure: Callable[[float], None],
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._spec = spec
        self._mailbox = mailbox
        self._note = note
        self._docket = Docket(
            store=store,
            ledger=ledger,
            spec=spec,
            mailbox=mailbox,
            cancel=cancel,
            hosts=hosts,
            note=note,
        )
        self._outcomes = Outcomes(self._docket, objective_ids=objective_ids, measure=measure)
        self._silence = Silence(self._docket, spare=spare)
        self._judge = Judge(self._docket, self._silence)
        self._endings = Endings(self._docket, self._judge)
        self._restarts = Restarts(self._docket)
        self._salvage = Salvage(self._docket, mailbox.run_dir)
        self.has_more = False

    def lose_touch(self) -> None:
        """Take note that signs of life could not be heard for a while."""
        self._silence.lose_touch()

    def settle(self, news: News, *, look: bool) -> None:
        """Deal with everything that is new.

        Args:
            news: What was observed.
            look: The database may hold reports that nobody has dealt with.
        """
        if news.poll is not None:
            follow(self._ledger, news.poll)
            self._restarts.say_requeued()
        # Nobody is given up while his report may lie where it was not read yet.
        overdue = [] if self._mailbox.has_unread else find_overdue(self._ledger, self._spec)
        mail = news.mail
        salvaged = self._salvage.find(overdue)
        mail.messages += itertools.chain.from_iterable(salvaged.values())
        if self._mailbox.is_in_trouble:
            self.lose_touch()
        is_silent = self._silence.listen()
        look = (look or self.has_more) and self._reports_wait()
        if mail.is_empty and not (overdue or is_silent or look):
            self.has_more = False
            self._mailbox.discard(mail)
            return
        readings = self._judge.readings
        readings.begin()
        self._docket.begin()
        with self._store.write() as connection:
            take_in(self._docket, connection, mail)
            self._salvage.log(connection, salvaged)
            self._decide(connection, overdue)
            if is_silent:
                self._silence.decide(connection)
        self._mailbox.discard(mail)
        self._docket.follow()
        if readings.read():
            self._docket.begin()
            with self._store.write() as connection:
                self._decide(connection, overdue)
            self._docket.follow()
        self.has_more = self.has_more or bool(readings.awaited())
        if self._docket.is_miscounted:
            self._count_anew()

    def _decide(self, connection: Transaction, overdue: list[OpenAttempt]) -> None:
        """Deal with what waits, as far as no log has to be read first."""
        self.has_more = self._take_reports(connection)
        if self.has_more:
            return  # Nobody is given up while his report may stand in the queue.
        reported = self._judge.readings.awaited()
        for attempt in overdue:
            if attempt.id in self._ledger.attempts and attempt.id not in reported:
                self._endings.give_up(connection, attempt)

    def _count_anew(self) -> None:
        with self._store.read() as connection:
            counts = trials.counts(connection, self._store.experiment_id)
        self._ledger.counts = Counter(counts)
        self._docket.is_miscounted = False

    def _reports_wait(self) -> bool:
        with self._store.read() as connection:
            return bool(incoming.waiting(connection, self._store.experiment_id, limit=1))

    def _take_reports(self, connection: Transaction) -> bool:
        """Deal with the reports that wait, about as many as one page holds; whether there are more.

        Those that have to wait on for the scheduler must not keep the others from their turn, so
        there is a next page for each that is full of them.
        """
        count, after = 0, 0
        while True:
            page = incoming.waiting(connection, self._store.experiment_id, after=after)
            dealt_with = [r.id for r in page if self._deal_with(connection, r)]
            incoming.consume(connection, dealt_with)
            count += len(dealt_with)
            is_full = len(page) == incoming.BATCH
            if not is_full or count >= incoming.BATCH // 2:
                return is_full
            after = page[-1].id

    def _deal_with(self, connection: Transaction, report: Incoming) -> bool:
        """Act on one report; False if it has to wait."""
        try:
            payload = read_payload(report.kind, report.payload)
        except BadMessageError as error:
            self._outcomes.refuse(connection, report, f"it cannot be used: {error}")
            return True
        report = replace(report, payload=payload)
        if report.kind == ReportKind.START:
            self._start(connection, report)
        elif report.kind == ReportKind.METRIC:
            incoming.add_metrics(connection, report, report.payload["metrics"])
        else:
            return self._end(connection, report)
        return True

    def _start(self, connection: Transaction, report: Incoming) -> None:
        self._restarts.adopt(connection, report)
        take_code(self._docket, connection, report)
        if report.attempt_state not in OPEN_ATTEMPTS:
            return
        claim = report.payload
        attempts.started(
            connection,
            report.attempt_id,
            host=claim["host"],
            job_id=claim.get("slurm_job_id"),
            claim=claim["claim"],
        )
        self._note_memory(connection, report)
        expected = (TrialStatus.CANDIDATE, TrialStatus.STAGED)
        trials.move(connection, [report.trial_id], TrialStatus.RUNNING, expected=expected)
        self._docket.then(lambda: self._has_started(report))

    def _note_memory(self, connection: Transaction, report: Incoming) -> None:
        """Keep what memory a job got that asked for none: from there on it grows."""
        memory_mb = report.payload.get("memory_mb")
        attempt = self._ledger.attempts.get(report.attempt_id)
        if not memory_mb or (attempt is not None and attempt.requested.get("memory_mb")):
            return
        requested = requests.note_memory(connection, report.attempt_id, memory_mb)
        if requested is not None and attempt is not None:
            # At once: its end may stand in the same transaction, and is judged by it. It is a fact
            # and no decision, so that nothing is wrong should the transaction fail.
            attempt.requested = requested

    def _has_started(self, report: Incoming) -> None:
        attempt = self._ledger.attempts.get(report.attempt_id)
        trial = self._ledger.trials.get(report.trial_id)
        if attempt is not None and trial is not None:
            attempt.begin(report.payload)
            self._ledger.set_status(trial, TrialStatus.RUNNING)
            self._note("trial started", trial=trial.index, host=report.payload["host"])

    def _end(self, connection: Transaction, report: Incoming) -> bool:
        """Deal with the end of an attempt; False if it has to wait for the scheduler or its log."""
        plain = self._judge.plainly(connection, report)
        if plain is None:
            self._outcomes.succeed(connection, report, cast("EndPayload", report.payload))
            return True
        is_told = report.payload["cause"] == "TERMINATED"
        if is_told and self._restarts.keep(connection, report):
            return True
        failure = self._judge.of_report(connection, report, plain)
        if failure is None:
            return False
        why_not = self._endings.end_badly(connection, report, failure)
        if why_not:
            self._outcomes.refuse(connection, report, why_not)
        return True
