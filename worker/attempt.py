"""One attempt from claim to report."""

from __future__ import annotations

import os
import sys

from db.errors import DatabaseError
from db.light_json import loads
from worker.aside import aside
from worker.clock import now
from worker.code import changed_files
from worker.environment import (
    given_memory_mb,
    prepare_checkpoint_dir,
    program_environment,
    tidy_checkpoint_dir,
)
from worker.fitness import find_misfit, start_delay
from worker.heartbeat import Heartbeat
from worker.local_job import own_job_id
from worker.output import Output, say
from worker.payloads import empty_payload, find_artifacts, unclaimed
from worker.placeholders import render
from worker.preflight import find_defect
from worker.program import Program, Watch
from worker.protocol import Protocol
from worker.reporting import (
    SpoolTransport,
    deliver,
    open_transport,
    patiently,
    spool_briefly,
    spool_report,
)
from worker.restarts import mark, restart_count, tidy_earlier
from worker.stopping import Stopping, signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from db.records import (
        ArtifactRecord,
        Assignment,
        Checks,
        Claim,
        Measured,
        ReportMessage,
        WorkerJob,
    )
    from worker.gpus import GpuWatch
    from worker.preflight import Defect
    from worker.program import Ending
    from worker.reporting import Transport

# A file that the head has just written may take this long to appear on a compute node (NFS).
_JOB_LOOKS = 20
_JOB_LOOK_SECONDS = 0.5
_DONE, _NOT_REPORTED = 0, 1


def run(run_dir: str, token: str, index: int, *, is_slurm_task: bool) -> int:
    """Claim an attempt, run its program, report.

    Args:
        run_dir: The run folder, absolute.
        token: Token of the submission.
        index: Array index within it.
        is_slurm_task: Whether this process is a Slurm job of its own.

    Returns:
        The worker's exit code: 0 if the head was told all, or there was nothing to do; 1 if not.
    """
    null = _fill_standard_descriptors()
    stopping = Stopping()
    if is_slurm_task:
        stopping.sleep(start_delay(os.environ))
    try:
        job = read_job(run_dir, stopping)
    except (OSError, ValueError) as error:
        say(f"the run folder cannot be read on {os.uname().nodename}: {error}")
        return _NOT_REPORTED
    sys.path.extend(folder for folder in job["import_folders"] if folder not in sys.path)
    claim: Claim = {
        "claim": os.urandom(8).hex(),
        "host": os.environ.get("SLURMD_NODENAME") or os.uname().nodename,
        "slurm_job_id": slurm_job_id(os.environ) if is_slurm_task else own_job_id(os.getpid()),
        "pid": os.getpid(),
        "started_at": now(),
    }
    memory_mb = given_memory_mb(os.environ) if is_slurm_task else None
    if memory_mb:
        claim["memory_mb"] = memory_mb
    restart = restart_count(os.environ) if is_slurm_task else 0
    if restart:
        mark(claim, restart)
    misfit = find_misfit(job, stopping)
    defect = None
    if not misfit and not stopping.is_requested():
        defect = find_defect(job, stopping, is_slurm_task=is_slurm_task)
    if stopping.is_requested():
        say("told to stop before the attempt was claimed")
        return _NOT_REPORTED
    offer = _Offer(job, token, index, claim=claim, stopping=stopping)
    return offer.leave(misfit, is_unfit=True) if misfit else offer.take(defect, null)


