"""`headway tune`: change a search while it runs."""

from __future__ import annotations

from orchestrator.cli.option_table import MOST_PARALLEL
from orchestrator.cli.parser import EXPERIMENT, Parser
from orchestrator.cli.quantities import whole
from orchestrator.errors import UsageError

OPTIONS = ("num_parallel_jobs", "max_eval")


def run(name: str, words: list[str]) -> int:
    """Run `headway tune` and return its exit code.

    Raises:
        UsageError: Nothing is to be changed, the head says no, or there is none.
        HeadwayError: The head has not taken note in time.
    """
    from db.spool.commands import MOST_TRIALS, RequestKind, new_request
    from orchestrator.cli.asking import HeadGoneError, ask, living_head
    from orchestrator.cli.places import find

    given = make_parser(name).parse(words)
    wanted = {option: vars(given)[option] for option in OPTIONS if vars(given)[option] is not None}
    if not wanted:
        raise UsageError("tune: say what to change: --num_parallel_jobs N, --max_eval N, or both.")
    if wanted.get("max_eval", 0) > MOST_TRIALS:
        raise UsageError(
            f"--max_eval: {wanted['max_eval']} is too many; give {MOST_TRIALS} or less."
        )
    place = find(given.experiment, run_root=given.run_dir, db_url=given.db_url)
    asked = " ".join(f"--{option} {number}" for option, number in wanted.items())
    gone = UsageError(
        f"tune: no head of {place.label} is alive.",
        f"`headway resume {place.label} {asked}` goes on like that.",
    )
    host = living_head(place)
    if host is None:
        raise gone
    request = new_request(RequestKind.TUNE, **wanted)
    try:
        ask(place, request, command="tune", wait_seconds=given.wait)
    except HeadGoneError:
        raise gone from None
    told = " and ".join(_SAYS[option].format(number) for option, number in wanted.items())
    print(f"{place.label}: {told} (the head on {host} has taken note)")
    if "num_parallel_jobs" in wanted:
        print("What runs goes on; jobs that wait beyond that are held or taken back.")
    return 0


_SAYS = {"num_parallel_jobs": "{} trials at once", "max_eval": "{} trials in all"}


def make_parser(name: str) -> Parser:
    """Make the parser of `headway tune`."""
    parser = Parser(
        name,
        "Change how many trials of a search run at once, or how many there are in all, while it\n"
        "runs; from any login node. Without a living head, `headway resume` takes the same options.",
        (
            "headway tune first --num_parallel_jobs 50",
            "headway tune first/2 --max_eval 400 --num_parallel_jobs 8",
        ),
    )
    parser.add_argument("experiment", nargs="?", metavar="EXP", help=EXPERIMENT)
    parser.add_argument(
        "--num_parallel_jobs",
        metavar="N",
        type=whole(1, MOST_PARALLEL),
        help="trials that run at once at most from now on",
    )
    parser.add_argument(
        "--max_eval", metavar="N", type=whole(1), help="number of trials in all, failed ones too"
    )
    add_wait(parser)
    parser.add_places()
    return parser


def add_wait(parser: Parser) -> None:
    """Add the option that says how long to wait for the head."""
    parser.add_argument(
        "--wait",
        metavar="SECONDS",
        type=whole(1, 86400),
        default=60,
        help="how long to wait until the head has taken note (default: 60)",
    )
