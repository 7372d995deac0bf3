"""The parser of every command but `run`: argparse with errors of one line and near misses."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NoReturn

from orchestrator.errors import UsageError, did_you_mean

EXPERIMENT = "NAME (its latest run), NAME/N or a run folder (default: the latest run here)"


class Parser(argparse.ArgumentParser):
    """argparse, but an error is a UsageError of one line that begins with the command."""

    def __init__(self, name: str, description: str, examples: Sequence[str]) -> None:
        super().__init__(
            prog=f"headway {name}",
            description=description,
            epilog="\n".join(["examples:", *(f"  {example}" for example in examples)]),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self._name = name
        self._has_answer = False

    def error(self, message: str) -> NoReturn:
        """Raise what argparse found wrong."""
        raise UsageError(f"{self._name}: {message.removeprefix('argument ')}")

    def add_json(self) -> None:
        """Add the options that give the answer to programs; `outputs.answered` heeds them."""
        self.add_argument(
            "--json", action="store_true", help="JSON; docs/commands.md names its fields"
        )
        self.add_argument(
            "--output",
            metavar="FILE",
            help="write the answer to this file, which appears whole or not at all: .json, .csv or "
            ".txt",
        )
        self._has_answer = True

    def add_run_dir(self) -> None:
        """Add the option that says where runs are looked for."""
        self.add_argument("--run_dir", metavar="FOLDER", help="folder of all runs (default: runs)")

    def add_places(self) -> None:
        """Add the options that say where experiments are kept."""
        self.add_run_dir()
        self.add_argument(
            "--db_url", metavar="URL", help="database, or @FILE (default: HEADWAY_DB_URL)"
        )

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """Read the words after the command; options may have hyphens or underscores.

        Raises:
            UsageError: It names what is wrong.
            SystemExit: After `--help`.
        """
        given, unknown = self.parse_known_args([_with_underscores(word) for word in words])
        if unknown:
            options = [text for action in self._actions for text in action.option_strings]
            hint = did_you_mean(unknown[0], options) or f"See headway {self._name} --help"
            kind = "there is no option" if unknown[0].startswith("-") else "one word too many:"
            raise UsageError(f"{self._name}: {kind} {unknown[0]!r}.", hint)
        if self._has_answer:
            from orchestrator.cli.outputs import check_output

            check_output(given)
        return given


def _with_underscores(word: str) -> str:
    """Turn `--db-url=x` into `--db_url=x`."""
    if not word.startswith("--"):
        return word
    name, equals, value = word.partition("=")
    return "--" + name[2:].replace("-", "_") + equals + value
