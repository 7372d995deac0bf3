"""Jobs of the experiment that nobody waits for any more: found, written down, and cancelled.

Such a job comes into being when sbatch was cut off and its request got through after its trial had
gone on under a new token, or when a head died between a decision and its scancel. A worker of it
finds nothing to claim. A job whose token is not in the database as one of this experiment (another
run of the same name, another database) is never touched.
"""

from __future__ import annotations

import re
import time
from datetime import datetime

from db.sql import events, submissions
from db.sql.store import Store
from db.states import EventKind
from orchestrator.cluster.base import KnownJob, LivingJob
from orchestrator.steps.cancelling import Canceller
from orchestrator.steps.ledger import Ledger
from orchestrator.steps.notes import Note
from orchestrator.steps.observe import Poll

_TOKEN = re.compile(r"[0-9a-f]{16}")
# A worker that has reported still tidies up, and its node then says so to the controller.
RUNNING_SECONDS = 15.0


class Ghosts:
    """Finds and ends jobs without an open attempt."""

    def __init__(self, *, store: Store, ledger: Ledger, canceller: Canceller, note: Note) -> None:
        self._store = store
        self._ledger = ledger
        self._canceller = canceller
        self._note = note
        self._foreign: set[str] = set()
        self._written: set[str] = set()
        self._running_since: dict[str, float] = {}

    def look(self, poll: Poll) -> None:
        """Cancel jobs that wait for nothing at once, those that run if they are seen twice."""
        attempts = self._ledger.attempts.values()
        wanted = {(attempt.submission_token, attempt.array_index) for attempt in attempts}
        suspects = [job for job in poll.living if self._is_suspect(job, wanted)]
        if suspects:
            suspects = self._without_owner(suspects, poll.began_at)
        moment = time.monotonic()
        running = {job.job_id for job in suspects if not job.is_pending}
        self._running_since = {
            job_id: self._running_since.get(job_id, moment) for job_id in running
        }
        ghosts = [
            job
            for job in suspects
            if job.is_pending or moment - self._running_since[job.job_id] >= RUNNING_SECONDS
        ]
        if ghosts:
            asked = self._canceller.jobs
            self._end([job for job in ghosts if job.job_id not in asked])

    def _is_suspect(self, job: LivingJob, wanted: set[tuple[str, int]]) -> bool:
        place = self._place(job)
        is_token = _TOKEN.fullmatch(place[0]) is not None and place[0] not in self._foreign
        return is_token and place not in wanted

    def _place(self, job: LivingJob) -> tuple[str, int]:
        index = job.job_id.partition("_")[2]
        token = job.name.removeprefix(self._ledger.family)
        return token, int(index) if index.isdecimal() else 0

    def _without_owner(self, suspects: list[LivingJob], since: datetime) -> list[LivingJob]:
        """Leave out what the database knows better than the ledger, and what is not ours.

        A job whose attempt has ended since the scheduler was asked may well be gone by now.
        """
        tokens = {self._place(job)[0] for job in suspects}
        with self._store.read() as connection:
            known = submissions.open_places(
                connection, self._store.experiment_id, tokens, since=since
            )
        self._foreign |= tokens - known.keys()
        places = [(job, *self._place(job)) for job in suspects]
        return [job for job, token, index in places if token in known and index not in known[token]]

    def _end(self, ghosts: list[LivingJob]) -> None:
        fresh = [job for job in ghosts if job.job_id not in self._written]
        if fresh:
            self._write_down(fresh)
        for is_pending in (True, False):
            # A waiting one that begins meanwhile finds nothing to do, and ends by itself.
            jobs = {job.job_id: job.name for job in ghosts if job.is_pending is is_pending}
            known = {key: KnownJob(name=name) for key, name in jobs.items()}
            self._canceller.end(known, pending_only=is_pending)

    def _write_down(self, ghosts: list[LivingJob]) -> None:
        with self._store.write() as connection:
            payloads = [
                {
                    "job": job.job_id,
                    "token": self._place(job)[0],
                    "state": "PENDING" if job.is_pending else "RUNNING",
                }
                for job in ghosts
            ]
            key = self._store.experiment_id
            rows = [events.row(key, EventKind.GHOST, payload) for payload in payloads]
            events.append(connection, rows)
        self._written |= {job.job_id for job in ghosts}
        listed = ", ".join(sorted(job.job_id for job in ghosts))
        text = "jobs that nobody waits for any more are cancelled"
        self._note(text, level="warning", jobs=listed)
