"""What common failures look like in a log: a table, with its version.

A text alone never excludes a host: programs print such words for other reasons too. It gives a
failure its class and its sentence, and makes the host suspect until another host has told; it never
turns a success into a failure. The messages that each pattern was made from are in the tests.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from signal import SIGBUS, SIGILL

from db.states import FailureClass

# Stored with each failure that a pattern gave its class; raised with every change of the tables.
VERSION = 1
# Of a log that is longer, only the end is searched: what stands further up was survived.
NEAR_THE_END = 16 * 1024
# A line may be a whole log without a line break, and a search in it takes the square of its length.
_LONGEST_LINE = 1000
_SHOWN = 300
# What colours a terminal, and what makes a progress bar write over itself.
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """One line of the table.

    Attributes:
        name: Short name, stored with the failure.
        regex: What a line of the log holds.
        failure: The class that it stands for.
        is_host: It points to the host, not to the program: the host is suspect at once.
        says: What happened, a sentence without a full stop.
        remedy: What the user can do.
        needs_gpus: Only trials that ask for GPUs can fail like this; others print it as a warning.
        is_echo: Often only the echo of another failure, which counts if it is in the log as well.
        signals: A program that one of these ended needs no words.
    """

    name: str
    regex: str
    failure: FailureClass
    is_host: bool
    says: str
    remedy: str
    needs_gpus: bool = False
    is_echo: bool = False
    signals: tuple[int, ...] = ()


_SLURM_MEMORY = Pattern(
    name="slurm-memory",
    # Not at the line's start: a progress bar may stand before it.
    regex=r"(?i)(?:slurmstepd|srun)\S*: .*"
    r"(?:oom[-_ ]kill|exceeded .*memory limit|: Out Of Memory)",
    failure=FailureClass.OUT_OF_MEMORY,
    is_host=False,
    says="Slurm killed it for its memory",
    remedy="Headway asks for more; --mem_gb sets where it begins.",
)
# Of programs that failed by their worker's report.
TABLE: tuple[Pattern, ...] = (
    Pattern(
        name="gpu-memory",
        regex=r"(?:CUDA|HIP) out of memory|CUDA error: out of memory|CUDA_ERROR_OUT_OF_MEMORY"
        r"|cudaErrorMemoryAllocation|cudaMalloc failed: out of memory"
        r"|cuda runtime error \(2\) ?: out of memory|RESOURCE_EXHAUSTED: [Oo]ut of memory"
        r"|OOM when allocating tensor.*GPU|CU(?:BLAS|DNN)_STATUS_ALLOC_FAILED"
        r"|cupy\S*OutOfMemoryError",
        failure=FailureClass.OUT_OF_MEMORY,
        is_host=False,
        says="the GPU's memory was too small",
        remedy="Ask for a larger GPU with --gres or --constraint, or let trials use less of it.",
    ),
    Pattern(
        name="gpu-ecc",
        regex=r"uncorrectable ECC error|CUDA_ERROR_ECC_UNCORRECTABLE",
        failure=FailureClass.NODE,
        is_host=True,
        says="a GPU reported memory errors that it could not correct",
        remedy="Tell the cluster's support which host it was; Headway moves the trial.",
        needs_gpus=True,
    ),
    Pattern(
        name="gpu-lost",
        regex=r"fallen off the bus|GPU is lost|CUDA_ERROR_DEVICE_UNAVAILABLE"
        r"|CUDA-capable device(?:s|\(s\))? (?:is/)?are busy or unavailable"
        r"|no CUDA-capable device is detected|CUDA_ERROR_NO_DEVICE|No CUDA GPUs are available"
        r"|Unable to determine the device handle for|CUDA (?:error: )?unknown error"
        r"|No HIP GPUs are available",
        failure=FailureClass.NODE,
        is_host=True,
        says="a GPU was not there or did not answer",
        remedy="Tell the cluster's support which host it was; Headway moves the trial.",
        needs_gpus=True,
    ),
    Pattern(
        name="gpu-driver",
        regex=r"Driver/library version mismatch|CUDA driver version is insufficient"
        r"|couldn't communicate with the NVIDIA driver|Failed to initialize NVML"
        r"|NVIDIA driver on your system is too old|CUDA_ERROR_SYSTEM_DRIVER_MISMATCH",
        failure=FailureClass.NODE,
        is_host=True,
        says="the GPU's driver did not work or was too old",
        remedy="Tell the cluster's support; --constraint can ask for hosts with a newer driver.",
        needs_gpus=True,
    ),
    Pattern(
        name="gpu-kind",
        regex=r"no kernel image is available for execution on the device"
        r"|hipErrorNoBinaryForGpu",
        failure=FailureClass.PROGRAM,
        is_host=True,
        says="the program was not built for this kind of GPU",
        remedy="Install a build for all GPUs of the partition, or choose some with --constraint.",
        needs_gpus=True,
    ),
    Pattern(
        name="nccl",
        regex=r"NCCL error.*unhandled|ncclSystemError|ncclUnhandledCudaError|ncclRemoteError"
        r"|ncclInternalError|NCCL error.*remote process exited|Watchdog caught collective operation",
        failure=FailureClass.PROGRAM,
        is_host=True,
        says="the GPUs could not talk to each other (NCCL)",
        remedy="Run once with NCCL_DEBUG=INFO; a host that always fails is kept out.",
        is_echo=True,
    ),
    Pattern(
        name="disk-full",
        regex=r"No space left on device|Errno 28\b|Disk quota exceeded|Errno 122\b",
        failure=FailureClass.PROGRAM,
        is_host=True,
        says="a file system was full, or a quota used up",
        remedy="Look at `df -h` and `quota -s`; where /tmp of one host is full, that host is kept "
        "out.",
    ),
    Pattern(
        name="stale-file",
        regex=r"Stale (?:NFS )?file handle|Errno 116\b|Remote I/O error|Input/output error"
        r"|/.*: Transport endpoint is not connected|Errno 107\].*: '/"
        r"|Cannot send after transport endpoint shutdown",
        failure=FailureClass.NODE,
        is_host=True,
        says="a disk or a shared file system did not answer on this host",
        remedy="Tell the cluster's support which host it was; Headway moves the trial.",
    ),
    Pattern(
        name="read-only",
        regex=r"Read-only file system",
        failure=FailureClass.PROGRAM,
        is_host=True,
        says="a file system could only be read",
        remedy="Where it is a path of yours on one host only, that host is kept out; else write "
        "somewhere else.",
    ),
    Pattern(
        name="bus-error",
        regex=r"\bBus error\b|\bbus error encountered|\(SIGBUS\)|signal SIGBUS",
        failure=FailureClass.PROGRAM,
        is_host=True,
        says="memory that was mapped was not there (bus error)",
        remedy="Often /dev/shm is full: fewer data loader workers, or another host.",
        signals=(SIGBUS,),
    ),
    Pattern(
        name="no-interpreter",
        regex=r"bad interpreter: |cannot execute: required file not found"
        r"|/usr/bin/env: .*: No such file or directory",
        failure=FailureClass.PROGRAM,
        is_host=True,
        says="the program's interpreter is not there on this host",
        remedy="Use a path that all hosts see, or load it within the program's text.",
    ),
    Pattern(
        name="missing-library",
        regex=r"error while loading shared libraries: |version `GLIBC\w*_[\d.]+' not found"
        r"|Illegal instruction|Error: .*cannot open shared object file"
        # Not what TensorFlow says of each GPU library wherever there is no GPU ("dlerror: …").
        r"|shared object '.*cannot open shared object file",
        failure=FailureClass.PROGRAM,
        is_host=True,
        says="the program cannot run on this kind of host",
        remedy="Build it for all hosts of the partition, or choose some with --constraint.",
        signals=(SIGILL,),
    ),
    Pattern(
        name="missing-module",
        regex=r"ModuleNotFoundError: No module named|ImportError: No module named"
        r"|module: command not found|Unable to locate a modulefile"
        r"|The following module\(s\) are unknown|there is no package called",
        failure=FailureClass.PROGRAM,
        is_host=False,
        says="a module that the program needs is missing",
        remedy="Activate its environment within the program's text, before the program itself.",
    ),
    Pattern(
        name="no-command",
        regex=r": command not found$",
        failure=FailureClass.PROGRAM,
        is_host=False,
        says="a command of the program was not found",
        remedy="Give its whole path, or load its module within the program's text.",
        is_echo=True,
    ),
    Pattern(
        name="launch",
        regex=r"srun: error: Task launch for \S+ failed on node \S+: (?!Unable to satisfy)"
        r"|srun: error: Node failure on",
        failure=FailureClass.NODE,
        is_host=True,
        says="Slurm could not start a step of it",
        remedy="Tell the cluster's support which host it was; Headway moves the trial.",
    ),
    Pattern(
        name="network",
        regex=r"Temporary failure in name resolution|Could not resolve host"
        r"|Network is unreachable|No route to host|[Tt]ransport retry count(?:er)? exceeded"
        r"|ibv_\w+ failed",
        failure=FailureClass.PROGRAM,
        is_host=True,
        says="the network did not work on this host",
        remedy="Compute nodes often have no way to the internet: fetch data beforehand, on the login "
        "node.",
        is_echo=True,
    ),
    Pattern(
        name="limits",
        regex=r"Too many open files|Errno 24\b|fork: (?:retry: )?Resource temporarily unavailable"
        r"|can't start new thread|pthread_create failed",
        failure=FailureClass.PROGRAM,
        is_host=False,
        says="a limit of processes, threads or open files was reached",
        remedy="Look at `ulimit -a`; fewer workers or threads, or OMP_NUM_THREADS.",
    ),
    _SLURM_MEMORY,
    Pattern(
        name="host-memory",
        regex=r"std::bad_alloc|(?:^|\W)_?(?:Array)?MemoryError(?:[:(]|\s*$)|Cannot allocate memory|Errno 12\b"
        r"|can't allocate memory|cannot allocate vector of size|java\.lang\.OutOfMemoryError"
        r"|OOM when allocating tensor.*CPU|is killed by signal: Killed",
        failure=FailureClass.OUT_OF_MEMORY,
        is_host=False,
        says="the program's memory was too small",
        remedy="Headway asks for more; --mem_gb sets where it begins.",
    ),
)
# Of jobs that ended without a report: what Slurm itself writes into their logs. That is all there
# is to know of them where the accounting does not answer.
JOB_TABLE: tuple[Pattern, ...] = (
    _SLURM_MEMORY,
    Pattern(
        name="slurm-time",
        regex=r"slurmstepd\S*: error: \*\*\* JOB .* DUE TO TIME LIMIT",
        failure=FailureClass.TIMEOUT,
        is_host=False,
        says="its job ran into Slurm's time limit",
        remedy="--worker_timeout sets the limit of a trial.",
    ),
    Pattern(
        name="slurm-preempted",
        regex=r"slurmstepd\S*: error: \*\*\* JOB .* DUE TO PREEMPTION",
        failure=FailureClass.PREEMPTED,
        is_host=False,
        says="its job had to make room",
        remedy="Write checkpoints to $HEADWAY_CHECKPOINT_DIR.",
    ),
    Pattern(
        name="slurm-node",
        regex=r"slurmstepd\S*: error: \*\*\* JOB .* DUE TO NODE FAILURE",
        failure=FailureClass.NODE,
        is_host=True,
        says="its node failed",
        remedy="Nothing: Headway moves the trial.",
    ),
)
_COMPILED = {pattern: re.compile(pattern.regex) for pattern in (*TABLE, *JOB_TABLE)}
_BY_NAME = {pattern.name: pattern for pattern in _COMPILED}


def find_pattern(log: str, *, has_gpus: bool = True) -> tuple[Pattern, str] | None:
    """Return what explains the failure of a program, with the line that says so.

    Of several the last one counts, as it is next to the program's end; what another failure often
    entails counts only alone.

    Args:
        log: The end of its output.
        has_gpus: Whether its trial asks for GPUs.
    """
    table = [pattern for pattern in TABLE if has_gpus or not pattern.needs_gpus]
    return _newest(table, log)


def find_slurms_word(log: str) -> tuple[Pattern, str] | None:
    """Return what Slurm says in the log of a job that ended without a report, with the line."""
    return _newest(JOB_TABLE, log)


def pattern_of_signal(number: int | None) -> Pattern | None:
    """Return the pattern that stands for the signal which ended a program."""
    return next((pattern for pattern in TABLE if number in pattern.signals), None)


def find_named(name: str | None) -> Pattern | None:
    """Return the pattern of this name, as it is stored with a failure."""
    return _BY_NAME.get(name or "")


def plain_lines(text: str) -> list[str]:
    """Return the lines of an output without colours; what a line overwrote is a line as well."""
    return _ESCAPES.sub("", text).splitlines()


def _last_lines(log: str) -> list[str]:
    """Return the lines near the end of a log, the last one first; long ones in pieces."""
    return [
        line[at : at + _LONGEST_LINE]
        for line in reversed(plain_lines(log[-NEAR_THE_END:]))
        for at in range(0, len(line), _LONGEST_LINE)
    ]


def _newest(table: Iterable[Pattern], log: str) -> tuple[Pattern, str] | None:
    echo = None
    for line in _last_lines(log):
        for pattern in table:
            if (echo is None or not pattern.is_echo) and _COMPILED[pattern].search(line):
                found = pattern, line.strip()[:_SHOWN]
                if not pattern.is_echo:
                    return found
                echo = found
    return echo
