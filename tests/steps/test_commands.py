"""What people ask of a living head: done, written down, and only then answered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from db.errors import DatabaseUnavailable
from db.spool import commands, layout
from db.spool.commands import RequestKind, new_request
from db.sql import experiments
from orchestrator.steps import commands as steps
from orchestrator.steps.commands import Stop
from tests.steps.fleet import Fleet
from tests.steps.world import World

MakeWorld = Callable[..., World]


def ask(world: World, kind: RequestKind, **values: Any) -> str:
    """Leave a request, as a command on another login node does."""
    return commands.ask(layout.spool_of(str(world.run_dir)), new_request(kind, **values))


def tune(world: World, **values: int) -> str:
    """Ask for other numbers, and let the head look."""
    path = ask(world, RequestKind.TUNE, **values)
    world.tick()
    return path


def events(world: World, kind: str) -> list[dict[str, Any]]:
    return [row["payload"] for row in world.rows("event", kind=kind)]


def spec_of(world: World) -> dict[str, Any]:
    with world.store.read() as connection:
        return experiments.get(connection, world.experiment_id).spec


def test_more_slots_are_filled_at_once_and_the_change_is_on_record(make_world: MakeWorld) -> None:
    world = make_world(num_parallel_jobs=2, max_eval=20)
    world.ticks(3)
    path = tune(world, num_parallel_jobs=5)
    assert commands.answer_to(path) == ""
    world.ticks(3)
    assert len(world.ledger.attempts) == 5
    (event,) = events(world, "tuned")
    assert event["changes"] == {"num_parallel_jobs": {"before": 2, "now": 5}}
    assert event["spec_version"] == 2
    assert "@" in event["by"]
    assert spec_of(world)["num_parallel_jobs"] == 5


def test_the_next_head_goes_on_with_the_numbers_that_were_tuned(world: World) -> None:
    world.ticks(2)
    tune(world, num_parallel_jobs=3, max_eval=9)
    tune(world, max_eval=7)
    assert (spec_of(world)["num_parallel_jobs"], spec_of(world)["max_eval"]) == (3, 7)
    assert [event["spec_version"] for event in events(world, "tuned")] == [2, 3]


def test_what_holds_already_changes_nothing(world: World) -> None:
    path = tune(world, num_parallel_jobs=2, max_eval=4)
    assert commands.answer_to(path) == ""
    assert events(world, "tuned") == []


def test_more_trials_are_made_when_more_are_wanted(world: World) -> None:
    for _ in range(6):
        world.ticks(3)
        for worker in world.claim_all():
            worker.end()
    assert world.statuses() == ["COMPLETED"] * 4
    tune(world, max_eval=6)
    world.ticks(3)
    assert len(world.ledger.trials) == 2


def test_a_goal_below_what_has_ended_is_refused(world: World, workers: list[Any]) -> None:
    for worker in workers:
        worker.end()
    world.tick()
    path = tune(world, max_eval=1)
    assert commands.answer_to(path) == (
        "--max_eval: 1 is less than the 2 trials that have ended already"
    )
    assert world.goal.max_eval == 4


def test_points_beyond_the_goal_are_given_up_and_not_run(make_world: MakeWorld) -> None:
    world = make_world(num_parallel_jobs=2, max_eval=20)
    world.ticks(3)
    world.goal.slots = 0  # what is proposed now waits
    world.proposer.propose(6)
    world.proposer.propose(6)
    assert len(world.ledger.waiting) >= 4
    path = tune(world, max_eval=3)
    world.tick()
    assert commands.answer_to(path) == ""
    assert world.ledger.created == 3
    assert world.statuses()[:3] == ["STAGED", "STAGED", "CANDIDATE"]
    assert set(world.statuses()[3:]) == {"STALE"}


def test_an_end_is_kept_until_the_loop_has_written_it_down(world: World) -> None:
    path = ask(world, RequestKind.STOP)
    world.tick()
    assert world.requests.stop is not None
    assert not world.requests.stop.now
    assert commands.answer_to(path) is None
    world.requests.stop_is_noted()
    assert commands.answer_to(path) == ""


def test_a_stronger_wish_replaces_a_weaker_one_and_not_the_other_way_round(world: World) -> None:
    ask(world, RequestKind.STOP)
    world.tick()
    ask(world, RequestKind.STOP, now=True)
    world.tick()
    ask(world, RequestKind.STOP)
    world.tick()
    assert isinstance(world.requests.stop, Stop)
    assert world.requests.stop.now


def test_what_an_earlier_head_was_asked_is_refused_but_hosts_are_kept_out(
    make_world: MakeWorld,
) -> None:
    world = make_world()
    world.ticks(2)
    asked = [
        ask(world, RequestKind.STOP),
        ask(world, RequestKind.TUNE, num_parallel_jobs=1),
        ask(world, RequestKind.EXCLUDE, hosts=("node3",), reason="broken"),
    ]
    world.start_head()
    world.tick()
    answers = [commands.answer_to(path) for path in asked]
    assert answers[2] == ""
    assert all(answer and "ask again" in answer for answer in answers[:2])
    assert world.requests.stop is None
    assert world.goal.slots == 2
    assert Fleet(world).avoided() == ["node3"]


def test_hosts_are_kept_out_of_the_very_next_job_and_let_in_again(world: World) -> None:
    fleet = Fleet(world)
    path = ask(world, RequestKind.EXCLUDE, hosts=("node3", "node1"), reason="smoke", seconds=60)
    world.ticks(3)
    assert commands.answer_to(path) == ""
    assert list(world.cluster.orders[0].resources.exclude) == ["node1", "node3"]
    (first, second) = events(world, "excluded")
    assert [first["host"], second["host"]] == ["node1", "node3"]
    assert (first["reason"], first["seconds"], first["source"]) == ("smoke", 60, "USER")
    ask(world, RequestKind.INCLUDE, hosts=("node3",), reason="repaired")
    world.ticks(2)
    assert fleet.avoided() == ["node1"]


def test_to_let_in_a_host_that_is_not_out_is_refused(world: World) -> None:
    path = ask(world, RequestKind.INCLUDE, hosts=("node3",))
    world.tick()
    assert commands.answer_to(path) == "node3 is not kept out"


def test_a_database_that_goes_away_leaves_the_request_for_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.ticks(2)
    path = ask(world, RequestKind.TUNE, num_parallel_jobs=1)

    def away(*words: object, **more: object) -> int:
        raise DatabaseUnavailable("gone")

    with monkeypatch.context() as patch:
        patch.setattr(experiments, "set_spec", away)
        with pytest.raises(DatabaseUnavailable):
            world.tick()
    assert commands.answer_to(path) is None
    assert world.goal.slots == 2
    world.ticks(2, seconds=steps.LIST_SECONDS)
    assert commands.answer_to(path) == ""
    assert world.goal.slots == 1


def test_a_file_that_is_no_request_is_put_aside_and_told(world: World) -> None:
    folder = Path(layout.part(layout.spool_of(str(world.run_dir)), layout.COMMANDS))
    (folder / "x.json").write_text('{"kind": "FORMAT_DISK"}')
    world.tick()
    assert list(folder.iterdir()) == []
    (event,) = events(world, "foreign")
    assert event["file"] == "x.json"
    rejected = folder.with_name("rejected")
    assert {path.name for path in rejected.iterdir()} == {"x.json", "x.json.reason"}


def test_requests_are_not_read_where_others_may_write(world: World) -> None:
    folder = Path(layout.part(layout.spool_of(str(world.run_dir)), layout.COMMANDS))
    path = ask(world, RequestKind.STOP)
    folder.chmod(0o777)
    world.tick()
    assert world.requests.stop is None
    assert commands.answer_to(path) is None
    folder.chmod(0o700)
    world.ticks(2, seconds=steps.LIST_SECONDS)
    assert world.requests.stop is not None
