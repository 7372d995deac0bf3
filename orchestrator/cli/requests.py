"""From the options of `headway run` to a request: everything that can be checked beforehand.

Nothing is created and nothing is asked here, neither a cluster nor a database: what passes may
still meet a partition that does not exist or a database that does not answer.
"""

from __future__ import annotations

import argparse
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from orchestrator.cli import timecodes
from orchestrator.cli.notices import (
    failure_notices,
    local_notices,
    notices,
    storage_notices,
)
from orchestrator.cli.places import read_run_root
from orchestrator.cli.programs import check_program, read_program
from orchestrator.cli.searches import read_space, read_strategy, space_notices
from orchestrator.cli.snapshots import read_snapshot
from orchestrator.cli.urls import expanded, is_text, read_db_url
from orchestrator.errors import UsageError, did_you_mean
from orchestrator.spec.experiment import (
    Executor,
    ExperimentSpec,
    Timing,
    check_experiment_name,
)
from orchestrator.spec.frozen import usage_error
from orchestrator.spec.hostlists import expand_hosts
from orchestrator.spec.limits import LARGEST_SEED
from orchestrator.spec.objectives import Objective, parse_result_names
from orchestrator.spec.resources import Resources
from orchestrator.spec.rules import Rule
from orchestrator.spec.space import Space
from orchestrator.spec.strategy import Strategy

PARALLEL_ON_SLURM = 20  # OmniOpt2's default


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """What `headway run` is to do.

    Attributes:
        spec: What was asked for.
        db_url: The database, which may hold a password; None: an SQLite file in the run folder.
        run_root: Folder of all runs, absolute; it may not exist yet.
        follow: Whether the live view was asked for.
        dryrun: Whether nothing is to be started.
        show_generate_time_table: Whether to print at the end how long the points took.
        notices: What the user should know, one line each.
    """

    spec: ExperimentSpec
    db_url: str | None = field(repr=False)
    run_root: Path
    follow: bool
    dryrun: bool
    show_generate_time_table: bool
    notices: tuple[str, ...]


