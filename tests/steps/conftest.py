"""A head without its loop, with workers that report directly or through the spool."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.steps.scripted import Clock
from tests.steps.worker import Worker
from tests.steps.world import World


@pytest.fixture(params=["direct", "spool"])
def transport(request: pytest.FixtureRequest) -> str:
    """How workers report."""
    return str(request.param)


@pytest.fixture
def make_world(
    transport: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., World]]:
    """Makes a world with a spec of one's own; the clock of all steps stands still."""
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    made: list[World] = []

    def make(**changes: Any) -> World:
        made.append(World(tmp_path, clock, transport=transport, **changes))
        return made[-1]

    yield make
    for world in made:
        world.close()


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """Four trials wanted, two slots."""
    return make_world()


@pytest.fixture
def workers(world: World) -> list[Worker]:
    """Workers in both slots."""
    world.ticks(3)
    workers = world.claim_all()
    assert [worker.index for worker in workers] == [0, 1]
    return workers
