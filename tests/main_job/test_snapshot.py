"""The copies of --snapshot: what is in them, where links lead, what the program's text becomes."""

from __future__ import annotations

import os
import shutil
import socket
import stat
from pathlib import Path

import pytest

from orchestrator.app import snapshot
from orchestrator.app.runs import set_up
from orchestrator.errors import UsageError
from orchestrator.spec.experiment import ExperimentSpec
from tests.steps.specs import make_spec


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A working folder with code, data beside it, and a folder of runs in it."""
    files = ("train.py", "pkg/a.py", "pkg/b.py", "runs/old/1/model.bin", "../data/d.csv")
    work = tmp_path / "home" / "work"
    for name in files:
        path = work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(Path(name).name)
    (work / "train.py").chmod(0o750)
    return work


def taken(work: Path, *listed: str, program: str = "true") -> tuple[ExperimentSpec, Path]:
    """Copy what is listed; returns the spec and the run folder."""
    paths = [str(snapshot.canonical(work / name)) for name in listed]
    spec = make_spec(snapshot=paths, working_folder=str(work), program=program)
    run_dir = work / "runs" / "e" / "1"
    run_dir.mkdir(parents=True)
    snapshot.take(spec, run_root=work / "runs", run_dir=run_dir)
    return spec, run_dir


def mirror(work: Path, *listed: str) -> Path:
    return snapshot.working_folder_of(*taken(work, *listed))


def is_copy(path: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(Path(os.path.realpath(path.parent)))


def test_what_is_listed_is_a_copy_and_everything_else_leads_to_the_original(work: Path) -> None:
    here = mirror(work, "train.py", "pkg/a.py")
    for name in ("train.py", "pkg/a.py"):
        assert is_copy(here / name)
        assert (here / name).read_text() == Path(name).name
    for name in ("pkg/b.py", "runs"):
        assert (here / name).is_symlink()
        assert (here / name).samefile(work / name)
    assert (here / "../data/d.csv").resolve() == (work / "../data/d.csv").resolve()
    (work / "train.py").write_text("changed")
    (work / "pkg" / "b.py").write_text("changed")
    assert (here / "train.py").read_text() == "train.py"
    assert (here / "pkg" / "b.py").read_text() == "changed"


def test_mode_and_time_of_a_copy_are_those_of_the_original(work: Path) -> None:
    os.utime(work / "pkg" / "a.py", ns=(10**9, 10**9))
    (work / "pkg").chmod(0o555)
    here = mirror(work, "train.py", "pkg")
    assert stat.S_IMODE((here / "train.py").stat().st_mode) == 0o750
    assert (here / "pkg" / "a.py").stat().st_mtime_ns == 10**9
    # Its owner can still remove the run folder.
    assert stat.S_IMODE((here / "pkg").stat().st_mode) == 0o755


def test_a_whole_working_folder_is_copied_without_the_runs_in_it(work: Path) -> None:
    here = mirror(work, ".")
    assert is_copy(here / "train.py")
    assert is_copy(here / "pkg" / "b.py")
    assert (here / "runs").is_symlink()
    assert (here / "runs" / "old" / "1" / "model.bin").samefile(work / "runs/old/1/model.bin")


def test_links_within_stay_within_and_none_is_followed_out(work: Path) -> None:
    (work / "pkg" / "near").symlink_to("a.py")
    (work / "pkg" / "near too").symlink_to(work / "pkg" / "b.py")
    (work / "pkg" / "script").symlink_to("../train.py")
    (work / "pkg" / "far").symlink_to("../../data")
    (work / "pkg" / "dangling").symlink_to("nowhere")
    here = mirror(work, "pkg", "train.py")
    for name, target in (("near", "pkg/a.py"), ("near too", "pkg/b.py"), ("script", "train.py")):
        assert (here / "pkg" / name).is_symlink()
        assert (here / "pkg" / name).resolve() == (here / target).resolve()
    assert (here / "pkg" / "far").readlink() == work.parent / "data"
    assert (here / "pkg" / "dangling").is_symlink()
    assert not (here / "pkg" / "dangling").exists()


def test_a_link_that_is_listed_itself_is_followed(work: Path) -> None:
    (work / "current").symlink_to("pkg")
    here = mirror(work, "current")
    assert not (here / "current").is_symlink()
    (work / "pkg" / "a.py").write_text("changed")
    assert (here / "current" / "a.py").read_text() == "a.py"


def test_what_has_no_content_is_not_waited_for(work: Path) -> None:
    os.mkfifo(work / "pkg" / "pipe")
    listener = socket.socket(socket.AF_UNIX)
    with listener:
        listener.bind(os.path.relpath(work / "pkg" / "socket"))
        here = mirror(work, "pkg")
    assert (here / "pkg" / "pipe").readlink() == work / "pkg" / "pipe"
    assert (here / "pkg" / "socket").readlink() == work / "pkg" / "socket"


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("python {work}/train.py %(x)", "python {copy}/train.py %(x)"),
        ("cd {work} && ./train.py", "cd {copy} && ./train.py"),
        ("--dir={work}/ --pkg='{work}/pkg'", "--dir={copy}/ --pkg='{copy}/pkg'"),
        ("cat {work}/pkg/conf_%(x).yaml", "cat {copy}/pkg/conf_%(x).yaml"),
        ('cat "$HOME/work/train.py" ~/work/train.py', 'cat "{copy}/train.py" {copy}/train.py'),
        ("cat {work}/../work/train.py", "cat {copy}/train.py"),
        ("cat {work}/train.py.bak {work}/out {work}x", None),
        ("sum /mnt{work}/train.py $((1/2)) ${{x//a/b}}", None),
    ],
)
def test_paths_to_what_is_listed_become_those_of_the_copies(
    work: Path, program: str, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(work.parent))
    text = program.format(work=work)
    spec, run_dir = taken(work, "train.py", "pkg", program=text)
    copy = snapshot.working_folder_of(spec, run_dir)
    wanted = text if expected is None else expected.format(copy=copy)
    assert snapshot.program_of(spec, run_dir) == wanted


def test_a_copy_is_quoted_for_the_place_where_its_path_stands(work: Path) -> None:
    odd = work.parent / "it's $odd"
    shutil.copytree(work, odd)
    text = f"cat {work}/train.py \"{work}/train.py\" '{work}/train.py'"
    spec = make_spec(snapshot=[str(work / "train.py")], working_folder="/", program=text)
    run_dir = odd / "run"
    run_dir.mkdir()
    snapshot.take(spec, run_root=odd, run_dir=run_dir)
    with os.popen(snapshot.program_of(spec, run_dir)) as output:
        assert output.read() == 3 * "train.py"


def test_an_original_that_is_still_named_is_told(work: Path) -> None:
    text = f"D={work}; ./train.py; cat $D/train.py"
    spec, run_dir = taken(work, "train.py", program=text)
    assert snapshot.still_named(spec, run_dir) == []
    (work / "other.py").symlink_to("train.py")
    spec = spec.model_copy(update={"program": f"cat {work}/other.py"})
    assert snapshot.still_named(spec, run_dir) == [f"{work}/other.py"]


def test_the_workers_are_told_of_the_copies(work: Path) -> None:
    spec, run_dir = taken(work, "train.py", program="./train.py pkg/b.py")
    copy = snapshot.working_folder_of(spec, run_dir) / "train.py"
    assert list(snapshot.code_of(spec, run_dir, before={})) == [
        str(copy),
        str(work / "pkg" / "b.py"),
    ]


def test_paths_within_others_are_copied_once() -> None:
    given = [Path("/a/b/c"), Path("/a/b"), Path("/a/bc"), Path("/a/b")]
    assert snapshot.without_nested(given) == [Path("/a/b"), Path("/a/bc")]


def test_a_copy_that_fails_is_told_in_one_line_and_leaves_nothing(work: Path) -> None:
    spec = make_spec(snapshot=[str(work / "gone.py")], working_folder=str(work))
    with pytest.raises(UsageError, match=r"--snapshot: .*gone\.py: No such file"):
        set_up(spec, db_url=None, run_root=work / "new")
    assert list((work / "new").rglob("*")) == [work / "new" / "e"]
