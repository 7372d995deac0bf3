"""What `headway run --dryrun` prints: the plan, the first points, the scripts, and what it costs.

Nothing is submitted and nothing is written.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from db.errors import DatabaseError
from orchestrator.app.generating import FirstPoints, first_points
from orchestrator.cli.costs import Cost, cost_of
from orchestrator.cli.requests import RunRequest
from orchestrator.cli.rule_words import does, fits
from orchestrator.cli.snapshots import measure
from orchestrator.cluster.base import Cluster, Limits, Order
from orchestrator.errors import UsageError
from orchestrator.reports.tables import print_json, print_rows
from orchestrator.reports.texts import duration
from orchestrator.reports.texts import size as bytes_text
from orchestrator.spec.experiment import ExperimentSpec
from orchestrator.spec.rules import Rule
from orchestrator.steps.allowance import USUAL_ARRAY
from worker.placeholders import render

# Stands for the token that a real submission would get.
TOKEN = "0" * 16
# A screen holds so many of the first points; all of them are in the JSON.
_POINTS_SHOWN = 8


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """What a run would do."""

    request: RunRequest
    run_dir: Path
    first: FirstPoints
    order: Order
    script: str
    head_script: str | None
    cost: Cost


def show_plan(request: RunRequest, cluster: Cluster) -> None:
    """Print what a run would do.

    Raises:
        UsageError: The database cannot be used.
        GeneratorError: No point can be made.
    """
    _check_database(request)
    plan = _make_plan(request, cluster)
    if request.options.json:
        print_json(_record(plan, cluster), stream=sys.stdout)
        return
    _print(plan, cluster)
    print("\nNothing was started and nothing was written.", file=sys.stderr)


def _check_database(request: RunRequest) -> None:
    """Ask a server whether it could be used; an SQLite file would be made, and is left alone."""
    if request.db_url is None:
        return
    from db.sql.engine import check_version, is_sqlite
    from db.sql.reach import reach

    if is_sqlite(request.db_url):
        return
    try:
        found = reach(request.db_url, timeout_seconds=request.spec.timing.connect_seconds)
        if found.version is not None:
            check_version(request.db_url, found.version)
    except DatabaseError as error:
        raise UsageError(f"--db_url: {error.message}", error.hint) from error


def _make_plan(request: RunRequest, cluster: Cluster) -> _Plan:
    spec = request.spec
    run_dir = request.run_root / spec.name / "N"
    limits = cluster.limits(spec.resources.partition) if spec.executor == "slurm" else None
    first = first_points(spec)
    order = Order(
        token=TOKEN,
        name=f"hw-{spec.name}-{TOKEN}",
        size=min(len(first.batch.points), USUAL_ARRAY),
        resources=spec.resources,
        run_dir=run_dir,
        log_pattern=f"logs/{TOKEN[:2]}/{TOKEN}_{{index}}.log",
    )
    return _Plan(
        request=request,
        run_dir=run_dir,
        first=first,
        order=order,
        script=cluster.script(order),
        head_script=_head_script(request, run_dir, limits),
        cost=cost_of(spec, limits),
    )


def _head_script(request: RunRequest, run_dir: Path, limits: Limits | None) -> str | None:
    if request.options.head != "slurm":
        return None
    from orchestrator.app.head_job import options_for, script_text

    options = options_for(request.spec, run_dir, limits)
    return script_text(run_dir, options, omit=request.spec.site.omit)


def _print(plan: _Plan, cluster: Cluster) -> None:
    print("\n".join(_lines(plan)))
    for notice in plan.request.notices:
        print(f"note: {notice}")
    points = plan.first.batch.points
    shown = points[:_POINTS_SHOWN]
    rest = f", {len(shown)} of {len(points)}" if len(points) > len(shown) else ""
    print(f"\nThe first points (by {plan.first.generator}{rest}):\n")
    names = list(points[0])
    # With a blank it is no name that a parameter could have.
    rows = [{"trial no": index, **point} for index, point in enumerate(shown)]
    print_rows(rows, ["trial no", *names], stream=sys.stdout, verbatim=names)
    print(f"\nThe first trial runs:\n\n{_first_command(plan).rstrip()}")
    print(f"\nThe first submission ({cluster.name}, {plan.order.size} of the trials):\n")
    print(plan.script.rstrip())
    if plan.head_script is not None:
        print(f"\nThe job of the head:\n\n{plan.head_script.rstrip()}")


def _first_command(plan: _Plan) -> str:
    return render(plan.request.spec.program, plan.first.batch.points[0])


def _record(plan: _Plan, cluster: Cluster) -> dict[str, Any]:
    """Return the plan as JSON."""
    request, spec = plan.request, plan.request.spec
    return {
        "experiment": spec.name,
        "run_dir": str(plan.run_dir),
        "database": _database(request),
        "cluster": cluster.name,
        "max_eval": spec.max_eval,
        "num_parallel_jobs": spec.num_parallel_jobs,
        "strategy": str(spec.strategy),
        "seed": spec.seed,
        "is_seed_drawn": request.options.seed is None,
        "objectives": {o.name: _goal(o.minimize) for o in spec.objectives},
        "program": spec.program,
        "notes": list(request.notices),
        "points": plan.first.batch.points,
        "points_by": plan.first.generator,
        "first_command": _first_command(plan),
        "submission": {"trials": plan.order.size, "script": plan.script},
        "head_script": plan.head_script,
        "cost": plan.cost.record(),
    }


def _database(request: RunRequest) -> str | None:
    from db.sql.engine import mask

    return None if request.db_url is None else mask(request.db_url)


def _lines(plan: _Plan) -> list[str]:
    request, spec = plan.request, plan.request.spec
    where = "Slurm" if spec.executor == "slurm" else "this machine"
    store = "the database of --db_url" if request.db_url else f"{plan.run_dir}/database.db"
    size = f"{spec.max_eval} trials, {spec.num_parallel_jobs} at once, on {where}"
    return [
        f"Experiment {spec.name}: {size}",
        f"Strategy:   {spec.strategy}",
        f"Seed:       {_seed(request)}",
        f"Objectives: {', '.join(map(str, spec.objectives))}",
        f"Parameters: {', '.join(spec.space.names())}",
        *_named("Such that:", [constraint.text for constraint in spec.space.constraints]),
        *_named("Program:", spec.program.strip().splitlines()),
        *_snapshot(request),
        f"Limits:     {_limits(spec)}",
        f"Stops if:   {_stops(spec)}",
        f"Hosts:      {_hosts(spec)}",
        *_named("Rules:", [_rule(rule) for rule in spec.rules]),
        *_named("Preflight:", (spec.preflight or "").splitlines()),
        *_named("Setup:", [line for text in spec.site.setup for line in text.splitlines()]),
        f"Results:    {store}",
        *_named("Cost:", plan.cost.lines()),
    ]


def _seed(request: RunRequest) -> str:
    seed = request.spec.seed
    drawn = f" (drawn now; --seed {seed} gives these points again)"
    return f"{seed}{drawn if request.options.seed is None else ''}"


def _snapshot(request: RunRequest) -> list[str]:
    """Say what would be copied, a line for each path that was listed."""
    lines = []
    for path in request.spec.snapshot:
        count, size = measure(Path(path), request.run_root)
        lines.append(f"{path} ({count} {'entry' if count == 1 else 'entries'}, {bytes_text(size)})")
    return _named("Snapshot:", lines)


def _named(name: str, lines: Sequence[str]) -> list[str]:
    """Put a name before the first of several lines, and room before the others."""
    return [f"{'' if place else name:<12}{line}" for place, line in enumerate(lines)]


def _stops(spec: ExperimentSpec) -> str:
    said = []
    if spec.max_failed_jobs is not None:
        said.append(f"more than {spec.max_failed_jobs} trials have failed")
    if spec.max_failure_rate is not None:
        said.append(f"more than {100 * spec.max_failure_rate:g} % of those that ended have failed")
    if spec.executor == "slurm" and spec.auto_exclude:
        said.append("trial after trial fails on more hosts than can be defective")
    return ", or ".join(said) or "never, however many trials fail"


def _hosts(spec: ExperimentSpec) -> str:
    if spec.executor == "local":
        return "this machine alone"
    by_hand = ", ".join(spec.resources.exclude)
    kept_out = [f"without {by_hand}"] if by_hand else []
    if not spec.auto_exclude:
        return ", ".join([*kept_out, "none is kept out but by hand"])
    lasts = duration(spec.timing.exclusion_seconds)
    return ", ".join([*kept_out, f"defective ones are kept out for {lasts}"])


def _rule(rule: Rule) -> str:
    return f"{rule.name}: {fits(rule)}: {does(rule)}"


def _goal(minimize: bool) -> str:  # noqa: FBT001
    return "min" if minimize else "max"


def _limits(spec: ExperimentSpec) -> str:
    one = spec.worker_timeout_seconds
    whole = spec.time_limit_seconds
    return ", ".join(
        [
            "a trial: none of its own" if one is None else f"a trial: {one / 60:g} min",
            "the search: none" if whole is None else f"the search: {whole / 60:g} min",
            f"further tries after a failure: {spec.retries}",
        ]
    )
