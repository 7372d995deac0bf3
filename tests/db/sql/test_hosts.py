"""Hosts: many heads and persons judge them at once, and what happened there is read back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from db.sql import hosts
from db.sql.hosts import ExclusionRow, HostEnding
from db.sql.leases import database_time
from db.sql.tables import Attempt, Exclusion, Host, Trial, table_of
from db.states import AttemptState, ExclusionSource, FailureClass, HostState, TrialStatus
from tests.db.sql.samples import Sample, fill

HEADWAY, USER = ExclusionSource.HEADWAY, ExclusionSource.USER
SUSPECT, PAROLE, GOOD = HostState.SUSPECT, HostState.PAROLE, HostState.GOOD
HEADS = 4


def exclude(engine: sa.Engine, name: str = "n1", **changes: Any) -> bool:
    values: dict[str, Any] = {"source": HEADWAY, "reason": "three failed", "seconds": 60.0}
    with engine.begin() as connection:
        return hosts.exclude(connection, "", name, **(values | changes))


def include(engine: sa.Engine, name: str = "n1", **changes: Any) -> bool:
    with engine.begin() as connection:
        return hosts.include(connection, "", name, **({"reason": "repaired"} | changes))


def note(engine: sa.Engine, state: HostState, name: str = "n1", **changes: Any) -> bool:
    with engine.begin() as connection:
        return hosts.note_state(connection, "", name, state, **changes)


def exclusions(engine: sa.Engine) -> dict[str, ExclusionRow]:
    with engine.connect() as connection:
        return hosts.current(connection, "")[0]


def states(engine: sa.Engine) -> dict[str, HostState]:
    with engine.connect() as connection:
        return {name: row.state for name, row in hosts.current(connection, "")[1].items()}


def expire(engine: sa.Engine) -> None:
    """Let all exclusions have begun two hours ago, and those with an expiry be over."""
    table = table_of(Exclusion)
    with engine.begin() as connection:
        ago = database_time(connection) - timedelta(hours=2)
        connection.execute(table.update().values(created_at=ago))
        over = table.update().where(table.c.expires_at.is_not(None))
        connection.execute(over.values(expires_at=ago + timedelta(hours=1)))


def all_at_once(act: Callable[[], bool]) -> list[bool]:
    """Let several heads do the same at the same moment."""
    gate = threading.Barrier(HEADS)

    def head(_: int) -> bool:
        gate.wait()
        return act()

    with ThreadPoolExecutor(HEADS) as threads:
        return sorted(threads.map(head, range(HEADS)))


def test_a_state_is_changed_by_one_of_many_heads(engine: sa.Engine) -> None:
    done = all_at_once(lambda: note(engine, SUSPECT, reason="trial 3 failed there"))
    assert done == [False] * (HEADS - 1) + [True]
    assert states(engine) == {"n1": SUSPECT}
    assert all_at_once(lambda: note(engine, GOOD))[-2:] == [False, True]
    assert states(engine) == {}


def test_a_host_is_excluded_and_included_by_one_of_many_heads(engine: sa.Engine) -> None:
    assert all_at_once(lambda: exclude(engine)) == [False] * (HEADS - 1) + [True]
    assert rows_of(engine, Exclusion) == 1
    assert all_at_once(lambda: include(engine)) == [False] * (HEADS - 1) + [True]
    assert (exclusions(engine), states(engine)) == ({}, {"n1": PAROLE})


def rows_of(engine: sa.Engine, model: type[Exclusion | Host]) -> int:
    with engine.connect() as connection:
        query = sa.select(sa.func.count()).select_from(table_of(model))
        return int(connection.execute(query).scalar_one())


def test_a_state_keeps_its_time_while_its_reason_grows(engine: sa.Engine) -> None:
    note(engine, SUSPECT, reason="one failed", evidence={"failed": 1})
    with engine.connect() as connection:
        before = hosts.current(connection, "")[1]["n1"]
    assert note(engine, SUSPECT, reason="two failed", evidence={"failed": 2}) is False
    with engine.connect() as connection:
        after = hosts.current(connection, "")[1]["n1"]
    assert after == replace(before, reason="two failed", evidence={"failed": 2})


def test_a_good_host_that_nobody_has_heard_of_is_not_written_down(engine: sa.Engine) -> None:
    assert note(engine, GOOD) is False
    assert include(engine) is False
    assert rows_of(engine, Host) == 0


def test_an_exclusion_tells_all_that_was_said_of_it(sample: Sample) -> None:
    said: dict[str, Any] = {"evidence": {"probability": 0.97}, "reason": "it is a black hole"}
    assert exclude(sample.engine, experiment_id=sample.store.experiment_id, **said)
    (row,) = exclusions(sample.engine).values()
    assert (row.host, row.source, row.decided_by, row.is_over) == ("n1", HEADWAY, None, False)
    assert (row.reason, row.evidence) == (said["reason"], said["evidence"])
    assert row.experiment_id == sample.store.experiment_id
    assert row.expires_at is not None
    assert row.expires_at - row.created_at == timedelta(seconds=60)
    assert states(sample.engine) == {"n1": SUSPECT}


def test_a_person_takes_the_place_of_the_evidence_and_not_the_other_way_round(
    engine: sa.Engine,
) -> None:
    exclude(engine)
    by_hand: dict[str, Any] = {"source": USER, "decided_by": "me@login1", "reason": "the fan"}
    assert exclude(engine, seconds=None, **by_hand)
    assert exclude(engine, seconds=5.0) is False
    assert exclude(engine, seconds=5.0, **by_hand) is False
    (row,) = exclusions(engine).values()
    assert (row.source, row.decided_by, row.expires_at) == (USER, "me@login1", None)
    assert rows_of(engine, Exclusion) == 2


def test_an_exclusion_that_has_expired_waits_for_its_end(engine: sa.Engine) -> None:
    exclude(engine)
    expire(engine)
    (row,) = exclusions(engine).values()
    assert row.is_over
    assert include(engine, reason="it expired", exclusion_id=row.id)
    assert (exclusions(engine), states(engine)) == ({}, {"n1": PAROLE})


def test_an_exclusion_that_has_expired_is_no_reason_not_to_exclude_again(
    engine: sa.Engine,
) -> None:
    exclude(engine)
    expire(engine)
    (old,) = exclusions(engine).values()
    assert exclude(engine)
    # A head that has not seen that yet ends the old one only.
    assert include(engine, exclusion_id=old.id) is False
    (new,) = exclusions(engine).values()
    assert new.id != old.id
    assert new.is_over is False


@pytest.mark.parametrize("source", ExclusionSource)
def test_a_host_on_parole_that_is_excluded_is_not_on_parole(
    engine: sa.Engine, source: ExclusionSource
) -> None:
    note(engine, PAROLE)
    exclude(engine, source=source)
    assert states(engine) == {"n1": SUSPECT}


def test_a_host_that_a_person_has_just_excluded_gets_no_parole(engine: sa.Engine) -> None:
    note(engine, SUSPECT)
    exclude(engine, source=USER)
    assert note(engine, PAROLE) is False
    assert states(engine) == {"n1": SUSPECT}


def test_a_person_who_excludes_a_host_says_nothing_of_the_evidence(engine: sa.Engine) -> None:
    exclude(engine, source=USER)
    assert states(engine) == {}


def test_a_suspect_is_included_by_hand(engine: sa.Engine) -> None:
    note(engine, SUSPECT, reason="trial 3 failed there")
    assert include(engine, state=GOOD)
    assert states(engine) == {}
    assert include(engine) is False


def test_hosts_of_another_cluster_are_others(engine: sa.Engine) -> None:
    exclude(engine)
    with engine.begin() as connection:
        assert hosts.current(connection, "west") == ({}, {})
        assert hosts.include(connection, "west", "n1", reason="no such host") is False
    assert exclusions(engine).keys() == {"n1"}


def put_ending(
    sample: Sample, place: int, host: str | None, *, ago: float, **values: Any
) -> datetime:
    """Let an attempt of the sample have ended so many seconds ago; well, unless told otherwise."""
    attempt = table_of(Attempt)
    with sample.engine.begin() as connection:
        ended = database_time(connection) - timedelta(seconds=ago)
        new = {"state": AttemptState.SUCCEEDED, "host": host, "ended_at": ended} | values
        where = attempt.c.id == sample.attempt_ids[place]
        connection.execute(attempt.update().where(where).values(**new))
    return ended


def failed(kind: FailureClass = FailureClass.PROGRAM) -> dict[str, Any]:
    evidence = {"blame": "PAIRED", "exit_code": 1}
    return {
        "state": AttemptState.FAILED,
        "failure_class": kind,
        "failure_evidence": evidence,
    }


def endings(sample: Sample, *, seconds: float = 1000, **more: Any) -> list[HostEnding]:
    with sample.store.read() as connection:
        return hosts.endings(connection, seconds=seconds, cluster="", **more)


def test_endings_of_all_experiments_come_in_their_order(sample: Sample) -> None:
    other = fill(sample.engine, "other")
    late = put_ending(sample, 0, "n1", ago=10)
    early = put_ending(other, 0, "n2", ago=20, **failed())
    put_ending(sample, 1, "n1", ago=2000, **failed())
    put_ending(sample, 2, None, ago=10, **failed(FailureClass.SUBMIT))
    assert endings(sample) == [
        HostEnding(
            experiment_id=other.store.experiment_id,
            trial_id=other.trial_ids[0],
            host="n2",
            failure_class=FailureClass.PROGRAM,
            evidence={"blame": "PAIRED", "exit_code": 1},
            ended_at=early,
            is_closed=False,
        ),
        HostEnding(
            experiment_id=sample.store.experiment_id,
            trial_id=sample.trial_ids[0],
            host="n1",
            failure_class=None,
            evidence=None,
            ended_at=late,
            is_closed=False,
        ),
    ]
    assert [row.host for row in endings(sample, most=1)] == ["n1"]


@pytest.mark.parametrize(
    ("status", "is_closed"),
    [
        (TrialStatus.RUNNING, False),
        (TrialStatus.COMPLETED, False),
        (TrialStatus.FAILED, True),
        (TrialStatus.ABANDONED, True),
    ],
)
def test_a_trial_without_an_outcome_is_closed_when_it_has_ended(
    sample: Sample, status: TrialStatus, is_closed: bool
) -> None:
    put_ending(sample, 0, "n1", ago=10, **failed())
    trial = table_of(Trial)
    with sample.engine.begin() as connection:
        where = trial.c.id == sample.trial_ids[0]
        connection.execute(trial.update().where(where).values(status=status))
    assert [row.is_closed for row in endings(sample)] == [is_closed]


def test_a_late_result_is_no_failure_and_a_superseded_attempt_no_success(sample: Sample) -> None:
    put_ending(sample, 0, "n1", ago=10, **failed() | {"state": AttemptState.SUCCEEDED})
    put_ending(sample, 1, "n2", ago=10, state=AttemptState.SUPERSEDED)
    assert [(row.host, row.failure_class) for row in endings(sample)] == [("n1", None)]


def test_what_happened_before_a_host_was_let_in_again_does_not_count(sample: Sample) -> None:
    put_ending(sample, 0, "n1", ago=20, **failed())
    put_ending(sample, 1, "n2", ago=20, **failed())
    exclude(sample.engine, "n1")
    assert [row.host for row in endings(sample)] == ["n1", "n2"]
    include(sample.engine, "n1")
    assert [row.host for row in endings(sample)] == ["n2"]
    put_ending(sample, 2, "n1", ago=-5)
    assert [row.host for row in endings(sample)] == ["n2", "n1"]
