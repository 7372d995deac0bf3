"""What several experiments or rows share: hosts, what keeps them out, and cards within cards."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import sqlalchemy as sa

from db.sql.copying.ordered import with_keys, with_tokens
from db.sql.copying.plain import TABLES, Row
from db.sql.copying.sides import Copying, Side
from db.states import HostState

# What tells one exclusion from another; the rest of it changes when it ends.
_EXCLUSION = ("host", "source", "decided_by", "reason", "created_at")
_KEPT_OUT = "in this database another exclusion kept it out already"
_JUDGEMENT = ("state", "reason", "evidence", "changed_at")


def copy_hosts(copying: Copying) -> None:
    """Merge the hosts of an experiment by cluster and name; the newer judgement counts."""
    host, attempt, trial = TABLES["host"], TABLES["attempt"], TABLES["trial"]
    exclusion = TABLES["exclusion"]
    mine = copying.source.experiment_id
    ran = (
        sa.select(attempt.c.host)
        .join_from(attempt, trial, trial.c.id == attempt.c.trial_id)
        .where(trial.c.experiment_id == mine, attempt.c.host.is_not(None))
    )
    excluded = sa.select(exclusion.c.host_id).where(exclusion.c.experiment_id == mine)
    rows = copying.read(sa.select(host).where(host.c.name.in_(ran) | host.c.id.in_(excluded)))
    with_tokens(copying.source, rows, "evidence")
    with_keys(copying.target, rows, "evidence")
    known = {(row["cluster"], row["name"]): row for row in copying.target.rows(sa.select(host))}
    copying.insert("host", [row for row in rows if (row["cluster"], row["name"]) not in known])
    changed = []
    for row in rows:
        old = known.get((row["cluster"], row["name"]))
        if old is None:
            continue
        new = dict(old)
        if row["changed_at"] > old["changed_at"]:
            new |= {column: row[column] for column in _JUDGEMENT}
        new["first_seen_at"] = min(row["first_seen_at"], old["first_seen_at"])
        if new != old:
            changed.append(new)
    copying.update("host", changed)


def copy_exclusions(copying: Copying) -> None:
    """Copy what an experiment keeps out; an exclusion that ended meanwhile ends there too.

    One that was ended in the target stays ended there. A host that something else keeps out in the
    target stays out by that alone, and on no parole.
    """
    rows = _exclusions(copying, copying.source)
    known: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in _exclusions(copying, copying.target):
        known[tuple(row[column] for column in _EXCLUSION)].append(row)
    host = TABLES["host"]
    hosts = {
        (row["cluster"], row["name"]): row["id"] for row in copying.target.rows(sa.select(host))
    }
    for row in rows:
        same = known[tuple(row[column] for column in _EXCLUSION)]
        old = same.pop(0) if same else None
        row |= {
            "experiment_id": copying.target.experiment_id,
            "host_id": hosts[row.pop("host")],
        }
        if old is not None and old["ended_at"] is not None and row["ended_at"] is None:
            row |= {column: old[column] for column in ("ended_at", "end_reason")}
        elif row["ended_at"] is None and _is_out(copying.target, row["host_id"], but=old):
            row |= {"ended_at": row["created_at"], "end_reason": _KEPT_OUT}
        if old is None:
            copying.insert("exclusion", [row])
            continue
        row["id"], old["host_id"] = old["id"], row["host_id"]
        del old["host"]
        if row != old:
            copying.update("exclusion", [row])
    _end_paroles(copying.target)


def _is_out(side: Side, host_id: int, *, but: Row | None) -> bool:
    """Whether a host is kept out by another exclusion than `but`."""
    exclusion = TABLES["exclusion"]
    query = sa.select(exclusion.c.id).where(
        exclusion.c.host_id == host_id, exclusion.c.ended_at.is_(None)
    )
    found = set(side.connection.execute(query).scalars())
    return bool(found - ({but["id"]} if but else set()))


def _end_paroles(side: Side) -> None:
    """Let no host be on parole that is kept out."""
    exclusion, host = TABLES["exclusion"], TABLES["host"]
    out = sa.select(exclusion.c.host_id).where(exclusion.c.ended_at.is_(None))
    where = (host.c.state == HostState.PAROLE.value) & host.c.id.in_(out)
    side.connection.execute(host.update().where(where).values(state=HostState.SUSPECT.value))


def _exclusions(copying: Copying, side: Side) -> list[Row]:
    """Read the exclusions of one side, with the name of the host in place of its key."""
    exclusion, host = TABLES["exclusion"], TABLES["host"]
    query = (
        sa.select(exclusion, host.c.cluster.label("cluster"), host.c.name.label("name"))
        .join_from(exclusion, host, host.c.id == exclusion.c.host_id)
        .where(exclusion.c.experiment_id == side.experiment_id)
        .order_by(exclusion.c.id)
    )
    rows = copying.read(query) if side is copying.source else side.rows(query)
    for row in rows:
        row["host"] = (row.pop("cluster"), row.pop("name"))
    if side is copying.source:
        with_tokens(side, rows, "evidence")
        with_keys(copying.target, rows, "evidence")
    return rows


def copy_cards(copying: Copying) -> None:
    """Add the analyses that the target lacks, each within its parent."""
    card = TABLES["card"]

    def read(side: Side) -> list[Row]:
        query = sa.select(card).where(card.c.experiment_id == side.experiment_id)
        return side.rows(query.order_by(card.c.id))

    known: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for row in read(copying.target):
        known[_content(row)].append(row["id"])
    keys: dict[int, int] = {}
    waiting = copying.read(
        sa.select(card)
        .where(card.c.experiment_id == copying.source.experiment_id)
        # A parent may have been made after its parts.
        .order_by(card.c.parent_id.is_not(None), card.c.id)
    )
    while waiting:
        ready = [row for row in waiting if row["parent_id"] is None or row["parent_id"] in keys]
        if not ready:
            break  # cards that are parts of each other; `headway db check` is for that
        for row in ready:
            _copy_card(copying, row, keys, known)
        waiting = [row for row in waiting if row["id"] not in keys]


def _copy_card(
    copying: Copying,
    row: Row,
    keys: dict[int, int],
    known: dict[tuple[Any, ...], list[int]],
) -> None:
    parent = keys.get(row["parent_id"]) if row["parent_id"] is not None else None
    new = {**row, "experiment_id": copying.target.experiment_id, "parent_id": parent}
    same = known[_content(new)]
    if same:
        keys[row["id"]] = same.pop(0)
        return
    del new["id"]
    result = copying.target.connection.execute(sa.insert(TABLES["card"]), new)
    assert result.inserted_primary_key is not None
    keys[row["id"]] = int(result.inserted_primary_key[0])
    copying.added["card"] += 1


def _content(row: Row) -> tuple[Any, ...]:
    return tuple(value for name, value in row.items() if name not in {"id", "experiment_id"})
