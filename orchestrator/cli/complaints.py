"""All that is wrong with the options of `headway run`, for when something is.

The usual way through `requests` ends at the first mistake. Here each part is tried alone, so that a
file of options is put right in one go; what depends on a part that is wrong is left out.
"""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from orchestrator.cli.places import read_run_root
from orchestrator.cli.programs import check_program, read_program
from orchestrator.cli.request_parts import (
    check_actions,
    check_goal,
    check_name,
    check_parameters,
    check_times,
    choose_executor,
    read_database,
    read_hosts,
    read_pairs,
    read_preflight,
    read_rules,
    read_site,
    read_timing,
)
from orchestrator.cli.searches import (
    read_constraints,
    read_model,
    read_parameter,
    read_space,
    read_strategy,
)
from orchestrator.cli.snapshots import read_snapshot
from orchestrator.cli.sources import Sources
from orchestrator.errors import UsageError
from orchestrator.spec.objectives import parse_result_names

_IN_FILE = re.compile(r"([^:]+):([0-9]+): ")
_REQUIRED = frozenset({"experiment_name", "run_program", "parameter", "max_eval"})


class _Check(NamedTuple):
    """One part.

    Attributes:
        spoils: The option that is wrong if the part is.
        read: Raises UsageError if the part is wrong.
        needs: The options that it reads; it is left out if one of them is wrong already.
        place: Where the part stands, if its option comes several times.
    """

    spoils: str
    read: Callable[[], object]
    needs: tuple[str, ...]
    place: str | None = None


def all_mistakes(sources: Sources, cwd: Path, *, has_slurm: Callable[[], bool]) -> list[str]:
    """Return what is wrong with the values of the options, a line for each mistake.

    What is not given at all is a mistake unless something else could not be understood.

    Args:
        sources: All options.
        cwd: Where the user typed the command.
        has_slurm: Tells whether Slurm is here.
    """
    wrong = set(sources.settings.spoiled)
    if sources.settings.is_partial:
        wrong |= _REQUIRED - sources.settings.found.keys()
    found: list[str] = []
    for check in (*_search(sources), *_rest(sources, cwd, has_slurm)):
        if wrong.intersection(check.needs):
            continue
        try:
            check.read()
        except UsageError as error:
            wrong.add(check.spoils)
            placed = sources.settings.placed
            found += [placed(line, check.place) for line in str(error).split("\n")]
    return found


def in_order(lines: Iterable[str]) -> list[str]:
    """Return each mistake once, those of a file by their lines."""
    return sorted(dict.fromkeys(lines), key=_file_and_line)


def _file_and_line(mistake: str) -> tuple[str, int]:
    match = _IN_FILE.match(mistake)
    return (match[1], int(match[2])) if match else ("", 0)


def _search(sources: Sources) -> Iterator[_Check]:
    """Go through what is searched, and how."""
    given = sources.namespace
    space = ("parameter", "experiment_constraints")
    yield _whole("experiment_name", lambda: check_name(given))
    yield _whole("run_program", lambda: read_program(given.run_program))
    yield _whole("parameter", lambda: check_parameters(given))
    for words, place in _times(sources, "parameter"):
        yield _Check("parameter", partial(read_parameter, words), (), place)
    for words, place in _times(sources, "experiment_constraints"):
        read = partial(_read_constraints, given, words)
        yield _Check("experiment_constraints", read, ("parameter",), place)
    yield _Check("parameter", lambda: read_space(given), space)
    yield _Check("run_program", lambda: _check_program(given), ("run_program", *space))
    yield _whole("max_eval", lambda: check_goal(given))
    yield _whole("model", lambda: read_model(given))
    strategy = ("generation_strategy", "model", "num_random_steps", "max_eval")
    read_all = partial(_read_strategy, given)
    yield _Check("generation_strategy", read_all, (*strategy, *space))
    yield _whole("result_names", lambda: _read_objectives(given))


def _rest(sources: Sources, cwd: Path, has_slurm: Callable[[], bool]) -> Iterator[_Check]:
    """Go through all else."""
    given = sources.namespace
    yield _Check("worker_timeout", lambda: check_times(given), ("worker_timeout", "time"))
    yield _whole("dryrun", lambda: check_actions(given))
    yield _whole("partition", lambda: choose_executor(given, has_slurm))
    yield _whole("timing", lambda: read_timing(given.timing))
    yield _whole("run_dir", lambda: read_run_root(given.run_dir, cwd))
    yield _Check(
        "snapshot",
        lambda: read_snapshot(given, cwd.absolute(), read_run_root(given.run_dir, cwd)),
        ("snapshot", "snapshot_max_gb", "run_dir"),
    )
    yield _whole("exclude", lambda: read_hosts(given.exclude))
    yield _whole("orchestrator_file", lambda: read_rules(given.orchestrator_file, cwd))
    yield _whole("preflight", lambda: read_preflight(given.preflight))
    yield _whole("metadata", lambda: read_pairs("--metadata", given.metadata))
    yield _Check("sbatch", lambda: read_site(sources), ("setup", "sbatch", "profile"))
    yield _whole("db_url", lambda: read_database(sources, cwd))


def _whole(option: str, read: Callable[[], object]) -> _Check:
    return _Check(option, read, (option,))


def _times(sources: Sources, option: str) -> Iterable[tuple[Sequence[str], str]]:
    """Return what an option was given each time, and where."""
    setting = sources.settings.found.get(option)
    return () if setting is None else zip(setting.value, setting.places, strict=True)


def _read_constraints(given: Namespace, words: Sequence[str]) -> None:
    read_constraints(words, [read_parameter(each) for each in given.parameter])


def _check_program(given: Namespace) -> None:
    names = [read_parameter(each).name for each in given.parameter]
    check_program(read_program(given.run_program), names)


def _read_strategy(given: Namespace) -> None:
    read_strategy(given, read_space(given))


def _read_objectives(given: Namespace) -> None:
    parse_result_names([word for words in given.result_names for word in words])
