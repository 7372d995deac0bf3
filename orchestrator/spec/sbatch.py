"""The words of sbatch's own options, as users give them for a site: no Slurm is asked here."""

from __future__ import annotations

import re

from orchestrator.errors import did_you_mean

_NAME = re.compile(r"[a-z][a-z0-9-]*")
# sbatch(1) of Slurm 22.05 to 24.11: for near misses, as a later one may have others.
KNOWN = frozenset(
    [
        *("account", "acctg-freq", "array", "batch", "bb", "bbf", "begin", "chdir"),
        *("cluster-constraint", "clusters", "comment", "constraint", "container", "contiguous"),
        *("core-spec", "cores-per-socket", "cpu-freq", "cpus-per-gpu", "cpus-per-task"),
        *("deadline", "delay-boot", "dependency", "error", "exclude", "exclusive", "export"),
        *("export-file", "extra", "extra-node-info", "get-user-env", "gid", "gpu-bind"),
        *("gpu-freq", "gpus", "gpus-per-node", "gpus-per-socket", "gpus-per-task", "gres"),
        *("gres-flags", "hint", "hold", "ignore-pbs", "input", "job-name"),
        *("kill-on-invalid-dep", "licenses", "mail-type", "mail-user", "mcs-label", "mem"),
        *("mem-bind", "mem-per-cpu", "mem-per-gpu", "mincpus", "network", "nice", "no-kill"),
        *("no-requeue", "nodefile", "nodelist", "nodes", "ntasks", "ntasks-per-core"),
        *("ntasks-per-gpu", "ntasks-per-node", "ntasks-per-socket", "open-mode", "output"),
        *("overcommit", "oversubscribe", "parsable", "partition", "power", "prefer"),
        *("priority", "profile", "propagate", "qos", "quiet", "reboot", "requeue"),
        *("reservation", "resv-ports", "segment", "signal", "sockets-per-node", "spread-job"),
        *("stepmgr", "switches", "test-only", "thread-spec", "threads-per-core", "time"),
        *("time-min", "tmp", "tres-bind", "tres-per-task", "uid", "usage", "use-min-nodes"),
        *("verbose", "wait", "wait-all-nodes", "wckey", "wrap"),
    ]
)
# A trial's job cannot be without them, or be another one.
OURS = frozenset({"array", "job-name", "output"})
# Headway has its own way for these; the text says which.
INSTEAD = {
    "account": "--account",
    "array": "Headway makes the arrays itself",
    "clusters": "`cluster: NAME` in a profile",
    "constraint": "--constraint",
    "cpus-per-task": "--cpus_per_task",
    "error": "a trial's log holds both; `headway logs` shows it",
    "exclude": "--exclude",
    "gpus-per-node": "--gpus",
    "job-name": "Headway finds its jobs by their names",
    "no-requeue": "leave --requeue out",
    "nodes": "--nodes_per_job",
    "output": "a trial's log lies in its run folder; `headway logs` shows it",
    "parsable": "Headway reads sbatch's answer itself",
    "partition": "--partition",
    "qos": "--qos",
    "quiet": "Headway reads sbatch's answer itself",
    "requeue": "--requeue",
    "reservation": "--reservation",
    "test-only": "`headway profile check NAME --submit`",
    "time": "--worker_timeout",
    "wait": "Headway waits for its jobs itself",
    "wrap": "--run_program",
}


def option_name(text: str) -> str:
    """Return an option of sbatch as it is written there: `--Mem_Per_Cpu` is `mem-per-cpu`.

    Raises:
        ValueError: It cannot be one; the text says why.
    """
    name = text.strip().removeprefix("--").replace("_", "-").lower()
    if not _NAME.fullmatch(name):
        raise ValueError(f"{text!r} is no option of sbatch; give its long name, such as licenses")
    return name


def near_miss(name: str) -> str:
    """Return a hint for an option that no sbatch known here has; empty for one that it has."""
    if name in KNOWN:
        return ""
    hint = did_you_mean(name, sorted(KNOWN))
    return f"the sbatch known here has no option {name!r}. {hint}".strip()
