"""Probe jobs: submitted as trials are, watched until they have told or time is up, and cleared."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from db.spool.layout import write_whole
from db.states import ENDED_JOBS, JobState
from orchestrator.app.doctor import ends
from orchestrator.app.doctor.findings import Finding, ok, warning
from orchestrator.app.doctor.sights import Expected, judge
from orchestrator.cluster.base import AnswerKind, JobStatus, KnownJob, Order
from orchestrator.cluster.probing import ProbingCluster, log_of
from orchestrator.health.reasons import Fate, explain
from orchestrator.spec.resources import Resources
from worker.probe import CLOCK, sight_file

if TYPE_CHECKING:
    from worker.probe import Sight

# A probe takes less than a second; a slow network file system and a database that does not answer
# for ten seconds are reckoned with.
ANSWER_SECONDS = 60.0
JOB_MINUTES = 5
_LOOK_SECONDS = 0.1
_SURVEY_SECONDS = 1.0
_END_SECONDS = 15.0
# The accounting is usually a second behind.
_LATE_SECONDS = 20.0
# Slurm may say once that a job can never start, while it looks at another partition.
_CERTAIN = 2
_LOG_LINES = 3
_UNKNOWN = JobStatus(state=JobState.UNKNOWN)


@dataclass
class Probe:
    """One probe job.

    Attributes:
        job_id: As Slurm calls it.
        name: Its name.
        host: Where it was sent, or where it is; None: not known yet.
        began: When it was seen to run, or to have ended; monotonic seconds.
        status: What Slurm said last.
        hopeless: How often Slurm has said one after the other that it can never start.
        is_over: Whether it is known to have ended, or will never begin as Slurm holds it.
        has_choice: Whether it may go to several partitions: what one of them never takes, another
            one may.
        has_told: Whether it has told what it saw, and so is about to end.
    """

    job_id: str
    name: str
    host: str | None = None
    began: float | None = None
    status: JobStatus = _UNKNOWN
    hopeless: int = 0
    is_over: bool = False
    has_choice: bool = False
    has_told: bool = False

    @property
    def is_gone(self) -> bool:
        """Whether nothing of it is left in the queue; one that is held is."""
        return self.is_over and not self.status.is_held

    def note(self, status: JobStatus) -> None:
        """Take in what Slurm says."""
        self.status = status
        self.host = status.host or self.host
        self.is_over = status.state in ENDED_JOBS | {JobState.GONE}
        if self.began is None and (self.is_over or status.state is JobState.RUNNING):
            self.began = time.monotonic()
        is_pending = status.state is JobState.PENDING
        reason = explain(status.reason)
        is_meant = not (reason.is_of_partition and self.has_choice)
        is_hopeless = is_pending and is_meant and reason.fate is Fate.NEVER
        self.hopeless = self.hopeless + 1 if is_hopeless else 0


class Probes:
    """All probes of one call of `headway doctor`; `clear` has to be called at the end."""

    def __init__(
        self,
        cluster: ProbingCluster,
        folder: Path,
        expected: Expected,
        *,
        wait_seconds: float,
    ) -> None:
        """Describe them; nothing is submitted.

        Args:
            cluster: Takes them.
            folder: Where the question lies, and where they write what they see.
            expected: What they have to see.
            wait_seconds: How long they may wait until they begin.
        """
        self._cluster = cluster
        self._folder = folder
        self._expected = expected
        self._wait_seconds = wait_seconds
        self._probes: list[Probe] = []
        self._unclear: list[str] = []

    def submit(self, resources: Resources, hosts: Sequence[str | None]) -> Iterator[Finding]:
        """Submit one for each host; None stands for whichever Slurm takes."""
        began = time.monotonic()
        for number, host in enumerate(hosts):
            time.sleep(self._cluster.pause_seconds())
            self._tell_time()
            if (problem := self._submit(f"{number}", host, resources)) is not None:
                yield problem
                break  # the next one would be refused as well
        if self._probes:
            ids = ", ".join(probe.job_id for probe in self._probes)
            took = time.monotonic() - began
            yield ok("submission", f"sbatch took the probe (job {ids}) in {took:.2f} s")

    def _submit(self, number: str, host: str | None, resources: Resources) -> Finding | None:
        token = f"{self._folder.name.rpartition('-')[2]}{number}"
        order = Order(
            token=token,
            name=f"hw-doctor-{token}",
            size=1,
            resources=resources,
            run_dir=self._folder,
            log_pattern="log",
            only_on=host,
        )
        # Before and not after: this process may be told to end while sbatch works.
        self._unclear.append(order.name)
        answer = self._cluster.submit(order)
        if answer.kind is AnswerKind.ACCEPTED:
            has_choice = "," in (resources.partition or os.environ.get("SBATCH_PARTITION", ""))
            probe = Probe(answer.job_ids[0], order.name, host, has_choice=has_choice)
            self._probes.append(probe)
        if answer.kind is not AnswerKind.UNCLEAR:
            self._unclear.remove(order.name)
        return None if answer.kind is AnswerKind.ACCEPTED else ends.refused(answer, host)

    def watch(self) -> Iterator[Finding]:
        """Wait for all of them; each gives one finding at least."""
        deadline = time.monotonic() + self._wait_seconds
        open_ones = list(self._probes)
        next_survey = 0.0
        while open_ones:
            self._tell_time()
            is_due = time.monotonic() >= next_survey
            if is_due:
                self._survey(open_ones)
                # As politely as any head: the longer it lasts, the rarer.
                pause = max(_SURVEY_SECONDS, self._cluster.pause_seconds())
                next_survey = time.monotonic() + pause
            for probe in list(open_ones):
                # Its file first: it may have come while Slurm was asked.
                found = self._look(probe) or (self._give_up(probe, deadline) if is_due else [])
                if found:
                    open_ones.remove(probe)
                    yield from found
            time.sleep(_LOOK_SECONDS)

    def accounting_delay(self) -> Iterator[Finding]:
        """Say how long it takes until the accounting has heard of a job's end."""
        ended = [probe for probe in self._probes if probe.is_over or probe.has_told]
        if not ended:
            return
        began = time.monotonic()
        while time.monotonic() < began + _LATE_SECONDS:
            if self._cluster.checkup.knows_end(ended[0].job_id):
                late = time.monotonic() - began
                yield ok("accounting delay", f"sacct knew of the probe's end after {late:.0f} s")
                return
            time.sleep(_SURVEY_SECONDS)
        yield warning(
            "accounting delay",
            f"sacct has not heard of the probe's end after {_LATE_SECONDS:g} s",
            "Headway goes by squeue meanwhile, and calls a job gone only when both deny it.",
        )

    def clear(self) -> list[str]:
        """End what is left of them.

        Returns:
            What scancel has to be told about those that are not known to have ended.
        """
        found = self._cluster.survey({}, names=self._unclear).found if self._unclear else {}
        lost = [f"--name={name}" for name in self._unclear if found is None or name not in found]
        for name, tasks in (found or {}).items():
            self._probes += [Probe(job_id, name) for job_id in tasks.values()]
        left = [probe for probe in self._probes if not probe.is_gone]
        end = time.monotonic() + _END_SECONDS
        is_told = False
        while left and time.monotonic() < end:
            self._survey(left)
            left = [probe for probe in left if not probe.is_gone]
            if left and not is_told:
                is_told = self._cluster.cancel([probe.job_id for probe in left])
            time.sleep(_LOOK_SECONDS if left else 0)
        return [*(probe.job_id for probe in left), *lost]

    def _tell_time(self) -> None:
        write_whole(str(self._folder / CLOCK), repr(time.time()), durable=False)

    def _survey(self, probes: Sequence[Probe]) -> None:
        known = {probe.job_id: KnownJob(name=probe.name) for probe in probes}
        statuses = self._cluster.survey(known).statuses
        for probe in probes:
            probe.note(statuses[probe.job_id])

    def _look(self, probe: Probe) -> list[Finding]:
        """Return what a probe has told; nothing if there is nothing yet."""
        try:
            text = (self._folder / sight_file(probe.job_id)).read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        probe.has_told = True
        sight: Sight = json.loads(text)
        return list(judge(sight, self._expected, seen_at=time.time()))

    def _give_up(self, probe: Probe, deadline: float) -> list[Finding]:
        """Return why there is nothing to wait for any more; nothing if there is."""
        moment = time.monotonic()
        place = probe.host or "its node"
        is_late = probe.began is not None and moment > probe.began + ANSWER_SECONDS
        if probe.is_over:
            # One that ended well has written its file, which may take its time to appear here.
            is_told = probe.status.state is not JobState.COMPLETED or is_late
            return [self._ended(probe, place)] if is_told else []
        if probe.began is not None:
            return [ends.silent(place, ANSWER_SECONDS, probe.host)] if is_late else []
        if probe.hopeless >= _CERTAIN or moment > deadline:
            is_certain = probe.hopeless >= _CERTAIN
            return [
                ends.waiting(
                    probe.status, probe.host, seconds=self._wait_seconds, is_certain=is_certain
                )
            ]
        return []

    def _ended(self, probe: Probe, place: str) -> Finding:
        code = self._cluster.checkup.exit_code(probe.job_id)
        code = probe.status.exit_code if code is None else code
        log = self._folder / log_of(probe.job_id)
        text = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
        last = " / ".join(text.strip().splitlines()[-_LOG_LINES:])
        return ends.ended(probe.status, code, place, self._expected.folder, last)
