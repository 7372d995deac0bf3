"""Whether the files that the program names hold what they held when the head looked."""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from db.records import CodeVersion, SeenFile

# Larger ones are data: to read them at the start of each trial would cost more than it tells.
LARGEST_BYTES = 64 * 2**20


def changed_files(seen: Mapping[str, SeenFile]) -> dict[str, CodeVersion]:
    """Return what those files hold now that have changed since the head looked.

    Args:
        seen: What the head saw, by path.

    Returns:
        The new version by path; a file that cannot be read here, or has become too large, is left
        out, since nobody knows what it holds.
    """
    changed: dict[str, CodeVersion] = {}
    for path, before in seen.items():
        found = look_at(path, before)
        if found is not None and found["sha256"] != before["sha256"]:
            changed[path] = {"sha256": found["sha256"], "bytes": found["bytes"]}
    return changed


def look_at(path: str, before: SeenFile | None = None) -> SeenFile | None:
    """Return what a file holds.

    Args:
        path: The file.
        before: What was seen of it earlier; only if size or time differ it is read again.

    Returns:
        None if that cannot be told: it is too large or cannot be read. A file that is gone, or is
        no regular file any more, has an empty `sha256`.
    """
    try:
        # Opened and not only asked for: an NFS client looks at the server then. A pipe must not
        # make a worker wait.
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return {"sha256": "", "bytes": 0, "mtime_ns": 0}
    except OSError:
        return None
    try:
        return _look(file, before)
    except OSError:
        return None
    finally:
        os.close(file)


def _look(file: int, before: SeenFile | None) -> SeenFile | None:
    found = os.fstat(file)
    if not stat.S_ISREG(found.st_mode):
        return {"sha256": "", "bytes": 0, "mtime_ns": 0}
    if before and (before["bytes"], before["mtime_ns"]) == (found.st_size, found.st_mtime_ns):
        return before
    if found.st_size > LARGEST_BYTES:
        return None
    # A file that has not changed needs neither: this costs a millisecond.
    from hashlib import sha256

    digest, size = sha256(), 0
    while part := os.read(file, 2**20):
        digest.update(part)
        size += len(part)
    return {"sha256": digest.hexdigest(), "bytes": size, "mtime_ns": found.st_mtime_ns}
