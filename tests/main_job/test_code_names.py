"""Which words of a program name files whose content counts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from db.records import SeenFile
from orchestrator.app.code import LONGEST_PATH, MOST_FILES, look_at_code, named_files
from worker.code import LARGEST_BYTES


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with scripts, data, and what trials write."""
    folder = tmp_path / "work"
    for name in ("train.py", "conf.yaml", "sub/a.py", "my file.py", "log.txt", "bin/tool"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("content")
        path.chmod(0o755)
    monkeypatch.setenv("HOME", str(folder / "sub"))
    monkeypatch.setenv("PATH", f"{folder}/bin:/usr/bin:/bin")
    return folder


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("/usr/bin/python3 train.py --x=%(x)", ["train.py"]),
        ("./train.py --config=conf.yaml $x", ["train.py", "conf.yaml"]),
        ("DATA=conf.yaml ./train.py", ["conf.yaml", "train.py"]),
        ("/bin/cat 'my file.py' my\\ file.py", ["my file.py"]),
        ("/bin/sort<conf.yaml>log.txt;./train.py", ["conf.yaml", "train.py"]),
        ("./train.py 2>> log.txt &> log.txt", ["train.py"]),
        ("cd sub && /bin/cat a.py ../train.py", ["sub/a.py", "train.py"]),
        ("cd '{folder}/sub'; ./a.py", ["sub/a.py"]),
        ("./train.py \\\n --config conf.yaml # it's %(x)", ["train.py", "conf.yaml"]),
        ("/bin/cat << E\nit's {x}\nE\n./train.py", ["train.py"]),
        ("/bin/bash -c './train.py --x=%(x)'", ["train.py"]),
        ("/bin/cat ~/a.py", ["sub/a.py"]),
        ('/bin/cat "$HOME/a.py"', ["sub/a.py"]),
        ("tool train.py", ["bin/tool", "train.py"]),
        ("train.py", []),  # bash does not look here
        ("/bin/cat conf_%(x).yaml sub /etc/hosts /dev/null", []),
        ("/bin/echo " + "a" * 5000, []),
    ],
)
def test_existing_files_among_the_words_are_found(
    folder: Path, program: str, expected: list[str]
) -> None:
    found = named_files(program.replace("{folder}", str(folder)), folder)
    assert [Path(path).relative_to(folder).as_posix() for path in found] == expected


def test_an_interpreter_of_the_system_is_left_out_whatever_links_to_it(folder: Path) -> None:
    (folder / "bin" / "python").symlink_to("/usr/bin/env")
    assert named_files("python train.py; bin/python", folder) == [str(folder / "train.py")]


def test_paths_that_no_database_can_hold_are_left_out(folder: Path) -> None:
    deep = folder / ("d" * 200) / ("e" * 200) / ("f" * 200)
    deep.mkdir(parents=True)
    (deep / "a").touch()
    (folder / "b\udcff").touch()
    assert len(str(deep)) > LONGEST_PATH
    assert named_files(f"./train.py {deep}/a b\udcff", folder) == [str(folder / "train.py")]


def test_what_is_too_large_or_too_many_is_left_out(folder: Path) -> None:
    large = folder / "large.bin"
    large.touch()
    program = f"./train.py large.bin {' '.join(f'f{n}' for n in range(2 * MOST_FILES))}"
    for number in range(2 * MOST_FILES):
        (folder / f"f{number}").touch()
    os.truncate(large, LARGEST_BYTES + 1)
    seen = look_at_code(program, folder, before={})
    assert len(seen) == MOST_FILES
    assert str(large) not in seen
    assert seen[str(folder / "train.py")]["bytes"] == len("content")


def test_what_an_earlier_head_has_read_is_not_read_again(folder: Path) -> None:
    script = str(folder / "train.py")
    seen = look_at_code("./train.py", folder, before={})
    known: SeenFile = {**seen[script], "sha256": "as it was told"}
    assert look_at_code("./train.py", folder, before={script: known}) == {script: known}
    os.utime(script, ns=(1, 1))
    found = look_at_code("./train.py", folder, before={script: known})
    assert found[script]["sha256"] == seen[script]["sha256"]
