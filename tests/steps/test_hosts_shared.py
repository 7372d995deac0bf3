"""What one head knows of the hosts when others share its database, or went before it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from db.errors import DatabaseUnavailable
from db.sql import hosts
from db.sql.hosts import HostEnding
from db.states import ExclusionSource, FailureClass
from orchestrator.health.verdicts import Verdicts
from orchestrator.steps.history import replay
from tests.steps.fleet import Fleet
from tests.steps.world import World

OURS, THEIRS = 1, 2
FLEET = [f"n{index}" for index in range(20)]
PROGRAM, NODE = FailureClass.PROGRAM, FailureClass.NODE


@pytest.fixture
def transport() -> str:
    """How workers report makes no difference here."""
    return "direct"


def ending(
    trial: int, host: str, failure: FailureClass | None = None, *, experiment: int = OURS
) -> HostEnding:
    """How an attempt ended."""
    return HostEnding(
        experiment_id=experiment,
        trial_id=trial,
        host=host,
        failure_class=failure,
        evidence=None,
        ended_at=datetime.now(UTC),
        is_closed=False,
    )


def told(*endings: HostEnding) -> tuple[list[str], list[str]]:
    """Whom a head that begins excludes and suspects after such endings."""
    verdicts = Verdicts()
    replay(verdicts, endings, experiment_id=OURS)
    excluded = [verdict.host for verdict in verdicts.newly_excluded(FLEET)]
    return excluded, [verdict.host for verdict in verdicts.suspects(FLEET)]


def test_what_others_have_explained_counts() -> None:
    blamed = [
        each
        for trial in range(4)
        for each in (
            ending(trial, "n1", PROGRAM, experiment=THEIRS),
            ending(trial, "n2", experiment=THEIRS),
        )
    ]
    assert told(*blamed) == (["n1"], [])


def test_what_others_have_not_explained_yet_is_left_to_them() -> None:
    assert told(ending(1, "n1", PROGRAM, experiment=THEIRS)) == ([], [])
    assert told(ending(1, "n1", PROGRAM)) == ([], ["n1"])


def test_a_node_that_failed_for_others_is_out_for_all() -> None:
    assert told(ending(1, "n1", NODE, experiment=THEIRS)) == (["n1"], [])


def test_the_blame_on_record_counts_more_than_the_class() -> None:
    by_text = replace(ending(1, "n1", NODE), evidence={"blame": "PAIRED"})
    assert told(by_text) == ([], ["n1"])
    of_later = replace(by_text, evidence={"blame": "COSMIC"})
    assert told(of_later) == (["n1"], [])


def test_a_trial_that_has_ended_is_not_waited_for() -> None:
    ended = replace(ending(1, "n1", PROGRAM), is_closed=True)
    assert told(ended) == ([], [])


def test_heads_that_see_the_same_exclude_a_host_once(make_world: Callable[..., World]) -> None:
    fleet = Fleet(make_world())
    fleet.world.ticks(3)
    worker, _ = fleet.run_all("node1", "node2")
    # Another head was faster, and has its own reasons.
    fleet.by_hand("node1", source=ExclusionSource.HEADWAY, reason="told by another", seconds=60)
    fleet.lose_node(worker, "node1")
    assert fleet.excluded() == {"node1": "told by another"}
    assert fleet.events() == []
    assert fleet.avoided() == ["node1"]


def test_what_others_keep_out_counts_towards_the_quarter(make_world: Callable[..., World]) -> None:
    fleet = Fleet(make_world())
    fleet.world.ticks(3)
    worker, _ = fleet.run_all("node1", "node2")
    for name in ("node5", "node6"):
        fleet.by_hand(name, source=ExclusionSource.HEADWAY, seconds=60)
    fleet.lose_node(worker, "node1")
    assert fleet.avoided() == ["node5", "node6"]


def test_what_others_have_just_excluded_counts_towards_the_quarter_too(
    make_world: Callable[..., World],
) -> None:
    rule = {"name": "odd", "exit_codes": [7], "behavior": "ExcludeNode"}
    fleet = Fleet(make_world(rules=[rule]))
    fleet.world.ticks(3)
    worker, _ = fleet.run_all("node1", "node2")
    with fleet.world.engine.begin() as connection:
        for name in ("node5", "node6"):
            by_another: dict[str, Any] = {"source": ExclusionSource.HEADWAY, "reason": "no disk"}
            assert hosts.exclude(connection, "", name, **by_another)
    fleet.end(worker, "node1", exit_code=7)
    assert list(fleet.excluded()) == ["node5", "node6"]


def test_a_decision_that_was_not_written_is_made_again(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = Fleet(make_world())
    fleet.world.ticks(3)
    worker, _ = fleet.run_all("node1", "node2")

    def break_down(*_: object, **__: object) -> bool:
        raise DatabaseUnavailable("the connection broke")

    monkeypatch.setattr("db.sql.hosts.exclude", break_down)
    with pytest.raises(DatabaseUnavailable):
        fleet.lose_node(worker, "node1")
    monkeypatch.undo()
    assert fleet.avoided() == []
    # As the loop does when the database is back.
    fleet.world.hosts.remember()
    fleet.world.hosts.decide()
    assert fleet.avoided() == list(fleet.excluded()) == ["node1"]
