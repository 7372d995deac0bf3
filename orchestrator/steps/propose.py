"""Third step of a tick: keep a small stock of points ahead of need.

A point is stored as a CANDIDATE trial as soon as it is known, so that no restart loses it. The
model runs in a process of its own; a free slot that the model cannot serve in time gets a point of
the fallback from a second process, and the generation says so.
"""

from __future__ import annotations

import hashlib
import time

from db.sql import trials
from db.sql.store import Store
from orchestrator.generators.base import (
    Ask,
    GeneratorDeathError,
    GeneratorError,
    Observation,
)
from orchestrator.generators.process import GeneratorProcess
from orchestrator.generators.strategy import FALLBACK, node_for
from orchestrator.reports.vitals import GeneratorVitals
from orchestrator.spec.experiment import ExperimentSpec
from orchestrator.steps.desks import Asked, Desk, Known
from orchestrator.steps.goal import Goal
from orchestrator.steps.ledger import Ledger
from orchestrator.steps.notes import Note
from orchestrator.steps.pace import Pace
from orchestrator.steps.stock import Stock

# After an error of the model the fallback serves this many seconds before it is asked again.
ERROR_PAUSE_SECONDS = 10.0
# After a restart, so many results are held in memory at a time.
TOLD_AT_ONCE = 1000


