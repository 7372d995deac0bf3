"""The commands that only look: list, status, trials, show, why, logs, best, follow.

Only argparse is imported here, so that `--help` answers at once; what the commands do lies in
`answers`, `explaining`, `logs` and `following`.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence

from orchestrator.cli.collecting import without_collecting
from orchestrator.cli.parser import EXPERIMENT, Parser
from orchestrator.cli.quantities import whole
from orchestrator.errors import UsageError

_DESCRIPTIONS = {
    "list": "All searches here, or in a database.",
    "status": "How a search stands.",
    "trials": "The trials of a search, one line each.",
    "show": "One trial with everything that is known of it.",
    "why": "Why a trial waits, failed or was tried again, and what you can do.",
    "logs": "What the program of a trial printed.",
    "best": "The best trial, or the Pareto front.",
    "follow": "The live view of a search. It ends when the search has ended; Ctrl-C leaves it.",
}
_EXAMPLES = {
    "list": ["headway list --group 2030_05", "headway list --db_url @url.txt --json"],
    "status": ["headway status", "headway status first/2 --json"],
    "trials": [
        "headway trials first",
        "headway trials first --status failed --sort ended_at --reverse",
        "headway trials first --sort RESULT --limit 10 --json",
    ],
    "show": ["headway show 7", "headway show first/2 7 --json"],
    "why": ["headway why 7", "headway why first/2 7 --json"],
    "logs": ["headway logs 7", "headway logs first 7 -f", "headway logs first 7 --attempt 1"],
    "best": ["headway best first", "headway best first --pareto --json"],
    "follow": ["headway follow", "headway follow first --once"],
}
_WITH_TRIAL = frozenset({"show", "why", "logs"})


def run(name: str, words: list[str]) -> int:
    """Run one of the commands and return its exit code.

    Raises:
        UsageError: It cannot be called like this, or what it asks for is not there.
        HeadwayError: There is no answer.
        DatabaseError: The database does not answer any more.
    """
    given = parse(name, words)
    with without_collecting():
        body = _bodies()[name]
    return body(given)


def parse(name: str, words: Sequence[str]) -> argparse.Namespace:
    """Read the words after `headway NAME`.

    Raises:
        UsageError: It names what is wrong.
        SystemExit: After `--help`.
    """
    parser = make_parser(name)
    given = parser.parse(words)
    if name in _WITH_TRIAL:
        _split_trial(name, given)
    return given


def make_parser(name: str) -> Parser:
    """Make the parser of one command."""
    parser = Parser(name, _DESCRIPTIONS[name], _EXAMPLES[name])
    if name in _WITH_TRIAL:
        parser.add_argument("words", nargs="*", metavar="[EXP] TRIAL", help=EXPERIMENT)
    elif name != "list":
        parser.add_argument("experiment", nargs="?", metavar="EXP", help=EXPERIMENT)
    _OPTIONS[name](parser)
    parser.add_places()
    return parser


def _list(parser: Parser) -> None:
    parser.add_argument("--group", metavar="G", help="only the searches of this group")
    parser.add_json()


def _trials(parser: Parser) -> None:
    parser.add_argument(
        "--status",
        metavar="S",
        help="only these, separated by commas: completed, failed, running, waiting, …",
    )
    parser.add_argument(
        "--sort",
        metavar="COLUMN",
        default="trial",
        help="trial, status, created_at, started_at, ended_at, a parameter, or a result (its best "
        "value first)",
    )
    parser.add_argument("--reverse", action="store_true", help="the other way round")
    parser.add_argument(
        "--limit", metavar="N", type=whole(1), help="so many at most (default: 200; all in JSON)"
    )
    parser.add_json()


def _logs(parser: Parser) -> None:
    parser.add_argument("-f", "--follow", action="store_true", help="go on until the attempt ends")
    parser.add_argument("--attempt", metavar="N", type=whole(1), help="default: the last one")


def _best(parser: Parser) -> None:
    parser.add_argument("--pareto", action="store_true", help="all trials that no other one beats")
    parser.add_json()


def _follow(parser: Parser) -> None:
    parser.add_argument("--once", action="store_true", help="print one frame and end")


_OPTIONS: dict[str, Callable[[Parser], None]] = {
    "list": _list,
    "status": Parser.add_json,
    "trials": _trials,
    "show": Parser.add_json,
    "why": Parser.add_json,
    "logs": _logs,
    "best": _best,
    "follow": _follow,
}


def _split_trial(name: str, given: argparse.Namespace) -> None:
    """Tell `[EXP] TRIAL` apart: a lone word is the trial."""
    words: list[str] = given.words
    if len(words) > 2:  # noqa: PLR2004 - [EXP] TRIAL
        raise UsageError(f"{name}: one word too many: {words[2]!r}.", f"See headway {name} --help")
    if not words:
        raise UsageError(f"{name}: needs the number of a trial.", "`headway trials` lists them.")
    given.experiment = words[0] if len(words) > 1 else None
    if not re.fullmatch(r"[0-9]{1,9}", words[-1]):
        raise UsageError(
            f"{name}: {words[-1]!r} is not the number of a trial, such as 7.",
            "`headway trials` lists them.",
        )
    given.trial = int(words[-1])


def _bodies() -> dict[str, Callable[[argparse.Namespace], int]]:
    from orchestrator.cli import answers, explaining, following, logs

    return {
        "list": answers.list_experiments,
        "status": answers.status,
        "trials": answers.trials,
        "show": answers.show,
        "why": explaining.why,
        "best": answers.best,
        "logs": logs.logs,
        "follow": following.follow,
    }
