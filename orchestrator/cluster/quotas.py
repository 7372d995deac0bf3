"""How many jobs Slurm takes from this user: the size of arrays, and the limits of the accounting.

Three calls, each of which may be without an answer: what is not told is learnt from refusals.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping

from orchestrator.cluster.base import Quota
from orchestrator.cluster.checkup import read_config
from orchestrator.cluster.commands import Commands

# sacctmgr asks a database; nobody waits for it.
SACCTMGR_SECONDS = 20.0
_OF_USER = ("Cluster", "Account", "Partition", "DefaultQOS", "MaxSubmitJobs", "GrpSubmitJobs")
_OF_QOS = ("Name", "MaxSubmitJobsPU", "MaxSubmitJobsPA", "GrpSubmitJobs")
_TASKS = re.compile(r"\bmax_array_tasks=(\d+)")


class Quotas:
    """Asks for the limits of one user.

    Args of the constructor:
        commands: Asks the cluster.
        accounting: Asks the accounting of all clusters: sacctmgr knows no -M.
        user: Whose limits.
        account: The account that jobs are charged to; None: the user's own.
        qos: Their quality of service; None: the default of the account.
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
        limit_seconds: float,
    ) -> None:
        self._commands = commands
        self._accounting = accounting
        self._user = user
        # sbatch reads them, too (sbatch(1), "INPUT ENVIRONMENT VARIABLES").
        self._account = account or os.environ.get("SBATCH_ACCOUNT")
        self._qos = qos or os.environ.get("SBATCH_QOS")
        self._limit_seconds = limit_seconds
        self._config: dict[str, str] = {}
        self._told: int | None = None

    def ask(self) -> Quota:
        """Return what is known now; the configuration is asked for until it was told once."""
        if not self._config:
            words = ("scontrol", "show", "config")
            told = self._commands.run(*words, limit_seconds=self._limit_seconds)
            self._config = read_config(told.output) if told.is_ok else {}
        return Quota(largest_array=largest_array(self._config), most_jobs=self._most_jobs())

    def _most_jobs(self) -> int | None:
        # Where limits are not enforced, sacctmgr has them and slurmctld does not go by them.
        enforced = self._config.get("AccountingStorageEnforce", "limits").lower()
        if "limits" not in enforced and "safe" not in enforced:
            return None
        where = ("where", f"user={self._user}")
        users = self._table("assoc", _OF_USER, where)
        mine = [row for row in users or () if self._is_mine(row)]
        names = {self._qos or row["DefaultQOS"] for row in mine} - {""}
        table = self._table("qos", _OF_QOS) if names else []
        if users is not None and table is not None:
            qos = [row for row in table if row["Name"] in names]
            # A job goes by one association and by one QOS, and it is not always known by which. What
            # the QOS limits, the association does not (resource_limits.html; tried: 22.05.8).
            own = _widest(qos, _OF_QOS[1:3]) or _widest(mine, _OF_USER[4:5])
            shared = _widest(qos, _OF_QOS[3:]) or _widest(mine, _OF_USER[5:])
            self._told = min([*own, *shared], default=None)
        return self._told  # an accounting that does not answer has not lifted a limit

    def _is_mine(self, row: Mapping[str, str]) -> bool:
        here = self._config.get("ClusterName", row["Cluster"])
        is_here = row["Cluster"].lower() == here.lower()
        return is_here and self._account in {None, row["Account"]}

    def _table(
        self, what: str, columns: tuple[str, ...], where: tuple[str, ...] = ()
    ) -> list[dict[str, str]] | None:
        """Return a table of sacctmgr; None: it did not answer."""
        words = ("sacctmgr", "--noheader", "--parsable2", "show", what, *where)
        limit = min(self._limit_seconds, SACCTMGR_SECONDS)
        told = self._accounting.run(*words, f"format={','.join(columns)}", limit_seconds=limit)
        if not told.is_ok:
            return None
        rows = [line.split("|") for line in told.output.splitlines()]
        return [dict(zip(columns, row, strict=True)) for row in rows if len(row) == len(columns)]


def _widest(rows: list[dict[str, str]], columns: Iterable[str]) -> list[int]:
    """Return the limit in each column: the greatest of the rows; none if one of them has none."""
    found = []
    for column in columns:
        limits = [int(row[column]) if row[column].isdecimal() else None for row in rows]
        known = [limit for limit in limits if limit is not None]
        if known and len(known) == len(limits):
            found.append(max(known))
    return found


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
