"""`headway run` and `headway resume`: read the words, check them, and lead the run.

What is heavy is imported when the words have been read: `--help` and a typing error answer at once.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.cli.collecting import without_collecting
from orchestrator.cli.detaching import (
    CHANGEABLE,
    is_elsewhere,
    resume_elsewhere,
    start_elsewhere,
)
from orchestrator.cli.option_table import MOST_PARALLEL
from orchestrator.cli.parser import EXPERIMENT, Parser
from orchestrator.cli.quantities import whole
from orchestrator.cli.sources import read_sources
from orchestrator.errors import HeadAliveError, UsageError

if TYPE_CHECKING:
    from orchestrator.app.runs import Run
    from orchestrator.cli.requests import RunRequest
    from orchestrator.cli.sources import Sources


def run(name: str, words: list[str]) -> int:
    """Run the command `run` or `resume` and return its exit code."""
    with without_collecting():
        return _run(words) if name == "run" else _resume(_resume_parser().parse(words))


def _run(words: list[str]) -> int:
    sources = read_sources(words, os.environ, Path.cwd())
    from orchestrator.cli.requests import read_request
    from orchestrator.cluster.slurm import is_here

    request = read_request(sources, Path.cwd(), has_slurm=is_here)
    if request.options.dump_config:
        return _dump(sources, request)
    return _show(request) if request.options.dryrun else _start(request)


def _dump(sources: Sources, request: RunRequest) -> int:
    from orchestrator.cli.dumping import dumped

    for notice in request.notices:
        print(f"note: {notice}", file=sys.stderr)
    print(dumped(sources.settings, request), end="")
    return 0


def _show(request: RunRequest) -> int:
    from orchestrator.app.heads import make_cluster
    from orchestrator.cli.plans import show_plan

    show_plan(request, make_cluster(request.spec))
    return 0


def _start(request: RunRequest) -> int:
    if is_elsewhere(request.options):
        return start_elsewhere(request)
    from orchestrator.app.generating import start_generators

    # Before anything else is imported: the model's library takes longest.
    with contextlib.closing(start_generators(request.spec)) as generators:
        from orchestrator.app.heads import make_cluster
        from orchestrator.app.runs import set_up
        from orchestrator.app.snapshot import still_named
        from orchestrator.cli.leading import lead

        cluster = make_cluster(request.spec)
        made = set_up(request.spec, db_url=request.db_url, run_root=request.run_root)
        with contextlib.closing(made):
            for notice in request.notices:
                print(f"note: {notice}", flush=True)
            for path in still_named(made.spec, made.run_dir):
                print(f"note: --snapshot: the program still names the original {path}", flush=True)
            print(f"{made.label} in {made.run_dir}", flush=True)
            show_generations = request.options.show_generate_time_table
            return lead(made, cluster, generators, show_generations=show_generations)


def _resume(given: argparse.Namespace) -> int:
    try:
        return _resume_here(given)
    except HeadAliveError as error:
        if not given.if_needed:
            raise
        _say(f"nothing to do: {error.message}")
        return 0


def _resume_here(given: argparse.Namespace) -> int:
    from orchestrator.app.owning import wait_for_file
    from orchestrator.app.runs import open_run
    from orchestrator.cli.places import DATABASE_FILE, find

    place = find(given.experiment, run_root=given.run_dir, db_url=given.db_url)
    if place.other_host is not None:
        wait_for_file(place.run_dir / DATABASE_FILE, tell=_say)
        place = find(given.experiment, run_root=given.run_dir, db_url=given.db_url)
    with contextlib.closing(open_run(place.db_url, place.experiment_id)) as resumed:
        return _go_on(resumed, given)


def _go_on(resumed: Run, given: argparse.Namespace) -> int:
    from orchestrator.app.chains import as_automatic, why_over
    from orchestrator.app.generating import start_generators
    from orchestrator.app.heads import make_cluster
    from orchestrator.app.owning import wait_for_run
    from orchestrator.cli.leading import lead
    from orchestrator.cli.notices import storage_notices

    wait_for_run(resumed, tell=_say)
    if given.if_needed:
        why = why_over(resumed)
        if why is not None:
            _say(f"nothing to do for {resumed.label}: {why}")
            return 0
        resumed = as_automatic(resumed)
    if is_elsewhere(given):
        return resume_elsewhere(resumed, given)
    resumed = _changed(resumed, given)
    with contextlib.closing(start_generators(resumed.spec)) as generators:
        cluster = make_cluster(resumed.spec, is_new=False)
        for notice in storage_notices(resumed.db_url, resumed.run_dir):
            print(f"note: {notice}", flush=True)
        print(f"{resumed.label} in {resumed.run_dir}: going on", flush=True)
        return lead(resumed, cluster, generators, show_generations=False)


def _say(text: str) -> None:
    print(f"note: {text}", flush=True)


def _changed(resumed: Run, given: argparse.Namespace) -> Run:
    """Let a run go on with other numbers, where some were given."""
    from orchestrator.app.runs import change

    asked = {name: vars(given)[name] for name in CHANGEABLE}
    updates = {name: number for name, number in asked.items() if number is not None}
    if "max_eval" in updates:
        _check_goal(resumed, updates["max_eval"])
    return change(resumed, updates) if updates else resumed


def _check_goal(resumed: Run, max_eval: int) -> None:
    from db.states import TrialStatus
    from orchestrator.app.heads import count_trials

    counts = count_trials(resumed)
    done = sum(counts.get(status, 0) for status in (TrialStatus.COMPLETED, TrialStatus.FAILED))
    if max_eval < done:
        raise UsageError(
            f"--max_eval: {max_eval} is less than the {done} trials that have ended already"
        )


def make_parser(name: str) -> argparse.ArgumentParser:
    """Make the parser of `run` or `resume`, for the help, the documents and completion."""
    if name == "run":
        from orchestrator.cli.options import make_parser as make_run_parser

        return make_run_parser()
    return _resume_parser()


def _resume_parser() -> Parser:
    parser = Parser(
        "resume",
        "Go on after a crash, a stop, or with more trials; nothing is repeated.",
        ("headway resume", "headway resume first --max_eval 40"),
    )
    parser.add_argument("experiment", nargs="?", metavar="EXP", help=EXPERIMENT)
    parser.add_argument("--max_eval", metavar="N", type=whole(1), help="another goal")
    parser.add_argument(
        "--num_parallel_jobs",
        metavar="N",
        type=whole(1, MOST_PARALLEL),
        help="another number of trials at once",
    )
    parser.add_argument(
        "--if_needed",
        action="store_true",
        help="only if its head was cut off; exit code 0 if there is nothing to do (for cron)",
    )
    parser.add_argument("--detach", action="store_true", help="head in the background")
    parser.add_argument(
        "--head",
        choices=("here", "slurm"),
        default="here",
        help="slurm: the head is a job of its own that continues itself (default: here)",
    )
    parser.add_places()
    return parser