class _Offer:
    """An attempt that this worker may claim; it knows only where it stands in its submission."""

    def __init__(
        self, job: WorkerJob, token: str, index: int, *, claim: Claim, stopping: Stopping
    ) -> None:
        self._job = job
        self._token = token
        self._index = index
        self._claim = claim
        self._stopping = stopping

    def take(self, defect: Defect | None, null: int) -> int:
        """Claim it, and run its program or say why not; returns the worker's exit code.

        Args:
            defect: What is wrong with this node. The attempt is claimed nevertheless: nobody else
                may run it meanwhile, and a worker with a database does not need the spool to say so.
            null: A descriptor of /dev/null.
        """
        job, stopping, claim = self._job, self._stopping, self._claim
        if defect and defect.bars_spool and job["transport"] == "spool":
            return self._leave_for(defect)
        changed = {} if defect else changed_files(job.get("code", {}))
        if changed:
            claim["code"] = changed
            say(f"changed since the head looked: {', '.join(changed)}")
        try:
            transport = open_transport(job, stopping)
            assignment = patiently(
                lambda: transport.claim(self._token, self._index, claim),
                0.0 if defect else job["claim_patience_seconds"],
                stopping,
            )
        except (OSError, ValueError, ImportError, DatabaseError) as error:
            if defect:
                return self._leave_for(defect)
            problem = f"the attempt could not be claimed: {error}"
            return self.leave(problem, is_unfit=isinstance(error, ImportError))
        if assignment is None:
            say("nothing to do: this attempt was superseded or already runs")
            return _DONE
        if "restart" in claim:
            say(f"Slurm has started this job again (restart {claim['restart']})")
            tidy_earlier(assignment)
        attempt = Attempt(job, assignment, claim=claim, transport=transport, stopping=stopping)
        return attempt.refuse(defect) if defect else attempt.run(null)

    def leave(self, problem: str, *, is_unfit: bool) -> int:
        """Tell why the attempt was not claimed, in the log and through the spool."""
        message = self._unclaimed(problem, is_unfit=is_unfit, checks=None)
        return _DONE if spool_report(message, self._job, self._stopping) else _NOT_REPORTED

    def _leave_for(self, defect: Defect) -> int:
        """Tell of a defect where the attempt could not be claimed to tell it."""
        message = self._unclaimed(defect.problem, is_unfit=True, checks=defect.checks)
        way = spool_briefly if defect.bars_spool else spool_report
        return _DONE if way(message, self._job, self._stopping) else _NOT_REPORTED

    def _unclaimed(self, problem: str, *, is_unfit: bool, checks: Checks | None) -> ReportMessage:
        say(problem)
        return unclaimed(
            self._claim,
            self._token,
            self._index,
            problem=problem,
            is_unfit=is_unfit,
            checks=checks,
        )


def read_job(run_dir: str, stopping: Stopping) -> WorkerJob:
    """Read `job.json`; raises OSError or ValueError if it does not become readable in 10 s."""
    path = os.path.join(run_dir, "job.json")
    for look in range(_JOB_LOOKS):
        try:
            with open(path, encoding="utf-8") as file:
                job: WorkerJob = loads(file.read())
        except (OSError, ValueError):
            if look + 1 == _JOB_LOOKS or stopping.is_requested():
                raise
            stopping.sleep(_JOB_LOOK_SECONDS)
        else:
            return job
    raise FileNotFoundError(path)


def slurm_job_id(environ: Mapping[str, str]) -> str | None:
    """Return the Slurm job as `squeue -r` prints it, e.g. 123_4; None outside of Slurm."""
    array, task = environ.get("SLURM_ARRAY_JOB_ID"), environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else environ.get("SLURM_JOB_ID")


def _fill_standard_descriptors() -> int:
    """Make sure that 0, 1 and 2 are taken, and return a descriptor of /dev/null.

    A worker may be started with its output closed; its pipes must not land there.
    """
    while True:
        descriptor = os.open(os.devnull, os.O_RDWR)
        if descriptor > 2:  # noqa: PLR2004
            return descriptor


