"""Tells why attempts gave no result, from all evidence at hand; part of `settle`.

Rules of the user's own come first, then what is certain (the scheduler's word, what the worker
measured), then patterns in the log, then the plain class. Only failures are judged: whatever a log
holds, a success stays one. A log that cannot be read says nothing, neither yes nor no.
"""

from __future__ import annotations

import time
from functools import partial
from typing import cast

from db.records import EndPayload
from db.sql import attempts
from db.sql.incoming import Incoming
from db.sql.store import Transaction
from db.states import OPEN_ATTEMPTS, FailureClass, JobState
from orchestrator.cluster.base import JobStatus
from orchestrator.health.failures import (
    CERTAIN,
    Failure,
    by_rule,
    explained,
    judge_report,
    signal_of,
    tail_of,
    was_killed,
)
from orchestrator.health.patterns import pattern_of_signal
from orchestrator.steps.docket import Docket
from orchestrator.steps.jobs import has_final_word, why_ended, why_told
from orchestrator.steps.ledger import OpenAttempt
from orchestrator.steps.readings import Reading, Readings
from orchestrator.steps.silence import Silence

# Who killed a program is known once Slurm has ended its job, which takes as long as its epilog
# does: so long, and two looks at the jobs, that word is waited for.
WORD_SECONDS = 60.0
# No program can help these; a rule that fits their logs must not make a try of them.
_NOBODYS = frozenset({FailureClass.CANCELLED, FailureClass.PREEMPTED})
_OF_PROGRAMS = frozenset({FailureClass.PROGRAM, FailureClass.NO_RESULT})
# What the log of a killed program may say that Slurm's word on its job would not make any better.
_CLEAR_OF_KILLED = frozenset({FailureClass.RULE, FailureClass.OUT_OF_MEMORY})
# What is guessed of jobs without a report, and ends of jobs that say nothing about why.
_GUESSED = frozenset({FailureClass.LOST, FailureClass.NODE})
_BY_THEMSELVES = frozenset({JobState.FAILED, JobState.COMPLETED, JobState.GONE})


