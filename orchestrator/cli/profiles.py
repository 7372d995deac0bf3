"""Profiles: what a cluster asks of every job, as a YAML file of a few lines.

A profile holds options of `headway run`, with their names as keys, and keys of its own for what no
option says. It is found by its name among the user's own ones, then among those of Headway.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from orchestrator.cli.config_files import read_table
from orchestrator.cli.config_trees import (
    Leaf,
    Listing,
    MisfitError,
    Node,
    Place,
    Table,
    read_tree,
    text_of,
)
from orchestrator.cli.option_table import all_options
from orchestrator.cli.settings import Settings
from orchestrator.cli.urls import expanded, user_path
from orchestrator.errors import UsageError, did_you_mean
from orchestrator.spec.site import Site
from slurm_templates import PROFILES

# Keys of a profile that are no options of run, or mean more here than there.
SITE_KEYS = (
    *("cluster", "setup", "sbatch", "omit", "gpu_option", "gpu_type", "head_sbatch", "mail"),
)
# What belongs to one search, or says where options come from, is not what a cluster asks.
_NOT_HERE = frozenset(
    {"profile", "config_yaml", "config_toml", "config_json", "dump_config", "dryrun"}
    | {"experiment_name", "parameter", "run_program", "continue"}
)
_WITH_NAMES = frozenset({"sbatch", "head_sbatch", "mail"})
_FIELDS_OF_MAIL = {"user": "mail_user", "type": "mail_type"}


@dataclass(frozen=True, kw_only=True)
class ProfileFile:
    """A profile that was read.

    Attributes:
        name: Its name, as the user gave it.
        path: Its file.
        options: Values by the names of options of run, with underscores; texts as the user wrote
            them, also for numbers and truths, or lists or mappings of them.
        settings: What these options mean.
        site: What is no option.
    """

    name: str
    path: Path
    options: Mapping[str, Any]
    settings: Settings
    site: Site


def find_profile(name: str, environment: Mapping[str, str] | None = None) -> ProfileFile:
    """Find a profile by its name, or by the path of its file, and read it.

    Raises:
        UsageError: There is none, or it is wrong: one line `FILE:LINE: what` for each mistake.
    """
    path = find_file(name, os.environ if environment is None else environment)
    reading = _Reading(path)
    found = reading.profile(name)
    if reading.mistakes:
        raise UsageError("\n".join(sorted(reading.mistakes, key=_line_of)))
    return found


def find_file(name: str, environment: Mapping[str, str]) -> Path:
    """Find the file of a profile.

    Raises:
        UsageError: There is none.
    """
    if "/" in name or name.endswith((".yaml", ".yml")):
        path = user_path(name, "--profile")
        if path.is_file():
            return path.absolute()
        raise UsageError(f"--profile: there is no file {name!r}.")
    known = profile_files(environment)
    if name in known:
        return known[name]
    hint = did_you_mean(name, known)
    listed = ", ".join(sorted(known)) or "none"
    folders = " or ".join(str(folder) for folder in folders_of(environment))
    raise UsageError(f"--profile: there is no {name}.yaml in {folders} ({listed}).", hint)


def folders_of(environment: Mapping[str, str]) -> tuple[Path, Path]:
    """Return where profiles are looked for: the user's folder, then Headway's."""
    home = environment.get("XDG_CONFIG_HOME") or "~/.config"
    return expanded(home, "--profile") / "headway" / "profiles", PROFILES


def profile_files(environment: Mapping[str, str]) -> dict[str, Path]:
    """Return the files of all profiles by name; the user's own come before Headway's."""
    found: dict[str, Path] = {}
    for folder in reversed(folders_of(environment)):
        found |= {path.stem: path for path in sorted(folder.glob("*.yaml")) if path.is_file()}
    return found


def make_site(
    profile: ProfileFile | None,
    *,
    setup: Sequence[Sequence[str]] = (),
    sbatch: Sequence[Sequence[str]] = (),
) -> Site:
    """Put together what the profile and the command line say of the site.

    Args:
        profile: The profile; None: there is none.
        setup: The words of each --setup; its lines come after those of the profile.
        sbatch: The words of each --sbatch; they win over those of the profile.

    Raises:
        UsageError: It names the option and what is allowed.
    """
    base = profile.site if profile else Site()
    lines = tuple(" ".join(words) for words in setup)
    given: dict[str, str] = {}
    for word in (word for words in sbatch for word in words):
        key, equals, value = word.partition("=")
        if not (key.strip() and equals):
            raise UsageError(
                f"--sbatch: {word!r} is not of the form KEY=VALUE; an option without a value is "
                f"{word.strip() or 'exclusive'}="
            )
        name = key.strip().removeprefix("--").replace("_", "-").lower()
        if name in given:
            raise UsageError(f"--sbatch: {name!r} is there twice")
        given[name] = value
    together = {**base.sbatch, **given}
    changed = base.model_dump() | {"setup": (*base.setup, *lines), "sbatch": together}
    try:
        return Site.model_validate(changed)
    except ValidationError as error:
        raise UsageError(
            "\n".join(
                f"--{each['loc'][0] if each['loc'] else 'sbatch'}: {_said(each)}"
                for each in error.errors(include_url=False)
            )
        ) from None


@dataclass
class _Reading:
    """Takes a file apart, and collects what is wrong in it."""

    path: Path
    mistakes: list[str] = field(default_factory=list)
    lines: dict[str, int] = field(default_factory=dict)

    def _complain(self, line: int, said: str) -> None:
        self.mistakes.append(f"{self.path}:{line}: {said}".rstrip())

    def profile(self, name: str) -> ProfileFile:
        """Return what the file says, as far as it can be understood."""
        options: list[tuple[str, Node]] = []
        site: dict[str, Any] = {}
        for key, node in self._tree().pairs:
            if key in SITE_KEYS:
                site |= self._checked(key, node)
            elif self._is_option(key):
                options.append((key, node))
        top = Place(file=str(self.path), line=1)
        table = read_table(Table(place=top, pairs=tuple(options)), self.path)
        self.mistakes += table.mistakes
        return ProfileFile(
            name=name,
            path=self.path,
            options={key: _plain(node) for key, node in options},
            settings=table,
            site=self._site({"profile": name, **site}),
        )

    def _tree(self) -> Table:
        """Return the keys of the file, each once."""
        tree = read_tree(self.path, "yaml", called="--profile", shown=str(self.path))
        pairs: list[tuple[str, Node]] = []
        for key, node in tree.pairs:
            name = key.replace("-", "_")
            line = node.place.line or 1
            if name in self.lines:
                self._complain(line, f"{name} is there twice, first in line {self.lines[name]}")
                continue
            self.lines[name] = line
            pairs.append((name, node))
        return Table(place=tree.place, pairs=tuple(pairs))

    def _is_option(self, key: str) -> bool:
        known = all_options()
        if key in known and key not in _NOT_HERE:
            return True
        if key in _NOT_HERE:
            said = f"{key} belongs to one search; give it with `headway run` or in a config file"
        else:
            hint = did_you_mean(key, [*SITE_KEYS, *known])
            said = f"there is no key {key!r}. {hint or 'docs/profiles.md lists them.'}"
        self._complain(self.lines[key], said)
        return False

    def _checked(self, key: str, node: Node) -> dict[str, Any]:
        try:
            _check_single(key, node)
        except MisfitError as error:
            self.mistakes.append(str(error))
            return {}
        return self._of_site(key, _plain(node))

    def _of_site(self, key: str, value: Any) -> dict[str, Any]:
        """Return a key of the site under the name of its field; nothing if it is wrong."""
        match key:
            case "mail":
                return self._mail(value)
            case "setup":
                return {key: _listed(value)}
            case "omit":
                words = (
                    value.replace(",", " ").split() if isinstance(value, str) else _listed(value)
                )
                return {key: words}
            case "sbatch" | "head_sbatch":
                return self._pairs(key, value)
        return {key: value}

    def _pairs(self, key: str, value: Any) -> dict[str, Any]:
        """Read options of sbatch: a mapping, or a list of KEY=VALUE."""
        if isinstance(value, Mapping):
            return {key: {str(name): _as_value(each) for name, each in value.items()}}
        pairs = [str(word).partition("=") for word in _listed(value)]
        return {key: {name: each for name, _, each in pairs}}

    def _mail(self, value: Any) -> dict[str, Any]:
        if isinstance(value, str):
            return {"mail_user": value}
        if not isinstance(value, Mapping) or not value.keys() <= _FIELDS_OF_MAIL.keys():
            self._complain(self.lines["mail"], "mail: give an address, or {user: …, type: [END]}")
            return {}
        found = {_FIELDS_OF_MAIL[name]: each for name, each in value.items()}
        return found | ({"mail_type": _listed(value["type"])} if "type" in value else {})

    def _site(self, given: Mapping[str, Any]) -> Site:
        try:
            return Site.model_validate(given)
        except ValidationError as error:
            for each in error.errors(include_url=False):
                name = str(each["loc"][0]) if each["loc"] else ""
                key = "mail" if name.startswith("mail_") else name
                at = self.lines.get(key or "omit", 1)
                self._complain(at, f"{key}: {_said(each)}" if key else _said(each))
            return Site()


def _check_single(key: str, node: Node) -> None:
    """Make sure that a key of the site holds single values: one, a list, or with names.

    Raises:
        MisfitError: Something else stands there, which nobody can have meant.
    """
    what = "one text (between quotes if it holds `: `)"
    if isinstance(node, Listing):
        for entry in node.entries:
            text_of(entry, what)
        return
    pairs = node.pairs if isinstance(node, Table) and key in _WITH_NAMES else [(key, node)]
    names = [name for name, _ in pairs]
    for name, each in pairs:
        if names.count(name) > 1:
            raise MisfitError(each, "is there twice")
        if not isinstance(each, Leaf) and (key, name) != ("mail", "type"):
            text_of(each, what)


def _line_of(mistake: str) -> int:
    """Return the line that a mistake is in, for their order."""
    found = re.search(r":(\d+):", mistake)
    return int(found[1]) if found else 0


def _said(error: Any) -> str:
    """Return what a model complains of in words of this file's."""
    cause = error.get("ctx", {}).get("error")
    if cause is not None:
        return str(cause)
    if error["type"] == "literal_error":
        return f"{error.get('input')!r} is none of {error['ctx']['expected']}"
    if error["type"] == "string_pattern_mismatch":
        return f"{error.get('input')!r} is not one word of letters, digits, _ . and -"
    return f"{error['msg']}, not {error.get('input')!r}"


def _listed(value: Any) -> list[str]:
    """Return one value, or several, as a list of texts."""
    if value is None:
        return []
    return [str(each) for each in value] if isinstance(value, list) else [str(value)]


def _as_value(value: Any) -> str:
    """Return the value of an option of sbatch: nothing and true stand for one that takes none."""
    return "" if value is None or str(value).lower() == "true" else str(value)


def _plain(node: Node) -> Any:
    """Return what a node holds; its values stay the texts that the user wrote."""
    if isinstance(node, Listing):
        return [_plain(each) for each in node.entries]
    if isinstance(node, Table):
        return {key: _plain(each) for key, each in node.pairs}
    return None if node.is_empty else node.text
