"""Reads what Slurm's commands print. Pure functions; recorded answers are in the tests."""

from __future__ import annotations

import contextlib
import itertools
import pwd
import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from db.states import JobState
from orchestrator.cluster.base import ClusterHost, JobStatus
from orchestrator.cluster.states import job_state
from orchestrator.spec.hostlists import expand_hosts

# Times come as seconds since 1970 (SLURM_TIME_FORMAT=%s). A name may hold anything: it comes last.
SQUEUE_FORMAT = "%i|%T|%N|%r|%V|%a|%q|%P|%j"
SACCT_FORMAT = "JobID,State,NodeList,ExitCode,Submit,JobName"
SINFO_FORMAT = "%N|%T|%H|%E"
HOSTS_FORMAT = "%N|%P|%m|%c|%T|%l|%L"
_HOST_FIELDS = 7
_FAULT_FIELDS = 4
_IN_USE = frozenset({"idle", "mixed", "allocated", "completing", "planned"})
# sinfo(1), "NODE STATE CODES": of these flags, one does not answer and one is under maintenance.
_FLAGS = "*~#!%$@^-+"
_UNUSABLE = frozenset("*$")
# A host that is asleep is woken by a job; other flags say that it is kept for others or busy.
_FREE = frozenset({"idle", "idle~"})
_QUEUE_FIELDS, _FIELDS = 9, 6
# How a job looks that its node could not start and that may be requeued: it waits, but for a person
# (tried: 22.05.8 with a failing prolog).
_HELD = re.compile(r"launch.failed.requeued.held", re.IGNORECASE)
_MAY_BE_HELD = frozenset({JobState.PENDING, JobState.RUNNING})
_OUT = ("drain", "down", "fail", "error")
_CANCELLER = re.compile(r"^CANCELLED by (\d+)$")
_ID_LINE = re.compile(r"^([0-9]+)(?:;[\w.-]+)?$")


@dataclass(frozen=True, kw_only=True)
class NamedStatus:
    """One task as a command printed it.

    Attributes:
        submitted: When it was submitted, or last requeued; None if that cannot be read.
        living: PENDING or RUNNING if there is something left to cancel; else None.
        account: What it is charged to; this and the next two: empty where it was not asked for.
        qos: Its quality of service.
        partition: Where it runs, or where it may, as `a,b`.
    """

    job_id: str
    name: str
    status: JobStatus
    submitted: datetime | None = None
    living: JobState | None = None
    account: str = ""
    qos: str = ""
    partition: str = ""


def job_id_of(output: str) -> str | None:
    """Return the job id in what `sbatch --parsable` printed, or None if there is not exactly one.

    A site's banner may stand before or after it and may speak of "job 48 hours": only a line that
    is nothing but the id counts.
    """
    found = {match[1] for line in output.splitlines() if (match := _ID_LINE.match(line.strip()))}
    return found.pop() if len(found) == 1 else None


def gathered(job_ids: Collection[str]) -> list[str]:
    """Return tasks in Slurm's short form, e.g. `525` and `527_[0-3,7]` for five tasks of an array."""
    arrays: dict[str, list[int]] = {}
    singles = []
    for job_id in job_ids:
        array, separator, index = job_id.partition("_")
        if separator and index.isdecimal():
            arrays.setdefault(array, []).append(int(index))
        else:
            singles.append(job_id)
    return singles + [f"{array}_[{_ranges(indices)}]" for array, indices in arrays.items()]


def _ranges(numbers: Collection[int]) -> str:
    """Return whole numbers as `0-3,7`."""
    runs = itertools.groupby(enumerate(sorted(set(numbers))), key=lambda pair: pair[1] - pair[0])
    words = []
    for _, run in runs:
        found = [number for _, number in run]
        words.append(f"{found[0]}-{found[-1]}" if len(found) > 1 else f"{found[0]}")
    return ",".join(words)


def read_tasks(text: str) -> list[str]:
    """Read tasks of one array as Slurm prints them: `527_0-3,7`, with brackets or without."""
    array, _, ranges = text.partition("_")
    found = []
    for word in ranges.strip("[]").split(","):
        first, _, last = word.partition("-")
        found += [f"{array}_{index}" for index in range(int(first), int(last or first) + 1)]
    return found


def read_squeue(output: str) -> list[NamedStatus]:
    """Read `squeue --array --noheader --format=SQUEUE_FORMAT`."""
    rows = []
    for line in output.splitlines():
        fields = line.strip().split("|", _QUEUE_FIELDS - 1)
        if len(fields) != _QUEUE_FIELDS:
            continue
        job_id, word, nodes, reason, submitted, account, qos, partition, name = fields
        state = job_state(word)
        is_held = state in _MAY_BE_HELD and _HELD.search(reason) is not None
        status = JobStatus(
            state=JobState.NODE_FAIL if is_held else state,
            word=reason if is_held else word,
            host=_one_host(nodes),
            reason="" if reason == "None" else reason,
            is_held=is_held,
        )
        # What is completing has ended for us: nothing is left to cancel. A job that is held is, for
        # a moment, completing on the host that could not start it.
        is_living = state in _MAY_BE_HELD and (is_held or word != "COMPLETING")
        rows.append(
            NamedStatus(
                job_id=job_id,
                name=name,
                status=status,
                submitted=_moment(submitted),
                account=account,
                qos=qos,
                partition=partition,
                living=(JobState.PENDING if is_held else state) if is_living else None,
            )
        )
    return rows


