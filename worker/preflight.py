"""What a node must be able to do before an attempt is claimed there.

Whatever fails here is held to be the node's own fault, and the head keeps the node out at once. So
a node passes where a look cannot tell, and where what is wrong lies in storage that all nodes
share. On Slurm a node is held to what Slurm has promised in its name; a local worker shares the
head's machine, so only the user's own command looks at that.
"""

from __future__ import annotations

import errno
import os

from worker.aside import aside
from worker.environment import given_memory_mb, own_environment
from worker.output import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from db.records import Checks, Preflight, WorkerJob
    from worker.commands import Answer
    from worker.stopping import Stopping

_RUN_FOLDER = "run folder"
# A page: an empty file would fit into a full file system, and under a full quota.
_PROBE = bytes(4096)
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
# A disk that is full has a few kilobytes left now and then; no program that uses it is content.
_LEAST_FREE_BYTES = 16 * 2**20
_TEMPORARY = "/tmp"  # noqa: S108 - where programs go without TMPDIR
_NOT_HERE = (FileNotFoundError, NotADirectoryError, PermissionError)
# The system itself, and what it keeps back, makes less than all of a node's memory available to a
# job that asked for all of it. Of a node that lacks half, others have taken it.
_LEAST_MEMORY_SHARE = 0.5


class Defect:
    """What keeps a node from running attempts.

    Attributes:
        problem: The same in a sentence for the user.
        checks: What was measured, and under "failed" the name of the look that failed.
        bars_spool: Reports cannot go through the run folder.
    """

    def __init__(self, name: str, problem: str, measured: Checks) -> None:
        self.problem = problem
        self.checks: Checks = {"failed": name, **measured}
        self.bars_spool = name == _RUN_FOLDER


def find_defect(job: WorkerJob, stopping: Stopping, *, is_slurm_task: bool) -> Defect | None:
    """Look at this node; None if nothing is wrong, or if this process was told to stop meanwhile.

    Args:
        job: What the head says; its working folder is the current one.
        stopping: Nothing is waited for once this process was told to stop.
        is_slurm_task: Whether this process is a Slurm job of its own.
    """
    wanted = job.get("preflight")
    if wanted is None:
        return None
    look = _Look(job["run_dir"], wanted, stopping)
    for name, find_problem in look.all(is_slurm_task=is_slurm_task):
        problem = find_problem()
        # Whoever ends a job may signal its processes in any order.
        if stopping.is_requested() or (problem and stopping.hears_echo()):
            return None
        if problem:
            return Defect(name, problem, look.checks)
    return None


