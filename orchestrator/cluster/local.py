"""Local processes in place of a scheduler: a laptop, or `--force_local_execution`."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

from db.states import JobState
from orchestrator.cluster.base import Answer, AnswerKind, JobStatus, Order

# A job id is `local-PID-START`: a process id alone may belong to somebody else tomorrow.
_PREFIX = "local"


class LocalCluster:
    """Runs each task as a process in a session of its own; it outlives the head."""

    name = "local"

    def __init__(self, *, entry: Path) -> None:
        self.entry = entry
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._ended: dict[str, int] = {}
        self._lock = threading.Lock()

    def submit(self, order: Order) -> Answer:
        job_ids: list[str] = []
        try:
            (order.run_dir / order.log_pattern).parent.mkdir(parents=True, exist_ok=True)
            job_ids.extend(self._start(order, index) for index in range(order.size))
        except OSError as error:
            # Those that were started find their attempts and go on; the rest has no process.
            message = f"cannot start a process: {error.strerror}"
            return Answer(kind=AnswerKind.UNCLEAR, job_ids=tuple(job_ids), message=message)
        return Answer(kind=AnswerKind.ACCEPTED, job_ids=tuple(job_ids))

    def _start(self, order: Order, index: int) -> str:
        log = order.run_dir / order.log_pattern.format(index=index)
        with log.open("ab", buffering=0) as output:
            child = subprocess.Popen(
                self._command(order, index),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        job_id = f"{_PREFIX}-{child.pid}-{process_start(child.pid) or 0}"
        with self._lock:
            self._children[job_id] = child
        return job_id

    def _command(self, order: Order, index: int) -> list[str]:
        entry = [sys.executable, "-I", "-S", str(self.entry)]
        return [*entry, str(order.run_dir), order.token, str(index)]

    def pause_seconds(self) -> float:
        return 0.0

    def script(self, order: Order) -> str:
        return shlex.join(self._command(order, 0)) + "\n"

    def statuses(self, jobs: Mapping[str, str]) -> dict[str, JobStatus]:
        self._reap()
        return {job_id: self._status(job_id) for job_id in jobs}

    def _reap(self) -> None:
        with self._lock:
            for job_id, child in list(self._children.items()):
                code = child.poll()
                if code is not None:
                    self._ended[job_id] = code
                    del self._children[job_id]

    def _status(self, job_id: str) -> JobStatus:
        code = self._ended.get(job_id)
        if code is not None:
            state = JobState.COMPLETED if code == 0 else JobState.FAILED
            return JobStatus(state=state, word=_word(code), host=None, exit_code=code)
        if _is_running(job_id):
            return JobStatus(state=JobState.RUNNING, word="RUNNING")
        return JobStatus(state=JobState.GONE)

    def find(self, names: Iterable[str]) -> dict[str, dict[int, str]] | None:
        wanted = {name.rpartition("-")[2]: name for name in names}
        found: dict[str, dict[int, str]] = {name: {} for name in wanted.values()}
        for pid, words in _own_processes():
            token = next((word for word in words if word in wanted), None)
            if token is not None and str(self.entry) in words and words[-1].isdigit():
                job_id = f"{_PREFIX}-{pid}-{process_start(pid) or 0}"
                found[wanted[token]][int(words[-1])] = job_id
        return found

    def cancel(self, job_ids: Iterable[str], *, pending_only: bool = False) -> None:
        if pending_only:
            return
        for job_id in job_ids:
            if _is_running(job_id):
                # The worker ends its program, reports, and ends itself.
                _signal(int(job_id.split("-")[1]), signal.SIGTERM)


def process_start(pid: int) -> int | None:
    """Return when a process started, in clock ticks after boot; None if it is gone or a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    # The name in parentheses may hold spaces and parentheses (proc(5)).
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in {"Z", "X"} else int(fields[19])


def _is_running(job_id: str) -> bool:
    _, pid, start = job_id.split("-")
    return process_start(int(pid)) == int(start)


def _word(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _own_processes() -> Iterable[tuple[int, list[str]]]:
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            if folder.stat().st_uid == os.getuid():
                text = (folder / "cmdline").read_bytes()
                yield int(folder.name), text.decode(errors="replace").rstrip("\0").split("\0")
        except OSError:
            continue


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
