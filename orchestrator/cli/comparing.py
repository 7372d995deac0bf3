"""`headway compare`: several searches side by side, and in what they differ.

Only argparse is imported here, so that `--help` answers at once; what it does lies in `compare_table`.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.cli.outputs import answered
from orchestrator.cli.parser import EXPERIMENT, Parser
from orchestrator.errors import UsageError

_EXAMPLES = (
    "headway compare first/1 first/2",
    "headway compare first second runs/third/1 --json",
    "headway compare first second --sort cpu_hours --output costs.csv",
    "headway compare first second --db_url @url.txt",
)


def run(name: str, words: Sequence[str]) -> int:
    """Run the command and return its exit code.

    Raises:
        UsageError: It cannot be called like this, or what it asks for is not there.
        DatabaseError: A database does not answer any more.
    """
    given = make_parser(name).parse(words)
    if len(given.experiments) < 2:  # noqa: PLR2004 - one has nothing to be compared with
        raise UsageError(f"{name}: needs two searches or more, for example first/1 first/2")
    from orchestrator.cli import compare_table

    return answered(given, compare_table.compare)


def make_parser(name: str) -> Parser:
    """Make the parser of the command."""
    parser = Parser(name, "Several searches side by side.", _EXAMPLES)
    explained = EXPERIMENT.partition(" (default")[0]
    parser.add_argument("experiments", nargs="*", metavar="EXP", help=explained)
    parser.add_argument(
        "--sort",
        metavar="COLUMN",
        help="cpu_hours, gpu_hours, wall_seconds, median_run_seconds, completed, failed, attempts, "
        "created_at, … (default: as they are named)",
    )
    parser.add_argument("--reverse", action="store_true", help="the other way round")
    parser.add_json()
    parser.add_places()
    return parser
