"""What a private Slurm looks like, and the text of its configuration files."""

from __future__ import annotations

import os
import pwd
import socket
from dataclasses import dataclass
from pathlib import Path

CLUSTER_NAME = "headway"


@dataclass(frozen=True, kw_only=True)
class Partition:
    """One partition.

    Attributes:
        name: Its name.
        nodes: Slurm's node list, for example ``node[1-4]``.
        default: Whether jobs go there that name none.
        options: Further ``Key=Value`` words of its line, for example ``MaxTime=10``.
    """

    name: str
    nodes: str = "ALL"
    default: bool = False
    options: tuple[str, ...] = ()

    def line(self) -> str:
        """Return its line of slurm.conf."""
        default = "YES" if self.default else "NO"
        words = (f"PartitionName={self.name}", f"Nodes={self.nodes}", f"Default={default}")
        return " ".join((*words, "State=UP", *self.options))


@dataclass(frozen=True, kw_only=True)
class SlurmSettings:
    """Size and shape of a cluster. Nodes are called ``node1``, ``node2`` and so on.

    Attributes:
        nodes: Number of nodes.
        cpus: CPUs of a node; may be more than the machine has.
        memory_mb: Memory of a node in MB; a job that asks for none gets half its CPUs' share.
        gpus: Generic resources called gpu of a node (empty files, no devices).
        partitions: The partitions.
        accounting: With slurmdbd and MariaDB, so that sacct answers.
        extra_lines: Lines of slurm.conf; one with a key that is set here anyway replaces it.
    """

    nodes: int = 8
    cpus: int = 4
    memory_mb: int = 8000
    gpus: int = 2
    partitions: tuple[Partition, ...] = (
        Partition(name="alpha", default=True),
        Partition(name="beta"),
    )
    accounting: bool = True
    extra_lines: tuple[str, ...] = ()

    @property
    def node_names(self) -> tuple[str, ...]:
        """The names of all nodes."""
        return tuple(f"node{number}" for number in range(1, self.nodes + 1))


@dataclass(frozen=True, kw_only=True)
class Ports:
    """The ports of 127.0.0.1 that a cluster listens on."""

    controller: int
    accounting: int
    nodes: tuple[int, ...]


def host_name() -> str:
    """Return what Slurm calls this machine: the host name up to the first dot."""
    return socket.gethostname().partition(".")[0]


def user_name() -> str:
    """Return the account that runs all daemons of Slurm."""
    return pwd.getpwuid(os.geteuid()).pw_name


def slurm_conf(settings: SlurmSettings, folder: Path, ports: Ports) -> str:
    """Return the text of slurm.conf for a cluster that has all its files in ``folder``."""
    options = {
        **_identity(folder, ports),
        **_behaviour(settings),
        **_speed(),
        **_accounting(settings, folder, ports),
    }
    replaced = {line.partition("=")[0].strip().lower() for line in settings.extra_lines}
    kept = [f"{key}={value}" for key, value in options.items() if key.lower() not in replaced]
    gpus = f" Gres=gpu:{settings.gpus}" if settings.gpus else ""
    nodes = [
        f"NodeName={name} NodeHostname={host_name()} NodeAddr=127.0.0.1 Port={port} "
        f"CPUs={settings.cpus} RealMemory={settings.memory_mb}{gpus}"
        for name, port in zip(settings.node_names, ports.nodes, strict=True)
    ]
    partitions = [partition.line() for partition in settings.partitions]
    return "\n".join([*kept, *settings.extra_lines, *nodes, *partitions, ""])


def gres_conf(settings: SlurmSettings, folder: Path) -> str:
    """Return the text of gres.conf; plain files serve as devices."""
    if not settings.gpus:
        return ""
    files = f"{folder}/dev/gpu[0-{settings.gpus - 1}]"
    return f"NodeName={','.join(settings.node_names)} Name=gpu File={files}\n"


def _identity(folder: Path, ports: Ports) -> dict[str, object]:
    return {
        "ClusterName": CLUSTER_NAME,
        "SlurmctldHost": f"{host_name()}(127.0.0.1)",
        "SlurmctldPort": ports.controller,
        "SlurmUser": user_name(),
        "SlurmdUser": user_name(),
        "AuthType": "auth/munge",
        "AuthInfo": f"socket={folder}/run/munge.socket",
        "StateSaveLocation": f"{folder}/state",
        "SlurmdSpoolDir": f"{folder}/spool/%n",
        # Ours are the files NAME.pid; these are written by the daemons themselves and not read.
        "SlurmctldPidFile": f"{folder}/run/slurmctld.own-pid",
        "SlurmdPidFile": f"{folder}/run/slurmd-%n.own-pid",
        "SlurmctldSyslogDebug": "quiet",
        "SlurmdSyslogDebug": "quiet",
    }


def _behaviour(settings: SlurmSettings) -> dict[str, object]:
    return {
        "SelectType": "select/cons_tres",
        "SelectTypeParameters": "CR_Core_Memory",
        # Without it, one job without --mem fills a node.
        "DefMemPerCPU": max(1, settings.memory_mb // settings.cpus // 2),
        # Lets nodes claim more CPUs and memory than the machine has.
        "SlurmdParameters": "config_overrides",
        "GresTypes": "gpu",
        "ProctrackType": "proctrack/linuxproc",
        "TaskPlugin": "task/none",
        "MpiDefault": "none",
        "ReturnToService": 2,
        # Long enough that a busy machine makes no node DOWN by mistake.
        "SlurmdTimeout": 10,
        "KillWait": 5,
        "MinJobAge": 60,
        "MaxArraySize": 1001,
        "MaxJobCount": 20_000,
        "JobAcctGatherType": "jobacct_gather/linux",
        "JobAcctGatherFrequency": "task=1",
        "PropagateResourceLimits": "NONE",
    }


def _speed() -> dict[str, object]:
    return {
        "SchedulerType": "sched/backfill",
        "SchedulerParameters": (
            "sched_min_interval=0,sched_interval=1,bf_interval=1,batch_sched_delay=0,"
            "default_queue_depth=1000"
        ),
        "PriorityType": "priority/basic",
        "CompleteWait": 0,
        "TCPTimeout": 2,
        # How long commands wait for a frozen controller (and try again where there is none), half
        # of the default. Twice this and SlurmdTimeout pass until a dead node is DOWN.
        "MessageTimeout": 5,
        "SlurmctldDebug": "info",
        "SlurmdDebug": "error",
    }


def _accounting(settings: SlurmSettings, folder: Path, ports: Ports) -> dict[str, object]:
    if not settings.accounting:
        return {"AccountingStorageType": "accounting_storage/none"}
    return {
        "AccountingStorageType": "accounting_storage/slurmdbd",
        "AccountingStorageHost": "127.0.0.1",
        "AccountingStoragePort": ports.accounting,
        # sacct takes the socket from here, not from AuthInfo.
        "AccountingStoragePass": f"{folder}/run/munge.socket",
        "AccountingStorageTRES": "gres/gpu",
    }
