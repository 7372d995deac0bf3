"""`headway run` and `headway resume`: read the words, check them, and lead the run.

What is heavy is imported when the words have been read: `--help` and a typing error answer at once.
"""

from __future__ import annotations

import argparse
import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.cli.collecting import without_collecting
from orchestrator.cli.options import parse_run
from orchestrator.cli.parser import EXPERIMENT, Parser
from orchestrator.cli.quantities import whole
from orchestrator.errors import UsageError

if TYPE_CHECKING:
    from orchestrator.app.runs import Run
    from orchestrator.cli.requests import RunRequest


def run(name: str, words: list[str]) -> int:
    """Run the command `run` or `resume` and return its exit code."""
    with without_collecting():
        return _run(parse_run(words)) if name == "run" else _resume(_parse_resume(words))


def _run(given: argparse.Namespace) -> int:
    from orchestrator.cli.requests import read_request
    from orchestrator.cluster.slurm import is_here

    request = read_request(given, os.environ, Path.cwd(), has_slurm=is_here)
    return _show(request) if request.dryrun else _start(request)


def _show(request: RunRequest) -> int:
    from orchestrator.app.heads import make_cluster
    from orchestrator.cli.plans import show_plan

    show_plan(request, make_cluster(request.spec))
    return 0


def _start(request: RunRequest) -> int:
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
            show_generations = request.show_generate_time_table
            return lead(made, cluster, generators, show_generations=show_generations)


def _resume(given: argparse.Namespace) -> int:
    from orchestrator.app.owning import wait_for_file
    from orchestrator.app.runs import open_run
    from orchestrator.cli.places import DATABASE_FILE, find

    place = find(given.experiment, run_root=given.run_dir, db_url=given.db_url)
    if place.other_host is not None:
        wait_for_file(place.run_dir / DATABASE_FILE, tell=_say)
        place = find(given.experiment, run_root=given.run_dir, db_url=given.db_url)
    with contextlib.closing(open_run(place.db_url, place.experiment_id)) as resumed:
        return _go_on(resumed, max_eval=given.max_eval)


def _go_on(resumed: Run, *, max_eval: int | None) -> int:
    from orchestrator.app.generating import start_generators
    from orchestrator.app.heads import make_cluster
    from orchestrator.app.owning import wait_for_run
    from orchestrator.cli.leading import lead
    from orchestrator.cli.notices import storage_notices

    wait_for_run(resumed, tell=_say)
    if max_eval is not None:
        resumed = _with_goal(resumed, max_eval)
    with contextlib.closing(start_generators(resumed.spec)) as generators:
        cluster = make_cluster(resumed.spec, is_new=False)
        for notice in storage_notices(resumed.db_url, resumed.run_dir):
            print(f"note: {notice}", flush=True)
        print(f"{resumed.label} in {resumed.run_dir}: going on", flush=True)
        return lead(resumed, cluster, generators, show_generations=False)


def _say(text: str) -> None:
    print(f"note: {text}", flush=True)


def _with_goal(resumed: Run, max_eval: int) -> Run:
    from db.states import TrialStatus
    from orchestrator.app.heads import count_trials
    from orchestrator.app.runs import change_goal

    counts = count_trials(resumed)
    done = sum(counts.get(status, 0) for status in (TrialStatus.COMPLETED, TrialStatus.FAILED))
    if max_eval < done:
        raise UsageError(
            f"--max_eval: {max_eval} is less than the {done} trials that have ended already"
        )
    return change_goal(resumed, max_eval)


def _parse_resume(words: list[str]) -> argparse.Namespace:
    parser = Parser(
        "resume",
        "Go on after a crash, a stop, or with more trials; nothing is repeated.",
        ("headway resume", "headway resume first --max_eval 40"),
    )
    parser.add_argument("experiment", nargs="?", metavar="EXP", help=EXPERIMENT)
    parser.add_argument("--max_eval", metavar="N", type=whole(1), help="another goal")
    parser.add_places()
    return parser.parse(words)