class _Look:
    """One look at the node.

    Attributes:
        checks: What was measured so far.
    """

    def __init__(self, run_dir: str, wanted: Preflight, stopping: Stopping) -> None:
        self.checks: Checks = {}
        self._run_dir = run_dir
        self._wanted = wanted
        self._stopping = stopping

    def all(self, *, is_slurm_task: bool) -> list[tuple[str, Callable[[], str | None]]]:
        """Return what there is to look at; each says what is wrong, or gives None."""
        looks: list[tuple[str, Callable[[], str | None]]] = []
        if is_slurm_task:
            looks = [
                (_RUN_FOLDER, self._run_folder),
                ("temporary folder", self._temporary_folder),
                ("memory", self._memory),
            ]
            if self._wanted["gpus"]:
                looks.append(("GPUs", self._gpus))
        if self._wanted["command"]:
            looks.append(("--preflight", self._command))
        return looks

    def _run_folder(self) -> str | None:
        name = f".preflight-{os.uname().nodename}-{os.getpid()}-{os.urandom(4).hex()}"
        path = os.path.join(self._run_dir, name)
        try:
            aside(lambda: _write(path), self._stopping, limit_seconds=self._wanted["seconds"])
        except OSError as error:
            if error.errno in _NO_ROOM:
                say(f"there is no room in the run folder: {error.strerror}")
                return None  # of no node's making; claim and report have a patience of their own
            self.checks["run_folder_error"] = _why(error)
            if isinstance(error, TimeoutError):
                # The file server may be at fault, for all nodes: what happens elsewhere tells.
                self.checks["no_answer_seconds"] = self._wanted["seconds"]
            return f"the run folder cannot be written on this node: {_why(error)}"
        return None

    def _temporary_folder(self) -> str | None:
        folder = os.environ.get("TMPDIR") or _TEMPORARY
        limit = self._wanted["seconds"]
        try:
            found = aside(lambda: _room(folder), self._stopping, limit_seconds=limit)
        except OSError as error:
            self.checks["tmp_error"] = _why(error)
            return f"the folder for temporary files, {folder}, cannot be used: {_why(error)}"
        if found is None:
            return None
        folder, room = found
        free = room.f_bavail * room.f_frsize
        self.checks.update({"tmp_folder": folder, "tmp_free_bytes": free})
        fault = _fault_of(room, free)
        if fault is None or self._is_shared(folder):
            return None
        return f"the folder for temporary files, {folder}, {fault}"

    def _is_shared(self, folder: str) -> bool:
        """Tell whether all nodes would find the same there."""
        from pathlib import Path  # an import for a node that has to end its attempt anyway

        from db.filesystems import is_network

        try:
            is_same = os.stat(folder).st_dev == os.stat(self._run_dir).st_dev
        except OSError:
            return True  # nobody knows
        return is_same or is_network(Path(folder))

    def _memory(self) -> str | None:
        available = _available_memory_mb()
        # A further attempt may have asked for more than the first ones.
        asked = given_memory_mb(os.environ) or self._wanted["memory_mb"]
        if available is None or asked is None:
            return None
        self.checks.update({"memory_asked_mb": asked, "memory_available_mb": available})
        if available >= _LEAST_MEMORY_SHARE * asked:
            return None
        return f"only {available} MiB of memory are free on this node, {asked} MiB were asked for"

    def _gpus(self) -> str | None:
        from worker.gpus import find_gpu_problem

        return find_gpu_problem(self._wanted["gpus"], self.checks, self._ask)

    def _command(self) -> str | None:
        text = self._wanted["command"] or ""
        environment = own_environment()
        try:
            try:
                answer = self._ask(["bash", "-c", text], environment, is_logged=True)
            except FileNotFoundError:  # as for the program itself
                answer = self._ask(["/bin/sh", "-c", text], environment, is_logged=True)
        except OSError as error:
            self.checks["preflight_error"] = _why(error)
            return f"--preflight could not be started: {_why(error)}"
        said = answer.last_line()
        self.checks.update(
            {
                "preflight_exit_code": answer.code,
                "preflight_seconds": round(answer.seconds, 3),
                "preflight_said": said,
            }
        )
        if answer.code == 0:
            return None
        return f"--preflight failed ({answer.ending()}): {said or 'it printed nothing'}"

    def _ask(
        self, words: list[str], environment: dict[str, str], *, is_logged: bool = False
    ) -> Answer:
        from worker.commands import ask

        return ask(
            words,
            environment,
            seconds=self._wanted["seconds"],
            stopping=self._stopping,
            is_logged=is_logged,
        )


def _write(path: str) -> None:
    """Make a file, bring it to the file server, and remove it; raises OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(path, flags, 0o600)
    is_removed = False
    try:
        try:
            is_removed = _remove_open(path)
            os.write(descriptor, _PROBE)
            # A disk of this machine, which has a major number, would only take its time.
            if not os.major(os.fstat(descriptor).st_dev):
                os.fsync(descriptor)
        finally:
            os.close(descriptor)  # NFS and quotas may say "no space" only here
    finally:
        if not is_removed:
            _remove(path)


def _remove_open(path: str) -> bool:
    """Remove a file that is open, so that a worker which is killed meanwhile leaves none behind.

    False: some file servers (SMB) refuse that; it goes when it is closed.
    """
    try:
        os.unlink(path)
    except OSError:
        return False
    return True


def _remove(path: str) -> None:
    """Remove a file; an NFS server that was asked twice has done it already."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


def _room(folder: str) -> tuple[str, os.statvfs_result] | None:
    """Look at a file system, or at that of /tmp if the folder is of another machine; None: neither.

    A TMPDIR that came along from the login node need not exist here.
    """
    for each in (folder, _TEMPORARY):
        try:
            return each, os.statvfs(each)
        except _NOT_HERE:
            continue
    return None


def _fault_of(room: os.statvfs_result, free: int) -> str | None:
    """Say what is wrong with a file system; one that tells no sizes is taken as it is."""
    if room.f_flag & os.ST_RDONLY:
        return "is read-only"
    if room.f_blocks and free < _LEAST_FREE_BYTES:
        return f"is full: {free / 2**20:.1f} MiB are free"
    if room.f_files and not room.f_ffree:
        return "is full: there is no room for one more file"
    return None


def _available_memory_mb() -> int | None:
    """Return what the kernel could give to new programs, in MiB (proc(5)); None: it does not tell."""
    try:
        with open("/proc/meminfo", "rb") as file:
            lines = file.read().splitlines()
    except OSError:
        return None
    words = next((line.split() for line in lines if line.startswith(b"MemAvailable:")), [])
    return int(words[1]) // 1024 if len(words) > 1 and words[1].isdigit() else None


def _why(error: OSError) -> str:
    return error.strerror or str(error)
