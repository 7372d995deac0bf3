"""What `headway doctor` says of the folder of all runs, and of a machine without Slurm."""

from __future__ import annotations

import contextlib
import os
import pty
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.app.doctor import findings
from orchestrator.app.doctor.findings import Status
from orchestrator.app.doctor.folders import look_at_folder, unusable
from tests.doctor.examined import examine, left_behind
from tests.main_job.runs import HEADWAY, Place, clean_environment
from tests.worker.mounts import small


@pytest.fixture
def laptop(tmp_path: Path) -> Iterator[Place]:
    """A machine on which nobody finds Slurm, nor much else."""
    (tmp_path / "bin").mkdir()
    with Place(tmp_path, {"PATH": str(tmp_path / "bin")}) as place:
        yield place


def test_without_slurm_the_folder_and_the_database_are_looked_at(laptop: Place) -> None:
    said = examine(laptop)
    assert (said.code, said.broken()) == (0, {"commands": "warning"})
    assert "trials would run on this machine" in said.only("commands")["says"]
    assert "SQLite works" in said.only("database")["says"]
    assert left_behind(laptop) == []


def test_without_slurm_a_partition_that_was_named_is_missed(laptop: Place) -> None:
    said = examine(laptop, "--partition", "alpha", "--run_dir", "deep/down")
    assert (said.code, said.broken()["commands"]) == (1, "FAILED")
    assert left_behind(laptop) == []


def test_people_get_one_line_a_finding_and_a_last_one(laptop: Place) -> None:
    lines = laptop.run("doctor").splitlines()
    assert lines[0].startswith("ok      run folder: ")
    assert lines[-2].startswith("warning commands: there is no Slurm here")
    assert lines[-2].endswith("-> On a cluster, type this on a login node.")
    assert lines[-1] == "Nothing has FAILED; 1 warning."


def test_on_a_terminal_words_have_colours_and_lines_stay_whole(laptop: Place) -> None:
    environment = clean_environment() | dict(laptop.environment) | {"TERM": "xterm-256color"}
    environment.pop("NO_COLOR", None)
    ours, its = pty.openpty()
    command = [*HEADWAY, "doctor"]
    process = subprocess.Popen(command, cwd=laptop.folder, env=environment, stdout=its, stdin=its)
    os.close(its)
    said = b""
    with contextlib.suppress(OSError), os.fdopen(ours, "rb", 0) as stream:  # EIO at the end
        while piece := stream.read(4096):
            said += piece
    assert process.wait(30) == 0
    lines = said.decode().splitlines()
    assert lines[0].startswith("\x1b[32mok      \x1b[0mrun folder: ")
    assert lines[-2].startswith("\x1b[33mwarning \x1b[0mcommands: there is no Slurm here")
    assert lines[-2].endswith("type this on a login node.\x1b[0m")


def test_little_room_is_a_warning(laptop: Place) -> None:
    with small(laptop.folder / "runs", "64m"):
        said = examine(laptop)
        assert list((laptop.folder / "runs").iterdir()) == []
    assert said.broken()["free space"] == "warning"


def test_a_quota_that_is_exceeded_is_told_in_the_words_of_quota(laptop: Place) -> None:
    laptop.script("bin/quota", ["echo '/home: over block quota'; exit 1"])
    said = examine(laptop)
    assert said.broken()["quota"] == "warning"
    assert "/home: over block quota" in said.only("quota")["says"]


def test_a_file_system_without_locks_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*given: object) -> None:
        raise OSError(38, "Function not implemented")

    # No file system without locks can be mounted in a test (Lustre without -o flock is one).
    monkeypatch.setattr("fcntl.lockf", refuse)
    found = {each.check: each for each in look_at_folder(tmp_path)}
    assert found["file locks"].status is Status.FAILED
    assert "--db_url" in found["file locks"].remedy
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_that_hangs_is_given_up() -> None:
    reader, writer = os.pipe()
    with pytest.raises(TimeoutError) as error:
        findings.within(0.05, lambda: os.read(reader, 1))
    os.close(writer)
    told = unusable(Path("/runs"), error.value)
    assert told.status is Status.FAILED
    assert told.says == "/runs does not answer: no answer in 0.05 s"


def test_the_folder_of_a_probe_is_its_owners_alone(tmp_path: Path) -> None:
    from orchestrator.app.doctor.examination import _temporary_folder

    with _temporary_folder(tmp_path / "a" / "b") as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        (folder / "left").touch()
    assert list(tmp_path.iterdir()) == []