def read_sacct(output: str) -> list[NamedStatus]:
    """Read `sacct --allocations --noheader --parsable2 --format=SACCT_FORMAT`."""
    rows = []
    for line in output.splitlines():
        fields = line.strip().split("|", _FIELDS - 1)
        if len(fields) != _FIELDS or "." in fields[0]:
            continue
        job_id, word, nodes, exit_code, submitted, name = fields
        code, _, _ = exit_code.partition(":")
        status = JobStatus(
            state=job_state(word),
            word=_CANCELLER.sub(lambda found: f"CANCELLED by {_user(found[1])}", word),
            host=_one_host(nodes),
            exit_code=int(code) if code.isdecimal() else None,
        )
        rows.append(
            NamedStatus(job_id=job_id, name=name, status=status, submitted=_moment(submitted))
        )
    return rows


@dataclass(frozen=True)
class HostFault:
    """Why a host takes no jobs.

    Attributes:
        why: State and reason, e.g. `drained: Prolog error`.
        since: When that was said; None if it cannot be read.
    """

    why: str
    since: datetime | None = None


def read_sinfo(output: str) -> dict[str, HostFault]:
    """Read `sinfo --noheader --Node --format=SINFO_FORMAT`: hosts that take no jobs, by name."""
    found = {}
    for line in output.splitlines():
        fields = line.strip().split("|", _FAULT_FIELDS - 1)
        if len(fields) != _FAULT_FIELDS:
            continue
        host, state, since, reason = fields
        if state.startswith(_OUT):
            told = "" if reason in {"", "none"} else f": {reason}"
            found[host] = HostFault(f"{state}{told}", _moment(since))
    return found


@dataclass(frozen=True, kw_only=True)
class HostRow:
    """One host in one partition.

    Attributes:
        partition: Its name.
        is_default: Whether jobs go there that name none.
        host: The host.
        minutes: The partition's longest time limit; None: none.
        default_minutes: What a job gets there that asks for no time; None: no limit.
    """

    partition: str
    is_default: bool
    host: ClusterHost
    minutes: int | None
    default_minutes: int | None


def read_hosts(output: str) -> list[HostRow]:
    """Read `sinfo --noheader --Node --format=HOSTS_FORMAT`."""
    rows = []
    for line in output.splitlines():
        fields = line.strip().split("|")
        if len(fields) != _HOST_FIELDS:
            continue
        name, partition, memory, cpus, state, limit, default = fields
        host = ClusterHost(
            name=name,
            memory_mb=int(memory) if memory.isdecimal() else None,
            cpus=int(cpus) if cpus.isdecimal() else None,
            is_usable=state.rstrip(_FLAGS) in _IN_USE and not _UNUSABLE.intersection(state),
            is_free=state in _FREE,
            state=state,
        )
        minutes = read_minutes(limit)
        row = HostRow(
            partition=partition.rstrip("*"),
            is_default=partition.endswith("*"),
            host=host,
            minutes=minutes,
            # Without a default of its own a job gets all that there is.
            default_minutes=read_minutes(default) or minutes,
        )
        rows.append(row)
    return rows


def read_partitions(output: str) -> dict[str, int]:
    """Read `scontrol show partition --oneliner`.

    Returns:
        The most memory that a job may have on a node, in MiB, of partitions that limit it.
    """
    found = {}
    for line in output.splitlines():
        words = dict(word.partition("=")[::2] for word in line.split())
        most = words.get("MaxMemPerNode", "")
        if most.isdecimal() and "PartitionName" in words:
            found[words["PartitionName"]] = int(most)
    return found


def read_reservations(output: str) -> dict[str, tuple[str, ...]]:
    """Read `scontrol show reservation --oneliner`: the hosts of each reservation that has some."""
    found = {}
    for line in output.splitlines():
        words = dict(word.partition("=")[::2] for word in line.split())
        with contextlib.suppress(ValueError):  # Nodes=(null): its jobs may run anywhere
            found[words.get("ReservationName", "")] = expand_hosts([words.get("Nodes", "")])
    return found


def read_minutes(text: str) -> int | None:
    """Read a time limit as Slurm prints it (`D-HH:MM:SS`, `HH:MM:SS`, `MM:SS`); None: none."""
    found = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", text.strip())
    if found is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return (days * 24 + hours) * 60 + minutes + (seconds > 0)


def _moment(text: str) -> datetime | None:
    """Return a time that Slurm prints as seconds since 1970; None for `Unknown` and the like."""
    # Fewer digits than any year has that a datetime could not hold.
    return datetime.fromtimestamp(int(text), UTC) if re.fullmatch("[0-9]{1,11}", text) else None


def _user(number: str) -> str:
    """Return the name of a user; the number if nobody here has it."""
    with contextlib.suppress(KeyError, OverflowError):
        return pwd.getpwuid(int(number)).pw_name
    return number


def _one_host(nodes: str) -> str | None:
    """Return the first node of a list as Slurm prints it."""
    if not nodes or nodes.startswith(("None", "(null)")):
        return None
    first = re.match(r"([^,\[]+)(?:\[(\d+))?", nodes)
    return None if first is None else first[1] + (first[2] or "")
