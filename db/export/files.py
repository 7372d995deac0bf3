"""Files that appear under their names only when they are whole."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path


@contextlib.contextmanager
def replacing(targets: Sequence[Path], *, mode: int = 0o666) -> Iterator[list[Path]]:
    """Give a temporary name for each file; at the end all get their own names, or none.

    If the process dies, what is left is older files as they were, and hidden ones that end in
    `.tmp`, of which a process has one at most for each name. With several targets, it may die
    between two renames; each file is whole then.

    Args:
        targets: Where the files go; older ones are replaced.
        mode: The rights of the files, less those that the user's umask takes away.

    Raises:
        OSError: A file could not be made; nothing has changed.
    """
    temporary = [path.with_name(f".{path.name}.{os.getpid()}.tmp") for path in targets]
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC  # which follow no link
    try:
        for path in temporary:
            path.unlink(missing_ok=True)  # a process of the same number may have been killed
            os.close(os.open(path, flags, mode))
        yield temporary
        for path in temporary:
            _sync(path)
        for path, target in zip(temporary, targets, strict=True):
            path.rename(target)
    except BaseException:
        for path in temporary:
            path.unlink(missing_ok=True)
        raise


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
