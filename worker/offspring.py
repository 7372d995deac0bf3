"""What a program leaves behind: processes that outlive it, wherever they have gone.

Most of them are in its process group. One that made itself a daemon has left it; as this worker
adopts the orphans among its descendants (prctl(2), PR_SET_CHILD_SUBREAPER), it becomes a child of
the worker and can be found. A trial's processes end with the trial, as they do on Slurm.
"""

from __future__ import annotations

import os

from worker.stopping import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PR_SET_CHILD_SUBREAPER = 36
_TASKS = "/proc/self/task"
# Deaf to whatever a scheduler sends to all of a job, it waits for a line or for the worker's death.
_GUARD = 'trap "" TERM INT HUP QUIT USR1 USR2 XCPU; read -r line || kill -s KILL -- "-$1"'


def adopt_orphans() -> None:
    """Become the parent of all descendants whose parents die; where that cannot be had, do not."""
    try:
        import _ctypes  # `ctypes` would cost a worker 4 ms

        this: Any = None  # the programs and libraries of this process; typeshed wants a name
        prctl = _ctypes.dlsym(_ctypes.dlopen(this, 0), "prctl")
        _ctypes.call_function(prctl, (_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
    except (ImportError, AttributeError, OSError):
        return


def reap(program: int) -> None:
    """Take leave of adopted children that have ended, but not of the program itself."""
    while True:
        try:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if found is None or found.si_pid == program:
                return
            os.waitpid(found.si_pid, os.WNOHANG)
        except ChildProcessError:
            return


def strays(*known: int) -> list[int]:
    """Return the adopted children, dead ones among them; not those of the worker's own group."""
    found = []
    try:
        tasks = os.listdir(_TASKS)
    except OSError:
        return []  # no /proc: then a daemon outlives its trial
    for task in tasks:
        try:
            with open(f"{_TASKS}/{task}/children", "rb") as file:
                found += [int(word) for word in file.read().split()]
        except OSError:
            continue  # a thread that has just ended, or a kernel that does not tell
    return [pid for pid in found if pid not in known and not _is_own(pid)]


def _is_own(pid: int) -> bool:
    """Tell whether a child is the worker's own (nvidia-smi), or gone."""
    try:
        return os.getpgid(pid) == os.getpgrp()
    except ProcessLookupError:
        return True


def send_to(pids: list[int], number: int) -> bool:
    """Send a signal to processes; False if none of them is left."""
    is_anybody_left = False
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
        except PermissionError:
            pass  # it has become another user
        is_anybody_left = True
    return is_anybody_left


class Guard:
    """A small process that kills the program's group if this worker dies without a word.

    Slurm would do that too; a laptop would not, and the trial would be tried again beside its first
    program.

    Attributes:
        pid: Its process; None if it could not be started, which is no reason not to run a trial.
    """

    def __init__(self, group: int, null: int) -> None:
        self.pid: int | None = None
        reader, self._writer = os.pipe()
        actions = [
            (os.POSIX_SPAWN_DUP2, reader, 0),
            (os.POSIX_SPAWN_DUP2, null, 1),
            (os.POSIX_SPAWN_DUP2, null, 2),
        ]
        words = ["sh", "-c", _GUARD, "headway-guard", str(group)]
        try:
            self.pid = os.posix_spawn(
                "/bin/sh", words, os.environ, file_actions=actions, setpgroup=0
            )
        except OSError:
            pass
        finally:
            os.close(reader)

    def dismiss(self) -> None:
        """Let it go: nobody is left in the group."""
        if self.pid is not None and send_to([self.pid], signal.SIGKILL):
            os.waitid(os.P_PID, self.pid, os.WEXITED)
        os.close(self._writer)
