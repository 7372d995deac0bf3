"""Asks Slurm what `headway doctor` wants to know, and what became of its probes."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.cluster.accounting import NO_ACCOUNTING
from orchestrator.cluster.commands import CommandResult, Commands

# Without these no search can run; sacct and sacctmgr are missing where there is no accounting.
NEEDED = ("sbatch", "squeue", "scancel", "sinfo", "scontrol")
# Longer than Slurm itself waits for an answer (MessageTimeout, usually 10 s).
LIMIT_SECONDS = 30.0
_MUNGE_HERE = re.compile(r"munge encode failed|did you start munged|munge\.socket", re.IGNORECASE)
_CREDENTIALS = re.compile(r"munge|authentication|credential", re.IGNORECASE)
_ASSOCIATION = "Account,User,Partition,QOS,DefaultQOS,MaxJobs,MaxSubmit,GrpJobs,GrpSubmit"
_ASSOCIATION_FIELDS = _ASSOCIATION.count(",") + 1
# Each of these means that a job needs an association (slurm.conf(5), AccountingStorageEnforce).
_ACCOUNT_WORDS = frozenset({"associations", "limits", "qos", "safe", "wckeys", "all"})
_SERVICE_WORDS = frozenset({"qos", "all"})
_EXIT_CODE = re.compile(r"\bExitCode=(\d+):(\d+)")
_MARKS = re.compile(r"^\w+: (error|fatal): |^\w+: ")


def missing_commands() -> tuple[str, ...]:
    """Return those commands of Slurm that are not on PATH."""
    return tuple(command for command in NEEDED if shutil.which(command) is None)


def is_munge_here(result: CommandResult) -> bool:
    """Whether a command failed as munge does not run on this host."""
    return _MUNGE_HERE.search(result.errors) is not None


def is_about_credentials(result: CommandResult) -> bool:
    """Whether a command failed as one side does not believe who the other one is."""
    return _CREDENTIALS.search(result.errors) is not None


def complaint(result: CommandResult) -> str:
    """Return what a command complained of, in one line."""
    lines = [line.strip() for line in (result.errors or result.output).splitlines() if line.strip()]
    if not lines:
        return f"exit code {result.code}"
    # The last one says what came of it, those before it how.
    return _MARKS.sub("", lines[-1])


@dataclass(frozen=True, kw_only=True)
class PartitionFacts:
    """A partition as `scontrol show partition` tells it; words are Slurm's own.

    Attributes:
        state: UP, DOWN, DRAIN or INACTIVE.
        is_default: Whether jobs go there that name none.
        max_time: Longest time limit.
        max_nodes: Most nodes of a job.
        qos: The one whose limits hold there; `N/A`: none.
    """

    name: str
    state: str
    is_default: bool
    max_time: str
    max_nodes: str
    qos: str = "N/A"


def read_facts(output: str) -> dict[str, PartitionFacts]:
    """Read `scontrol show partition --oneliner`, by name."""
    found = {}
    for line in output.splitlines():
        words = dict(word.partition("=")[::2] for word in line.split())
        name = words.get("PartitionName")
        if name:
            found[name] = PartitionFacts(
                name=name,
                state=words.get("State", "?"),
                is_default=words.get("Default") == "YES",
                max_time=words.get("MaxTime", "?"),
                max_nodes=words.get("MaxNodes", "?"),
                qos=words.get("QoS", "N/A"),
            )
    return found


def read_config(output: str) -> dict[str, str]:
    """Read `scontrol show config`: the lines `Key = value`."""
    pairs = (line.partition("=") for line in output.splitlines())
    return {key.strip(): value.strip() for key, equals, value in pairs if equals}


def minds_accounts(config: Mapping[str, str]) -> bool:
    """Whether Slurm refuses jobs of a wrong account; False if it does not say."""
    return not _ACCOUNT_WORDS.isdisjoint(_enforced(config))


def minds_services(config: Mapping[str, str]) -> bool:
    """Whether Slurm refuses jobs of a wrong quality of service; False if it does not say."""
    return not _SERVICE_WORDS.isdisjoint(_enforced(config))


def _enforced(config: Mapping[str, str]) -> list[str]:
    return config.get("AccountingStorageEnforce", "").lower().split(",")


@dataclass(frozen=True, kw_only=True)
class Association:
    """What Slurm lets a user do under one account.

    Attributes:
        partition: The only one that it is for; empty: all.
        qos: Qualities of service that may be asked for.
        limits: Those on jobs that are set, by Slurm's names, e.g. MaxSubmit.
    """

    account: str
    partition: str
    qos: tuple[str, ...]
    limits: Mapping[str, int]


def read_associations(output: str) -> list[Association]:
    """Read `sacctmgr --parsable2 --noheader show associations`."""
    found = []
    for line in output.splitlines():
        fields = line.split("|")
        if len(fields) != _ASSOCIATION_FIELDS or not fields[1]:
            continue  # rows without a user are limits of whole accounts
        account, _, partition, qos, default, *limits = fields
        named = zip(_ASSOCIATION.split(",")[-len(limits) :], limits, strict=True)
        found.append(
            Association(
                account=account,
                partition=partition,
                qos=tuple(dict.fromkeys(word for word in (*qos.split(","), default) if word)),
                limits={name: int(value) for name, value in named if value.isdecimal()},
            )
        )
    return found


def read_flags(output: str) -> dict[str, frozenset[str]]:
    """Read `sacctmgr --parsable2 --noheader show qos format=Name,Flags`, by name."""
    rows = (line.partition("|") for line in output.splitlines())
    return {name: frozenset(flags.split(",")) for name, bar, flags in rows if bar}


class Checkup:
    """Asks the Slurm that `sbatch` on PATH belongs to; one call each, nothing is changed."""

    def __init__(self, commands: Commands) -> None:
        self._commands = commands
        # sacctmgr takes no --clusters: the name of the cluster stands in its question.
        self._of_all_clusters = Commands(commands.budget)

    def config(self) -> CommandResult:
        """Ask the controller how it is configured; see `read_config`."""
        return self._run("scontrol", "show", "config")

    def partitions(self) -> CommandResult:
        """Ask for all partitions; see `read_facts`."""
        return self._run("scontrol", "show", "partition", "--all", "--oneliner")

    def accounting(self) -> CommandResult:
        """Ask the accounting for jobs of the last hour."""
        return self._run("sacct", "--allocations", "--noheader", "--parsable2", "--format=JobID")

    def associations(self, user: str, cluster: str) -> CommandResult:
        """Ask what a user may do; see `read_associations`."""
        return self._of_all_clusters.run(
            *("sacctmgr", "--noheader", "--parsable2", "--readonly", "show", "associations"),
            *("where", f"user={user}", f"cluster={cluster}", f"format={_ASSOCIATION}"),
            limit_seconds=LIMIT_SECONDS,
        )

    def services(self) -> CommandResult:
        """Ask for all qualities of service; see `read_flags`."""
        return self._of_all_clusters.run(
            *("sacctmgr", "--noheader", "--parsable2", "--readonly", "show", "qos"),
            "format=Name,Flags",
            limit_seconds=LIMIT_SECONDS,
        )

    def exit_code(self, job_id: str) -> int | None:
        """Return how a job ended; None if the controller does not know it any more.

        A job whose node could not start it has 0, as Slurm tells that by a signal.
        """
        found = _EXIT_CODE.search(self._run("scontrol", "show", "job", job_id).output)
        return int(found[1]) if found else None

    def knows_end(self, job_id: str) -> bool:
        """Whether the accounting has heard that a job has ended."""
        words = ("--allocations", "--noheader", "--parsable2", "--format=State")
        told = self._run("sacct", *words, f"--jobs={job_id}")
        states = told.output.split()
        return told.is_ok and bool(states) and states[0] not in {"PENDING", "RUNNING"}

    def _run(self, *words: str) -> CommandResult:
        return self._commands.run(*words, limit_seconds=LIMIT_SECONDS)


def has_no_accounting(result: CommandResult) -> bool:
    """Whether `sacct` says that this site keeps no accounts."""
    return NO_ACCOUNTING.search(result.errors) is not None
