"""`headway generators`: the models that propose points, and which of them are installed.

Only argparse is imported until the words have been read.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from orchestrator.cli.outputs import answer, answered
from orchestrator.cli.parser import Parser

_COLUMNS = ("name", "what", "learns", "linear_constraints", "installed", "install")


def run(name: str, words: list[str]) -> int:
    """Run the command and return its exit code.

    Raises:
        UsageError: It cannot be called like this.
    """
    return answered(make_parser(name).parse(words), show)


def make_parser(name: str) -> Parser:
    """Make the parser of the command."""
    parser = Parser(
        name,
        "The models that propose points, for --model and --generation_strategy of `headway run`.",
        ("headway generators", "headway generators --json"),
    )
    parser.add_json()
    return parser


def show(given: argparse.Namespace) -> int:
    """Print one row a generator."""
    found = list(rows())
    answer(given, found, say=lambda: _say(found))
    return 0


def rows() -> Iterator[dict[str, Any]]:
    """Go through the generators, as `--json` tells them."""
    from orchestrator.generators import strategy

    for name, kind, aliases in strategy.kinds():
        is_installed = kind.is_installed()
        yield {
            "name": name,
            "aliases": aliases,
            "what": kind.says,
            "learns": kind.is_model,
            "linear_constraints": kind.takes_linear,
            "several_objectives": True,
            "installed": is_installed,
            "packages": list(kind.packages),
            "install": None if is_installed else f"pip install 'headway[{kind.extra}]'",
            "default": name == strategy.resolve_model(strategy.AUTO),
        }


def _say(found: list[dict[str, Any]]) -> None:
    import sys

    from orchestrator.generators.strategy import not_yet
    from orchestrator.reports.tables import print_rows

    shown = [{**row, "name": "/".join([row["name"], *row["aliases"]])} for row in found]
    columns = [name for name in _COLUMNS if any(row[name] is not None for row in shown)]
    print_rows(shown, columns, stream=sys.stdout)
    (default,) = (row["name"] for row in found if row["default"])
    print(f"--model auto, the default, is {default} here. All take several objectives.")
    print(f"Later: {', '.join(not_yet())}.")
