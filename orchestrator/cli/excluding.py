"""`headway hosts exclude` and `headway hosts include`: a person's word about hosts."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from db.person import this_person, user_name
from db.spool.commands import RequestKind, new_request
from db.sql.engine import open_existing, translated
from db.sql.reading import experiments
from db.sql.reading import hosts as host_rows
from db.sql.reading.reader import open_reader
from db.sql.store import Transaction
from orchestrator.cli.asking import ask
from orchestrator.cli.places import Place, find
from orchestrator.cli.stores import Database, find_database, read_url, told
from orchestrator.cli.urls import read_db_url
from orchestrator.errors import UsageError, did_you_mean
from orchestrator.reports.outs import Out, Standing, read_outs, spoken
from orchestrator.spec.experiment import Timing
from orchestrator.spec.hostlists import expand_hosts
from orchestrator.steps import by_hand

_CALLED = "HOST"
# A person waits for the answer.
_LIMIT_SECONDS = 10.0
_WAIT_SECONDS = 60.0


def exclude(given: argparse.Namespace) -> int:
    """Keep hosts out of new jobs until somebody includes them, or for some hours.

    Raises:
        UsageError: A name is none, or Slurm does not know it; nothing was changed.
        HeadwayError: The database belongs to a head on another host that does not answer.
    """
    names = _names(given.hosts)
    found = _find(given)
    if isinstance(found, Place):
        _check_known(names, None)
        request = {"hosts": names, "reason": given.reason, "seconds": given.hours}
        return _ask(found, RequestKind.EXCLUDE, request, "is kept out now")
    known = _check_known(names, found)
    with _writing(found) as connection:
        new = by_hand.exclude(
            connection, names, by=this_person(), reason=given.reason, seconds=given.hours
        )
        after = {out.host: out for out in read_outs(connection)}
    for name in names:
        if name in new:
            print(f"{name} is now {spoken(after[name])}")
        else:
            print(f"{name} is still {spoken(after[name])} (include it first to change that)")
    if new:
        _say_where(found)
    if known and all(_is_excluded(after.get(name)) for name in known):
        print("note: no host that Slurm knows is left: a search ends when its next job is refused.")
    return 0


def include(given: argparse.Namespace) -> int:
    """Let hosts in again, whoever keeps them out.

    Raises:
        UsageError: One of them is not kept out; nothing was changed.
        HeadwayError: The database belongs to a head on another host that does not answer.
    """
    names = _names(given.hosts)
    found = _find(given)
    if isinstance(found, Place):
        request = {"hosts": names, "reason": given.reason}
        return _ask(found, RequestKind.INCLUDE, request, "is used again")
    with _writing(found) as connection:
        before = {out.host: out for out in read_outs(connection)}
        for name in names:
            if name not in before:
                hint = _why_not(connection, name, before, found)
                raise UsageError(f"{_CALLED}: {name} is not kept out in {found.label}.", hint)
        by_hand.include(connection, names, by=this_person(), reason=given.reason)
    for name in names:
        print(f"{name} is used again; it was {spoken(before[name])}")
    _say_where(found)
    return 0


def _ask(place: Place, kind: RequestKind, request: dict[str, Any], says: str) -> int:
    """Let the head do it that alone may open the database."""
    ask(place, new_request(kind, **request), command="hosts", wait_seconds=_WAIT_SECONDS)
    for name in request["hosts"]:
        print(f"{name} {says}: the head of {place.label} on {place.other_host} has taken note")
    return 0


def _say_where(database: Database) -> None:
    of = "" if database.experiment_id is None else "the database of "
    print(f"This holds for all experiments in {of}{database.label}.")
    print("Their heads follow in 5 s; a search without Slurm takes no notice.")


def _is_excluded(out: Out | None) -> bool:
    return out is not None and out.standing is Standing.EXCLUDED


def _names(words: Sequence[str]) -> tuple[str, ...]:
    try:
        names = expand_hosts(words)
    except ValueError as error:
        raise UsageError(f"{_CALLED}: {error}.") from None
    if not names:
        raise UsageError(
            f"{_CALLED}: {' '.join(words)!r} names no host; give for example node[1-3]."
        )
    return names


def _find(given: argparse.Namespace) -> Database | Place:
    """Return the database that is meant; its run, if only a head on another host may open it."""
    whole, _ = read_db_url(given.db_url, os.environ, Path.cwd())
    word = given.experiment
    is_run = whole is None if word is None else read_url(word, called="--experiment") is None
    if is_run:
        place = find(word, run_root=given.run_dir, db_url=given.db_url)
        if place.other_host is not None:
            return place
    return find_database(word, called="--experiment", run_root=given.run_dir, db_url=given.db_url)


def _why_not(
    connection: Transaction, name: str, before: Collection[str], database: Database
) -> str:
    key = database.experiment_id
    spec = {} if key is None else experiments.spec(connection, key)
    if name in spec.get("resources", {}).get("exclude", ()):
        return "Its own --exclude avoids it, as long as that search lasts."
    listed = f"Those that are: {', '.join(before)}." if before else "None is."
    return did_you_mean(name, before) or listed


def _check_known(names: Sequence[str], database: Database | None) -> frozenset[str] | None:
    """Refuse names that Slurm does not know; without Slurm, say which nobody has heard of.

    Returns:
        All that Slurm knows; None where it is not, or does not answer.

    Raises:
        UsageError: Slurm does not know one of them.
    """
    known = _hosts_of_slurm()
    if known is None:
        if database is None:
            return None  # nobody here can tell
        with told(database.label), open_reader(database.url) as reader, reader.read() as connection:
            been = {row.name for row in host_rows.rows(connection)}
        for name in names:
            if name not in been:
                hint = did_you_mean(name, been)
                print(
                    f"note: no trial has run on {name} yet, and Slurm cannot tell. {hint}".strip()
                )
        return None
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known) or "`sinfo -N` lists those that there are."
            raise UsageError(f"{_CALLED}: Slurm knows no host {name!r}.", hint)
    return known


def _hosts_of_slurm() -> frozenset[str] | None:
    """Return the names of all hosts; None where Slurm is not, or does not answer."""
    from orchestrator.app.heads import ENTRY
    from orchestrator.cluster.slurm import SlurmCluster, is_here

    if not is_here():
        return None
    timing = Timing(slurm_limit_seconds=_LIMIT_SECONDS)
    limits = SlurmCluster(entry=ENTRY, timing=timing, user=user_name()).limits(None)
    return None if limits is None else limits.known


@contextlib.contextmanager
def _writing(database: Database) -> Iterator[Transaction]:
    with told(database.label):
        engine = open_existing(database.url)
    try:
        with told(database.label), translated(), engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()
