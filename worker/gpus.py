"""What the GPUs of a trial do, asked of nvidia-smi now and then. Never on the way to the program."""

from __future__ import annotations

import _thread
import os
import shutil
import subprocess

TYPE_CHECKING = False
if TYPE_CHECKING:
    from db.records import Measured

_QUERY = ("--query-gpu=memory.used,utilization.gpu", "--format=csv,noheader,nounits")
_MIB = 1024 * 1024
_COLUMNS = 2
_LAST_SECONDS = 1.0


def find_gpus() -> GpuWatch | None:
    """Return a watch on this job's GPUs, or None where nvidia-smi is not there."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return None
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return GpuWatch([command, *(["-i", visible] if visible else []), *_QUERY])


class GpuWatch:
    """Asks at each heartbeat and reads the answer at the next, so that nobody waits for it.

    Heartbeats come from a thread; whatever that hangs in, the end of a trial does not wait for it.
    """

    def __init__(self, command: list[str]) -> None:
        self._command = command
        self._lock = _thread.allocate_lock()
        self._question: subprocess.Popen[str] | None = None
        self._memory_bytes = 0
        self._utilization: list[float] = []

    def sample(self) -> None:
        """Take the answer to the last question, if it is there, and ask the next one."""
        with self._lock:
            self._sample()

    def _sample(self) -> None:
        """Do what `sample` says."""
        if self._question is not None and self._question.poll() is None:
            return
        self._collect()
        try:
            self._question = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                errors="replace",
            )
        except OSError:
            self._question = None

    def add_to(self, measured: Measured) -> None:
        """Put what was seen into an attempt's measurements; nothing if nothing was seen."""
        if self._lock.acquire(timeout=_LAST_SECONDS):
            self._finish()
            self._lock.release()
        if self._utilization:
            measured["gpu_memory_bytes"] = self._memory_bytes
            measured["gpu_utilization_percent"] = sum(self._utilization) / len(self._utilization)

    def _finish(self) -> None:
        """Take the answer to the last question, if it comes at once."""
        if self._question is None:
            return
        try:
            self._question.wait(timeout=_LAST_SECONDS)
            self._collect()
        except subprocess.TimeoutExpired:
            self._question.kill()  # a driver that hangs may keep it for ever: nobody waits for it

    def _collect(self) -> None:
        """Read one answer: a line a GPU, memory in MiB and load in percent."""
        if self._question is None or self._question.stdout is None:
            return
        with self._question.stdout as answer:
            rows = [line.split(",") for line in answer.read(100_000).splitlines()]
        self._question = None
        try:
            values = [(float(row[0]), float(row[1])) for row in rows if len(row) == _COLUMNS]
            used = int(sum(memory for memory, _ in values) * _MIB)
            loads = [float(int(load)) for _, load in values]
        except (ValueError, OverflowError):
            return  # "[N/A]", or a sentence about a driver; nan and inf are no whole numbers
        if values:
            self._memory_bytes = max(self._memory_bytes, used)
            self._utilization.append(sum(loads) / len(loads))
