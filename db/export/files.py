"""Files that appear under their names only when they are whole."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path


@contextlib.contextmanager
def replacing(targets: Sequence[Path]) -> Iterator[list[Path]]:
    """Give a temporary name for each file; at the end all get their own names, or none.

    If the process dies, what is left is older files as they were, and hidden ones that end in
    `.tmp`. With several targets, it may die between two renames; each file is whole then.

    Args:
        targets: Where the files go; older ones are replaced.

    Raises:
        OSError: A file could not be made; nothing has changed.
    """
    mark = secrets.token_hex(4)
    temporary = [path.with_name(f".{path.name}.{mark}.tmp") for path in targets]
    try:
        for path in temporary:
            # Made here, with the rights that the user's umask gives.
            path.touch(exist_ok=False)
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
