"""`--snapshot` is checked before anything is made, and shown by `--dryrun`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchestrator.cli import snapshots
from orchestrator.cli.requests import read_request
from orchestrator.cli.sources import read_sources
from orchestrator.errors import UsageError
from orchestrator.spec.experiment import ExperimentSpec
from tests.main_job.runs import Place

BASE = ("--experiment_name", "t", "--max_eval", "3", "--run_program", "./train.py %(x)")
SPACE = ("--parameter", "x", "range", "0", "1", "--force_local_execution")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    work = tmp_path / "work"
    for name in ("train.py", "pkg/a.py", "runs/old/1/model.bin"):
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_text("content")
    return work


def read(work: Path, *words: str) -> ExperimentSpec:
    sources = read_sources([*BASE, *SPACE, *words], {}, work)
    return read_request(sources, work, has_slurm=lambda: False).spec


def test_paths_are_kept_absolute_through_real_folders_and_none_within_another(work: Path) -> None:
    (work.parent / "home").symlink_to(work)
    listed = ("pkg/a.py", "./pkg/", "../home/train.py", "train.py", "--snapshot", "runs/old/1")
    assert read(work, "--snapshot", *listed).snapshot == tuple(
        str(work / name) for name in ("pkg", "runs/old/1", "train.py")
    )
    assert read(work).snapshot == ()


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (
            ["--snapshot", "trian.py"],
            ("--snapshot", "'trian.py'", "not there. Did you mean train.py?"),
        ),
        (["--snapshot", "train.py/x"], ("--snapshot", "'train.py/x'", "is not there")),
        (["--snapshot", "train.py", "runs"], ("--snapshot", "'runs'", "folder of all runs")),
        (["--snapshot", ".", "runs/old/1"], ("--snapshot", "runs/old/1", "lies among the runs")),
        (["--snapshot", "/"], ("--snapshot", "/ is everything")),
        (["--snapshot", "/dev/null"], ("--snapshot", "'/dev/null'", "neither a file nor")),
        (["--snapshot", "x" * 5000], ("--snapshot", "too long")),
        (["--snapshot", "caf\udce9"], ("--snapshot", "caf", "is not UTF-8")),
        (["--snapshot"], ("--snapshot", "needs a value")),
        (["--snapshot_max_gb", "2"], ("--snapshot_max_gb", "only means something")),
        (["--snapshot", "train.py", "--snapshot_max_gb", "0"], ("--snapshot_max_gb", "'0'")),
    ],
)
def test_what_cannot_be_copied_is_one_line(
    work: Path, words: list[str], parts: tuple[str, ...]
) -> None:
    with pytest.raises(UsageError) as caught:
        read(work, *words)
    assert "\n" not in str(caught.value)
    assert all(part in str(caught.value) for part in parts), str(caught.value)


def test_more_than_a_gibibyte_takes_a_word(work: Path) -> None:
    os.truncate(work / "pkg" / "a.py", 2**30 + 1)  # takes no room on the disk
    with pytest.raises(UsageError, match=r"pkg makes it more than 1 GiB; .* --snapshot_max_gb"):
        read(work, "--snapshot", "train.py", "pkg")
    allowed = read(work, "--snapshot", "train.py", "pkg", "--snapshot_max_gb", "1.5")
    assert len(allowed.snapshot) == 2


def test_a_crowd_of_files_is_refused(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "MOST_ENTRIES", 1)
    with pytest.raises(UsageError, match=r"pkg makes it more than 1 files and folders"):
        read(work, "--snapshot", "pkg")


def test_a_dry_run_shows_what_would_be_copied_and_copies_nothing(work: Path) -> None:
    words = ("run", *BASE, *SPACE, "--snapshot", "train.py", "pkg", "--dryrun")
    output = Place(work).run(*words)
    assert f"Snapshot:   {work}/pkg (2 entries, " in output
    assert f"            {work}/train.py (1 entry, 7 B)" in output
    assert sorted(path.name for path in work.iterdir()) == ["pkg", "runs", "train.py"]
    assert [path.name for path in (work / "runs").iterdir()] == ["old"]
