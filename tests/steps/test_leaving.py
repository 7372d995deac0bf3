"""A head that is asked to go by SIGTERM: nothing begins any more, and jobs go on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from orchestrator.loop import Ending, Loop, Parts
from orchestrator.steps.alarm import Alarm
from tests.steps.world import World


def loop_of(world: World) -> tuple[Loop, Alarm]:
    names = (
        "store",
        "spec",
        "goal",
        "ledger",
        "cluster",
        "observer",
        "settler",
        "proposer",
        "submitter",
        "hosts",
        "throttle",
        "requests",
        "never",
        "tolerance",
        "space",
    )
    parts: dict[str, Any] = {name: getattr(world, name) for name in names}
    parts |= {"alarm": Alarm(), "renewal": SimpleNamespace(renew=lambda tell=None: None)}
    return Loop(cast("Parts", SimpleNamespace(**parts)), deadline=None), parts["alarm"]


def test_a_head_that_was_asked_to_go_submits_nothing_more(world: World) -> None:
    loop, alarm = loop_of(world)
    world.threads.held = []
    world.ticks(2)
    assert len(world.submitter.in_flight) == 1
    alarm.is_leaving = True
    assert loop._tick(look=True) is None, "a call is under way"
    world.threads.let_go()
    for worker in world.claim_all_quietly():
        worker.fail()
    assert loop._tick(look=True) == Ending.LEFT
    assert len(world.ledger.waiting) == 2, "their further tries wait for a resume"
    assert len(world.cluster.orders) == 1
    assert not world.submitter.in_flight
