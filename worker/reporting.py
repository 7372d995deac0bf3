"""How a worker's messages reach the head: the spool, or the database itself.

A message is tried until its patience ends, then goes to the spool, then into the worker's log. A
worker that was told to stop has no time to be patient: its messages go to the spool first, which
the head reads whatever the transport is.
"""

from __future__ import annotations

import errno

from db.errors import DatabaseUnavailable
from db.light_json import dumps
from db.spool import assignments, layout, lines, reports
from worker.aside import LAST_SECONDS, aside
from worker.clock import now
from worker.output import say, write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol, TypeVar

    from db.records import Assignment, Claim, ReportMessage, WorkerJob
    from worker.stopping import Stopping

    T = TypeVar("T")

    class Transport(Protocol):
        """The way to the head. Calls may raise OSError or DatabaseError; each may be repeated."""

        def claim(self, token: str, index: int, claim: Claim) -> Assignment | None:
            """Take the attempt and tell that it starts; None if it is not to be had."""

        def send(self, message: ReportMessage) -> None:
            """Store a report."""

        def beat(self, assignment: Assignment) -> bool:
            """Give a sign of life; False if the attempt is known to be no longer ours."""


# A compute node may for a moment believe that a new file does not exist (NFS).
_LOOKS = 4
_LOOK_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
_ERRORS = 2
# Begins the line of a report that found no other way; the head looks for it (`steps.salvage`).
LAST_RESORT = "HEADWAY-REPORT: "


class SpoolTransport:
    """Talks through files in the run folder."""

    def __init__(self, run_dir: str, stopping: Stopping) -> None:
        self._spool = layout.spool_of(run_dir)
        self._stopping = stopping

    def claim(self, token: str, index: int, claim: Claim) -> Assignment | None:
        """Take the assignment's file and write the START report."""
        for look in range(_LOOKS):
            assignment = assignments.claim(self._spool, token, index, claim["claim"])
            if assignment is None and claim.get("restart"):
                assignment = assignments.take_over(self._spool, token, index, claim["claim"])
            if assignment is not None:
                self._start(assignment, claim)
                return assignment
            if look + 1 == _LOOKS or assignments.is_taken(self._spool, token, index):
                break
            self._stopping.sleep(_LOOK_SECONDS)
        return None

    def _start(self, assignment: Assignment, claim: Claim) -> None:
        """Tell that the attempt starts; the renamed file proves it if this cannot be written."""
        message: ReportMessage = {
            "attempt_id": assignment["attempt_id"],
            "attempt_token": assignment["attempt_token"],
            "kind": "START",
            "sequence": 0,
            "created_at": claim["started_at"],
            "payload": {**claim},
        }
        try:
            reports.write_report(self._spool, message)
        except OSError as error:
            say(f"the start could not be reported: {error}")

    def send(self, message: ReportMessage) -> None:
        """Write a report's file; metrics go to the attempt's own file."""
        if message["kind"] == "METRIC":
            lines.append_line(self._spool, message["attempt_token"], message)
        else:
            reports.write_report(self._spool, message)

    def beat(self, assignment: Assignment) -> bool:
        """Add a line to the attempt's file."""
        record = {
            "attempt_id": assignment["attempt_id"],
            "attempt_token": assignment["attempt_token"],
            "kind": "HEARTBEAT",
            "at": now(),
        }
        lines.append_line(self._spool, assignment["attempt_token"], record)
        return True


def open_transport(job: WorkerJob, stopping: Stopping) -> Transport:
    """Return the way to the head that `job.json` names; nothing is opened yet.

    Raises DatabaseError if the database of `db_url` is of a kind that cannot be used here.
    """
    if job["transport"] == "spool" or job["db_url"] is None:
        return SpoolTransport(job["run_dir"], stopping)
    from db.direct import DirectStore

    return DirectStore(job["db_url"], run_dir=job["run_dir"], experiment_id=job["experiment_id"])


