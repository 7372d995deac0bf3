"""Whether a path lies where several hosts may write, told by made-up mountinfo texts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from db import filesystems
from db.filesystems import filesystem_type, is_network

ROOT = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw"


def mount(point: str | Path, kind: str, *, root: str = "/", options: str = "shared:2") -> str:
    return f"36 22 0:42 {root} {point} rw,relatime {options} - {kind} source rw"


def test_the_mount_that_holds_the_path_counts(tmp_path: Path) -> None:
    text = "\n".join([ROOT, mount("/proc", "proc"), mount(tmp_path, "nfs4")])
    assert filesystem_type(tmp_path / "runs" / "not yet there", text) == "nfs4"
    assert filesystem_type(Path("/usr"), text) == "ext4"


def test_a_folder_whose_name_only_begins_alike_is_another(tmp_path: Path) -> None:
    (tmp_path / "scratch2").mkdir()
    text = "\n".join([ROOT, mount(tmp_path / "scratch", "lustre")])
    assert filesystem_type(tmp_path / "scratch2", text) == "ext4"


@pytest.mark.parametrize("order", [1, -1])
def test_of_nested_mounts_the_deepest_counts(tmp_path: Path, order: int) -> None:
    inner = tmp_path / "home" / "me"
    inner.mkdir(parents=True)
    lines = [ROOT, mount(tmp_path, "lustre"), mount(inner, "xfs")][::order]
    text = "\n".join(lines)
    assert filesystem_type(inner / "x", text) == "xfs"
    assert filesystem_type(tmp_path / "home", text) == "lustre"


def test_of_two_mounts_on_one_point_the_later_one_counts(tmp_path: Path) -> None:
    text = "\n".join([ROOT, mount(tmp_path, "autofs"), mount(tmp_path, "nfs")])
    assert filesystem_type(tmp_path, text) == "nfs"


def test_a_bind_mount_has_the_type_of_what_it_shows(tmp_path: Path) -> None:
    text = "\n".join([ROOT, mount(tmp_path, "nfs", root="/export/home/me", options="")])
    assert filesystem_type(tmp_path, text) == "nfs"


@pytest.mark.parametrize(
    "name",
    ["a b", "tab\there", "line\nend", "back\\slash", "back\\040slash", "no\xa0break\x85\u2028"],
)
def test_odd_names_are_written_in_octal(tmp_path: Path, name: str) -> None:
    point = tmp_path / name
    point.mkdir()
    octal = name.replace("\\", "\\134").replace(" ", "\\040").replace("\t", "\\011")
    octal = octal.replace("\n", "\\012")
    text = "\n".join([ROOT, mount(f"{tmp_path}/{octal}", "beegfs")])
    assert filesystem_type(point, text) == "beegfs"
    assert filesystem_type(tmp_path, text) == "ext4"


def test_a_link_is_followed_to_where_the_files_are(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    (tmp_path / "link").symlink_to(real)
    text = "\n".join([ROOT, mount(real, "nfs4")])
    assert filesystem_type(tmp_path / "link" / "new", text) == "nfs4"


def test_lines_that_make_no_sense_are_skipped(tmp_path: Path) -> None:
    text = f"\nnonsense\n1 2 - ext4\n{ROOT}"
    assert filesystem_type(tmp_path, text) == "ext4"
    assert filesystem_type(tmp_path, "") == "unknown"


@pytest.mark.parametrize(
    ("kind", "shared"),
    [
        ("nfs", True),
        ("nfs4", True),
        ("lustre", True),
        ("gpfs", True),
        ("beegfs", True),
        ("beegfs_nodev", True),
        ("cifs", True),
        ("smb3", True),
        ("fuse", True),
        ("fuse.sshfs", True),
        ("fuse.glusterfs", True),
        ("9p", True),
        ("virtiofs", True),
        ("ceph", True),
        ("afs", True),
        ("dvs", True),
        ("ext4", False),
        ("xfs", False),
        ("btrfs", False),
        ("tmpfs", False),
        ("overlay", False),
        ("fuseblk", False),
    ],
)
def test_file_systems_of_several_hosts_are_known(
    kind: str, shared: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "mountinfo"
    info.write_text("\n".join([ROOT, mount(tmp_path, kind)]))
    monkeypatch.setattr(filesystems, "MOUNTINFO", info)
    assert is_network(tmp_path / "database.db") == shared


def test_without_proc_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filesystems, "MOUNTINFO", tmp_path / "none")
    assert filesystem_type(tmp_path) == "unknown"
    assert not is_network(tmp_path)


def test_what_cannot_be_looked_at_has_its_mount_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "mountinfo"
    info.write_text("\n".join([ROOT, mount(tmp_path, "nfs4")]))
    monkeypatch.setattr(filesystems, "MOUNTINFO", info)
    assert filesystem_type(tmp_path / ("x" * 300)) == "nfs4"


def test_this_machine_knows_its_own_folders() -> None:
    assert filesystem_type(Path("/proc/self")) == "proc"
    assert filesystem_type(Path(os.devnull)) != "unknown"