def read_request(
    namespace: argparse.Namespace,
    environment: Mapping[str, str],
    cwd: Path,
    *,
    has_slurm: Callable[[], bool],
) -> RunRequest:
    """Check the options of `headway run` and put them together.

    Args:
        namespace: As `options.parse_run` returns it.
        environment: For HEADWAY_DB_URL.
        cwd: Where the user typed the command.
        has_slurm: Tells whether Slurm is here; asked once at most.

    Raises:
        UsageError: It names the option, what was given, and what is allowed.
    """
    _check_required(namespace)
    if not is_text(cwd):
        raise UsageError(f"the working folder {str(cwd)!r} is not UTF-8; start from another one")
    program = read_program(namespace.run_program)
    space = read_space(namespace)
    objectives = parse_result_names([word for words in namespace.result_names for word in words])
    strategy, strategy_notices = read_strategy(namespace, space)
    executor = _choose_executor(namespace, has_slurm)
    timing = _read_timing(namespace.timing)
    run_root = read_run_root(namespace.run_dir, cwd)
    spec = _make_spec(
        namespace,
        parts=_Parts(program, space, objectives, strategy, executor, timing),
        cwd=cwd,
        run_root=run_root,
    )
    db_url, db_notices = read_db_url(namespace.db_url, environment, cwd)
    return RunRequest(
        spec=spec,
        db_url=db_url,
        run_root=run_root,
        follow=bool(namespace.follow),
        dryrun=bool(namespace.dryrun),
        show_generate_time_table=bool(namespace.show_generate_time_table),
        notices=(
            *notices(namespace),
            *(local_notices(namespace) if executor == "local" else ()),
            *check_program(program, space.names()),
            *failure_notices(spec),
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


def _check_required(namespace: argparse.Namespace) -> None:
    if namespace.experiment_name is None:
        raise UsageError("--experiment_name: missing; give the search a name")
    try:
        check_experiment_name(namespace.experiment_name)
    except ValueError as error:
        raise UsageError(f"--experiment_name: {error}") from None
    if not namespace.parameter:
        raise UsageError("--parameter: missing; give at least one, for example x range 0 10")
    if namespace.max_eval is None:
        raise UsageError("--max_eval: missing; say how many trials to run, for example 20")
    limit, whole = namespace.worker_timeout, namespace.time
    if limit is not None and whole is not None and limit > whole:
        raise UsageError(
            f"--worker_timeout: one trial may take {limit / 60:g} minutes, but --time gives the "
            f"whole search {whole / 60:g}"
        )


def _choose_executor(namespace: argparse.Namespace, has_slurm: Callable[[], bool]) -> Executor:
    if namespace.force_local_execution:
        return "local"
    if has_slurm():
        return "slurm"
    if namespace.partition is not None:
        raise UsageError(
            f"--partition: {namespace.partition!r} was given, but there is no Slurm here.",
            "Leave it out, or add --force_local_execution.",
        )
    return "local"


def _read_timing(given: Sequence[Sequence[str]]) -> Timing:
    values = _pairs("--timing", given)
    known = list(Timing.model_fields)
    for name in values:
        if name not in known:
            hint = did_you_mean(name, known)
            raise UsageError(f"--timing: {name!r} is none of {', '.join(known)}.", hint)
    try:
        return Timing.model_validate(values)
    except ValidationError as error:
        raise usage_error("--timing", error) from None


def _pairs(option: str, given: Sequence[Sequence[str]]) -> dict[str, str]:
    """Read `KEY=VALUE KEY=VALUE …`."""
    pairs: dict[str, str] = {}
    for word in (word for words in given for word in words):
        key, equals, value = word.partition("=")
        if not (key.strip() and equals):
            raise UsageError(f"{option}: {word!r} is not of the form KEY=VALUE")
        if key in pairs:
            raise UsageError(f"{option}: {key!r} is there twice")
        pairs[key] = value
    return pairs


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
            resources=_read_resources(namespace, parts.timing),
            executor=parts.executor,
            num_parallel_jobs=namespace.num_parallel_jobs or _default_parallel(parts.executor),
            max_eval=namespace.max_eval,
            seed=secrets.randbelow(LARGEST_SEED + 1) if seed is None else seed,
            worker_timeout_seconds=namespace.worker_timeout,
            time_limit_seconds=namespace.time,
            max_failed_jobs=namespace.max_failed_jobs,
            max_failure_rate=namespace.max_failure_rate,
            retries=1 if namespace.retries is None else namespace.retries,
            auto_exclude=namespace.auto_exclude_defective_hosts is not False,
            rules=_read_rules(namespace.orchestrator_file, cwd),
            preflight=_read_preflight(namespace.preflight),
            description=namespace.description,
            participant=namespace.participant,
            user_metadata=_pairs("--metadata", namespace.metadata),
            group=_read_group(namespace.group),
            timing=parts.timing,
        )
    except ValidationError as error:
        raise usage_error("--result_names", error) from None


def _read_rules(given: str | None, cwd: Path) -> tuple[Rule, ...]:
    if given is None:
        return ()
    from orchestrator.spec.rules_file import read_rules

    return read_rules(cwd / expanded(given, "--orchestrator_file"))


def _read_preflight(given: str | None) -> str | None:
    if given is not None and "\0" in given:
        raise UsageError("--preflight: it holds a NUL character, which no program can take")
    return None if given is None else given.strip()


def _read_group(text: str | None) -> str | None:
    """Put the time of the start into a group's name, once for all."""
    return None if text is None else timecodes.expand(text, datetime.now().astimezone())


def _default_parallel(executor: Executor) -> int:
    return PARALLEL_ON_SLURM if executor == "slurm" else len(os.sched_getaffinity(0))


def _read_hosts(given: str | None) -> tuple[str, ...]:
    try:
        return expand_hosts([given or ""])
    except ValueError as error:
        raise UsageError(f"--exclude: {error}.") from None


def _read_resources(namespace: argparse.Namespace, timing: Timing) -> Resources:
    return Resources(
        partition=namespace.partition,
        memory_mb=namespace.mem_gb,
        cpus=namespace.cpus_per_task or 1,
        gpus=namespace.gpus or 0,
        nodes=namespace.nodes_per_job or 1,
        minutes=timing.slurm_minutes(namespace.worker_timeout),
        account=namespace.account,
        reservation=namespace.reservation,
        qos=namespace.qos,
        constraint=namespace.constraint,
        gres=namespace.gres,
        exclude=_read_hosts(namespace.exclude),
        requeue=namespace.requeue or False,
    )