def patiently(action: Callable[[], T], seconds: float, stopping: Stopping) -> T:
    """Do `action` until it works, for so many seconds or until somebody tells us to stop.

    What may pass is tried again: no answer of the database, any trouble of the file system. The
    last error is raised. All else is raised at once.
    """
    try:
        return aside(action, stopping)
    except (DatabaseUnavailable, OSError) as error:
        if stopping.is_requested() or seconds <= 0:
            raise
        say(f"trying again for {seconds:.0f} s: {error}")
    import tenacity  # 80 ms, after a failure only

    class Told(tenacity.stop.stop_base):
        """Stops as soon as somebody tells this process to."""

        def __call__(self, retry_state: tenacity.RetryCallState) -> bool:
            del retry_state
            return stopping.is_requested()

    pause = min(_LONGEST_PAUSE_SECONDS, seconds / 8)
    again = tenacity.Retrying(
        sleep=stopping.sleep,
        stop=tenacity.stop_any(tenacity.stop_after_delay(seconds), Told()),
        wait=tenacity.wait_random_exponential(multiplier=0.2, max=pause),
        retry=tenacity.retry_if_exception_type((DatabaseUnavailable, OSError)),
        reraise=True,
    )
    stopping.sleep(min(0.2, pause))
    return again(lambda: aside(action, stopping))


def deliver(
    message: ReportMessage, transport: Transport, job: WorkerJob, stopping: Stopping
) -> bool:
    """Bring a report to the head by whatever way is open.

    Returns:
        False if no way was: then the report stands in the log, as a line `HEADWAY-REPORT: {…}`.
    """
    patience = job["report_patience_seconds"]
    spool = SpoolTransport(job["run_dir"], stopping)
    is_direct = not isinstance(transport, SpoolTransport)
    # Told to stop: a file takes milliseconds, a database that does not answer takes all there is.
    is_spool_first = is_direct and stopping.is_requested()
    if is_spool_first and _try_way(spool, message, patience, stopping):
        _tell_too(transport, message, stopping)
        return True
    if _try_way(transport, message, patience, stopping):
        return True
    if is_direct and not is_spool_first and _try_way(spool, message, patience, stopping):
        return True
    _write_to_log(message)
    return False


def _write_to_log(message: ReportMessage) -> None:
    """Leave a report where only the head's last look will find it."""
    write_all(_ERRORS, f"\n{LAST_RESORT}{dumps(message)}\n".encode())


def _tell_too(transport: Transport, message: ReportMessage, stopping: Stopping) -> None:
    """Let the database know of a report in the spool, if it answers in the little time there is.

    A job that Slurm starts again asks only the database whether its program had come to its end.
    """
    try:
        aside(lambda: transport.send(message), stopping)
    except Exception as error:  # noqa: BLE001 - the report is safe
        say(f"the report is in the spool; the database does not take it: {error}")


def spool_report(message: ReportMessage, job: WorkerJob, stopping: Stopping) -> bool:
    """Bring a report to the head through the spool, whatever the transport is."""
    return deliver(message, SpoolTransport(job["run_dir"], stopping), job, stopping)


def spool_briefly(message: ReportMessage, job: WorkerJob, stopping: Stopping) -> bool:
    """Try the spool of a run folder that is known not to work, once; else the log has to do."""
    spool = SpoolTransport(job["run_dir"], stopping)
    try:
        aside(lambda: spool.send(message), stopping, limit_seconds=LAST_SECONDS)
    except OSError as error:
        say(f"the report could not be delivered: {error}")
        _write_to_log(message)
        return False
    return True


def _try_way(way: Transport, message: ReportMessage, patience: float, stopping: Stopping) -> bool:
    """Try one way; whatever goes wrong there, the next way must still be tried."""
    try:
        patiently(lambda: way.send(message), patience, stopping)
    except Exception as error:  # noqa: BLE001 - a result is in hand: a bug here must not lose it
        number = error.errno if isinstance(error, OSError) else None
        hint = " (disk full or over quota)" if number in (errno.ENOSPC, errno.EDQUOT) else ""
        say(f"the report could not be delivered: {error}{hint}")
        return False
    return True
