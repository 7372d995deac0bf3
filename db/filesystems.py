"""Which file system a path lies on, told by /proc/self/mountinfo (proc(5))."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

# File systems that several hosts share; SQLite's WAL and its locks are not safe there
# (sqlite.org/wal.html, sqlite.org/howtocorrupt.html section 2.1). What lies behind FUSE cannot be
# told, but for fuseblk, which is a disk. A virtual machine shares 9p, virtiofs, vboxsf and vmhgfs
# with its host.
NETWORK_TYPES = frozenset(
    {
        "nfs", "nfs4", "lustre", "gpfs", "mmfs", "beegfs", "beegfs_nodev", "fhgfs", "cifs", "smb3",
        "smbfs", "afs", "coda", "ceph", "glusterfs", "orangefs", "pvfs2", "wekafs", "panfs", "dvs",
        "cvfs", "acfs", "ocfs2", "gfs", "gfs2", "scoutfs", "fuse", "9p", "virtiofs", "vboxsf",
        "vmhgfs",
    }
)  # fmt: skip
MOUNTINFO = Path("/proc/self/mountinfo")


def filesystem_type(path: Path, mountinfo: str | None = None) -> str:
    """Return the type of the file system that holds `path`, or `unknown`.

    Args:
        path: A path that may not exist yet; its nearest existing parent counts.
        mountinfo: The text of mountinfo; read from /proc if not given.
    """
    target = path.absolute()
    # What may not be looked at, or does not answer, has its mount all the same.
    with contextlib.suppress(OSError):
        while not target.exists() and target != target.parent:
            target = target.parent
        target = target.resolve()
    # Read only now: looking at the path may have mounted what is mounted on demand (autofs).
    if mountinfo is None:
        try:
            mountinfo = MOUNTINFO.read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            return "unknown"
    best, found = -1, "unknown"
    # Not splitlines() and split(): names may hold any space but the plain one, a tab, a new line.
    for line in mountinfo.split("\n"):
        before, separator, after = line.partition(" - ")
        fields = before.split(" ")
        if not separator or len(fields) < 5:  # noqa: PLR2004
            continue
        mount = Path(_unescape(fields[4]))
        # Of two mounts on one point the later one hides the earlier.
        if target.is_relative_to(mount) and len(mount.parts) >= best:
            best, found = len(mount.parts), after.partition(" ")[0]
    return found


def is_network(path: Path) -> bool:
    """Whether several hosts may share the file system that holds `path`."""
    return is_shared(filesystem_type(path))


def is_shared(kind: str) -> bool:
    """Whether several hosts may share a file system of this type."""
    return kind.partition(".")[0] in NETWORK_TYPES


def _unescape(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), text)
