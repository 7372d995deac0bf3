"""Munge, which tells the daemons of a private Slurm who is asking."""

from __future__ import annotations

import secrets
from pathlib import Path

from tests.cluster.daemons import Daemon
from tests.cluster.programs import program

PROGRAMS = ("munged",)


def socket_path(folder: Path) -> Path:
    """Return the socket that all parts of the cluster ask."""
    return folder / "run" / "munge.socket"


def write_key(folder: Path) -> None:
    """Write the cluster's secret."""
    key = folder / "munge.key"
    key.touch(mode=0o600)
    key.write_text(secrets.token_hex(512))


def munged(folder: Path) -> Daemon:
    """Return the daemon."""
    return Daemon(
        name="munged",
        folder=folder,
        command=(
            program("munged"),
            "--foreground",
            # Overlooks that the folders belong to another account than munge's.
            "--force",
            f"--key-file={folder}/munge.key",
            f"--socket={socket_path(folder)}",
            f"--pid-file={folder}/run/munged.own-pid",
            f"--log-file={folder}/log/munged.own.log",
            f"--seed-file={folder}/munge.seed",
        ),
    )
