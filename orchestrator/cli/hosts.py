"""`headway hosts`: what is thought of hosts, and keeping them out or letting them in by hand.

Only argparse is imported here, so that `--help` answers at once; what the commands do lies in
`host_answers` and `excluding`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import NamedTuple

from orchestrator.cli.outputs import answered
from orchestrator.cli.parser import Parser
from orchestrator.cli.quantities import hours, text, whole
from orchestrator.errors import UsageError, did_you_mean


class _Command(NamedTuple):
    """One command on hosts; "" is the one that shows them."""

    help: str
    examples: tuple[str, ...]
    add_options: Callable[[Parser], None]


_HOSTS = "node name, or several as Slurm writes them: node[1-3]"
_WHERE = (
    "whose database is meant: NAME (its latest run), NAME/N or a run folder (default: the "
    "database of --db_url or HEADWAY_DB_URL, else that of the latest run here)"
)


def _show(parser: Parser) -> None:
    parser.add_argument(
        "experiment",
        nargs="?",
        metavar="EXP",
        help="only its attempts: NAME (its latest run), NAME/N or a run folder (default: all of "
        "the database of --db_url or HEADWAY_DB_URL, else the latest run here)",
    )
    parser.add_argument(
        "--state",
        metavar="S",
        help="only these, separated by commas: excluded, suspect, parole, good",
    )
    parser.add_argument(
        "--sort",
        metavar="COLUMN",
        help="host, state, tried, running, succeeded, failed, probability, since_at, until_at "
        "(default: those that are out, then where most failed)",
    )
    parser.add_argument("--reverse", action="store_true", help="the other way round")
    parser.add_argument("--limit", metavar="N", type=whole(1), help="so many at most")
    parser.add_json()


def _exclude(parser: Parser) -> None:
    parser.add_argument("hosts", nargs="+", metavar="HOST", help=_HOSTS)
    parser.add_argument("--reason", metavar="R", type=text, required=True, help="why, for others")
    parser.add_argument(
        "--hours", metavar="H", type=hours, help="for how long (default: until it is included)"
    )
    parser.add_argument("--experiment", metavar="EXP", help=_WHERE)


def _include(parser: Parser) -> None:
    parser.add_argument("hosts", nargs="+", metavar="HOST", help=_HOSTS)
    parser.add_argument(
        "--reason", metavar="R", type=text, default="let in again by hand", help="why, for others"
    )
    parser.add_argument("--experiment", metavar="EXP", help=_WHERE)


COMMANDS = {
    "": _Command(
        "Hosts: how trials ended there, how likely each is defective, and which are kept\n"
        "out. `headway hosts exclude` and `headway hosts include` change that.",
        (
            "headway hosts",
            "headway hosts first --state excluded,suspect --json",
            "headway hosts --sort failed --reverse --limit 10",
            "headway hosts exclude --help",
        ),
        _show,
    ),
    "exclude": _Command(
        "Keep hosts out of the new jobs of all experiments of a database.",
        (
            "headway hosts exclude node7 --reason 'GPU 2 is broken, ticket 4711' --hours 24",
            "headway hosts exclude node[3-5] --reason maintenance --db_url @url.txt",
        ),
        _exclude,
    ),
    "include": _Command(
        "Let hosts in again that are kept out, suspect or on parole.",
        ("headway hosts include node7", "headway hosts include node7 --reason 'repaired'"),
        _include,
    ),
}


def run(name: str, words: list[str]) -> int:
    """Run `headway hosts …` and return its exit code.

    Raises:
        UsageError: It cannot be called like this, or what it asks for is not there.
        HeadwayError: There is no answer.
        DatabaseError: The database does not answer any more.
    """
    del name
    command = words[0] if words and words[0] in COMMANDS else ""
    if not command and len(words) > 1 and not any(word.startswith("-") for word in words[:2]):
        # The command that shows them takes one word: the first of two was to be another command.
        hint = did_you_mean(words[0], filter(None, COMMANDS)) or "See headway hosts --help"
        raise UsageError(f"hosts {words[0]}: there is no such command.", hint)
    given = make_parser(command).parse(words[1:] if command else words)
    return answered(given, _bodies()[command])


def make_parser(name: str) -> Parser:
    """Make the parser of one command on hosts; "" is the one that shows them."""
    command = COMMANDS[name]
    parser = Parser(f"hosts {name}".strip(), command.help, command.examples)
    command.add_options(parser)
    parser.add_places()
    return parser


def _bodies() -> dict[str, Callable[[argparse.Namespace], int]]:
    from orchestrator.cli import excluding, host_answers

    return {"": host_answers.show, "exclude": excluding.exclude, "include": excluding.include}
