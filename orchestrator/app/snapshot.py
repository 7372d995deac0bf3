"""`--snapshot PATH…`: copies of what is listed, made once, that all trials of a run use.

The copies lie in RUN_DIR/snapshot under their whole path: /home/u/work/train.py becomes
RUN_DIR/snapshot/home/u/work/train.py. Programs start in the mirror of the working folder there,
where what is listed are the copies and everything else are links to the originals. So that
`../data` leads somewhere as well, the folders above are mirrored in the same way.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from db.records import SeenFile
from orchestrator.app.code import look_at_code, named_files
from orchestrator.spec.experiment import ExperimentSpec
from worker.placeholders import render

FOLDER = "snapshot"
# Of a folder above the working folder; /home of a large site is not worth a link for each user.
_MOST_LINKS = 1000
# / and what lies right in it, such as /home and /tmp: nobody's program goes ../.. to there.
_TOP = 2
# An absolute path in bash text, or one below the home folder; up to where a variable part begins.
_PATH = re.compile(r"(?<![\w.~/}%-])(?:~|\$HOME|\$\{HOME\})?/[^\s'\"\\$`;|&<>(){}*?\[\]=:,]*")


def canonical(path: Path) -> Path:
    """Return a path through real folders; a link as its last part stays one."""
    return Path(os.path.realpath(path.parent)) / path.name if path.name else path


def without_nested(paths: Iterable[Path]) -> list[Path]:
    """Return paths, each once, without those that lie in another one of them."""
    chosen: list[Path] = []
    for path in sorted(set(paths), key=lambda path: len(path.parts)):
        if not any(path.is_relative_to(other) for other in chosen):
            chosen.append(path)
    return sorted(chosen)


@dataclass(frozen=True)
class Entry:
    """What is to be copied, or linked to, within a listed path.

    Attributes:
        path: The original.
        found: Its `lstat`.
        target: What a symbolic link says.
    """

    path: Path
    found: os.stat_result
    target: str | None = None


def walk(listed: Path, *, leave_out: Path) -> Iterator[Entry]:
    """Go through a listed path, each folder before what it holds.

    No link is followed but the listed path itself, if it is one.

    Args:
        listed: A file or a folder.
        leave_out: The folder of all runs, which holds the copies.

    Raises:
        OSError: Something cannot be read; `filename` says what.
    """
    source = Path(os.path.realpath(listed))
    hole = Path(os.path.realpath(leave_out))
    waiting = [source]
    while waiting:
        path = waiting.pop()
        found = path.lstat()
        if stat.S_ISLNK(found.st_mode):
            yield Entry(path, found, str(path.readlink()))
            continue
        yield Entry(path, found)
        if stat.S_ISDIR(found.st_mode):
            entries = sorted(path.iterdir(), reverse=True)
            waiting += [entry for entry in entries if entry != hole]


def program_of(spec: ExperimentSpec, run_dir: Path) -> str:
    """Return the program's text as the workers of a run are to run it.

    Absolute paths to what is listed become those of the copies, quoted for where they stand.
    """
    if not spec.snapshot:
        return spec.program
    plan = _Plan.of(spec)
    copies: dict[str, str] = {}

    def mark(match: re.Match[str]) -> str:
        known = plan.leading_part(match[0])
        if known is None:
            return match[0]
        part, original = known
        name = f"headway copy {len(copies)}"
        copies[name] = str(copy_of(original, run_dir))
        return f"%({name})" + match[0][len(part) :]

    marked = _PATH.sub(mark, spec.program)
    return render(marked, copies) if copies else spec.program


def working_folder_of(spec: ExperimentSpec, run_dir: Path) -> Path:
    """Return where the programs of a run start."""
    folder = Path(spec.working_folder)
    return copy_of(canonical(folder), run_dir) if spec.snapshot else folder


def code_of(
    spec: ExperimentSpec, run_dir: Path, *, before: Mapping[str, SeenFile]
) -> dict[str, SeenFile]:
    """Return the files that the program of a run names, as they are now.

    A file that the snapshot only links to goes by its own path.

    Args:
        spec: What was asked for.
        run_dir: The run folder.
        before: What an earlier head saw.
    """
    program, folder = program_of(spec, run_dir), working_folder_of(spec, run_dir)
    seen = look_at_code(program, folder, before=before)
    inside = os.path.realpath(run_dir / FOLDER)
    if not spec.snapshot:
        return seen
    found = {}
    for path, file in seen.items():
        real = os.path.realpath(path)
        found[path if Path(real).is_relative_to(inside) else real] = file
    return found


def still_named(spec: ExperimentSpec, run_dir: Path) -> list[str]:
    """Return originals that the program names in a way that is not turned into the copy."""
    originals = [os.path.realpath(path) for path in spec.snapshot]
    if not originals:
        return []
    return [
        path
        for path in named_files(program_of(spec, run_dir), working_folder_of(spec, run_dir))
        if any(Path(os.path.realpath(path)).is_relative_to(each) for each in originals)
    ]


def copy_of(path: Path, run_dir: Path) -> Path:
    """Return where the copy of an original lies, or the link to it."""
    return run_dir / FOLDER / path.relative_to("/")


def take(spec: ExperimentSpec, *, run_root: Path, run_dir: Path) -> None:
    """Copy what is listed, and mirror the working folder around it.

    Args:
        spec: What was asked for.
        run_root: The folder of all runs: never copied.
        run_dir: The run folder; removed by the caller if this fails.

    Raises:
        OSError: Something cannot be read, or the run folder cannot be written.
    """
    plan = _Plan.of(spec)
    (run_dir / FOLDER).mkdir(mode=0o700)
    _mirror(Path("/"), plan, run_root=run_root, run_dir=run_dir)


@dataclass(frozen=True)
class _Plan:
    """What is where.

    Attributes:
        listed: What is copied.
        folders: Folders that the snapshot has as folders, for what is listed below them or because
            programs start there.
    """

    listed: frozenset[Path]
    folders: frozenset[Path]
    home: Path

    @classmethod
    def of(cls, spec: ExperimentSpec) -> _Plan:
        listed = frozenset(Path(path) for path in spec.snapshot)
        home = canonical(Path(spec.working_folder))
        within = {folder for path in listed for folder in path.parents} | {home, *home.parents}
        copied = {folder for folder in within if not listed.isdisjoint((folder, *folder.parents))}
        return cls(listed=listed, folders=frozenset(within - copied), home=home)

    def leading_part(self, text: str) -> tuple[str, Path] | None:
        """Return how much of a path in a program's text leads into the snapshot, and where to.

        It is either something listed, with whatever follows, or as a whole the working folder or a
        folder that something listed lies in.
        """
        slashes = [match.end() for match in re.finditer(r"/", text)]
        ends = [end - 1 for end in slashes[1:]] + [len(text)]
        for end in ends:
            path = _path_in(text[:end])
            if path in self.listed or (path in self.folders and self._is_whole(text, end, path)):
                return text[:end], path
        return None

    def _is_whole(self, text: str, end: int, path: Path) -> bool:
        is_near = path == self.home or any(path == each.parent for each in self.listed)
        return is_near and not text[end:].strip("/")


def _path_in(text: str) -> Path:
    expanded = os.path.expandvars(os.path.expanduser(text))  # noqa: PTH111 - also $HOME
    return canonical(Path(os.path.normpath(expanded)))


def _mirror(folder: Path, plan: _Plan, *, run_root: Path, run_dir: Path) -> None:
    """Fill the mirror of a folder, and those below it."""
    names = {path.relative_to(folder).parts[0] for path in _below(plan, folder)}
    for name in sorted(names):
        original, place = folder / name, copy_of(folder / name, run_dir)
        if original in plan.listed:
            _copy(original, place, plan, run_root=run_root, run_dir=run_dir)
        else:
            place.mkdir(mode=0o700)
            _mirror(original, plan, run_root=run_root, run_dir=run_dir)
    for name in _others(folder, plan) - names:
        copy_of(folder / name, run_dir).symlink_to(folder / name)


def _below(plan: _Plan, folder: Path) -> Iterator[Path]:
    for path in plan.listed | plan.folders:
        if path != folder and path.is_relative_to(folder):
            yield path


def _others(folder: Path, plan: _Plan) -> set[str]:
    """Return the names of what only gets a link."""
    if folder != plan.home and len(folder.parts) <= _TOP:
        return set()
    try:
        names = set(os.listdir(folder))  # noqa: PTH208 - names are what is needed
    except PermissionError:  # /home may be entered and not listed
        return set()
    is_far = folder != plan.home and plan.home not in folder.parents
    return set() if is_far and len(names) > _MOST_LINKS else names


def _copy(listed: Path, place: Path, plan: _Plan, *, run_root: Path, run_dir: Path) -> None:
    """Copy a file or a folder with all that it holds."""
    source = Path(os.path.realpath(listed))
    folders: list[tuple[Path, os.stat_result]] = []
    for entry in walk(listed, leave_out=run_root):
        target = place / entry.path.relative_to(source)
        if stat.S_ISDIR(entry.found.st_mode):
            target.mkdir(mode=0o700)
            folders.append((target, entry.found))
        elif entry.target is not None:
            _copy_link(entry, target, source=source, place=place, plan=plan, run_dir=run_dir)
        elif stat.S_ISREG(entry.found.st_mode):
            shutil.copy2(entry.path, target, follow_symlinks=False)
        else:
            target.symlink_to(entry.path)  # a pipe or a socket has no content
    hole = Path(os.path.realpath(run_root))
    if hole != source and hole.is_relative_to(source):
        (place / hole.relative_to(source)).symlink_to(hole)
    for target, found in reversed(folders):
        # Its owner may always write, or the run folder could not be removed.
        target.chmod(stat.S_IMODE(found.st_mode) | stat.S_IRWXU)
        os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))


def _copy_link(
    entry: Entry, target: Path, *, source: Path, place: Path, plan: _Plan, run_dir: Path
) -> None:
    """Make a link lead to the copy of what it led to, or else to the original."""
    assert entry.target is not None
    end = Path(os.path.normpath(entry.path.parent / entry.target))
    if end.is_relative_to(source):
        new = place / end.relative_to(source)
    elif any(end.is_relative_to(path) for path in plan.listed):
        new = copy_of(end, run_dir)
    else:
        target.symlink_to(end)
        return
    target.symlink_to(os.path.relpath(new, target.parent))
