"""What `headway run --dryrun` prints: the plan and the exact script, and nothing is submitted."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from orchestrator.cli.requests import RunRequest
from orchestrator.cli.rule_words import does, fits
from orchestrator.cli.snapshots import measure
from orchestrator.cluster.base import Cluster, Order
from orchestrator.reports.texts import duration
from orchestrator.reports.texts import size as bytes_text
from orchestrator.spec.experiment import ExperimentSpec
from orchestrator.spec.rules import Rule

# Stands for the token that a real submission would get.
TOKEN = "0" * 16


def show_plan(request: RunRequest, cluster: Cluster) -> None:
    """Print what a run would do."""
    spec = request.spec
    order = Order(
        token=TOKEN,
        name=f"hw-{spec.name}-{TOKEN}",
        size=min(spec.num_parallel_jobs, spec.max_eval),
        resources=spec.resources,
        run_dir=request.run_root / spec.name / "N",
        log_pattern=f"logs/{TOKEN[:2]}/{TOKEN}_{{index}}.log",
    )
    print("\n".join(_plan(request, order.run_dir)))
    print(f"\nThe first submission ({cluster.name}, {order.size} of the trials):\n")
    print(cluster.script(order).rstrip())
    print("\nNothing was started and nothing was written.", file=sys.stderr)


def _plan(request: RunRequest, run_dir: Path) -> list[str]:
    spec = request.spec
    where = "Slurm" if spec.executor == "slurm" else "this machine"
    store = "the database of --db_url" if request.db_url else f"{run_dir}/database.db"
    size = f"{spec.max_eval} trials, {spec.num_parallel_jobs} at once, on {where}"
    return [
        f"Experiment {spec.name}: {size}",
        f"Strategy:   {spec.strategy}",
        f"Objectives: {', '.join(f'{o.name}={_goal(o.minimize)}' for o in spec.objectives)}",
        f"Parameters: {', '.join(spec.space.names())}",
        f"Program:    {spec.program.strip()}",
        *_snapshot(request),
        f"Limits:     {_limits(spec)}",
        f"Stops if:   {_stops(spec)}",
        f"Hosts:      {_hosts(spec)}",
        *_named("Rules:", [_rule(rule) for rule in spec.rules]),
        *_named("Preflight:", (spec.preflight or "").splitlines()),
        f"Results:    {store}",
    ]


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
