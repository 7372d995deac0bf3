"""The commands that only look: list, status, trials, show, why, logs, best, follow.

Only argparse is imported here, so that `--help` answers at once; what the commands do lies in
`listing`, `answers`, `trial_list`, `explaining`, `logs` and `following`.
"""

from __future__ import annotations

import argparse
import importlib
import re
from collections.abc import Callable, Sequence

from orchestrator.cli.collecting import without_collecting
from orchestrator.cli.outputs import answered
from orchestrator.cli.parser import EXPERIMENT, Parser
from orchestrator.cli.quantities import whole
from orchestrator.errors import UsageError

_DESCRIPTIONS = {
    "list": "All searches here, or in a database.",
    "status": "How a search stands.",
    "trials": "The trials of a search, one line each.",
    "show": "One trial with everything that is known of it.",
    "why": "Why a trial waits, failed or was tried again, and what you can do; without a trial,\nwhy the "
    "search stands as it does.",
    "logs": "What the program of a trial printed.",
    "best": "The best trial, or the Pareto front.",
    "follow": "The live view of a search, until it has ended; q leaves it, ? names the keys.",
}
_EXAMPLES = {
    "list": [
        "headway list",
        "headway list 'net-*' --status running --sort created_at --reverse --limit 5",
        "headway list --group 2030_05 --output searches.csv",
        "headway list --db_url @url.txt --json",
    ],
    "status": ["headway status", "headway status first/2 --output status.json"],
    "trials": [
        "headway trials first",
        "headway trials first --status failed --sort ended_at --reverse",
        "headway trials first --sort RESULT --limit 10 --json",
        "headway trials first --host 'node[3-5]' --failure out_of_memory,node",
        "headway trials first --sort run_seconds --reverse --output trials.csv",
    ],
    "show": ["headway show 7", "headway show first/2 7 --output trial7.json"],
    "why": [
        "headway why",
        "headway why 7",
        "headway why first/2 7 --json",
        "headway why first 7 --ticket > ticket.txt",
    ],
    "logs": ["headway logs 7", "headway logs first 7 -f", "headway logs first 7 --attempt 1"],
    "best": ["headway best first", "headway best first --pareto --json"],
    "follow": ["headway follow", "headway follow first --once"],
}
_WITH_TRIAL = frozenset({"show", "why", "logs"})
# Without a trial it says why the search stands as it does.
_TRIAL_MAY_MISS = frozenset({"why"})


def run(name: str, words: list[str]) -> int:
    """Run one of the commands and return its exit code.

    Raises:
        UsageError: It cannot be called like this, or what it asks for is not there.
        HeadwayError: There is no answer.
        DatabaseError: The database does not answer any more.
    """
    given = parse(name, words)
    with without_collecting():
        body = _body(name)
    return answered(given, body)


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
        metavar = "[EXP] [TRIAL]" if name in _TRIAL_MAY_MISS else "[EXP] TRIAL"
        parser.add_argument("words", nargs="*", metavar=metavar, help=EXPERIMENT)
    elif name != "list":
        parser.add_argument("experiment", nargs="?", metavar="EXP", help=EXPERIMENT)
    _OPTIONS[name](parser)
    parser.add_places()
    return parser


def _list(parser: Parser) -> None:
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="only the runs of this name; 'net-*' is a pattern"
    )
    parser.add_argument("--group", metavar="G", help="only the searches of this group")
    parser.add_argument(
        "--status",
        metavar="S",
        help="only these, separated by commas: running, finished, stopped, failed, …",
    )
    parser.add_argument(
        "--sort",
        metavar="COLUMN",
        help="name, status, created_at, ended_at, total, completed, failed, owner, group, … "
        "(default: the one started last at the end)",
    )
    _add_order(parser)
    parser.add_argument("--limit", metavar="N", type=whole(1), help="so many at most")
    parser.add_json()


def _add_order(parser: Parser) -> None:
    parser.add_argument("--reverse", action="store_true", help="the other way round")


def _trials(parser: Parser) -> None:
    parser.add_argument(
        "--status",
        metavar="S",
        help="only these, separated by commas: completed, failed, running, waiting, …",
    )
    parser.add_argument(
        "--host",
        metavar="H",
        help="only those that were tried on this host, or on several: node1,node[3-5]",
    )
    parser.add_argument(
        "--failure",
        metavar="CLASS",
        help="only those with an attempt that failed so: program, timeout, out_of_memory, node, …",
    )
    parser.add_argument(
        "--generator", metavar="G", help="only those that this generator proposed: SOBOL, TPE, …"
    )
    parser.add_argument(
        "--sort",
        metavar="COLUMN",
        default="trial",
        help="trial, status, created_at, started_at, ended_at, run_seconds, host, attempts, "
        "exit_code, failure, generator, a parameter, or a result (its best value first)",
    )
    _add_order(parser)
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


def _why(parser: Parser) -> None:
    parser.add_argument(
        "--ticket",
        action="store_true",
        help="one block of text for a support ticket: versions, jobs, hosts, evidence, log",
    )
    parser.add_json()


def _follow(parser: Parser) -> None:
    parser.add_argument("--once", action="store_true", help="print one frame and end")


_OPTIONS: dict[str, Callable[[Parser], None]] = {
    "list": _list,
    "status": Parser.add_json,
    "trials": _trials,
    "show": Parser.add_json,
    "why": _why,
    "logs": _logs,
    "best": _best,
    "follow": _follow,
}


def _split_trial(name: str, given: argparse.Namespace) -> None:
    """Tell `[EXP] TRIAL` apart: a lone word is the trial; for `why` also the experiment."""
    words: list[str] = given.words
    is_needed = name not in _TRIAL_MAY_MISS
    if len(words) > 2:  # noqa: PLR2004 - [EXP] TRIAL
        raise UsageError(f"{name}: one word too many: {words[2]!r}.", f"See headway {name} --help")
    if not words and is_needed:
        raise UsageError(f"{name}: needs the number of a trial.", "`headway trials` lists them.")
    last = words[-1] if words else ""
    has_trial = re.fullmatch(r"[0-9]{1,9}", last) is not None
    if not has_trial and (is_needed or len(words) > 1):
        raise UsageError(
            f"{name}: {last!r} is not the number of a trial, such as 7.",
            "`headway trials` lists them.",
        )
    given.trial = int(last) if has_trial else None
    before = words[:-1] if has_trial else words
    given.experiment = before[0] if before else None


def _body(name: str) -> Callable[[argparse.Namespace], int]:
    module, function = _BODIES[name]
    found: Callable[[argparse.Namespace], int] = getattr(
        importlib.import_module(f"orchestrator.cli.{module}"), function
    )
    return found


_BODIES = {
    "list": ("listing", "list_experiments"),
    "status": ("answers", "status"),
    "trials": ("trial_list", "trials"),
    "show": ("answers", "show"),
    "why": ("explaining", "why"),
    "best": ("answers", "best"),
    "logs": ("logs", "logs"),
    "follow": ("following", "follow"),
}
