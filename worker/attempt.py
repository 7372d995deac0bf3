"""One attempt from claim to report."""

from __future__ import annotations

import os
import sys

from db.errors import DatabaseError
from db.light_json import loads
from worker.clock import now
from worker.environment import (
    prepare_checkpoint_dir,
    program_environment,
    tidy_checkpoint_dir,
)
from worker.heartbeat import Heartbeat
from worker.output import Output, say
from worker.placeholders import render
from worker.program import Program, Watch
from worker.protocol import Protocol
from worker.reporting import deliver, open_transport, patiently, spool_report
from worker.stopping import Stopping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from db.records import (
        ArtifactRecord,
        Assignment,
        Claim,
        EndPayload,
        Measured,
        ReportMessage,
        WorkerJob,
    )
    from worker.gpus import GpuWatch
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
    job = read_job(run_dir, stopping)
    sys.path.extend(folder for folder in job["import_folders"] if folder not in sys.path)
    claim: Claim = {
        "claim": os.urandom(8).hex(),
        "host": os.environ.get("SLURMD_NODENAME") or os.uname().nodename,
        "slurm_job_id": slurm_job_id(os.environ) if is_slurm_task else None,
        "pid": os.getpid(),
        "started_at": now(),
    }
    try:
        transport = open_transport(job, stopping)
        if stopping.is_requested():
            say("told to stop before the attempt was claimed")
            return _NOT_REPORTED
        assignment = patiently(
            lambda: transport.claim(token, index, claim), job["claim_patience_seconds"], stopping
        )
    except (OSError, ValueError, ImportError, DatabaseError) as error:
        say(f"the attempt could not be claimed: {error}")
        message = _unclaimed(claim, token, index, str(error))
        return _DONE if spool_report(message, job, stopping) else _NOT_REPORTED
    if assignment is None:
        say("nothing to do: this attempt was superseded or already runs")
        return _DONE
    return Attempt(job, assignment, claim=claim, transport=transport, stopping=stopping).run(null)


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


def _unclaimed(claim: Claim, token: str, index: int, problem: str) -> ReportMessage:
    """Make the report of a worker that could not learn which attempt it is.

    `attempt_id` is 0; the payload's `submission_token` and `array_index` tell which one it was.
    """
    payload: EndPayload = {
        **_empty_payload(claim),
        "problems": [f"the attempt could not be claimed: {problem}"],
        "submission_token": token,
        "array_index": index,
    }
    return {
        "attempt_id": 0,
        "attempt_token": f"{token}_{index}",
        "kind": "END",
        "sequence": 0,
        "created_at": now(),
        "payload": {**payload},
    }


def _empty_payload(claim: Claim) -> EndPayload:
    """Return what is to be said of a program that was not started."""
    return {
        "results": {},
        "sems": {},
        "infos": {},
        "artifacts": [],
        "problems": [],
        "cause": "NOT_STARTED",
        "exit_code": None,
        "signal": None,
        "host": claim["host"],
        "slurm_job_id": claim["slurm_job_id"],
        "started_at": now(),
        "ended_at": now(),
        "measured": {
            "wall_seconds": 0.0,
            "user_seconds": 0.0,
            "system_seconds": 0.0,
            "peak_memory_bytes": 0,
        },
        "tail": "",
    }


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
            seconds=job["heartbeat_seconds"],
            gpus=self._gpus,
        )
        self._payload = _empty_payload(claim)

    def run(self, null: int) -> int:
        """Run the program and report; returns the worker's exit code.

        Args:
            null: A descriptor of /dev/null, the program's standard input.
        """
        if self._stopping.is_requested():
            self._payload["cause"] = "TERMINATED"
        else:
            self._run_program(null)
        self._payload["ended_at"] = now()
        delivered = self._report()
        tidy_checkpoint_dir(self._assignment)
        return _DONE if delivered else _NOT_REPORTED

    def _run_program(self, null: int) -> None:
        """Start the program, wait for its end, and note all that is to be told."""
        try:
            prepare_checkpoint_dir(self._assignment)
            os.chdir(self._job["working_folder"])
            program = Program(
                render(self._job["program"], self._assignment["parameters"]),
                program_environment(self._job, self._assignment),
                null,
            )
        except (OSError, ValueError) as error:
            say(f"the program could not be started: {error}")
            self._payload["problems"] = [f"the program could not be started: {error}"]
            return
        watch = Watch(
            program, output=self._output, stopping=self._stopping, heartbeat=self._heartbeat
        )
        ending = watch.until_end(
            limit_seconds=self._job["worker_timeout_seconds"],
            grace_seconds=self._job["grace_seconds"],
        )
        self._note(ending)

    def _note(self, ending: Ending) -> None:
        """Put what was seen into the payload."""
        self._protocol.close()
        measured: Measured = {
            "wall_seconds": ending.wall_seconds,
            "user_seconds": ending.user_seconds,
            "system_seconds": ending.system_seconds,
            "peak_memory_bytes": ending.peak_memory_bytes,
        }
        if self._gpus is not None:
            self._gpus.add_to(measured)
        artifacts, missing = find_artifacts(self._protocol.artifacts)
        self._payload.update(
            {
                "results": self._protocol.results,
                "sems": self._protocol.sems,
                "infos": self._protocol.infos,
                "artifacts": artifacts,
                "problems": self._protocol.problems + missing,
                "cause": ending.cause,
                "exit_code": ending.exit_code,
                "signal": ending.signal,
                "measured": measured,
                "tail": self._output.tail(),
            }
        )

    def _report(self) -> bool:
        """Tell the head; metrics first, so that it has them when it decides."""
        for metrics in self._heartbeat.send_metrics():
            spool_report(metrics, self._job, self._stopping)
        message: ReportMessage = {
            "attempt_id": self._assignment["attempt_id"],
            "attempt_token": self._assignment["attempt_token"],
            "kind": "END",
            "sequence": 0,
            "created_at": self._payload["ended_at"],
            "payload": {**self._payload},
        }
        return deliver(message, self._transport, self._job, self._stopping)


def find_artifacts(lines: list[str]) -> tuple[list[ArtifactRecord], list[str]]:
    """Look for the files that ARTIFACT lines name, from the program's folder.

    A line is `PATH` or `PATH NAME`; a path may hold spaces if it is the whole line.

    Returns:
        Those that exist, and a problem for each of the others.
    """
    found: list[ArtifactRecord] = []
    problems = []
    for line in lines:
        first, _, last = line.rpartition(" ")
        for path, name in ((line, os.path.basename(line)), (first.strip(), last)):
            if path and os.path.isfile(path):
                size = os.path.getsize(path)
                found.append({"name": name, "path": os.path.abspath(path), "bytes": size})
                break
        else:
            problems.append(f"ARTIFACT: no file {line!r}")
    return found, problems


def _find_gpus() -> GpuWatch | None:
    """Return a watch on the GPUs that this job was given, if any."""
    count = os.environ.get("SLURM_GPUS_ON_NODE", "0")
    devices = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    if count == "0" and devices in ("", "-1", "NoDevFiles"):
        return None
    from worker.gpus import find_gpus

    return find_gpus()
