"""`headway hosts exclude` and `headway hosts include`: a person's word about hosts."""

from __future__ import annotations

import argparse
import contextlib
import getpass
import socket
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from db.sql import events, hosts
from db.sql.engine import open_existing, translated
from db.sql.hosts import CLUSTER
from db.sql.reading import experiments
from db.sql.reading import hosts as host_rows
from db.sql.reading.reader import open_reader
from db.sql.store import Transaction
from db.states import EventKind, ExclusionSource, HostState
from orchestrator.cli.stores import Database, find_database, told
from orchestrator.errors import HeadAliveError, UsageError, did_you_mean
from orchestrator.reports.outs import Out, Standing, read_outs, spoken
from orchestrator.spec.experiment import Timing
from orchestrator.spec.hostlists import expand_hosts

_CALLED = "HOST"
# A person waits for the answer.
_LIMIT_SECONDS = 10.0


def exclude(given: argparse.Namespace) -> int:
    """Keep hosts out of new jobs until somebody includes them, or for some hours.

    Raises:
        UsageError: A name is none, or Slurm does not know it; nothing was changed.
        HeadAliveError: The database must not be opened from this host.
    """
    names = _names(given.hosts)
    database = _find(given)
    known = _check_known(names, database)
    with _writing(database) as connection:
        # All who change several hosts take them in this order.
        new = [name for name in sorted(names) if _exclude(connection, name, given)]
        _log(connection, EventKind.EXCLUDED, new, reason=given.reason, seconds=given.hours)
        after = {out.host: out for out in read_outs(connection)}
    for name in names:
        if name in new:
            print(f"{name} is now {spoken(after[name])}")
        else:
            print(f"{name} is still {spoken(after[name])} (include it first to change that)")
    if new:
        _say_where(database)
    if known and all(_is_excluded(after.get(name)) for name in known):
        print("note: no host that Slurm knows is left: a search ends when its next job is refused.")
    return 0


def include(given: argparse.Namespace) -> int:
    """Let hosts in again, whoever keeps them out.

    Raises:
        UsageError: One of them is not kept out; nothing was changed.
        HeadAliveError: The database must not be opened from this host.
    """
    names = _names(given.hosts)
    database = _find(given)
    with _writing(database) as connection:
        before = {out.host: out for out in read_outs(connection)}
        for name in names:
            if name not in before:
                hint = _why_not(connection, name, before, database)
                raise UsageError(f"{_CALLED}: {name} is not kept out in {database.label}.", hint)
        for name in sorted(names):
            _include(connection, name, given.reason)
        _log(connection, EventKind.INCLUDED, sorted(names), reason=given.reason)
    for name in names:
        print(f"{name} is used again; it was {spoken(before[name])}")
    _say_where(database)
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


def _find(given: argparse.Namespace) -> Database:
    try:
        return find_database(
            given.experiment, called="--experiment", run_root=given.run_dir, db_url=given.db_url
        )
    except HeadAliveError as error:
        raise HeadAliveError(error.message, "Type this command on that host.") from None


def _exclude(connection: Transaction, name: str, given: argparse.Namespace) -> bool:
    return hosts.exclude(
        connection,
        CLUSTER,
        name,
        source=ExclusionSource.USER,
        reason=given.reason,
        decided_by=_person(),
        seconds=given.hours,
    )


def _include(connection: Transaction, name: str, reason: str) -> None:
    good, by = HostState.GOOD, {hosts.LET_IN_BY: _person()}
    if not hosts.include(connection, CLUSTER, name, reason=reason, state=good, evidence=by):
        # It was on parole.
        hosts.note_state(connection, CLUSTER, name, good, reason=reason, evidence=by)


def _why_not(
    connection: Transaction, name: str, before: Collection[str], database: Database
) -> str:
    key = database.experiment_id
    spec = {} if key is None else experiments.spec(connection, key)
    if name in spec.get("resources", {}).get("exclude", ()):
        return "Its own --exclude avoids it, as long as that search lasts."
    listed = f"Those that are: {', '.join(before)}." if before else "None is."
    return did_you_mean(name, before) or listed


def _person() -> str:
    return f"{getpass.getuser()}@{socket.gethostname()}"


def _log(
    connection: Transaction,
    kind: EventKind,
    names: Sequence[str],
    *,
    reason: str,
    seconds: float | None = None,
) -> None:
    """Write down what a person decided, for each experiment that goes on."""
    told: dict[str, Any] = {"source": ExclusionSource.USER, "by": _person(), "reason": reason}
    if seconds is not None:
        told["seconds"] = seconds
    ongoing = experiments.ongoing(connection)
    rows = [events.row(key, kind, {"host": name, **told}) for key in ongoing for name in names]
    events.append(connection, rows)


def _check_known(names: Sequence[str], database: Database) -> frozenset[str] | None:
    """Refuse names that Slurm does not know; without Slurm, say which nobody has heard of.

    Returns:
        All that Slurm knows; None where it is not, or does not answer.

    Raises:
        UsageError: Slurm does not know one of them.
    """
    known = _hosts_of_slurm()
    if known is None:
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
    limits = SlurmCluster(entry=ENTRY, timing=timing, user=getpass.getuser()).limits(None)
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