class Judge:
    """Finds the class of each failure, and what it rests on.

    Attributes:
        readings: What the attempts of this tick have said, as far as it was read.
    """

    def __init__(self, docket: Docket, silence: Silence) -> None:
        self._docket = docket
        self._silence = silence
        self._rules = docket.spec.rules
        self.readings = Readings(docket)
        # Since when (monotonic) the scheduler's word on a killed program is waited for.
        self._waiting: dict[int, float] = {}

    def plainly(self, connection: Transaction, report: Incoming) -> Failure | None:
        """Return why a reported end is no success, by the report alone; None if it is one."""
        attempt = self._docket.ledger.attempts.get(report.attempt_id)
        if attempt is None:
            requested = attempts.requested(connection, report.attempt_id)
        else:
            requested = dict(attempt.requested)
        memory = requested.get("memory_mb")
        return judge_report(
            cast("EndPayload", report.payload),
            objectives=[objective.name for objective in self._docket.spec.objectives],
            memory_bytes=memory * 2**20 if isinstance(memory, int) else None,
        )

    def of_report(
        self, connection: Transaction, report: Incoming, plain: Failure
    ) -> Failure | None:
        """Return why an attempt failed that its worker has reported.

        Args:
            connection: The transaction of this tick.
            report: Its END report.
            plain: What the report alone says.

        Returns:
            None while the scheduler has to be heard first, or its log has to be read.
        """
        end = cast("EndPayload", report.payload)
        attempt = self._docket.ledger.attempts.get(report.attempt_id)
        if end["cause"] != "TERMINATED":
            return self._of_program(connection, attempt, end, plain)
        if attempt is None and report.attempt_state in OPEN_ATTEMPTS:
            return None  # of a requeued job: it is in the ledger after this transaction
        told = why_told(attempt, end)
        if told is None or attempt is None or attempt.job is None:
            return told
        return self._of_ended_job(connection, attempt, told, end=end)

    def of_job(
        self, connection: Transaction, attempt: OpenAttempt, job: JobStatus
    ) -> Failure | None:
        """Return why an attempt failed whose job ended without a report.

        Returns:
            None while its log has to be read.
        """
        return self._of_ended_job(connection, attempt, why_ended(attempt, job))

    # Jobs that the scheduler has ended

    def _of_ended_job(
        self,
        connection: Transaction,
        attempt: OpenAttempt,
        failure: Failure,
        *,
        end: EndPayload | None = None,
    ) -> Failure | None:
        failure = self._silence.own_doing(connection, attempt, failure)
        if failure.kind in _NOBODYS:
            return failure
        exit_code = end["exit_code"] if end else None
        reading = self.readings.find(attempt, tail_of(end) if end else "", exit_code)
        if reading is None:
            return None
        if failure.kind in _GUESSED and attempt.job and attempt.job.state in _BY_THEMSELVES:
            # Where the accounting's poll does it and not the kernel (OverMemoryKill), only the log
            # tells that Slurm killed a job for its memory: its state is FAILED (tried: 22.05.8).
            failure = failure if reading.word is None else explained(failure, *reading.word)
        return _by_rule(failure, reading)

    # Programs that ended while their workers looked on

    def _of_program(
        self,
        connection: Transaction,
        attempt: OpenAttempt | None,
        end: EndPayload,
        plain: Failure,
    ) -> Failure | None:
        if not self._rules and plain.kind not in _OF_PROGRAMS:
            return plain
        if attempt is None or plain.kind not in _OF_PROGRAMS or not was_killed(end):
            reading = self._reading(attempt, end)
            return None if reading is None else _in_its_light(plain, end, reading)
        may_decide = self._may_decide(attempt)
        if attempt.id in self._waiting and not may_decide:
            return None  # its words were looked at before
        reading = self._reading(attempt, end)
        if reading is None:
            return None
        found = _in_its_light(plain, end, reading)
        is_clear = found.kind in _CLEAR_OF_KILLED
        if not (is_clear or may_decide):
            self._waiting.setdefault(attempt.id, time.monotonic())
            return None
        self._docket.then(partial(self._has_been_judged, attempt.id))
        told = None if is_clear else self._by_its_job(connection, attempt, end, plain)
        return told or found

    def _has_been_judged(self, attempt_id: int) -> None:
        self._waiting.pop(attempt_id, None)

    def _may_decide(self, attempt: OpenAttempt) -> bool:
        """Whether all that can be known about who killed a program is known."""
        if self._docket.spec.executor == "local" or has_final_word(attempt):
            return True
        since = self._waiting.get(attempt.id, time.monotonic())
        patience = WORD_SECONDS + 2 * self._docket.spec.timing.poll_max_seconds
        return time.monotonic() - since >= patience

    def _by_its_job(
        self, connection: Transaction, attempt: OpenAttempt, end: EndPayload, plain: Failure
    ) -> Failure | None:
        """Judge a killed program by what became of its job; None: that does not tell either."""
        is_said = attempt.job is not None and attempt.job.state in CERTAIN
        told = why_told(attempt, end) if is_said or attempt.is_cancelled else None
        if told is None:
            return None
        told = self._silence.own_doing(connection, attempt, told)
        return told.with_evidence(**plain.evidence)

    def _reading(self, attempt: OpenAttempt | None, end: EndPayload) -> Reading | None:
        """Return what the program has said, its last 4 KB if need be; None: not read yet."""
        tail, exit_code = tail_of(end), end["exit_code"]
        if attempt is None:
            return self.readings.of_text(tail, exit_code)
        return self.readings.find(attempt, tail, exit_code)


def _in_its_light(plain: Failure, end: EndPayload, reading: Reading) -> Failure:
    """Return what a failure is in the light of what its program has said."""
    failure = _by_rule(plain, reading)
    if failure is not plain or plain.kind not in _OF_PROGRAMS:
        return failure
    by_signal = pattern_of_signal(signal_of(end))
    found = reading.pattern or (None if by_signal is None else (by_signal, ""))
    return plain if found is None else explained(plain, *found)


def _by_rule(failure: Failure, reading: Reading) -> Failure:
    if reading.fitting is None or failure.kind in _NOBODYS:
        return failure
    return by_rule(failure, *reading.fitting)
