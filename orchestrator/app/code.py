"""Which files a program names, and what they hold."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from db.records import SeenFile
from worker.code import look_at

# A worker opens each of them when it starts.
MOST_FILES = 100
LONGEST_PATH = 500  # what the column holds
# What the site installs changes without the user, and for all its users at once.
_SYSTEM = ("/bin/", "/dev/", "/etc/", "/lib/", "/lib64/", "/proc/", "/sbin/", "/sys/", "/usr/")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_OPERATORS = frozenset("();<>|&")


def look_at_code(
    program: str, folder: Path, *, before: Mapping[str, SeenFile]
) -> dict[str, SeenFile]:
    """Return the files that a program names, as they are now, by their absolute paths.

    Those that cannot be read or are larger than 64 MB are left out.

    Args:
        program: Its text for bash, with placeholders.
        folder: Where it starts.
        before: What an earlier head saw: files with the same size and time are not read again.
    """
    seen: dict[str, SeenFile] = {}
    for path in named_files(program, folder):
        found = look_at(path, before.get(path))
        if found is not None and found["sha256"]:
            seen[path] = found
        if len(seen) == MOST_FILES:
            break
    return seen


def named_files(program: str, folder: Path) -> list[str]:
    """Return the regular files that are there among the words of a program.

    They are words as they stand, what follows the first `=` of one (`--config=a.yaml`), and
    commands found through PATH. What the program writes (`> out.txt`) is none of them, nor is what
    lies in a system folder such as /usr: interpreters, usually.

    Args:
        program: Its text for bash, with placeholders.
        folder: Where it starts; `cd` to another folder is followed.
    """
    found: dict[str, None] = {}
    bases = [folder]
    previous = ";"
    for word in _words(program):
        if not _is_operator(word):
            path = None if ">" in previous else _find(word, bases, is_command=_is_start(previous))
            if path is not None and _is_wanted(path):
                found[path] = None
            elif path is None and " " in word:
                found |= dict.fromkeys(named_files(word, bases[0]))  # bash -c '…'
            elif previous == "cd" and _is_folder(bases[0] / _expanded(word)):
                bases.insert(0, bases[0] / _expanded(word))
            if _is_start(previous) and _ASSIGNMENT.match(word):
                continue  # the command is still to come
        previous = word
    return list(found)


def _words(program: str) -> Iterator[str]:
    """Split text as a shell would, with operators as words of their own."""
    for line in program.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="();<>|&")
        lexer.whitespace_split = True
        lexer.commenters = ""
        try:
            words = list(lexer)
        except ValueError:  # a quote that ends in another line
            words = re.findall(r"[();<>|&]+|[^\s();<>|&'\"`]+", line)
        yield ";"
        yield from words


def _is_operator(word: str) -> bool:
    return _OPERATORS.issuperset(word)


def _is_start(previous: str) -> bool:
    """Whether a command starts after this word."""
    return _is_operator(previous) and ">" not in previous and "<" not in previous


def _expanded(word: str) -> str:
    return os.path.expandvars(os.path.expanduser(word))  # noqa: PTH111 - Path knows no variables


def _find(word: str, bases: list[Path], *, is_command: bool) -> str | None:
    """Return the file that a word names, if it names one."""
    for part in dict.fromkeys((word, word.partition("=")[2])):
        name = _expanded(part)
        if not name or "\0" in name:
            continue
        if is_command and "/" not in name and not _ASSIGNMENT.match(word):
            # bash looks for it in the folders of PATH alone.
            place = shutil.which(name)
            return None if place is None else os.path.abspath(place)  # noqa: PTH100
        for base in bases:
            path = os.path.normpath(base / name)
            if _is_file(path):
                return path
    return None


def _is_file(path: str) -> bool:
    return os.path.isfile(path)  # noqa: PTH113 - says no where Path raises: a word of 300 signs


def _is_folder(path: Path) -> bool:
    return os.path.isdir(path)  # noqa: PTH112 - as above


def _is_wanted(path: str) -> bool:
    """Whether a file is the user's own and its path can be stored."""
    if len(path) > LONGEST_PATH or not path.isprintable():
        return False
    return not any(place.startswith(_SYSTEM) for place in (path, os.path.realpath(path)))
