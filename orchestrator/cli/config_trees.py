"""Files of options as trees: YAML, TOML and JSON become the same plain nodes.

Every value stays the text that the user wrote, as on the command line: YAML alone would make 720 of
`time: 12:00` and a truth of `no`. Each node knows its place: the line in YAML and JSON, the path of
its keys in TOML.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from orchestrator.errors import UsageError

# A file of options has some dozens; references in YAML can make few lines mean millions.
MOST_NODES = 100_000
MOST_SIGNS = 2_000_000
_JSON_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)


def clean(key: str) -> str:
    """Return a key so that it cannot move the cursor of who reads about it."""
    return key if key.isprintable() else repr(key)


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a node stands.

    Attributes:
        file: The file, as the user named it.
        line: Its line, from 1; None where only the path of the keys is known.
        path: The keys that lead to it, such as `parameter.lr.low`; entries of lists count from 1.
    """

    file: str
    line: int | None
    path: str = ""

    @property
    def start(self) -> str:
        """What a complaint about the file there begins with."""
        return self.file if self.line is None else f"{self.file}:{self.line}"

    def __str__(self) -> str:
        return f"{self.start}: {self.path}" if self.path else self.start

    def key(self, name: str) -> Place:
        """Return the place of what a key stands for."""
        name = clean(name)
        return replace(self, path=f"{self.path}.{name}" if self.path else name)

    def entry(self, number: int) -> Place:
        """Return the place of an entry of a list; a line says it better."""
        return self if self.line is not None else replace(self, path=f"{self.path}[{number}]")


@dataclass(frozen=True, kw_only=True)
class Leaf:
    """A single value.

    Attributes:
        place: Where it stands.
        text: What the user wrote, without quotes.
        is_quoted: Whether it is surely a text, no number or truth.
        is_empty: Whether nothing stands there: `null`, or a key of YAML alone.
    """

    place: Place
    text: str
    is_quoted: bool = False
    is_empty: bool = False


@dataclass(frozen=True, kw_only=True)
class Listing:
    """A list."""

    place: Place
    entries: tuple[Node, ...]


@dataclass(frozen=True, kw_only=True)
class Table:
    """Keys and what they stand for, in order; a key may be there twice."""

    place: Place
    pairs: tuple[tuple[str, Node], ...]


Node = Leaf | Listing | Table


class MisfitError(Exception):
    """A node is not what its option takes; the text says where it is and what is allowed."""

    def __init__(self, node: Node, said: str) -> None:
        super().__init__(f"{node.place}: {said}")


def text_of(node: Node, what: str) -> str:
    """Return the text of a single value.

    Args:
        node: The value.
        what: What is needed there, for the error.

    Raises:
        MisfitError: It is a list, or keys with values, or nothing.
    """
    if not isinstance(node, Leaf):
        kind = "a list" if isinstance(node, Listing) else "keys with values"
        raise MisfitError(node, f"needs {what}, not {kind}")
    if node.is_empty:
        raise MisfitError(node, f"needs {what}, but nothing is there")
    return node.text


def read_tree(path: Path, form: str, *, called: str, shown: str) -> Table:
    """Read a file of options.

    Args:
        path: The file.
        form: yaml, toml or json.
        called: What the user named the file with, for the error.
        shown: What the file is called in complaints.

    Raises:
        UsageError: It cannot be read or understood, or does not hold keys with values.
    """
    text = _read(path, called=called, shown=shown)
    read: dict[str, Callable[[str, str], Node | None]] = {
        "yaml": _read_yaml,
        "toml": _read_toml,
        "json": _read_json,
    }
    try:
        tree = read[form](text, shown)
    except RecursionError:
        raise UsageError(f"{shown}:1: it is nested too deeply") from None
    if tree is None:
        return Table(place=Place(file=shown, line=1), pairs=())
    if not isinstance(tree, Table):
        raise UsageError(f"{tree.place.start}: it holds no options, such as `max_eval: 20`")
    return tree


def _read(path: Path, *, called: str, shown: str) -> str:
    from orchestrator.cli.urls import near_file

    try:
        # A pipe is welcome too: --config_yaml <(sed s/a/b/ search.yaml)
        with path.open(encoding="utf-8-sig") as stream:
            text = stream.read(MOST_SIGNS + 1)
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        hint = near_file(path) if isinstance(error, FileNotFoundError) else ""
        raise UsageError(f"{called}: {shown!r} cannot be read: {said}.", hint) from None
    if len(text) > MOST_SIGNS:
        raise UsageError(
            f"{called}: {shown!r} has more than {MOST_SIGNS} signs; give a file of options"
        )
    return text


# YAML


def _read_yaml(text: str, file: str) -> Node | None:
    import yaml

    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise UsageError(_no_yaml(error, text, file)) from None
    if node is None:
        return None
    return _from_yaml(node, Place(file=file, line=1), iter(range(MOST_NODES)))


