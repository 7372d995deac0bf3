"""Who killed a program: only the scheduler knows, and the head waits for its word."""

from __future__ import annotations

from signal import SIGKILL
from typing import Any

import pytest

from db.states import JobState
from tests.health.payloads import end
from tests.steps.judged import STEP, MakeWorld, begin, evidence, fate, write_log
from tests.steps.worker import Worker
from tests.steps.world import World, attempts_of


@pytest.fixture
def transport() -> str:
    """How reports come is the same to whoever judges them."""
    return "direct"


@pytest.mark.parametrize(
    "changes",
    [
        {"exit_code": None, "signal": SIGKILL},
        {"exit_code": 137},
        {"exit_code": 1, "tail": "bash: line 1: 4711 Killed      ./train\n"},
        {"results": {}, "tail": "bash: line 1: 4711 Killed      ./train\ngoing on\n"},
    ],
)
@pytest.mark.parametrize("state", [JobState.OUT_OF_MEMORY, JobState.COMPLETED])
def test_a_killed_program_waits_for_slurms_word(
    world: World, workers: list[Worker], changes: dict[str, Any], state: JobState
) -> None:
    workers[0].end(**changes)
    world.ticks(3)
    assert attempts_of(world, 0) == [("STARTED", None)]
    world.finish_job(workers[0], state)
    world.look(2)
    plain = "NO_RESULT" if "results" in changes else "PROGRAM"
    wanted = "OUT_OF_MEMORY" if state == JobState.OUT_OF_MEMORY else plain
    assert fate(world)[0] == wanted


def test_slurms_word_in_the_log_comes_after_the_report(world: World, workers: list[Worker]) -> None:
    workers[0].end(exit_code=137)
    world.ticks(2)
    write_log(
        world, workers[0], "slurmstepd: error: Detected 1 oom_kill event in StepId=7.batch.\n"
    )
    world.finish_job(workers[0], JobState.FAILED)
    world.look(2)
    assert fate(world) == ("OUT_OF_MEMORY", "slurm-memory", "WEAK")


@pytest.mark.parametrize(
    ("state", "wanted"),
    [
        (JobState.OUT_OF_MEMORY, ("OUT_OF_MEMORY", None, "WEAK")),
        (JobState.FAILED, ("PROGRAM", "disk-full", "PAIRED")),
    ],
)
def test_slurms_word_on_a_killed_program_comes_before_its_own(
    world: World, workers: list[Worker], state: JobState, wanted: tuple[str, ...]
) -> None:
    workers[0].end(exit_code=137, tail="cache: No space left on device, going on\nepoch 7\n")
    world.ticks(2)
    assert attempts_of(world, 0) == [("STARTED", None)]
    world.finish_job(workers[0], state)
    world.look(2)
    assert fate(world) == wanted


def test_what_slurm_adds_to_a_log_comes_after_the_last_words_of_its_program(
    world: World, workers: list[Worker]
) -> None:
    tail = "cache: No space left on device, going on\nepoch 7\n"
    write_log(world, workers[0], f"{tail}{STEP}\n")
    workers[0].end(exit_code=1, tail=tail)
    world.tick()
    assert fate(world)[1] == "slurm-memory"


@pytest.mark.parametrize("exit_code", [1, 137])
def test_what_may_be_an_echo_is_looked_up_in_the_log(
    world: World, workers: list[Worker], exit_code: int
) -> None:
    write_log(world, workers[0], f"{STEP}\n")
    workers[0].end(exit_code=exit_code, tail="socket: No route to host\n")
    world.tick()
    assert fate(world) == ("OUT_OF_MEMORY", "slurm-memory", "WEAK")


def test_nobody_waits_for_slurms_word_for_ever(world: World, workers: list[Worker]) -> None:
    workers[0].end(exit_code=137)
    world.cluster.is_silent = True
    world.ticks(6, seconds=30)
    assert attempts_of(world, 0) == [("STARTED", None)]
    world.ticks(3, seconds=30)
    assert fate(world) == ("PROGRAM", None, "PAIRED")
    assert world.rows("attempt")[0]["failure_message"].startswith(
        "the program ended with exit code 137, as after SIGKILL"
    )


def test_the_next_head_waits_as_well(world: World, workers: list[Worker]) -> None:
    workers[0].end(exit_code=137)
    world.ticks(2)
    world.start_head()
    world.ticks(2)
    assert attempts_of(world, 0) == [("STARTED", None)]
    world.finish_job(workers[0], JobState.OUT_OF_MEMORY)
    world.look(2)
    assert fate(world)[0] == "OUT_OF_MEMORY"


def test_on_a_laptop_nobody_could_tell(make_world: MakeWorld) -> None:
    world = make_world(executor="local")
    begin(world)[0].end(exit_code=137)
    world.tick()
    assert fate(world) == ("PROGRAM", None, "PAIRED")


@pytest.mark.parametrize(("peak_mb", "kind"), [(950, "OUT_OF_MEMORY"), (500, None)])
def test_a_kill_near_what_this_attempt_had_was_for_memory(
    make_world: MakeWorld, peak_mb: int, kind: str | None
) -> None:
    world = make_world(resources={"memory_mb": 1000})
    measured = {**end()["measured"], "peak_memory_bytes": peak_mb * 2**20}
    begin(world)[0].end(exit_code=137, measured=measured)
    world.tick()
    assert fate(world)[0] == kind
    if kind:
        assert evidence(world)["memory_limit_bytes"] == 1000 * 2**20
