"""The parsers of all commands, for their page in the documents and for shells.

A module of commands has `make_parser(name)`; one whose commands have commands of their own
(`headway db info`) also has `COMMANDS`, and then the name is theirs, "" for the command alone.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterator
from typing import Any

from orchestrator.cli.commands import COMMANDS


def subcommands(name: str) -> tuple[str, ...]:
    """Return the commands that a command has; none for most, "" for itself."""
    return tuple(getattr(_module(name), "COMMANDS", ()))


def parser_of(name: str, subcommand: str | None = None) -> argparse.ArgumentParser:
    """Make the parser of a command, or of one of its commands.

    Help is laid out in one way everywhere, whatever this process writes to.
    """
    wanted = name if subcommand is None else subcommand
    parser: argparse.ArgumentParser = _module(name).make_parser(wanted)
    parser.formatter_class = _Formatter
    return parser


def all_parsers() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Go through all commands: `list`, `hosts`, `hosts exclude`, each with its parser."""
    for name in COMMANDS:
        for subcommand in subcommands(name) or (None,):
            yield f"{name} {subcommand or ''}".strip(), parser_of(name, subcommand)


def _module(name: str) -> Any:
    return importlib.import_module(f"orchestrator.cli.{COMMANDS[name].module}")


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Plain help of a fixed width: a document is the same wherever it is made."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30, width=100)
