"""Reads a rules file; what is wrong in it is told with its line, all mistakes at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from orchestrator.errors import UsageError, did_you_mean
from orchestrator.spec.rules import Behavior, Rule

_LISTS = ("match_strings", "match_regex", "exit_codes")
_FORM = "a rule has `name`, `match_strings` and `behavior`"


def read_rules(path: Path) -> tuple[Rule, ...]:
    """Read a rules file.

    Raises:
        UsageError: It cannot be read or understood; one line `FILE:LINE: what` for each mistake.
    """
    try:
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(f"--orchestrator_file: {path} cannot be read: {said}") from error
    except yaml.YAMLError as error:
        raise UsageError(_no_yaml(path, error)) from error
    except RecursionError:
        raise UsageError(f"{path}:1: it is nested too deeply") from None
    reading = _Reading(path)
    rules = tuple(reading.rules(node))
    if reading.mistakes:
        raise UsageError("\n".join(reading.mistakes))
    return rules


def _no_yaml(path: Path, error: yaml.YAMLError) -> str:
    """Say where a text stops to be YAML."""
    mark = getattr(error, "problem_mark", None)
    if mark is not None:
        said = getattr(error, "problem", None) or "it is not YAML"
        return f"{path}:{mark.line + 1}: {said}"
    # A character that YAML does not allow; its place is told in characters only.
    return f"{path}:1: it is not YAML: {getattr(error, 'reason', 'it cannot be understood')}"


@dataclass
class _Reading:
    """Takes a file apart.

    Every scalar stays the text that the user wrote, as YAML makes a date of `2024-01-02` and a
    truth of `yes`; the model makes numbers of what has to be some.
    """

    path: Path
    mistakes: list[str] = field(default_factory=list)

    def _complain(self, node: yaml.Node | None, said: str) -> None:
        line = 1 if node is None else node.start_mark.line + 1
        self.mistakes.append(f"{self.path}:{line}: {said}".rstrip())

    def rules(self, node: yaml.Node | None) -> Iterator[Rule]:
        """Return the rules, as far as they can be understood."""
        names: dict[str, int] = {}
        for entry in self._entries(node):
            rule = self._rule(entry)
            if rule is None:
                continue
            if rule.name in names:
                self._complain(entry, f"{rule.name!r} is also in line {names[rule.name]}")
            names.setdefault(rule.name, entry.start_mark.line + 1)
            yield rule

    def _entries(self, node: yaml.Node | None) -> list[yaml.Node]:
        """Return the entries of the list `errors`."""
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        keys = [str(key.value) for key, _ in pairs]
        found = [(key, value) for key, value in pairs if key.value == "errors"]
        for key, _ in found[1:]:
            first = found[0][0].start_mark.line + 1
            self._complain(key, f"errors is there twice, first in line {first}")
        if found and isinstance(found[0][1], yaml.SequenceNode):
            return list(found[0][1].value)
        near = next((key for key in keys if did_you_mean(key, ["errors"])), None)
        given = f" The file has {near}" if near and near != "errors" else ""
        self._complain(node, f"needs a list called `errors`, one entry a rule.{given}")
        return []

    def _rule(self, entry: yaml.Node) -> Rule | None:
        if not isinstance(entry, yaml.MappingNode):
            self._complain(entry, _FORM)
            return None
        before = len(self.mistakes)
        nodes: dict[str, yaml.Node] = {}
        given: dict[str, Any] = {}
        for key, value in entry.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else "?"
            if name in nodes:
                first = nodes[name].start_mark.line + 1
                self._complain(key, f"{name} is there twice, first in line {first}")
            nodes.setdefault(name, key)
            given.setdefault(name, self._value(name, value))
        if len(self.mistakes) > before:
            return None
        try:
            return Rule.model_validate(given)
        except ValidationError as error:
            for each in error.errors(include_url=False):
                name = str(each["loc"][0]) if each["loc"] else ""
                self._complain(nodes.get(name, entry), _complaint(name, each))
            return None

    def _value(self, name: str, node: yaml.Node) -> str | list[str]:
        """Return a scalar, or a list of scalars; anything else is a mistake."""
        if isinstance(node, yaml.ScalarNode):
            return str(node.value)
        if isinstance(node, yaml.SequenceNode) and name in _LISTS:
            if all(isinstance(each, yaml.ScalarNode) for each in node.value):
                return [str(each.value) for each in node.value]
            self._complain(node, f"{name}: needs texts, or numbers, one a line after `-`")
            return ""
        what = "a text, or a list of them" if name in _LISTS else "one text"
        if name in Rule.model_fields:
            self._complain(node, f"{name}: needs {what}")
        return ""


def _complaint(name: str, error: Any) -> str:
    given = error.get("input")
    match error["type"]:
        case "extra_forbidden":
            hint = did_you_mean(name, Rule.model_fields)
            known = ", ".join(Rule.model_fields)
            return f"{name} is no key of a rule; there are {known}. {hint}"
        case "missing":
            return f"{name} is missing; {_FORM}"
        case "enum":
            known = ", ".join(behavior.value for behavior in Behavior)
            hint = did_you_mean(str(given), [behavior.value for behavior in Behavior])
            return f"behavior: {given!r} is none of {known}. {hint}"
        case "int_parsing":
            return f"{name}: {given!r} is no whole number"
    cause = error.get("ctx", {}).get("error")
    said = str(cause) if cause else f"{error['msg']}, not {given!r}"
    return f"{name}: {said}" if name else said
