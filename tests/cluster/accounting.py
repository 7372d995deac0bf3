"""Accounting of a private Slurm: MariaDB and slurmdbd."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.cluster.configuration import host_name, user_name
from tests.cluster.daemons import Daemon, ServiceError
from tests.cluster.munge import socket_path
from tests.cluster.programs import program

PROGRAMS = ("mariadb-install-db", "mariadbd", "slurmdbd", "sacctmgr")


def mariadb(folder: Path) -> Daemon:
    """Return the database server; its data last as long as the folder, so nothing is synced."""
    data = folder / "mysql"
    return Daemon(
        name="mariadbd",
        folder=folder,
        user=_user(),
        command=(
            program("mariadbd"),
            "--no-defaults",
            f"--datadir={data}/data",
            f"--socket={_database_socket(folder)}",
            f"--pid-file={data}/mariadbd.own-pid",
            "--skip-networking",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-doublewrite=0",
            "--innodb-buffer-pool-size=64M",
            # slurmdbd refuses to roll up its tables with MariaDB's default of 50 s.
            "--innodb-lock-wait-timeout=900",
        ),
    )


def slurmdbd(folder: Path) -> Daemon:
    """Return the accounting daemon."""
    return Daemon(
        name="slurmdbd",
        folder=folder,
        command=(program("slurmdbd"), "-D"),
        environment={
            "SLURM_CONF": f"{folder}/slurm.conf",
            "MYSQL_UNIX_PORT": str(_database_socket(folder)),
        },
    )


def slurmdbd_conf(folder: Path, port: int) -> str:
    """Return the text of slurmdbd.conf."""
    options = {
        "AuthType": "auth/munge",
        "AuthInfo": f"socket={socket_path(folder)}",
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


def create_database(folder: Path) -> None:
    """Create MariaDB's system tables.

    Raises:
        ServiceError: mariadb-install-db failed.
    """
    user = _user()
    data = folder / "mysql"
    data.mkdir(mode=0o700)
    if user:
        shutil.chown(data, user, user)
    command = [
        program("mariadb-install-db"),
        "--no-defaults",
        f"--datadir={data}/data",
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
    ]
    if user:
        command.append(f"--user={user}")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServiceError(f"mariadb-install-db failed:\n{done.stdout}{done.stderr}")


def is_open(folder: Path) -> bool:
    """Tell whether MariaDB has opened its socket."""
    return _database_socket(folder).exists()


def _database_socket(folder: Path) -> Path:
    return folder / "mysql" / "mariadbd.socket"


def _user() -> str | None:
    # mariadbd refuses to run as root.
    return "mysql" if os.geteuid() == 0 else None
