"""Local processes in place of a scheduler: a laptop, or `--force_local_execution`."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from db.states import JobState
from orchestrator.cluster.base import (
    Amendment,
    Answer,
    AnswerKind,
    ClusterHost,
    JobStatus,
    KnownJob,
    Limits,
    Order,
    Quota,
    Survey,
    refused_by_files,
)
from orchestrator.cluster.commands import CallBudget
from orchestrator.cluster.preparing import setup_lines
from orchestrator.spec.site import Site
from worker.local_job import local_job_id

# A worker that was told to end and lives on after this time is killed with its program: longer than
# the grace that it gives its program.
KILL_SECONDS = 25.0
# A process may be born while its kin is counted.
_ROUNDS = 3


class LocalCluster:
    """Runs each task as a process in a session of its own; it outlives the head."""

    name = "local"
    budget: CallBudget | None = None

    def __init__(self, *, entry: Path, site: Site = Site()) -> None:  # noqa: B008 - never changed
        self.entry = entry
        self._site = site
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._ended: dict[str, int] = {}
        self._told: dict[str, float] = {}
        self._lock = threading.Lock()

    def submit(self, order: Order) -> Answer:
        job_ids: list[str] = []
        try:
            (order.run_dir / order.log_pattern).parent.mkdir(parents=True, exist_ok=True)
            job_ids.extend(self._start(order, index) for index in range(order.size))
        except OSError as error:
            if not job_ids:
                return refused_by_files("cannot start a process", error)
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
        job_id = local_job_id(child.pid, process_start(child.pid) or 0)
        with self._lock:
            self._children[job_id] = child
        return job_id

    def _command(self, order: Order, index: int) -> list[str]:
        entry = [sys.executable, "-I", "-S", "-X", "utf8", str(self.entry)]
        worker = [*entry, str(order.run_dir), order.token, str(index)]
        lines = setup_lines(self._site)
        if not lines:
            return worker
        # The worker takes the place of bash: it is the process that was started, and found again.
        return ["bash", "-c", "\n".join([*lines, 'exec "$@"']), "headway-setup", *worker]

    def amend(self, job_ids: Iterable[str], *, exclude: Collection[str]) -> Amendment:
        del exclude
        return Amendment(left_alone=frozenset(job_ids))  # a process that is started runs at once

    def throttle(self, arrays: Iterable[str], *, most: int) -> Amendment:
        del most
        return Amendment(left_alone=frozenset(arrays))

    def quota(self) -> Quota:
        return Quota()

    def limits(self, partition: str | None) -> Limits:
        del partition
        name = os.uname().nodename
        return Limits(known=frozenset({name}), hosts={name: ClusterHost(name=name)})

    def pause_seconds(self) -> float:
        return 0.0

    def script(self, order: Order) -> str:
        return shlex.join(self._command(order, 0)) + "\n"

    def survey(
        self, jobs: Mapping[str, KnownJob], *, names: Collection[str] = (), family: str = ""
    ) -> Survey:
        # A process that finds nothing to claim ends at once: no stray ones have to be looked for.
        del family
        self._reap()
        statuses = {job_id: self._status(job_id) for job_id in jobs}
        return Survey(statuses=statuses, found=self._find(names) if names else {})

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

    def _find(self, names: Iterable[str]) -> dict[str, dict[int, str]]:
        wanted = {name.rpartition("-")[2]: name for name in names}
        found: dict[str, dict[int, str]] = {name: {} for name in wanted.values()}
        for pid, words in _own_processes():
            token = next((word for word in words if word in wanted), None)
            if token is not None and str(self.entry) in words and words[-1].isdigit():
                job_id = local_job_id(pid, process_start(pid) or 0)
                found[wanted[token]][int(words[-1])] = job_id
        return found

    def cancel(self, job_ids: Iterable[str], *, pending_only: bool = False) -> bool:
        moment = time.monotonic()
        for job_id in [] if pending_only else job_ids:
            if not _is_running(job_id):
                self._told.pop(job_id, None)
            elif moment - self._told.setdefault(job_id, moment) < KILL_SECONDS:
                # The worker ends its program, reports, and ends itself.
                _signal(_pid(job_id), signal.SIGTERM)
            else:
                _kill_all(_pid(job_id))
        return True


@dataclass(frozen=True)
class _Process:
    """What the kernel says of a process."""

    pid: int
    parent: int
    session: int
    start: int


def _process(pid: int) -> _Process | None:
    """Look at a process; None if it is gone or a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    # The name in parentheses may hold spaces and parentheses (proc(5)).
    fields = text.rpartition(")")[2].split()
    if fields[0] in {"Z", "X"}:
        return None
    return _Process(pid, int(fields[1]), int(fields[3]), int(fields[19]))


def process_start(pid: int) -> int | None:
    """Return when a process started, in clock ticks after boot; None if it is gone or a zombie."""
    found = _process(pid)
    return None if found is None else found.start


def _pid(job_id: str) -> int:
    return int(job_id.split("-")[1])


def _is_running(job_id: str) -> bool:
    return process_start(_pid(job_id)) == int(job_id.split("-")[2])


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
    # A program that it started with the rights of another user is left alone.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _kill_all(pid: int) -> None:
    """Kill a worker, which leads a session of its own, with all that it and its program started."""
    for _ in range(_ROUNDS):
        family = _family(pid)
        if not family:
            return
        for member in family:
            _signal(member, signal.SIGKILL)


def _family(pid: int) -> set[int]:
    """Return a process, its session, and the offspring of all of them."""
    numbers = [int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdigit()]
    everyone = [found for number in numbers if (found := _process(number)) is not None]
    family = {one.pid for one in everyone if pid in {one.pid, one.session}}
    while grown := {one.pid for one in everyone if one.parent in family} - family:
        family |= grown
    return family
