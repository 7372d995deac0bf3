"""`headway db …`: the commands on the store itself. A command's module is imported when called."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable
from typing import NamedTuple

from orchestrator.cli.outputs import answered
from orchestrator.cli.parser import EXPERIMENT, Parser
from orchestrator.errors import UsageError, did_you_mean


class _Command(NamedTuple):
    """One command on the store.

    Attributes:
        module: Where its body lives in this package; the function has the command's name.
        help: What it does, in a sentence.
        examples: How it is called.
        add_options: Adds its own words and options.
    """

    module: str
    help: str
    examples: tuple[str, ...]
    add_options: Callable[[Parser], None]


_DATABASE = (
    "NAME (its latest run), NAME/N, a run folder, an SQLite file, a URL, or @FILE with a URL in it "
    "(default: the database of --db_url or HEADWAY_DB_URL, else the latest run here)"
)


def _experiment(parser: Parser) -> None:
    parser.add_argument("experiment", nargs="?", metavar="EXP", help=EXPERIMENT)
    parser.add_json()
    parser.add_places()


def _database(parser: Parser) -> None:
    parser.add_argument("experiment", nargs="?", metavar="EXP", help=_DATABASE)
    parser.add_json()
    parser.add_places()


def _copy(parser: Parser) -> None:
    parser.add_argument(
        "source", metavar="SRC", help="NAME, NAME/N, a run folder, an SQLite file, a URL, or @FILE"
    )
    parser.add_argument("target", metavar="DST", help="a file, a URL, or @FILE with a URL in it")
    parser.add_argument(
        "--experiment", metavar="EXP", help="only this one (default: all that SRC holds)"
    )
    parser.add_json()
    parser.add_run_dir()


COMMANDS = {
    "info": _Command(
        "schema",
        "What a database is and holds: system, schema, experiments, rows, bytes.",
        ("headway db info", "headway db info --db_url @url.txt --json"),
        _database,
    ),
    "upgrade": _Command(
        "schema",
        "Bring a database to the schema of this Headway.",
        ("headway db upgrade first", "headway db upgrade --db_url @url.txt"),
        _database,
    ),
    "check": _Command(
        "checking",
        "Check that what the database says fits together; exit code 1 if it does not.",
        ("headway db check first", "headway db check all.db", "headway db check @url.txt --json"),
        _database,
    ),
    "copy": _Command(
        "copying",
        "Copy experiments into another database; a second copy adds and changes what is new.",
        (
            "headway db copy first sqlite:////data/all.db",
            "headway db copy @all.txt @server.txt --experiment first/2",
        ),
        _copy,
    ),
    "replay": _Command(
        "replaying",
        "Ask a fresh generator everything again and compare its points with those on record.",
        ("headway db replay first", "headway db replay first/2 --json"),
        _experiment,
    ),
}


def run(name: str, words: list[str]) -> int:
    """Run `headway db …` and return its exit code.

    Raises:
        UsageError: It cannot be called like this, or what it asks for is not there.
        HeadwayError: There is no answer.
        DatabaseError: The database does not answer any more.
    """
    if not words or words[0] in {"-h", "--help", "help"}:
        print(_help())
        return 0
    command = COMMANDS.get(words[0])
    if command is None:
        hint = did_you_mean(words[0], COMMANDS) or "`headway db --help` lists them."
        raise UsageError(f"{name} {words[0]}: there is no such command.", hint)
    given = make_parser(words[0]).parse(words[1:])
    module = importlib.import_module(f"orchestrator.cli.{command.module}")
    body: Callable[[argparse.Namespace], int] = getattr(module, words[0])
    return answered(given, body)


def make_parser(name: str) -> Parser:
    """Make the parser of one command on the store."""
    command = COMMANDS[name]
    parser = Parser(f"db {name}", command.help, command.examples)
    command.add_options(parser)
    return parser


def _help() -> str:
    rows = [f"  {name:<8} {command.help}" for name, command in COMMANDS.items()]
    lines = ["usage: headway db COMMAND …", "", "Commands on the database of experiments.", ""]
    return "\n".join([*lines, *rows, "", "`headway db COMMAND --help` tells more."])
