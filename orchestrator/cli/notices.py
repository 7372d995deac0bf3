"""What the user should know about a command line that is right: one line each."""

from __future__ import annotations

import argparse
from pathlib import Path

from db.filesystems import filesystem_type, is_shared
from orchestrator.cli.urls import user_path
from orchestrator.spec.experiment import ExperimentSpec
from orchestrator.spec.rules import Behavior

_INSTEAD = {
    "live_share": (
        "--live_share: nothing is uploaded; `headway follow {name}` shows the search live from any "
        "login node"
    ),
    "send_anonymized_usage_stats": (
        "--send_anonymized_usage_stats: Headway collects no statistics; nothing is sent"
    ),
    "generate_all_jobs_at_once": (
        "--generate_all_jobs_at_once: changes nothing; points are made ahead of need and every "
        "free slot is filled at once"
    ),
}
# Options that only mean something where Slurm runs the trials.
_SLURM_ONLY = (
    "partition",
    "mem_gb",
    "cpus_per_task",
    "gpus",
    "nodes_per_job",
    "account",
    "qos",
    "reservation",
    "constraint",
    "gres",
    "exclude",
    "requeue",
    "sbatch",
    "auto_exclude_defective_hosts",
)
_EXCLUDING = frozenset({Behavior.EXCLUDE_NODE, Behavior.EXCLUDE_NODE_AND_RESTART_ALL})


def notices(namespace: argparse.Namespace) -> list[str]:
    """Say what Headway does instead, for each option whose service does not exist here."""
    name = namespace.experiment_name or "NAME"
    both = namespace.detach and namespace.head == "slurm"
    said = ["--detach: no effect beside --head slurm, whose job needs no terminal"] if both else []
    return said + [
        text.format(name=name) for option, text in _INSTEAD.items() if vars(namespace)[option]
    ]


def local_notices(namespace: argparse.Namespace) -> list[str]:
    """Say which options are of no effect because the trials run on this machine."""
    given = [f"--{option}" for option in _SLURM_ONLY if vars(namespace)[option]]
    if not given:
        return []
    return [f"{', '.join(given)}: no effect, since the trials run on this machine without Slurm"]


def failure_notices(spec: ExperimentSpec) -> list[str]:
    """Say which rules cannot do what they say."""
    if spec.executor == "slurm" and spec.auto_exclude:
        return []
    is_local = spec.executor == "local"
    why = "since the trials run on this machine alone" if is_local else "with --no_auto_exclude"
    found = [rule.name for rule in spec.rules if rule.behavior in _EXCLUDING]
    if not found:
        return []
    return [f"--orchestrator_file: {', '.join(found)}: no host is kept out, {why}"]


def storage_notices(db_url: str | None, folder: Path) -> list[str]:
    """Say how an SQLite file is used that lies where several hosts may write.

    Args:
        db_url: The database; None: a file in the run folder.
        folder: The run folder, or the folder of all runs.

    Raises:
        UsageError: The file cannot be used.
    """
    place = folder
    if db_url is not None:
        if not db_url.startswith("sqlite"):
            return []
        from db.sql.engine import parse_url

        place = user_path(str(Path(parse_url(db_url).database or "").absolute()), "--db_url")
    kind = filesystem_type(place)
    if not is_shared(kind):
        return []
    notice = (
        f"{place} lies on a network file system ({kind}): SQLite keeps a rollback journal there, "
        "only the head writes the database, and workers report through files; a server "
        "(--db_url) is faster"
    )
    return [notice]
