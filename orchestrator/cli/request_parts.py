"""The parts of a request, each made of its options alone; put together by `requests`."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from orchestrator.cli import timecodes
from orchestrator.cli.sources import Sources
from orchestrator.cli.urls import expanded, read_db_url
from orchestrator.errors import UsageError, did_you_mean
from orchestrator.spec.experiment import Executor, Timing, check_experiment_name
from orchestrator.spec.frozen import usage_error
from orchestrator.spec.hostlists import expand_hosts
from orchestrator.spec.resources import Resources
from orchestrator.spec.rules import Rule
from orchestrator.spec.site import Site

PARALLEL_ON_SLURM = 20  # OmniOpt2's default


def check_name(namespace: argparse.Namespace) -> None:
    """Make sure that the search has a name.

    Raises:
        UsageError: It has none, or none that can be one.
    """
    if namespace.experiment_name is None:
        raise UsageError("--experiment_name: missing; give the search a name")
    try:
        check_experiment_name(namespace.experiment_name)
    except ValueError as error:
        raise UsageError(f"--experiment_name: {error}") from None


def check_parameters(namespace: argparse.Namespace) -> None:
    """Make sure that there is something to search.

    Raises:
        UsageError: There is no parameter.
    """
    if not namespace.parameter:
        raise UsageError("--parameter: missing; give at least one, for example x range 0 10")


def check_goal(namespace: argparse.Namespace) -> None:
    """Make sure that the number of trials is known.

    Raises:
        UsageError: It is not.
    """
    if namespace.max_eval is None:
        raise UsageError("--max_eval: missing; say how many trials to run, for example 20")


def check_times(namespace: argparse.Namespace) -> None:
    """Make sure that a trial fits into the search.

    Raises:
        UsageError: It may take longer.
    """
    limit, whole = namespace.worker_timeout, namespace.time
    if limit is not None and whole is not None and limit > whole:
        raise UsageError(
            f"--worker_timeout: one trial may take {limit / 60:g} minutes, but --time gives the "
            f"whole search {whole / 60:g}"
        )


def check_actions(namespace: argparse.Namespace) -> None:
    """Make sure that what is to be done can be done at once.

    Raises:
        UsageError: Two options contradict each other.
    """
    if namespace.json and not namespace.dryrun:
        raise UsageError("--json: only means something with --dryrun")
    if namespace.dump_config and namespace.dryrun:
        raise UsageError("--dump_config: --dryrun is given too; give one of them")


def choose_executor(namespace: argparse.Namespace, has_slurm: Callable[[], bool]) -> Executor:
    """Decide where the trials run.

    Raises:
        UsageError: Something is asked of Slurm that is not here, or not to be used.
    """
    is_head_job = namespace.head == "slurm"
    if namespace.force_local_execution and is_head_job:
        raise UsageError("--head: slurm makes no sense with --force_local_execution")
    if namespace.force_local_execution:
        return "local"
    if has_slurm():
        return "slurm"
    if is_head_job:
        raise UsageError("--head: slurm was given, but there is no Slurm here.", "Leave it out.")
    if namespace.partition is not None:
        raise UsageError(
            f"--partition: {namespace.partition!r} was given, but there is no Slurm here.",
            "Leave it out, or add --force_local_execution.",
        )
    return "local"


def read_timing(given: Sequence[Sequence[str]]) -> Timing:
    """Read `--timing`.

    Raises:
        UsageError: A name is unknown, or a number makes no sense.
    """
    values = read_pairs("--timing", given)
    known = list(Timing.model_fields)
    for name in values:
        if name not in known:
            hint = did_you_mean(name, known)
            raise UsageError(f"--timing: {name!r} is none of {', '.join(known)}.", hint)
    try:
        return Timing.model_validate(values)
    except ValidationError as error:
        raise usage_error("--timing", error) from None


def read_pairs(option: str, given: Sequence[Sequence[str]]) -> dict[str, str]:
    """Read `KEY=VALUE KEY=VALUE …`.

    Raises:
        UsageError: A word is no pair, or a key is there twice.
    """
    pairs: dict[str, str] = {}
    for word in (word for words in given for word in words):
        key, equals, value = word.partition("=")
        if not (key.strip() and equals):
            raise UsageError(f"{option}: {word!r} is not of the form KEY=VALUE")
        if key in pairs:
            raise UsageError(f"{option}: {key!r} is there twice")
        pairs[key] = value
    return pairs


def read_rules(given: str | None, cwd: Path) -> tuple[Rule, ...]:
    """Read the file of `--orchestrator_file`.

    Raises:
        UsageError: It cannot be read or understood; one line a mistake.
    """
    if given is None:
        return ()
    from orchestrator.spec.rules_file import read_rules as read_file

    return read_file(cwd / expanded(given, "--orchestrator_file"))


def read_preflight(given: str | None) -> str | None:
    """Read `--preflight`.

    Raises:
        UsageError: No program can take it.
    """
    if given is not None and "\0" in given:
        raise UsageError("--preflight: it holds a NUL character, which no program can take")
    return None if given is None else given.strip()


def read_group(text: str | None) -> str | None:
    """Put the time of the start into a group's name, once for all."""
    return None if text is None else timecodes.expand(text, datetime.now().astimezone())


def default_parallel(executor: Executor) -> int:
    """Return how many trials run at once if nobody says."""
    return PARALLEL_ON_SLURM if executor == "slurm" else len(os.sched_getaffinity(0))


def read_hosts(given: str | None) -> tuple[str, ...]:
    """Read `--exclude`.

    Raises:
        UsageError: It is no list of hosts.
    """
    try:
        return expand_hosts([given or ""])
    except ValueError as error:
        raise UsageError(f"--exclude: {error}.") from None


def read_resources(namespace: argparse.Namespace, timing: Timing) -> Resources:
    """Return what each trial asks of the scheduler.

    Raises:
        UsageError: `--exclude` is no list of hosts.
    """
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
        exclude=read_hosts(namespace.exclude),
        requeue=namespace.requeue or False,
    )


def read_site(sources: Sources) -> Site:
    """Return what the site asks of every job: the profile, `--setup` and `--sbatch`.

    Raises:
        UsageError: `--setup` or `--sbatch` is wrong.
    """
    namespace = sources.namespace
    if sources.profile is None and not namespace.setup and not namespace.sbatch:
        return Site()  # without the library that reads profiles
    from orchestrator.cli.profiles import make_site

    return make_site(sources.profile, setup=namespace.setup, sbatch=namespace.sbatch)


def read_database(sources: Sources, cwd: Path) -> tuple[str | None, list[str]]:
    """Return the URL of the database, or None, and what the user should know about it.

    Raises:
        UsageError: It is no URL that can be used.
    """
    given = sources.settings.found.get("db_url")
    if given is None:
        return None, []
    return read_db_url(given.value, {}, cwd, called=given.places[0], file=given.file)
