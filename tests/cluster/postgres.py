"""A private PostgreSQL server, and databases cloned from a template in a tenth of a second."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Self

from tests.cluster.daemons import Daemon, Service, ServiceError
from tests.cluster.layout import clear_folder
from tests.cluster.ports import free_ports
from tests.cluster.programs import program

PROGRAMS = ("initdb", "postgres", "psql", "pg_isready")
RECORD = "postgres.json"
ROLE = "headway"
# The template of PostgreSQL itself that holds nothing.
EMPTY = "template0"
# Tests look for it in logs, process lists and files, where it must not be.
PASSWORD = "secret"

StopMode = Literal["smart", "fast", "immediate"]
# https://www.postgresql.org/docs/current/server-shutdown.html
SIGNALS: dict[StopMode, int] = {
    "smart": signal.SIGTERM,
    "fast": signal.SIGINT,
    "immediate": signal.SIGQUIT,
}


class PrivatePostgres(Service):
    """A PostgreSQL server whose files, port and socket are its own.

    Clients come over 127.0.0.1 as the role ``headway`` with a password; it may create databases and
    is no superuser, so that ``max_connections`` holds for it. Without ``folder`` the server lives
    in a new one below /tmp that ``stop`` removes; a given folder must be reachable by the account
    ``postgres`` if this runs as root, and is emptied by the next ``start``. Not thread-safe.

    Attributes:
        folder: Everything of it: data, log, socket, pid file.
        durable: Whether a commit is on the disk before it is answered.
        max_connections: As in postgresql.conf; three of them are for superusers.
    """

    def __init__(
        self, folder: Path | None = None, *, durable: bool = True, max_connections: int = 100
    ) -> None:
        """Describe a server; nothing is started."""
        self.durable = durable
        self.max_connections = max_connections
        self._is_temporary = folder is None
        self.folder = folder or Path(tempfile.mkdtemp(prefix="headway-postgres-", dir="/tmp"))
        self._port = 0
        # Not as root: PostgreSQL refuses that.
        self._user = "postgres" if os.geteuid() == 0 else None
        self._daemon = Daemon(
            name="postgres",
            folder=self.folder,
            command=(program("postgres"), "-D", str(self.folder / "data")),
            user=self._user,
        )

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return the server that another process started in ``folder``.

        Raises:
            FileNotFoundError: There is none.
        """
        record = json.loads((folder / RECORD).read_text())
        server = cls(folder, durable=record["durable"], max_connections=record["max_connections"])
        server._port = record["port"]
        return server

    def is_running(self) -> bool:
        """Tell whether it runs."""
        return self._daemon.is_running()

    def is_complete(self) -> bool:
        """Tell the same; a cluster of many daemons has more to say here."""
        return self.is_running()

    def start(self) -> None:
        """Create an empty server and start it, unless it runs.

        Raises:
            ServiceError: It failed; the text shows the end of its log.
        """
        if self.is_running():
            return
        self._prepare()
        try:
            self.start_server()
            self.execute(f"CREATE ROLE {ROLE} LOGIN CREATEDB PASSWORD '{PASSWORD}'")
        except BaseException:
            self._daemon.stop(SIGNALS["immediate"])
            raise

    def stop(self) -> None:
        """End the server; its databases are not needed any more."""
        self.stop_server("immediate")
        if self._is_temporary:
            shutil.rmtree(self.folder, ignore_errors=True)

    def start_server(self) -> None:
        """Start it with the databases that it had."""
        self._daemon.start()
        # As long as a recovery may take on a slow disk.
        self._daemon.wait_ready(self._accepts_connections, timeout_seconds=60)

    def stop_server(self, mode: StopMode = "fast") -> None:
        """End it and keep the databases; ``immediate`` is what a crash does."""
        self._daemon.stop(SIGNALS[mode])

    def restart(self, mode: StopMode = "immediate") -> None:
        """End it and start it again, with the same port and databases."""
        self.stop_server(mode)
        self.start_server()

    def url(self, database: str) -> str:
        """Return the URL of a database, with the password."""
        return f"postgresql://{ROLE}:{PASSWORD}@127.0.0.1:{self._port}/{database}"

    def create(self, database: str) -> str:
        """Create an empty database and return its URL."""
        return self._create(database, EMPTY)

    def template(self, build: Callable[[str], None]) -> str:
        """Create a database and let ``build(url)`` fill it, to be cloned.

        Returns:
            Its name. Nobody can connect to it any more, which cloning requires.
        """
        name = f"template_{secrets.token_hex(4)}"
        build(self._create(name, EMPTY))
        self.execute(
            f"ALTER DATABASE {name} ALLOW_CONNECTIONS false;"
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}';"
        )
        return name

    def clone(self, template: str = EMPTY) -> str:
        """Create a database from a template, by default an empty one, and return its URL."""
        return self._create(f"clone_{secrets.token_hex(4)}", template)

    def drop(self, url: str) -> None:
        """Remove a database with all its connections."""
        self.execute(f"DROP DATABASE IF EXISTS {url.rpartition('/')[2]} WITH (FORCE)")

    def execute(self, statements: str, *, database: str = "postgres") -> str:
        """Run SQL as the superuser, each statement in a transaction of its own.

        Returns:
            psql's unaligned answer: a line a row, columns separated by ``|``.

        Raises:
            ServiceError: A statement failed.
        """
        done = subprocess.run(
            [
                *(program("psql"), "--no-psqlrc", "--quiet", "--tuples-only", "--no-align"),
                *("--set=ON_ERROR_STOP=1", f"--host={self._sockets}", f"--port={self._port}"),
                *("--username=postgres", f"--dbname={database}"),
            ],
            # Not as an argument: everybody can read those.
            input=statements,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ServiceError(f"psql exited with {done.returncode}: {done.stderr}")
        return done.stdout.strip()

    @property
    def _sockets(self) -> Path:
        return self.folder / "run"

    def _create(self, database: str, template: str) -> str:
        self.execute(f"CREATE DATABASE {database} OWNER {ROLE} TEMPLATE {template}")
        return self.url(database)

    def _accepts_connections(self) -> bool:
        command = [program("pg_isready"), "--quiet", "--host=127.0.0.1", f"--port={self._port}"]
        return subprocess.run(command, check=False).returncode == 0

    def _prepare(self) -> None:
        clear_folder(self.folder, RECORD)
        (self._port,) = free_ports(1)
        record = {
            "port": self._port,
            "durable": self.durable,
            "max_connections": self.max_connections,
        }
        (self.folder / RECORD).write_text(json.dumps(record))
        for name in ("data", "log", "run"):
            (self.folder / name).mkdir(mode=0o700 if name == "data" else 0o755)
            if self._user and name != "log":
                shutil.chown(self.folder / name, self._user, self._user)
        self._initialize()
        self._write_configuration()

    def _initialize(self) -> None:
        done = subprocess.run(
            [
                *(program("initdb"), "--no-sync", f"--pgdata={self.folder}/data"),
                *("--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8"),
                *("--auth-local=trust", "--auth-host=scram-sha-256"),
            ],
            cwd=self.folder,
            user=self._user,
            group=self._user,
            extra_groups=None if self._user is None else (),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ServiceError(f"initdb failed:\n{done.stdout}{done.stderr}")

    def _write_configuration(self) -> None:
        switch = "on" if self.durable else "off"
        options = {
            "listen_addresses": "'127.0.0.1'",
            "port": self._port,
            "unix_socket_directories": f"'{self._sockets}'",
            # Whoever reaches the socket is let in as whom he says to be.
            "unix_socket_permissions": "0700",
            "max_connections": self.max_connections,
            "fsync": switch,
            "synchronous_commit": switch,
            "full_page_writes": switch,
        }
        with (self.folder / "data" / "postgresql.conf").open("a") as file:
            file.writelines(f"{key} = {value}\n" for key, value in options.items())
