"""The folder of a private Slurm: what lies in it, written anew by every start."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.cluster import accounting, munge
from tests.cluster.configuration import Partition, Ports, SlurmSettings, gres_conf, slurm_conf
from tests.cluster.daemons import ServiceError, running_daemons
from tests.cluster.ports import free_ports

RECORD = "cluster.json"
SUBFOLDERS = ("run", "log", "state", "spool", "dev", "work")
# A path of a Unix socket has at most 107 characters; the longest one here goes on with
# /spool/node99/node99_1234567.4294967291.
LONGEST_FOLDER = 60


def prepare(folder: Path, settings: SlurmSettings) -> Ports:
    """Empty the folder, write all files of a new cluster, and return the ports chosen for it.

    Raises:
        ServiceError: The folder holds something else, or a cluster that runs, or its path is too
            long for sockets. It is unchanged then.
    """
    if len(str(folder)) > LONGEST_FOLDER:
        raise ServiceError(f"{folder} is too long for sockets; {LONGEST_FOLDER} characters at most")
    clear_folder(folder, RECORD)
    controller, database, *nodes = free_ports(2 + settings.nodes)
    ports = Ports(controller=controller, accounting=database, nodes=tuple(nodes))
    # First, so that a folder left half-written is known as ours.
    record = {"settings": asdict(settings), "ports": asdict(ports)}
    (folder / RECORD).write_text(json.dumps(record, indent=1))
    for name in SUBFOLDERS:
        (folder / name).mkdir()
    for node in settings.node_names:
        (folder / "spool" / node).mkdir()
    for number in range(settings.gpus):
        # Slurm takes nothing but devices (as files they are counted, but a job is not told which
        # ones it has), and numbers them by their names.
        (folder / "dev" / f"gpu{number}").symlink_to("/dev/null")
    _write_configuration(folder, settings, ports)
    return ports


def load(folder: Path) -> tuple[SlurmSettings, Ports]:
    """Return what ``prepare`` wrote last.

    Raises:
        FileNotFoundError: It never was called for this folder.
    """
    record = json.loads((folder / RECORD).read_text())
    settings: dict[str, Any] = record["settings"]
    settings["partitions"] = tuple(
        Partition(**{**partition, "options": tuple(partition["options"])})
        for partition in settings["partitions"]
    )
    settings["extra_lines"] = tuple(settings["extra_lines"])
    ports: dict[str, Any] = record["ports"]
    return SlurmSettings(**settings), Ports(**{**ports, "nodes": tuple(ports["nodes"])})


def clear_folder(folder: Path, record: str) -> None:
    """Create the folder of a service, or empty it if it has one's ``record`` and nothing runs.

    Raises:
        ServiceError: It is not empty and holds something else, or a service that runs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    inside = list(folder.iterdir())
    if inside and not (folder / record).exists():
        raise ServiceError(f"{folder} is not empty and was not made by this program")
    if running := running_daemons(folder):
        raise ServiceError(f"{', '.join(running)} of {folder} already run")
    # Other accounts run some of the daemons and must reach their sockets.
    folder.chmod(0o755)
    for entry in inside:
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _write_configuration(folder: Path, settings: SlurmSettings, ports: Ports) -> None:
    (folder / "slurm.conf").write_text(slurm_conf(settings, folder, ports))
    (folder / "gres.conf").write_text(gres_conf(settings, folder))
    munge.write_key(folder)
    if settings.accounting:
        # slurmdbd refuses a file that others may read.
        path = folder / "slurmdbd.conf"
        path.touch(mode=0o600)
        path.write_text(accounting.slurmdbd_conf(folder, ports.accounting))
