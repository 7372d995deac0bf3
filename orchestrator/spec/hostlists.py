"""Lists of hosts as Slurm writes them: `node[1-3,7],login`, `rack[1-2]n[01-16]`."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable

# A slip of the finger in a range shall not fill the memory: larger than any cluster.
MOST_HOSTS = 100_000
_NAME = re.compile(r"(?:[\w.-]|\[[\d,-]+\])+")
_PART = re.compile(r"\[([^\]]*)\]|([^\[]+)")
_RANGE = re.compile(r"(\d+)(?:-(\d+))?")


def expand_hosts(words: Iterable[str]) -> tuple[str, ...]:
    """Return the names of all hosts of lists like `node[1-3,7],login`, in order, each once.

    Raises:
        ValueError: One is no such list; the text says what is wrong.
    """
    names: dict[str, None] = {}
    for word in words:
        # Commas within brackets belong to one name.
        for name in re.split(r",(?![^\[]*\])", word):
            if name.strip():
                names |= dict.fromkeys(_expand(name.strip()))
    return tuple(names)


def _expand(name: str) -> list[str]:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a host or a list of hosts such as node[1-3,7]")
    parts = [
        _numbers(name, inside) if inside or not plain else [plain]
        for inside, plain in _PART.findall(name)
    ]
    count = 1
    for part in parts:
        count *= len(part)
    if count > MOST_HOSTS:
        raise ValueError(f"{name!r} are more than {MOST_HOSTS} hosts")
    return ["".join(pieces) for pieces in itertools.product(*parts)]


def _numbers(name: str, inside: str) -> list[str]:
    """Return the numbers of one pair of brackets; `01-03` keeps its zeros."""
    found: list[str] = []
    for word in inside.split(","):
        match = _RANGE.fullmatch(word)
        if match is None:
            raise ValueError(f"{name!r}: {word!r} is not a number or a range such as 1-3")
        first, last = match[1], match[2] or match[1]
        if int(last) < int(first):
            raise ValueError(f"{name!r}: the range {word} ends before it begins")
        if int(last) - int(first) >= MOST_HOSTS:
            raise ValueError(f"{name!r} are more than {MOST_HOSTS} hosts")
        width = len(first)
        found += [f"{number:0{width}}" for number in range(int(first), int(last) + 1)]
    return found
