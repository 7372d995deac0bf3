"""From the options of `headway run` to a request: everything that can be checked beforehand.

Nothing is created and nothing is asked here, neither a cluster nor a database: what passes may
still meet a partition that does not exist or a database that does not answer.
"""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from orchestrator.cli.complaints import all_mistakes, in_order
from orchestrator.cli.notices import (
    failure_notices,
    local_notices,
    notices,
    storage_notices,
)
from orchestrator.cli.places import read_run_root
from orchestrator.cli.programs import check_program, read_program
from orchestrator.cli.request_parts import (
    check_actions,
    check_goal,
    check_name,
    check_parameters,
    check_times,
    choose_executor,
    default_parallel,
    read_database,
    read_group,
    read_pairs,
    read_preflight,
    read_resources,
    read_rules,
    read_site,
    read_timing,
)
from orchestrator.cli.searches import read_space, read_strategy, space_notices
from orchestrator.cli.site_notices import site_notices
from orchestrator.cli.snapshots import read_snapshot
from orchestrator.cli.sources import Sources
from orchestrator.cli.urls import is_text
from orchestrator.errors import UsageError
from orchestrator.spec.experiment import Executor, ExperimentSpec, Timing
from orchestrator.spec.frozen import usage_error
from orchestrator.spec.limits import LARGEST_SEED
from orchestrator.spec.objectives import Objective, parse_result_names
from orchestrator.spec.site import Site
from orchestrator.spec.space import Space
from orchestrator.spec.strategy import Strategy


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """What `headway run` is to do.

    Attributes:
        spec: What was asked for.
        db_url: The database, which may hold a password; None: an SQLite file in the run folder.
        run_root: Folder of all runs, absolute; it may not exist yet.
        options: All options by name, as `Settings.namespace` gives them.
        notices: What the user should know, one line each.
    """

    spec: ExperimentSpec
    db_url: str | None = field(repr=False)
    run_root: Path
    options: argparse.Namespace = field(repr=False)
    notices: tuple[str, ...]


def read_request(sources: Sources, cwd: Path, *, has_slurm: Callable[[], bool]) -> RunRequest:
    """Check the options of `headway run` and put them together.

    Args:
        sources: All options, and what is wrong with them so far.
        cwd: Where the user typed the command.
        has_slurm: Tells whether Slurm is here; asked once at most, and again if something is wrong.

    Raises:
        UsageError: One line for each mistake; it names the option, what was given, and what is
            allowed.
    """
    if not is_text(cwd):
        raise UsageError(f"the working folder {str(cwd)!r} is not UTF-8; start from another one")
    mistakes = sources.settings.mistakes
    if not mistakes:
        try:
            return _read(sources, cwd, has_slurm)
        except UsageError as error:
            found = all_mistakes(sources, cwd, has_slurm=has_slurm)
            if not found:  # it is about several parts together
                found = [sources.settings.placed(line) for line in str(error).split("\n")]
            raise UsageError("\n".join(in_order(found))) from None
    found = all_mistakes(sources, cwd, has_slurm=has_slurm)
    raise UsageError("\n".join(in_order([*mistakes, *found])))


def _read(sources: Sources, cwd: Path, has_slurm: Callable[[], bool]) -> RunRequest:
    namespace = sources.namespace
    for check in (check_name, check_parameters, check_goal, check_times, check_actions):
        check(namespace)
    program = read_program(namespace.run_program)
    space = read_space(namespace)
    objectives = parse_result_names([word for words in namespace.result_names for word in words])
    strategy, strategy_notices = read_strategy(namespace, space)
    executor = choose_executor(namespace, has_slurm)
    timing = read_timing(namespace.timing)
    run_root = read_run_root(namespace.run_dir, cwd)
    site = read_site(sources)
    spec = _make_spec(
        namespace,
        parts=_Parts(program, space, objectives, strategy, executor, timing, site),
        cwd=cwd,
        run_root=run_root,
    )
    db_url, db_notices = read_database(sources, cwd)
    return RunRequest(
        spec=spec,
        db_url=db_url,
        run_root=run_root,
        options=namespace,
        notices=(
            *sources.notices,
            *notices(namespace),
            *(local_notices(namespace) if executor == "local" else ()),
            *check_program(program, space.names()),
            *failure_notices(spec),
            *site_notices(spec),
            *strategy_notices,
            *space_notices(space, namespace.max_eval),
            *db_notices,
            *storage_notices(db_url, run_root),
        ),
    )


@dataclass(frozen=True)
class _Parts:
    program: str
    space: Space
    objectives: tuple[Objective, ...]
    strategy: Strategy
    executor: Executor
    timing: Timing
    site: Site


def _make_spec(
    namespace: argparse.Namespace, *, parts: _Parts, cwd: Path, run_root: Path
) -> ExperimentSpec:
    seed = namespace.seed
    try:
        return ExperimentSpec(
            name=namespace.experiment_name,
            program=parts.program,
            working_folder=str(cwd.absolute()),
            snapshot=read_snapshot(namespace, cwd.absolute(), run_root),
            space=parts.space,
            objectives=parts.objectives,
            strategy=parts.strategy,
            resources=read_resources(namespace, parts.timing),
            site=parts.site,
            executor=parts.executor,
            num_parallel_jobs=namespace.num_parallel_jobs or default_parallel(parts.executor),
            max_eval=namespace.max_eval,
            seed=secrets.randbelow(LARGEST_SEED + 1) if seed is None else seed,
            worker_timeout_seconds=namespace.worker_timeout,
            time_limit_seconds=namespace.time,
            max_failed_jobs=namespace.max_failed_jobs,
            max_failure_rate=namespace.max_failure_rate,
            retries=1 if namespace.retries is None else namespace.retries,
            auto_exclude=namespace.auto_exclude_defective_hosts is not False,
            rules=read_rules(namespace.orchestrator_file, cwd),
            preflight=read_preflight(namespace.preflight),
            description=namespace.description,
            participant=namespace.participant,
            user_metadata=read_pairs("--metadata", namespace.metadata),
            group=read_group(namespace.group),
            timing=parts.timing,
        )
    except ValidationError as error:
        raise usage_error("--result_names", error) from None
