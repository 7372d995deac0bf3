"""The last place to look for a report before its attempt is given up: the end of its log.

A worker that finds neither the database nor room in the spool writes its report there, as a line
`HEADWAY-REPORT: {…}` (`worker.reporting`). The program writes to the same log, so only a report
with the attempt's own token counts, which no program is told.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from db.light_json import loads
from db.messages import BadMessageError, read_message
from db.records import ReportMessage
from db.sql import incoming
from db.sql.store import Transaction
from db.states import EventKind
from orchestrator.steps.docket import Docket
from orchestrator.steps.ledger import OpenAttempt
from worker.reporting import LAST_RESORT

_MARK = LAST_RESORT.encode()
# What may stand after it is little: what Slurm says of the job's end.
_TAIL_BYTES = 4 * 1024 * 1024


class Salvage:
    """Looks into the logs of attempts that are about to be given up."""

    def __init__(self, docket: Docket, run_dir: Path) -> None:
        self._docket = docket
        self._run_dir = run_dir

    def find(self, overdue: Iterable[OpenAttempt]) -> dict[int, list[ReportMessage]]:
        """Return the reports of these attempts that only their logs have, by key."""
        wanted = {attempt.id: attempt for attempt in overdue}
        if not wanted:
            return {}
        with self._docket.store.read() as connection:
            paths = incoming.logs_of_unreported(connection, list(wanted))
        found = {key: _search(wanted[key], self._run_dir / path) for key, path in paths.items()}
        return {key: messages for key, messages in found.items() if messages}

    def log(self, connection: Transaction, found: Iterable[int]) -> None:
        """Write down whose reports were found so."""
        for key in found:
            trial = self._docket.ledger.trials.get(self._docket.ledger.attempts[key].trial_id)
            if trial is not None:
                self._docket.log(connection, EventKind.SALVAGED, trial, key, {})
                self._docket.then(partial(self._tell, trial.index))

    def _tell(self, index: int) -> None:
        self._docket.note("a report was found in the log", level="warning", trial=index)


def _search(attempt: OpenAttempt, path: Path) -> list[ReportMessage]:
    """Return what its worker could not deliver: its end, and perhaps measurements before it."""
    found = []
    for line in _last_lines(path):
        try:
            message = read_message(loads(line.decode()))
        except (ValueError, RecursionError, BadMessageError):
            continue
        if _is_of(attempt, message):
            found.append(message)
    return found


def _is_of(attempt: OpenAttempt, message: ReportMessage) -> bool:
    """Whether a report is of this attempt; a worker that could not claim it knows its place only."""
    if message["attempt_token"] == attempt.token:
        return True
    payload = message["payload"]
    place = payload.get("submission_token"), payload.get("array_index")
    is_unclaimed = message["attempt_id"] == 0
    return is_unclaimed and place == (attempt.submission_token, attempt.array_index)


def _last_lines(path: Path) -> list[bytes]:
    """Return what stands after the mark in lines near the end of a log, oldest first."""
    try:
        # A program may have exchanged its log for a pipe, which nobody writes to.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL_BYTES))
            data = file.read(_TAIL_BYTES)
    except OSError:
        return []
    return [line[len(_MARK) :] for line in data.split(b"\n") if line.startswith(_MARK)]
