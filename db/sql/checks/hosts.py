"""Invariants of hosts and of what keeps them out. All experiments of a database share them."""

from __future__ import annotations

import sqlalchemy as sa

from db.sql.checks.base import Check
from db.sql.tables import Exclusion, Host, table_of
from db.states import HostState

_exclusion = table_of(Exclusion)
_host = table_of(Host)
_name = _host.c.name.label("host")
_of_host = sa.join(_exclusion, _host, _host.c.id == _exclusion.c.host_id)
_is_open = _exclusion.c.ended_at.is_(None)
# Nobody's: they are looked for when the whole database is checked.
_SHARED = sa.cast(sa.null(), sa.Integer)

CHECKS = (
    Check(
        name="two-open-exclusions",
        says="host {host} is kept out by {count} exclusions at once; it should be one at most",
        query=sa.select(_name, sa.func.count().label("count"))
        .select_from(_of_host)
        .where(_is_open)
        .group_by(_host.c.id, _host.c.name)
        .having(sa.func.count() > 1),
        experiment=_SHARED,
    ),
    Check(
        name="exclusion-end",
        says="exclusion {key} of host {host} ended at {ended_at} with the reason {end_reason}; it "
        "should have both or neither, and not end before it began",
        query=sa.select(
            _exclusion.c.id.label("key"), _name, _exclusion.c.ended_at, _exclusion.c.end_reason
        )
        .select_from(_of_host)
        .where(
            (_is_open & _exclusion.c.end_reason.is_not(None))
            | (~_is_open & _exclusion.c.end_reason.is_(None))
            | (_exclusion.c.ended_at < _exclusion.c.created_at)
        ),
        experiment=_SHARED,
    ),
    Check(
        name="parole-of-an-excluded-host",
        says="host {host} is on parole and kept out at the same time",
        query=sa.select(_name)
        .select_from(_of_host)
        .where(_is_open, _host.c.state == HostState.PAROLE),
        experiment=_SHARED,
    ),
)