def _no_yaml(error: Any, text: str, file: str) -> str:
    """Say where a text stops to be YAML."""
    mark = getattr(error, "problem_mark", None)
    if mark is not None:
        return f"{file}:{mark.line + 1}: {error.problem or 'it is not YAML'}"
    # A character that YAML does not allow; its place is told in characters.
    line = text.count("\n", 0, getattr(error, "position", 0)) + 1
    return f"{file}:{line}: it is not YAML: {getattr(error, 'reason', 'it cannot be understood')}"


def _from_yaml(node: Any, around: Place, room: Iterator[int]) -> Node:
    import yaml

    place = replace(around, line=node.start_mark.line + 1)
    if next(room, None) is None:
        raise UsageError(f"{place.start}: the file means more than {MOST_NODES} values")
    if isinstance(node, yaml.SequenceNode):
        entries = tuple(_from_yaml(each, place, room) for each in node.value)
        return Listing(place=place, entries=entries)
    if isinstance(node, yaml.MappingNode):
        pairs = tuple(_yaml_pair(key, value, place, room) for key, value in node.value)
        return Table(place=place, pairs=pairs)
    return Leaf(
        place=place,
        text=str(node.value),
        is_quoted=node.style is not None,
        is_empty=node.tag == "tag:yaml.org,2002:null",
    )


def _yaml_pair(key: Any, value: Any, around: Place, room: Iterator[int]) -> tuple[str, Node]:
    line = key.start_mark.line + 1
    if not isinstance(key.value, str):
        raise UsageError(f"{around.file}:{line}: a key must be one word")
    found = _from_yaml(value, around.key(key.value), room)
    # A long text and a list begin below their key.
    return key.value, replace(found, place=replace(found.place, line=line))


# TOML


def _read_toml(text: str, file: str) -> Node:
    import tomllib

    try:
        # Numbers stay as they are written, but for the _ that may group their digits.
        found = tomllib.loads(text, parse_float=lambda word: _Number(word.replace("_", "")))
    except tomllib.TOMLDecodeError as error:
        at = re.search(r" \(at line (\d+), column \d+\)$", str(error))
        said = str(error)[: at.start()] if at else str(error)
        line = at[1] if at else text.count("\n") + 1
        raise UsageError(f"{file}:{line}: {said}") from None
    except ValueError as error:  # a number of thousands of digits
        raise UsageError(f"{file}: it is not TOML: {error}") from None
    return _from_toml(found, Place(file=file, line=None))


class _Number(str):
    """A number of TOML as it is written; a text of TOML is a plain str."""

    __slots__ = ()


def _from_toml(value: Any, place: Place) -> Node:
    if isinstance(value, dict):
        pairs = tuple((key, _from_toml(each, place.key(key))) for key, each in value.items())
        return Table(place=place, pairs=pairs)
    if isinstance(value, list):
        entries = (_from_toml(each, place.entry(i)) for i, each in enumerate(value, start=1))
        return Listing(place=place, entries=tuple(entries))
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return Leaf(place=place, text=text, is_quoted=type(value) is str)


# JSON


def _read_json(text: str, file: str) -> Node:
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"{file}:{error.lineno}: it is not JSON: {error.msg}") from None
    except ValueError as error:  # a number of thousands of digits
        raise UsageError(f"{file}:1: it is not JSON: {error}") from None
    return _Json(text, file).node()


class _Json:
    """Goes through a text that is known to be JSON once more, with its lines."""

    def __init__(self, text: str, file: str) -> None:
        self._text = text
        self._words = _JSON_WORD.finditer(text)
        self._place = Place(file=file, line=1)
        self._counted = 0

    def node(self) -> Node:
        """Return the whole of it."""
        return self._node(self._next(), self._place)

    def _next(self) -> str:
        """Return the next word, and know its line."""
        match = next(self._words)
        passed = self._text.count("\n", self._counted, match.start())
        self._counted = match.start()
        self._place = replace(self._place, line=(self._place.line or 1) + passed)
        return match[0]

    def _node(self, word: str, around: Place) -> Node:
        place = replace(around, line=self._place.line)
        if word == "{":
            return Table(place=place, pairs=tuple(self._pairs(place)))
        if word == "[":
            return Listing(place=place, entries=tuple(self._entries(place)))
        is_quoted = word.startswith('"')
        text = str(json.loads(word)) if is_quoted else word
        return Leaf(place=place, text=text, is_quoted=is_quoted, is_empty=word == "null")

    def _pairs(self, place: Place) -> Iterator[tuple[str, Node]]:
        while (word := self._next()) != "}":
            if word != ",":
                key = str(json.loads(word))
                self._next()  # the colon
                yield key, self._node(self._next(), place.key(key))

    def _entries(self, place: Place) -> Iterator[Node]:
        while (word := self._next()) != "]":
            if word != ",":
                yield self._node(word, place)