class Proposer:
    """Asks generators ahead of need and stores what they answer.

    Attributes:
        pace: How long trials and asks take.
    """

    def __init__(
        self,
        *,
        store: Store,
        ledger: Ledger,
        spec: ExperimentSpec,
        goal: Goal,
        model: GeneratorProcess,
        fallback: GeneratorProcess,
        note: Note,
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._spec = spec
        self._goal = goal
        self._model = Desk("model", model)
        self._fallback = Desk("fallback", fallback)
        self._asked: dict[int, Asked] = {}
        self._stock = Stock(store=store, ledger=ledger, spec=spec, note=note)
        self._known = Known()
        self.pace = Pace()
        self._model_pause = 0.0
        self._problem: str | None = None
        self._is_warm = False

    def tell(self, observations: list[Observation]) -> None:
        """Tell the generators what was observed."""
        self._known.add(observations)
        self._model.tell(observations)
        self._fallback.tell(observations)

    def catch_up(self) -> None:
        """Tell the generators whatever the database has and they have not been told.

        That is everything when a head has just started; later it is what was settled in a
        transaction whose fate was unknown.
        """
        self._tell_news()
        missing = []
        with self._store.read() as connection:
            for row in trials.results(connection, self._store.experiment_id):
                observation = Observation(
                    trial=row.index, point=row.parameters, means=row.means, sems=row.sems
                )
                if not self._known.holds(observation):
                    missing.append(observation)
                if len(missing) == TOLD_AT_ONCE:
                    self.tell(missing)
                    missing = []
        if missing:
            self.tell(missing)

    def forget(self) -> None:
        """Take no notice of answers to asks that are out: the ledger was loaded anew."""
        self._asked.clear()
        self._stock.resolve_doubt()
        self.catch_up()

    def propose(self, free_slots: int) -> None:
        """Store new points and ask for more.

        Args:
            free_slots: Slots that could take a trial now.
        """
        self._tell_news()
        for desk in (self._model, self._fallback):
            self._take(desk)
        self._ask(free_slots)
        if not self._is_warm and self._ledger.attempts:
            self._warm()

    def vitals(self) -> GeneratorVitals:
        """Say how the generation of points stands."""
        node, _ = node_for(self._spec.strategy, self._ledger.proposed, self._ledger.observed)
        since = [asked.since for asked in self._asked.values() if asked.desk is self._model]
        return GeneratorVitals(
            name=self._spec.strategy.nodes[node].generator,
            is_busy=self._model.process.is_busy,
            busy_seconds=time.monotonic() - min(since) if since else None,
            stock=len(self._ledger.waiting),
            problem=self._problem,
        )

    def _tell_news(self) -> None:
        news, self._ledger.news = self._ledger.news, []
        if news:
            self.tell(news)

    def _warm(self) -> None:
        """Import what later points need, now that the first trials are on their way.

        It would only have held them up before: importing keeps a processor busy for seconds.
        """
        self._is_warm = True
        names = {node.generator for node in self._spec.strategy.nodes}
        if names != {FALLBACK}:
            self._fallback.process.warm(FALLBACK)
        for name in names - {self._spec.strategy.nodes[0].generator}:
            self._model.process.warm(name)

    # Asking

    def _ask(self, free_slots: int) -> None:
        ready = len(self._ledger.waiting)
        out = sum(asked.ask.count for asked in self._asked.values())
        is_paused = time.monotonic() < self._model_pause
        wanted = min(free_slots + self._ahead() - ready - out, self._room() - out)
        if wanted > 0 and not is_paused and not self._model.process.is_busy:
            self._ask_model(wanted)
            return
        # What the model was asked for stays the model's: of a short search with a slow model at
        # least the last points are its own.
        urgent = min(free_slots - ready, self._room() - out)
        is_due = is_paused or self.seconds_to_fallback() == 0
        if urgent > 0 and not self._fallback.process.is_busy and is_due:
            self._ask_fallback(urgent, is_paused=is_paused)

    def _room(self) -> int:
        """How many more trials are wanted."""
        return max(0, self._goal.max_eval - self._ledger.created)

    def _ahead(self) -> int:
        """How many points to hold in stock beyond the free slots."""
        node, _ = node_for(self._spec.strategy, self._ledger.proposed, self._ledger.observed)
        generator = self._spec.strategy.nodes[node].generator
        return self.pace.ahead(generator, self._goal.slots)

    def _ask_model(self, wanted: int) -> None:
        strategy, ledger = self._spec.strategy, self._ledger
        node, reason = node_for(strategy, ledger.proposed, ledger.observed)
        number = strategy.nodes[node].num_trials
        if number is not None and node < len(strategy.nodes) - 1:
            wanted = min(wanted, number - ledger.proposed[node])
        generator = FALLBACK if reason else strategy.nodes[node].generator
        self._hand_over(self._model, generator, node=node, wanted=wanted, reason=reason)

    def _ask_fallback(self, wanted: int, *, is_paused: bool) -> None:
        strategy = self._spec.strategy
        node, _ = node_for(strategy, self._ledger.proposed, self._ledger.observed)
        name = strategy.nodes[node].generator
        why = "failed and is asked again later" if is_paused else "had no point ready"
        reason = f"{name} {why}"
        self._hand_over(self._fallback, FALLBACK, node=node, wanted=wanted, reason=reason)

    def seconds_to_fallback(self) -> float | None:
        """When a slot that waits for the model is to be served otherwise: 0 now, None never."""
        moment = time.monotonic()
        waits = [
            asked.since + self.pace.patience(asked.generator) - moment
            for asked in self._asked.values()
            if asked.generator != FALLBACK
        ]
        return max(0.0, min(waits)) if waits else None

    def _hand_over(
        self, desk: Desk, generator: str, *, node: int, wanted: int, reason: str | None
    ) -> None:
        ledger = self._ledger
        number = ledger.next_generation
        ledger.next_generation += 1
        pending = list(ledger.trials.values())
        last = ledger.generator_states.get(generator)
        ask = Ask(
            number=number,
            count=wanted,
            seed=seed_of(self._spec.seed, number),
            pending=[trial.point for trial in pending],
            state=None if last is None else last.state,
        )
        # First, since it may start the process again: the record names the one that was asked.
        desk.process.ask(generator, ask)
        self._asked[number] = Asked(
            desk=desk,
            ask=ask,
            generator=generator,
            node=node,
            reason=reason,
            pending=[trial.index for trial in pending],
            state_from=None if last is None else last.number,
            incarnation=desk.process.incarnation,
            told=len(desk.unrecorded),
            since=time.monotonic(),
        )

    # Answers

    def _take(self, desk: Desk) -> None:
        """Store an answer that has come."""
        answer = desk.process.poll()
        asked = self._asked.get(answer.ask.number) if answer else None
        # After `forget` another ask may have the number of one that is still out.
        if answer is None or asked is None or asked.ask is not answer.ask:
            return
        del self._asked[answer.ask.number]
        seconds = time.monotonic() - asked.since
        if isinstance(answer.result, GeneratorError):
            self._stock.note_failure(asked, answer.result)
            self._after_error(asked, answer.result)
        else:
            self.pace.measure_ask(asked.generator, seconds)
            if asked.desk is self._model:
                self._problem = None
            self._stock.put(asked, answer.result)

    def _after_error(self, asked: Asked, error: GeneratorError) -> None:
        """Let the fallback serve until a model that failed is asked again."""
        if asked.generator == FALLBACK:
            if isinstance(error, GeneratorDeathError):
                return  # which says nothing of the points
            # Nothing is left that could make a point: the constraints leave no room, or the like.
            raise error
        self._model_pause = time.monotonic() + ERROR_PAUSE_SECONDS
        self._problem = str(error)[:500]  # all of it is in the log


def seed_of(seed: int, number: int) -> int:
    """Return the seed of one generation, made of the experiment's seed and its number."""
    digest = hashlib.sha256(f"{seed}/{number}".encode()).digest()
    return int.from_bytes(digest[:4])
