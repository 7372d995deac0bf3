"""The paths of `--snapshot`: that they are there, can be copied, and are not too much."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from pathlib import Path

from orchestrator.app.snapshot import canonical, walk, without_nested
from orchestrator.cli.urls import is_text, near_file, user_path
from orchestrator.errors import UsageError

OPTION, LIMIT_OPTION = "--snapshot", "--snapshot_max_gb"
MOST_MEBIBYTES = 1024
MOST_ENTRIES = 100_000


def read_snapshot(namespace: argparse.Namespace, cwd: Path, run_root: Path) -> tuple[str, ...]:
    """Return what is to be copied, as absolute paths, none within another.

    Args:
        namespace: As `Settings.namespace` gives it.
        cwd: Where the user typed the command.
        run_root: The folder of all runs, which is never copied.

    Raises:
        UsageError: Something is not there, cannot be read, or is too much.
    """
    words = [word for given in namespace.snapshot for word in given]
    if namespace.snapshot and not words:
        raise UsageError(f"{OPTION}: names nothing; give files or folders, for example train.py")
    if namespace.snapshot_max_gb is not None and not words:
        raise UsageError(f"{LIMIT_OPTION}: only means something with {OPTION}")
    found = [_find(word, cwd, run_root) for word in words]
    paths = without_nested(found)
    runs = Path(os.path.realpath(run_root))
    for path in found:
        # It would be left out with all other runs.
        if path not in paths and path.is_relative_to(runs):
            raise UsageError(
                f"{OPTION}: {path} lies among the runs, which are not copied with a folder around "
                "them; list what you need of that folder instead"
            )
    _check_size(paths, run_root, namespace.snapshot_max_gb or MOST_MEBIBYTES)
    return tuple(str(path) for path in paths)


def _check_size(paths: Iterable[Path], run_root: Path, limit: int) -> None:
    entries = size = 0
    for path in paths:
        count, more = measure(path, run_root)
        entries, size = entries + count, size + more
        if entries > MOST_ENTRIES:
            raise UsageError(
                f"{OPTION}: {path} makes it more than {MOST_ENTRIES} files and folders; list less"
            )
        if size > limit * 2**20:
            raise UsageError(
                f"{OPTION}: {path} makes it more than {limit / 1024:g} GiB; list less, or allow "
                f"more with {LIMIT_OPTION}"
            )


def measure(path: Path, run_root: Path) -> tuple[int, int]:
    """Return how many files and folders would be copied, and their bytes.

    Raises:
        UsageError: Something cannot be read.
    """
    count = size = 0
    try:
        for entry in walk(path, leave_out=run_root):
            count, size = count + 1, size + entry.found.st_size
            if count > MOST_ENTRIES:
                break
    except OSError as error:
        raise _unreadable(error.filename or path, error) from None
    return count, size


def _find(word: str, cwd: Path, run_root: Path) -> Path:
    path = user_path(word, OPTION)
    path = canonical(Path(os.path.normpath(cwd / path)))
    if not is_text(path):
        raise UsageError(f"{OPTION}: {word!r} is not UTF-8, and so cannot be kept in spec.json")
    if not path.name:
        raise UsageError(f"{OPTION}: / is everything; list files and folders of your own")
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(f"{OPTION}: {word!r} is not there.", near_file(path)) from None
    except OSError as error:
        raise _unreadable(path, error) from None
    if not (path.is_file() or path.is_dir()):
        raise UsageError(f"{OPTION}: {word!r} is neither a file nor a folder")
    if os.path.realpath(path) == os.path.realpath(run_root):
        raise UsageError(f"{OPTION}: {word!r} is the folder of all runs, where the copies lie")
    if not os.access(path, os.R_OK):
        raise UsageError(f"{OPTION}: {word!r} cannot be read: Permission denied")
    return path


def _unreadable(path: object, error: OSError) -> UsageError:
    return UsageError(f"{OPTION}: {path} cannot be read: {error.strerror}")
