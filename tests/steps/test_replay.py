"""Heads that die after each few commits leave a log that replays, with real generators."""

from __future__ import annotations

import contextlib
import itertools
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from db.sql.reading.reader import open_reader
from db.sql.store import Store, Transaction
from orchestrator.app.replaying import replay_experiment
from orchestrator.errors import HeadwayError
from orchestrator.generators.base import Ask, Batch, Generator, GeneratorError, Observation
from orchestrator.generators.process import Answer
from orchestrator.generators.strategy import make_generator
from tests.steps.scripted import Clock
from tests.steps.world import World

SPACE = {
    "parameters": [
        {"kind": "range", "name": "x", "value_type": "float", "lower": 0, "upper": 1},
        {"kind": "choice", "name": "kind", "value_type": "str", "choices": ["a", "b", "c"]},
    ]
}
STRATEGY = {
    "nodes": [
        {"generator": "SOBOL", "num_trials": 4},
        {"generator": "TPE", "min_observed": 2},
    ]
}
TRIALS = 24


class DeathOfHeadError(BaseException):
    """What stands for kill -9: nothing of the head goes on."""


class InThisProcess:
    """Real generators without a process of their own, told and asked as `Desk` does it."""

    incarnation = 1

    def __init__(self, world: World) -> None:
        self._world = world
        self._made: dict[str, tuple[Generator, list[Observation]]] = {}
        self._told: list[Observation] = []
        self._answer: Answer | None = None
        self.fails: Callable[[str], bool] = lambda _: False

    @property
    def is_busy(self) -> bool:
        return self._answer is not None

    def warm(self, generator: str) -> None:
        del generator

    def tell(self, observations: list[Observation]) -> None:
        self._told += observations

    def ask(self, generator: str, ask: Ask) -> None:
        spec = self._world.spec
        if generator not in self._made:
            self._made[generator] = make_generator(generator, spec.space, spec.objectives), []
        made, known = self._made[generator]
        made.tell(self._told[len(known) :])
        known += self._told[len(known) :]
        try:
            if self.fails(generator):
                raise GeneratorError("singular matrix")
            result: Batch | GeneratorError = made.ask(ask)
        except GeneratorError as error:
            result = error
        self._answer = Answer(generator=generator, ask=ask, result=result)

    def poll(self) -> Answer | None:
        answer, self._answer = self._answer, None
        return answer


class MortalWorld(World):
    """A world whose heads die after so many commits, until the last one is spared."""

    commits_left = 10**9

    def start_head(self) -> None:
        self.model = self.fallback = None  # type: ignore[assignment]
        self.model, self.fallback = InThisProcess(self), InThisProcess(self)  # type: ignore[assignment]
        super().start_head()
        self.proposer.catch_up()

    def live(self, commits: Iterator[int]) -> int:
        """Let heads live and die until all trials have ended; return how many died.

        Args:
            commits: After how many commits each of them dies.
        """
        deaths = 0
        while self.ended() < TRIALS:
            assert deaths < 300, "they die and nothing gets done"
            self.commits_left = next(commits)
            try:
                for _ in range(30):
                    self._go_on()
            except DeathOfHeadError:
                deaths += 1
                self.commits_left = 10**9
                self.clock.now += 60
                self.start_head()
        return deaths

    def ended(self) -> int:
        """Return how many trials have ended."""
        return self.statuses().count("COMPLETED") + self.statuses().count("FAILED")

    def _go_on(self) -> None:
        self.tick()
        for worker in self.claim_all_quietly():
            worker.end(exit_code=1 if worker.index == 3 else 0)
        self.look()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MortalWorld]:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    made = MortalWorld(
        tmp_path,
        clock,
        transport="direct",
        space=SPACE,
        strategy=STRATEGY,
        max_eval=TRIALS,
        num_parallel_jobs=3,
    )
    real = Store.write

    @contextlib.contextmanager
    def write(store: Store) -> Iterator[Transaction]:
        with real(store) as connection:
            yield connection
        made.commits_left -= 1
        if made.commits_left <= 0:
            raise DeathOfHeadError

    monkeypatch.setattr(Store, "write", write)
    yield made
    made.close()


def test_asks_that_failed_and_points_of_the_fallback_are_taken_as_given(
    world: MortalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = itertools.cycle((False, True))
    model: Any = world.model
    model.fails = lambda generator: generator == "TPE" and next(turns)
    while world.ended() < TRIALS:
        world._go_on()
        world.clock.now += 60  # the model is asked again
    monkeypatch.undo()
    asks = [row["payload"] for row in world.rows("event", kind="ask")]
    assert {("model", "TPE"), ("fallback", "SOBOL")} <= {
        (ask["process"], ask["generator"]) for ask in asks
    }
    with open_reader(world.url) as reader:
        result = replay_experiment(reader, world.experiment_id, world.spec)
    assert (result.is_equal, result.incomplete_asks) == (True, 0)
    assert result.failed_asks > 0


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2, 3))]
)
def test_heads_that_die_between_commits_leave_a_log_that_replays(
    world: MortalWorld, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Always after one commit would be no use: a submission is committed before sbatch is called.
    chance = random.Random(seed)
    assert world.live(chance.randint(1, 4) for _ in itertools.count()) > 4
    monkeypatch.undo()
    with open_reader(world.url) as reader:
        result = replay_experiment(reader, world.experiment_id, world.spec)
    assert (result.points, result.difference, result.unanswered) == (TRIALS, None, None)
    assert result.is_equal
    assert result.asks > 3


def test_the_same_asks_with_another_result_are_told_apart(
    world: MortalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.live(itertools.repeat(10**9))
    monkeypatch.undo()
    with world.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE outcome SET mean = 99 - mean WHERE trial_id < 8")
    with open_reader(world.url) as reader:
        result = replay_experiment(reader, world.experiment_id, world.spec)
    assert not result.is_equal
    assert result.difference is not None
    assert result.difference.generator == "TPE"


def test_asks_that_do_not_say_enough_are_not_called_equal(
    world: MortalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.live(itertools.repeat(10**9))
    monkeypatch.undo()
    with world.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE event SET payload = json_remove(payload, '$.told')")
    with (
        open_reader(world.url) as reader,
        pytest.raises(HeadwayError, match="earlier Headway"),
    ):
        replay_experiment(reader, world.experiment_id, world.spec)
