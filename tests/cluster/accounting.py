"""Accounting of a private Slurm: MariaDB and slurmdbd."""

from __future__ import annotations

from pathlib import Path

from tests.cluster import mariadb, munge
from tests.cluster.configuration import host_name, user_name
from tests.cluster.daemons import Daemon
from tests.cluster.programs import program

PROGRAMS = ("mariadb-install-db", "mariadbd", "slurmdbd", "sacctmgr")


def database(folder: Path) -> Daemon:
    """Return the database server, which only its socket leads to."""
    # slurmdbd refuses to roll up its tables with MariaDB's default of 50 s.
    return mariadb.daemon(folder, "--skip-networking", "--innodb-lock-wait-timeout=900")


def slurmdbd(folder: Path) -> Daemon:
    """Return the accounting daemon."""
    return Daemon(
        name="slurmdbd",
        folder=folder,
        command=(program("slurmdbd"), "-D"),
        environment={
            "SLURM_CONF": f"{folder}/slurm.conf",
            "MYSQL_UNIX_PORT": str(mariadb.socket_path(folder)),
        },
    )


def slurmdbd_conf(folder: Path, port: int) -> str:
    """Return the text of slurmdbd.conf."""
    options = {
        "AuthType": "auth/munge",
        "AuthInfo": f"socket={munge.socket_path(folder)}",
        "DbdHost": host_name(),
        "DbdAddr": "127.0.0.1",
        "DbdPort": port,
        "SlurmUser": user_name(),
        "DebugLevel": "info",
        "DebugLevelSyslog": "quiet",
        "PidFile": f"{folder}/run/slurmdbd.own-pid",
        "StorageType": "accounting_storage/mysql",
        "StorageHost": "localhost",
        # The server's own root needs no password on a socket that only this account can reach.
        "StorageUser": "root",
        "StorageLoc": "slurm",
    }
    return "".join(f"{key}={value}\n" for key, value in options.items())
