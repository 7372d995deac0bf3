"""What became of the attempts of a head without its loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.steps.worker import Worker
from tests.steps.world import World

MakeWorld = Callable[..., World]
STEP = "slurmstepd: error: StepId=7.0 exceeded memory limit (307200 > 102400), being killed"


def begin(world: World) -> list[Worker]:
    """Let workers begin in both slots."""
    world.ticks(3)
    return world.claim_all()


def write_log(world: World, worker: Worker, text: str) -> None:
    """Let an attempt's log hold this and nothing else."""
    (row,) = world.rows("attempt", id=worker.assignment["attempt_id"])
    path = world.run_dir / str(row["log_path"])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def fate(world: World, index: int = 0) -> tuple[str | None, str | None, str]:
    """Class, name and blame of a trial's first attempt."""
    row = world.rows("attempt", trial_id=world.rows("trial", index=index)[0]["id"])[0]
    kind, evidence = row["failure_class"], row["failure_evidence"] or {}
    return kind and kind.value, row["failure_name"], evidence.get("blame", "")


def evidence(world: World) -> dict[str, Any]:
    """What the class of the first attempt rests on."""
    found: dict[str, Any] = world.rows("attempt")[0]["failure_evidence"]
    return found