class Attempt:
    """An attempt that this worker has claimed."""

    def __init__(
        self,
        job: WorkerJob,
        assignment: Assignment,
        *,
        claim: Claim,
        transport: Transport,
        stopping: Stopping,
    ) -> None:
        self._job = job
        self._assignment = assignment
        self._transport = transport
        self._stopping = stopping
        self._protocol = Protocol(job["objectives"])
        self._output = Output(self._protocol)
        self._gpus = _find_gpus()
        self._heartbeat = Heartbeat(
            transport,
            assignment,
            self._protocol,
            spool=SpoolTransport(job["run_dir"], stopping),
            seconds=job["heartbeat_seconds"],
            gpus=self._gpus,
        )
        self._payload = empty_payload(claim)

    def run(self, null: int) -> int:
        """Run the program and report; returns the worker's exit code.

        Args:
            null: A descriptor of /dev/null, the program's standard input.
        """
        if not self._stopping.is_requested():
            self._run_program(null)
        if self._stopping.signal is not None:
            self._payload["told_by"] = self._stopping.signal
            if self._payload["cause"] == "NOT_STARTED":
                self._payload["cause"] = "TERMINATED"
        self._payload["ended_at"] = now()
        delivered = self._report()
        tidy_checkpoint_dir(self._assignment)
        return _DONE if delivered else _NOT_REPORTED

    def refuse(self, defect: Defect) -> int:
        """Report that this node cannot run it; returns the worker's exit code."""
        say(defect.problem)
        self._payload.update(
            {"problems": [defect.problem], "is_unfit": True, "checks": defect.checks}
        )
        self._payload["ended_at"] = now()
        return _DONE if self._report() else _NOT_REPORTED

    def _run_program(self, null: int) -> None:
        """Start the program, wait for its end, and note all that is to be told."""
        try:
            patiently(
                lambda: prepare_checkpoint_dir(self._assignment),
                self._job["report_patience_seconds"],
                self._stopping,
            )
            if self._stopping.is_requested():
                return  # the signal was taken: a program that starts now would never hear of it
            program = Program(
                render(self._job["program"], self._assignment["parameters"]),
                program_environment(self._job, self._assignment),
                null,
            )
        except (OSError, ValueError, ImportError) as error:
            say(f"the program could not be started: {error}")
            self._payload["problems"] = [f"the program could not be started: {error}"]
            return
        watch = Watch(
            program, output=self._output, stopping=self._stopping, heartbeat=self._heartbeat
        )
        try:
            ending = watch.until_end(
                limit_seconds=self._assignment.get(
                    "timeout_seconds", self._job["worker_timeout_seconds"]
                ),
                grace_seconds=self._job["grace_seconds"],
            )
            self._note(ending)
        except Exception as error:  # noqa: BLE001 - a fault of ours must not cost the report too
            self._break_off(program, error)

    def _break_off(self, program: Program, error: Exception) -> None:
        """End a program that can no longer be watched, and say so."""
        program.send_to_all(signal.SIGKILL)
        problem = f"the worker failed: {type(error).__name__}: {error}"
        say(problem)
        self._payload.update({"cause": "EXIT", "signal": signal.SIGKILL, "problems": [problem]})

    def _note(self, ending: Ending) -> None:
        """Put what was seen into the payload."""
        self._protocol.close()
        if ending.cause == "EXIT" and not self._is_success(ending) and self._stopping.hears_echo():
            ending.cause = "TERMINATED"
        measured: Measured = {
            "wall_seconds": ending.wall_seconds,
            "user_seconds": ending.user_seconds,
            "system_seconds": ending.system_seconds,
            "peak_memory_bytes": ending.peak_memory_bytes,
        }
        if self._gpus is not None:
            self._gpus.add_to(measured)
        artifacts, missing = self._find_artifacts()
        lost = self._output.problems()
        self._payload.update(
            {
                "results": self._protocol.results,
                "sems": self._protocol.sems,
                "infos": self._protocol.infos,
                "artifacts": artifacts,
                "problems": self._protocol.problems + missing + ending.problems + lost,
                "cause": ending.cause,
                "exit_code": ending.exit_code,
                "signal": ending.signal,
                "measured": measured,
                "tail": self._output.tail(),
            }
        )

    def _find_artifacts(self) -> tuple[list[ArtifactRecord], list[str]]:
        """Look for the files that the program named, on whatever file server they are."""
        lines = self._protocol.artifacts
        try:
            return aside(lambda: find_artifacts(lines), self._stopping) if lines else ([], [])
        except OSError as error:
            return [], [f"ARTIFACT: the files could not be looked for: {error}"]

    def _is_success(self, ending: Ending) -> bool:
        """Tell whether the program has done what it was to do."""
        return ending.exit_code == 0 and self._protocol.is_complete()

    def _report(self) -> bool:
        """Tell the head; metrics first, so that it has them when it decides."""
        for metrics in self._heartbeat.send_metrics(self._stopping):
            if not spool_report(metrics, self._job, self._stopping):
                break  # nor will the others get through, and the result still waits
        message: ReportMessage = {
            "attempt_id": self._assignment["attempt_id"],
            "attempt_token": self._assignment["attempt_token"],
            "kind": "END",
            "sequence": 0,
            "created_at": self._payload["ended_at"],
            "payload": {**self._payload},
        }
        return deliver(message, self._transport, self._job, self._stopping)


def _find_gpus() -> GpuWatch | None:
    """Return a watch on the GPUs that this job was given, if any."""
    count = os.environ.get("SLURM_GPUS_ON_NODE", "0")
    devices = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    if count == "0" and devices in ("", "-1", "NoDevFiles"):
        return None
    from worker.gpus import find_gpus

    return find_gpus()
