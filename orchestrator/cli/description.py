"""Describes all commands in Markdown: the end of docs/commands.md.

    python -m orchestrator.cli.description docs/commands.md

writes that part anew, from the parsers and the tables of fields; what stands above the mark stays.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from db.description import fill_below
from orchestrator.cli.answer_fields import ANSWERS, Answer
from orchestrator.cli.commands import COMMANDS
from orchestrator.cli.parsers import all_parsers

MARK = "<!-- From here on written by `make docs`, from the parsers in orchestrator/cli. -->"
# The same for every command that has them, and told once above the mark.
_EVERYWHERE = frozenset({"--help", "--json", "--output", "--run_dir", "--db_url"})


def render() -> str:
    """Return the description of all commands."""
    parsers = list(all_parsers())
    blocks = [_overview(parsers)]
    for name, parser in parsers:
        blocks += _command(name, parser)
    return "\n\n".join(blocks) + "\n"


def _overview(parsers: Iterable[tuple[str, argparse.ArgumentParser]]) -> str:
    rows = ["| command | does |", "| --- | --- |"]
    for name, parser in parsers:
        said = COMMANDS[name].help if name in COMMANDS else _sentence(parser).rstrip(".")
        rows.append(f"| [`headway {name}`](#headway-{name.replace(' ', '-')}) | {_cell(said)} |")
    return "\n".join(rows)


def _sentence(parser: argparse.ArgumentParser) -> str:
    return " ".join((parser.description or "").split())


def _command(name: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    yield f"## headway {name}"
    yield _sentence(parser)
    yield f"```text\n{_usage(name, parser)}\n```"
    groups: dict[str, list[str]] = {}
    for group in parser._action_groups:
        title = "" if group.title in _PLAIN else f"**{group.title}**"
        rows = [_row(action) for action in group._group_actions if _is_own(action)]
        groups.setdefault(title, []).extend(rows)
    for title, rows in groups.items():
        if rows:
            yield "\n".join([*([title, ""] if title else []), "| | |", "| --- | --- |", *rows])
    common = [f"`{option}`" for option in sorted(_EVERYWHERE - {"--help"}) if _has(parser, option)]
    if common:
        yield f"Also {', '.join(common)}, as [above](#options-that-many-commands-have)."
    yield from _examples(parser)
    for key, answer in ANSWERS.items():
        command, _, case = key.partition(": ")
        if command == name:
            yield from _answer(answer, case)


# Groups that argparse makes by itself.
_PLAIN = ("positional arguments", "options")


def _usage(name: str, parser: argparse.ArgumentParser) -> str:
    if parser.usage is not None:
        return " ".join(parser.usage.split())
    words = ["headway", name]
    for action in parser._actions:
        if not action.option_strings:
            words.append(_positional(action))
        elif action.required:
            words += [action.option_strings[-1], _value(action)]
    return " ".join([*words, "[option ...]"])


def _positional(action: argparse.Action) -> str:
    shown = _value(action)
    if action.nargs == "*" and "[" not in shown:
        return f"[{shown} ...]"
    if action.nargs == "+":
        return f"{shown} [{shown} ...]"
    return f"[{shown}]" if action.nargs == "?" else shown


def _value(action: argparse.Action) -> str:
    return str(action.metavar or action.dest.upper())


def _is_own(action: argparse.Action) -> bool:
    return not _EVERYWHERE & set(action.option_strings) and action.help != argparse.SUPPRESS


def _has(parser: argparse.ArgumentParser, option: str) -> bool:
    return any(option in action.option_strings for action in parser._actions)


def _row(action: argparse.Action) -> str:
    if action.option_strings:
        value = "" if action.nargs == 0 else f" {_value(action)}"
        shown = [f"{option}{value}" for option in action.option_strings]
    else:
        shown = [_positional(action)]
    named = ", ".join(f"`{_cell(one)}`" for one in shown)
    return f"| {named} | {_cell((action.help or '').replace('%%', '%'))} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _examples(parser: argparse.ArgumentParser) -> Iterator[str]:
    _, found, text = (parser.epilog or "").partition("examples:\n")
    if found:
        lines = [line.removeprefix("  ") for line in text.rstrip().splitlines()]
        yield "\n".join(["```text", *lines, "```"])


def _answer(answer: Answer, case: str) -> Iterator[str]:
    shape = "a list of objects, each with" if answer.is_list else "an object with"
    note = f" {answer.note}" if answer.note else ""
    begin = f"{case.capitalize()}, `--json`" if case else "`--json`"
    yield f"{begin} gives {shape} these fields.{note}"
    rows = ["| field | kind | |", "| --- | --- | --- |"]
    for name, said in answer.fields.items():
        kind, _, meaning = said.partition(": ")
        rows.append(f"| `{name}` | {kind} | {_cell(meaning)} |")
    yield "\n".join(rows)


def fill(page: str) -> str:
    """Return the page with the part below the mark written anew."""
    return fill_below(MARK, page, render())


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.write_text(fill(target.read_text(encoding="utf-8")), encoding="utf-8")
