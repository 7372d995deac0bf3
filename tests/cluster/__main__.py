"""Start and stop a private Slurm, and a PostgreSQL, to try things out by hand."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from pathlib import Path

from tests.cluster.daemons import ServiceError, running_daemons
from tests.cluster.postgres import PrivatePostgres
from tests.cluster.slurm import PrivateSlurm, SlurmSettings

DATABASE = "headway"


def find_slurm(folder: Path) -> PrivateSlurm | None:
    """Return the cluster in a folder, running or not."""
    try:
        return PrivateSlurm.load(folder / "slurm")
    except FileNotFoundError:
        return None


def find_postgres(folder: Path) -> PrivatePostgres | None:
    """Return the server in a folder, running or not."""
    try:
        return PrivatePostgres.load(folder / "postgres")
    except FileNotFoundError:
        return None


def start(folder: Path, nodes: int, *, with_postgres: bool) -> int:
    """Start what does not run yet and print the lines for the shell."""
    if not folder.exists():
        # Other accounts run some of the daemons, whatever the umask is.
        folder.mkdir(parents=True)
        folder.chmod(0o755)
    cluster = find_slurm(folder)
    if cluster is None or not cluster.is_running():
        cluster = PrivateSlurm(SlurmSettings(nodes=nodes), folder / "slurm")
        cluster.start()
    elif cluster.settings.nodes != nodes:
        print(f"it already runs, with {cluster.settings.nodes} nodes", file=sys.stderr)
    server = find_postgres(folder)
    if with_postgres and (server is None or not server.is_running()):
        server = PrivatePostgres(folder / "postgres")
        server.start()
        server.create(DATABASE)
    print_exports(folder)
    return 0


def stop(folder: Path) -> int:
    """Stop what runs; the logs stay."""
    for service in (find_slurm(folder), find_postgres(folder)):
        if service is not None:
            service.stop()
    return 0


def status(folder: Path) -> int:
    """Print what runs; return 1 if that is not everything that was started."""
    lacking = 0
    for name, service in (("slurm", find_slurm(folder)), ("postgres", find_postgres(folder))):
        if service is None:
            print(f"{name}: never started in {folder}")
            lacking += name == "slurm"
            continue
        running = running_daemons(service.folder)
        print(f"{name}: {', '.join(running) or 'does not run'}; logs in {service.folder}/log")
        lacking += not service.is_complete()
    print_exports(folder)
    return 1 if lacking else 0


def print_exports(folder: Path) -> None:
    """Print the lines that make a shell use what runs."""
    cluster, server = find_slurm(folder), find_postgres(folder)
    exports = cluster.environment() if cluster is not None and cluster.is_running() else {}
    if server is not None and server.is_running():
        exports["HEADWAY_DB_URL"] = server.url(DATABASE)
    for key, value in exports.items():
        print(f"export {key}={shlex.quote(value)}")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    parser.add_argument("command", choices=("start", "stop", "status"))
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(f"/tmp/headway-cluster-{os.getuid()}"),
        help="where everything lies (%(default)s); its path must be short",
    )
    parser.add_argument("--nodes", type=int, default=8, help="number of nodes (%(default)s)")
    parser.add_argument("--postgres", action="store_true", help="start a PostgreSQL, too")
    options = parser.parse_args(arguments)
    folder: Path = options.folder.absolute()
    try:
        match options.command:
            case "start":
                return start(folder, options.nodes, with_postgres=options.postgres)
            case "stop":
                return stop(folder)
            case _:
                return status(folder)
    except ServiceError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
