"""How many jobs Slurm takes from this user: the size of arrays, and the limits of the accounting.

Four calls, each of which may be without an answer: what is not told is learnt from refusals.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.cluster.base import Quota
from orchestrator.cluster.checkup import PartitionFacts, read_config, read_facts
from orchestrator.cluster.commands import Commands
from orchestrator.cluster.parsing import NamedStatus

# sacctmgr asks a database; nobody waits for it.
SACCTMGR_SECONDS = 20.0
_OF_USER = ("Cluster", "Account", "DefaultQOS", "QOS", "MaxSubmitJobs", "GrpSubmitJobs")
_OF_QOS = ("Name", "Flags", "MaxSubmitJobsPU", "MaxSubmitJobsPA", "GrpSubmitJobs")
# What limits the jobs of one user or account, and what those of all: columns of a QOS, and of a user.
_LEVELS = ((_OF_QOS[2:4], _OF_USER[4]), (_OF_QOS[4:], _OF_USER[5]))
_TASKS = re.compile(r"\bmax_array_tasks=(\d+)")

_Row = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class _Limit:
    """So many jobs at once, of those that have one of these; of all others none counts."""

    most: int
    accounts: frozenset[str] = frozenset()
    qos: frozenset[str] = frozenset()
    partitions: frozenset[str] = frozenset()

    def counts(self, job: NamedStatus) -> bool:
        # A job that waits may have several partitions.
        is_there = not self.partitions.isdisjoint(job.partition.split(","))
        return job.account in self.accounts or job.qos in self.qos or is_there


class Quotas:
    """Asks for the limits of one user.

    Args of the constructor:
        commands: Asks the cluster.
        accounting: Asks the accounting of all clusters: sacctmgr knows no -M.
        user: Whose limits.
        account: The account that jobs are charged to; None: the user's own.
        qos: Their quality of service; None: the default of the account.
        partition: Where they go, one or several as `a,b`; None: where the site sends them.
        limit_seconds: Time limit of one call.
    """

    def __init__(
        self,
        commands: Commands,
        *,
        accounting: Commands,
        user: str,
        account: str | None,
        qos: str | None,
        partition: str | None,
        limit_seconds: float,
    ) -> None:
        self._commands = commands
        self._accounting = accounting
        self._user = user
        # sbatch reads them, too (sbatch(1), "INPUT ENVIRONMENT VARIABLES").
        self._account = account or os.environ.get("SBATCH_ACCOUNT")
        self._qos = qos or os.environ.get("SBATCH_QOS")
        self._partition = partition or os.environ.get("SBATCH_PARTITION")
        self._limit_seconds = limit_seconds
        self._config: dict[str, str] = {}
        self._told: _Limit | None = None

    def ask(self) -> Quota:
        """Return what is known now; the configuration is asked for until it was told once."""
        if not self._config:
            self._config = read_config(self._scontrol("config"))
        self._told = self._narrowest()
        most = self._told.most if self._told is not None else None
        return Quota(largest_array=largest_array(self._config), most_jobs=most)

    def counts(self, job: NamedStatus) -> bool:
        """Whether a job of this user counts, as far as that was told, towards the limit."""
        told = self._told
        return told is None or told.counts(job)

    def _narrowest(self) -> _Limit | None:
        # Where limits are not enforced, sacctmgr has them and slurmctld does not go by them.
        enforced = self._config.get("AccountingStorageEnforce", "limits").lower()
        if "limits" not in enforced and "safe" not in enforced:
            return None
        users = self._table("assoc", _OF_USER, "where", f"user={self._user}")
        mine = [row for row in users or () if self._is_mine(row)]
        table = self._table("qos", _OF_QOS) if mine else []
        if users is None or table is None:
            return self._told  # an accounting that does not answer has not lifted a limit
        facts = self._partitions()
        if facts is None:
            return self._told
        qos = {row["Name"]: row for row in table}
        of_jobs = [qos.get(self._qos or _usual(row), {}) for row in mine]
        of_partitions = [qos.get(facts[name].qos, {}) for name in self._chosen(facts)]
        # A job goes by one association and by one QOS of either kind, and it is not always known by
        # which. What comes first hides what comes later, each limit for itself; those of the user
        # are hidden by any (resource_limits.html; tried: 22.05.8).
        tiers = [of_jobs, of_partitions] if _goes_first(of_jobs) else [of_partitions, of_jobs]
        limits = []
        for columns, of_user in _LEVELS:
            told = [_first(tiers, column, facts) for column in columns]
            limits += [limit for limit in told if limit is not None] or _by_user(mine, of_user)
        return min(limits, key=lambda limit: limit.most, default=None)

    def _partitions(self) -> dict[str, PartitionFacts] | None:
        """Return all partitions by name; None: Slurm did not answer."""
        told = self._scontrol("partition", "--oneliner")
        return read_facts(told) if told else None

    def _chosen(self, facts: Mapping[str, PartitionFacts]) -> list[str]:
        """Return where the jobs go."""
        if self._partition is None:
            return [name for name, partition in facts.items() if partition.is_default]
        return [name for name in self._partition.split(",") if name in facts]

    def _is_mine(self, row: _Row) -> bool:
        here = self._config.get("ClusterName", row["Cluster"])
        is_here = row["Cluster"].lower() == here.lower()
        return is_here and self._account in {None, row["Account"]}

    def _scontrol(self, *what: str) -> str:
        """Return what it prints; empty: it did not answer."""
        told = self._commands.run("scontrol", "show", *what, limit_seconds=self._limit_seconds)
        return told.output if told.is_ok else ""

    def _table(self, what: str, columns: tuple[str, ...], *where: str) -> list[_Row] | None:
        """Return a table of sacctmgr; None: it did not answer."""
        words = ("sacctmgr", "--noheader", "--parsable2", "show", what, *where)
        limit = min(self._limit_seconds, SACCTMGR_SECONDS)
        told = self._accounting.run(*words, f"format={','.join(columns)}", limit_seconds=limit)
        if not told.is_ok:
            return None
        rows = [line.split("|") for line in told.output.splitlines()]
        return [dict(zip(columns, row, strict=True)) for row in rows if len(row) == len(columns)]


def _usual(row: _Row) -> str:
    """Return the QOS of jobs that ask for none (tried: 22.05.8): the only one, or the usual one."""
    allowed = [name for name in row["QOS"].split(",") if name]
    return row["DefaultQOS"] or (allowed[0] if len(allowed) == 1 else "normal")


def _goes_first(of_jobs: Iterable[_Row]) -> bool:
    """Whether the QOS of jobs goes before that of their partition."""
    return any("OverPartQOS" in row.get("Flags", "").split(",") for row in of_jobs)


def _first(
    tiers: Iterable[Sequence[_Row]], column: str, facts: Mapping[str, PartitionFacts]
) -> _Limit | None:
    """Return the limit of the first tier that has one, with what it counts."""
    for qos in tiers:
        most = _widest(qos, column)
        if most is not None:
            names = frozenset(row["Name"] for row in qos)
            where = frozenset(each.name for each in facts.values() if each.qos in names)
            return _Limit(most=most, qos=names, partitions=where)
    return None


def _by_user(mine: Sequence[_Row], column: str) -> list[_Limit]:
    most = _widest(mine, column)
    accounts = frozenset(row["Account"] for row in mine)
    return [] if most is None else [_Limit(most=most, accounts=accounts)]


def _widest(rows: Sequence[_Row], column: str) -> int | None:
    """Return the limit in a column: the greatest of the rows; None if one of them has none."""
    limits = [row.get(column, "") for row in rows]
    return max(map(int, limits)) if limits and all(map(str.isdecimal, limits)) else None


def largest_array(config: Mapping[str, str]) -> int | None:
    """Return how many tasks an array may have at most; None if the configuration is not known.

    The highest index is one less than MaxArraySize, and ours begin with 0 (slurm.conf(5)).
    """
    size = config.get("MaxArraySize", "")
    if not size.isdecimal():
        return None
    tasks = _TASKS.search(config.get("SchedulerParameters", ""))
    most = min(int(size), int(tasks[1])) if tasks else int(size)
    return max(1, most)
