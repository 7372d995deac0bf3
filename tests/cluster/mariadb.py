"""A private MariaDB server: the one that tests store in, and the one of a private Slurm."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.cluster.daemons import Daemon, Service, ServiceError
from tests.cluster.ports import free_ports
from tests.cluster.programs import program

PROGRAMS = ("mariadb-install-db", "mariadbd", "mariadb")
ROLE = "headway"
# Tests look for it in logs, process lists and files, where it must not be.
PASSWORD = "secret"


def daemon(folder: Path, *options: str) -> Daemon:
    """Return a server below ``folder``; its data last as long as that, so nothing is synced."""
    return Daemon(
        name="mariadbd",
        folder=folder,
        user=_user(),
        command=(
            program("mariadbd"),
            "--no-defaults",
            f"--datadir={folder}/mysql/data",
            f"--socket={socket_path(folder)}",
            f"--pid-file={folder}/mysql/mariadbd.own-pid",
            f"--tmpdir={folder}/mysql/tmp",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-doublewrite=0",
            "--innodb-buffer-pool-size=64M",
            *options,
        ),
    )


def socket_path(folder: Path) -> Path:
    """Return the socket of the server below ``folder``; it is there when the server is ready."""
    return folder / "mysql" / "mariadbd.socket"


def create_system_tables(folder: Path) -> None:
    """Create what a server needs before its first start.

    Its root needs no password, on a socket that only this account can reach.

    Raises:
        ServiceError: mariadb-install-db failed.
    """
    user = _user()
    data = folder / "mysql"
    # A server that starts removes the temporary tables of others from the folder for such files.
    for each in (data, data / "tmp"):
        each.mkdir(mode=0o700)
        if user:
            shutil.chown(each, user, user)
    command = [
        program("mariadb-install-db"),
        "--no-defaults",
        f"--datadir={data}/data",
        f"--tmpdir={data}/tmp",
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
    ]
    if user:
        command.append(f"--user={user}")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServiceError(f"mariadb-install-db failed:\n{done.stdout}{done.stderr}")


def _user() -> str | None:
    # mariadbd refuses to run as root.
    return "mysql" if os.geteuid() == 0 else None


class PrivateMariadb(Service):
    """A MariaDB server whose files, port and socket are its own.

    Clients come over 127.0.0.1 as ``headway`` with a password, and own the databases that are made
    here. The server speaks latin1 unless it is told otherwise, as that of Debian 12 does not but
    those of many sites do. It lives in a new folder below /tmp that ``stop`` removes. Not
    thread-safe.

    Attributes:
        folder: Everything of it: data, log, socket, pid file.
    """

    def __init__(self) -> None:
        """Describe a server; nothing is started."""
        self.folder = Path(tempfile.mkdtemp(prefix="headway-mariadb-", dir="/tmp"))
        (self._port,) = free_ports(1)
        self._daemon = daemon(
            self.folder,
            "--bind-address=127.0.0.1",
            f"--port={self._port}",
            "--skip-name-resolve",
            "--character-set-server=latin1",
        )

    def start(self) -> None:
        """Create an empty server and start it.

        Raises:
            ServiceError: It failed; the text shows the end of its log.
        """
        # The server may run under another account.
        self.folder.chmod(0o755)
        for name in ("log", "run"):
            (self.folder / name).mkdir()
        create_system_tables(self.folder)
        self._daemon.start()
        try:
            # As long as a slow disk may take.
            self._daemon.wait_ready(socket_path(self.folder).exists, timeout_seconds=60)
            self.execute(f"CREATE USER {ROLE}@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'")
        except BaseException:
            self._daemon.stop()
            raise

    def stop(self) -> None:
        """End the server; its databases are not needed any more."""
        self._daemon.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def create(self) -> str:
        """Create an empty database and return its URL, with the password."""
        name = f"test_{secrets.token_hex(4)}"
        self.execute(
            f"CREATE DATABASE {name}; GRANT ALL ON {name}.* TO {ROLE}@'127.0.0.1';",
        )
        return f"mysql://{ROLE}:{PASSWORD}@127.0.0.1:{self._port}/{name}"

    def drop(self, url: str) -> None:
        """Remove a database; its connections stay, without one."""
        self.execute(f"DROP DATABASE IF EXISTS {url.rpartition('/')[2]}")

    def execute(self, statements: str, *, database: str = "mysql") -> str:
        """Run SQL as root.

        Returns:
            The answer: a line a row, columns separated by tabs.

        Raises:
            ServiceError: A statement failed.
        """
        done = subprocess.run(
            [
                *(program("mariadb"), "--no-defaults", f"--socket={socket_path(self.folder)}"),
                *("--user=root", "--batch", "--skip-column-names"),
                *("--default-character-set=utf8mb4", database),
            ],
            # Not as an argument: everybody can read those.
            input=statements,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ServiceError(f"mariadb exited with {done.returncode}: {done.stderr}")
        return done.stdout.strip()
