"""Where the programs of the services are; some are not on the PATH of an ordinary user."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

POSTGRES_VERSIONS = Path("/usr/lib/postgresql")


def find_program(name: str) -> str | None:
    """Return the full path of a program, or None."""
    folders = [os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"]
    # Debian keeps one folder a version and puts only the clients on the PATH; newest first.
    versions = sorted(
        (folder for folder in POSTGRES_VERSIONS.glob("*/bin") if folder.parent.name.isdigit()),
        key=lambda folder: -int(folder.parent.name),
    )
    return shutil.which(name, path=os.pathsep.join([*folders, *map(str, versions)]))


def missing_programs(names: Iterable[str]) -> list[str]:
    """Return those that are not installed."""
    return [name for name in names if find_program(name) is None]


def program(name: str) -> str:
    """Return the full path of a program, or its bare name, so that the error names it."""
    return find_program(name) or name
