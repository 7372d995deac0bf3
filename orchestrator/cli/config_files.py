"""Files of options: `--config_yaml`, `--config_toml` and `--config_json`.

A key is the name of an option, with underscores or hyphens. What is natural in such a file is read:
numbers, truths, lists, and keys with values where an option takes KEY=VALUE. OmniOpt2's files are
read too. All mistakes are found at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from orchestrator.cli.config_parameters import parameter_words
from orchestrator.cli.config_trees import (
    Leaf,
    Listing,
    MisfitError,
    Node,
    Place,
    Table,
    clean,
    read_tree,
    text_of,
)
from orchestrator.cli.option_table import LATER, Option, all_options
from orchestrator.cli.settings import Settings
from orchestrator.cli.words import Form, Takes, unknown_option
from orchestrator.errors import UsageError

FORMS = {"config_yaml": "yaml", "config_toml": "toml", "config_json": "json"}
_FORM_OF = {
    ".yaml": "config_yaml",
    ".yml": "config_yaml",
    ".toml": "config_toml",
    ".json": "config_json",
}
# They say where options come from, or what to do with them, and so come before all files.
NOT_IN_FILES = frozenset({*FORMS, "dump_config"})
# OmniOpt2 writes `parameter: [{param: [x, range, 0, 1]}]`.
_OMNIOPT_KEY = "param"
# Of these a file may hold a list where the command line has the option several times,
_ONCE_FOR_EACH = frozenset({Form.PARAMETER, Form.LINES, Form.TEXTS})
# and of these where it has several words.
_LISTS = frozenset({Form.LIST, Form.TEXT, Form.WORDS})


def read_config(path: Path, *, option: str, shown: str) -> Settings:
    """Read a file of options.

    Args:
        path: The file.
        option: The option that names it, one of `FORMS`.
        shown: What the file is called in complaints.
    """
    try:
        tree = read_tree(path, FORMS[option], called=f"--{option}", shown=shown)
    except UsageError as error:
        form = _FORM_OF.get(path.suffix.lower(), option)
        hint = "" if form == option else f"; by its name it is for --{form}"
        return Settings(mistakes=[f"{error}{hint}"], is_partial=True)
    return read_table(tree, path)


def read_table(tree: Table, path: Path) -> Settings:
    """Read the options of a tree.

    Args:
        tree: Its keys are names of options.
        path: The file that it comes from.
    """
    reading = _Reading(path)
    for key, node in tree.pairs:
        reading.option(key, node)
    return reading.settings


@dataclass
class _Reading:
    """Takes a file apart."""

    path: Path
    settings: Settings = field(default_factory=Settings)
    seen: dict[str, tuple[str, Place]] = field(default_factory=dict)

    def option(self, key: str, node: Node) -> None:
        """Read what a key of the file stands for."""
        name = key.replace("-", "_")
        option = all_options().get(name)
        if option is None:
            said = unknown_option(clean(key), all_options(), LATER)
            self.settings.complain(f"{node.place.start}: {said}")
        elif name in NOT_IN_FILES:
            said = "belongs on the command line, not into a file"
            self.settings.complain(f"{node.place}: {said}", option)
        elif (before := self.seen.get(option.goes_to)) is not None:
            self.settings.complain(f"{node.place}: is there twice, first {_where(*before)}", option)
        else:
            self.seen[option.goes_to] = key, node.place
            self._take(option, node)

    def _take(self, option: Option, node: Node) -> None:
        words, places = [], []
        for name, each in self._times(option, node):
            try:
                words.append(_words(option, each, name))
                places.append(str(each.place))
            except MisfitError as error:
                self.settings.complain(str(error), option)
        # Those that are wrong do not keep the others from being looked at.
        self.settings.add(option, words, places, file=self.path)

    def _times(self, option: Option, node: Node) -> Iterable[tuple[str | None, Node]]:
        """Return what an option is given, one by one; with its name what a key stands for."""
        if option.form is Form.PARAMETER and isinstance(node, Table):
            return node.pairs
        if option.form in _ONCE_FOR_EACH and isinstance(node, Listing):
            return [(None, entry) for entry in self._without_strays(node)]
        return [(None, node)]

    def _without_strays(self, listing: Listing) -> Iterator[Node]:
        """Return the entries of a list; options that stray among the keys of one are read.

        In TOML whatever follows `[[parameter]]` belongs to it, and OmniOpt2 writes its files like
        that.
        """
        for entry in listing.entries:
            pairs = entry.pairs if isinstance(entry, Table) else ()
            own = [node for key, node in pairs if key == _OMNIOPT_KEY]
            if not own:
                yield entry
                continue
            for key, node in pairs:
                if key != _OMNIOPT_KEY:
                    self.option(key, _moved(node, key))
            for node in own[1:]:
                self.settings.complain(f"{node.place}: is there twice", all_options()["parameter"])
            yield own[0]


def _moved(node: Node, path: str) -> Node:
    """Let a node stand at the top of its file."""
    return replace(node, place=replace(node.place, path=path))


def _where(key: str, place: Place) -> str:
    return f"as {key}" if place.line is None else f"in line {place.line}"


def _words(option: Option, node: Node, name: str | None) -> list[str]:
    """Return the words that stand for a node on the command line.

    Raises:
        MisfitError: It is not what the option takes.
    """
    if option.form is Form.PARAMETER:
        return parameter_words(node, name)
    if option.form is Form.PAIRS:
        return _pairs(option, node)
    if option.form in _LISTS and isinstance(node, Listing):
        words = [text_of(each, "a text") for each in node.entries]
        return [",".join(words)] if option.form is Form.LIST else words
    what = "true or false" if option.takes is Takes.NOTHING else "one value"
    return [text_of(node, what if option.form not in _LISTS else "a value, or a list of them")]


def _pairs(option: Option, node: Node) -> list[str]:
    if isinstance(node, Listing):
        return [text_of(each, "a text KEY=VALUE") for each in node.entries]
    if isinstance(node, Leaf):
        return [text_of(node, "KEY=VALUE, or keys with values")]
    return [f"{key}={_value(option, each)}" for key, each in node.pairs]


def _value(option: Option, node: Node) -> str:
    if isinstance(node, Leaf):
        is_bare = option.name == "sbatch" and node.text.lower() == "true" and not node.is_quoted
        if node.is_empty or is_bare:
            return ""
    return text_of(node, "one value")
