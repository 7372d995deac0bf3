"""The GPUs of a job: whether they are there before it begins, and what they do in the meantime."""

from __future__ import annotations

import _thread
import os
import shutil
import subprocess

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from db.records import Checks, Measured
    from worker.commands import Answer

_QUERY = ("--query-gpu=memory.used,utilization.gpu", "--format=csv,noheader,nounits")
_MIB = 1024 * 1024
_COLUMNS = 2
_LAST_SECONDS = 1.0
# Slurm's own words; where one is set, CUDA_VISIBLE_DEVICES is of Slurm too, and not of the user.
_GIVEN = ("SLURM_JOB_GPUS", "SLURM_GPUS_ON_NODE", "SLURM_STEP_GPUS")
_HEALTH = ("--query-gpu=uuid,memory.used", "--format=csv,noheader")
# What stands in place of a value that a GPU should know.
_FAULTS = ("[Unknown Error]", "[GPU is lost]", "[GPU requires reset]", "ERR!")


def find_gpu_problem(
    asked: int, checks: Checks, ask: Callable[[list[str], dict[str, str]], Answer]
) -> str | None:
    """Say why the GPUs that were asked for cannot be used; None if nothing is known against them.

    A node without nvidia-smi may have GPUs of another make: it passes.

    Args:
        asked: How many, at least 1.
        checks: Gets what was measured.
        ask: Runs a command within the limits of a preflight; may raise OSError.
    """
    checks["gpus_asked"] = asked
    given = os.environ.get("SLURM_GPUS_ON_NODE", "")
    if given.isdecimal():
        checks["gpus_given"] = int(given)
        if int(given) < asked:
            return f"{asked} GPUs were asked for and Slurm gave {given} (SLURM_GPUS_ON_NODE)"
    devices = visible_devices(os.environ)
    if devices is not None:
        checks["gpus_visible"] = len(devices)
        if len(devices) < asked:
            shown = os.environ["CUDA_VISIBLE_DEVICES"]
            return (
                f"{asked} GPUs were asked for and CUDA_VISIBLE_DEVICES={shown} has {len(devices)}"
            )
    return _ask_driver(asked, devices or [], checks, ask)


def visible_devices(environ: Mapping[str, str]) -> list[str] | None:
    """Return the GPUs that Slurm lets CUDA see, by index or UUID; None if Slurm did not say.

    CUDA leaves out what follows the first one that is no GPU (CUDA C++ Programming Guide,
    "CUDA Environment Variables"); NoDevFiles is Slurm's word for none.
    """
    text = environ.get("CUDA_VISIBLE_DEVICES")
    if text is None or not any(name in environ for name in _GIVEN):
        return None
    devices: list[str] = []
    for word in text.split(","):
        device = word.strip()
        if device in ("", "-1", "NoDevFiles"):
            break
        devices.append(device)
    return devices


def _ask_driver(
    asked: int,
    devices: list[str],
    checks: Checks,
    ask: Callable[[list[str], dict[str, str]], Answer],
) -> str | None:
    """Let nvidia-smi look at each of the GPUs."""
    # It does not know the parts of a GPU (MIG) by name: then any GPU will do.
    is_in_parts = any(device.startswith("MIG-") for device in devices)
    chosen = ["-i", ",".join(devices)] if devices and not is_in_parts else []
    try:
        answer = ask(["nvidia-smi", *chosen, *_HEALTH], dict(os.environ))
    except OSError:
        checks["nvidia_smi"] = "not there"
        return None
    checks.update(
        {"nvidia_smi": answer.last_line(), "nvidia_smi_seconds": round(answer.seconds, 3)}
    )
    if answer.code != 0:
        said = answer.last_line() or "it printed nothing"
        return f"the GPUs do not answer: nvidia-smi failed ({answer.ending()}): {said}"
    rows = [row for row in answer.text.splitlines() if row.strip()]
    bad = [row for row in rows if any(fault in row for fault in _FAULTS)]
    if bad:
        return f"a GPU does not answer: nvidia-smi says {bad[0].strip()}"
    checks["gpus_answering"] = len(rows)
    if len(rows) < (1 if is_in_parts else asked):
        return f"{asked} GPUs were asked for and nvidia-smi shows {len(rows)}"
    return None


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
