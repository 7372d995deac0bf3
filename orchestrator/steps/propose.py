"""Third step of a tick: keep a small stock of points ahead of need.

A point is stored as a CANDIDATE trial as soon as it is known, so that no restart loses it. The
model runs in a process of its own; a free slot that the model cannot serve in time gets a point of
the fallback from a second process, and the generation says so.
"""

from __future__ import annotations

import hashlib
import math
import time
from dataclasses import dataclass

from db.sql import events, generations, trials
from db.sql.generations import NewGeneration
from db.sql.store import Store
from db.states import TrialStatus
from orchestrator.generators.base import Ask, Batch, GeneratorError, Observation
from orchestrator.generators.process import Answer, GeneratorProcess
from orchestrator.generators.strategy import FALLBACK, node_for
from orchestrator.spec.experiment import ExperimentSpec
from orchestrator.steps.ledger import Ledger, OpenTrial
from orchestrator.steps.settle import Note

# Of a trial's length, so much may be lost to asking a fresh model instead of one asked ahead.
ASK_SHARE = 0.02
# A model that nobody has timed yet gets this long before the fallback serves a waiting slot.
FIRST_PATIENCE_SECONDS = 0.25
# The first process of all still imports its libraries; a fallback would be no faster.
START_PATIENCE_SECONDS = 60.0
# After an error of the model the fallback serves this many seconds before it is asked again.
ERROR_PAUSE_SECONDS = 10.0
# Recent durations count more; about the last ten.
SMOOTHING = 0.2


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """An ask that is out."""

    ask: Ask
    generator: str
    count: int
    node: int
    reason: str | None
    since: float


class Proposer:
    """Asks generators ahead of need and stores what they answer."""

    def __init__(
        self,
        *,
        store: Store,
        ledger: Ledger,
        spec: ExperimentSpec,
        model: GeneratorProcess,
        fallback: GeneratorProcess,
        note: Note,
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._spec = spec
        self._model = model
        self._fallback = fallback
        self._note = note
        self._asked: dict[int, _Asked] = {}
        self._ask_seconds: dict[str, float] = {}
        self._trial_seconds = math.inf
        self._model_pause = 0.0
        self._is_warm = False

    def tell(self, observations: list[Observation]) -> None:
        """Tell the generators what was observed."""
        self._model.tell(observations)
        self._fallback.tell(observations)

    def forget(self) -> None:
        """Take no notice of answers to asks that are out: the ledger was loaded anew."""
        self._asked.clear()

    def measure_trial(self, seconds: float) -> None:
        """Learn how long a trial takes: it decides how far ahead points are worth having."""
        self._trial_seconds = _smooth(self._trial_seconds, seconds)

    def propose(self, free_slots: int) -> None:
        """Store new points and ask for more.

        Args:
            free_slots: Slots that could take a trial now.
        """
        if self._ledger.news:
            news, self._ledger.news = self._ledger.news, []
            self.tell(news)
        for desk in (self._model, self._fallback):
            self._take(desk)
        self._ask(free_slots)
        if not self._is_warm and self._ledger.attempts:
            self._warm()

    def _warm(self) -> None:
        """Import what later points need, now that the first trials are on their way.

        It would only have held them up before: importing keeps a processor busy for seconds.
        """
        self._is_warm = True
        names = {node.generator for node in self._spec.strategy.nodes}
        if names != {FALLBACK}:
            self._fallback.warm(FALLBACK)
        for name in names - {self._spec.strategy.nodes[0].generator}:
            self._model.warm(name)

    # Asking

    def _ask(self, free_slots: int) -> None:
        ready = len(self._ledger.waiting)
        out = sum(asked.count for asked in self._asked.values())
        is_paused = time.monotonic() < self._model_pause
        wanted = min(free_slots + self._ahead() - ready - out, self._room() - out)
        if wanted > 0 and not is_paused and not self._model.is_busy:
            self._ask_model(wanted)
            return
        # What the model was asked for stays the model's: of a short search with a slow model at
        # least the last points are its own.
        urgent = min(free_slots - ready, self._room() - out)
        if urgent > 0 and not self._fallback.is_busy and (is_paused or self._has_waited()):
            self._ask_fallback(urgent, is_paused=is_paused)

    def _room(self) -> int:
        """How many more trials are wanted."""
        return max(0, self._spec.max_eval - self._ledger.created)

    def _ahead(self) -> int:
        """How many points to hold in stock beyond the free slots.

        As many trials as end while the model thinks. None if it answers in next to no time: then a
        point that knows the newest result is worth more than one that lies ready.
        """
        node, _ = node_for(self._spec.strategy, self._ledger.proposed, self._ledger.observed)
        seconds = self._ask_seconds.get(self._spec.strategy.nodes[node].generator, 0.0)
        slots = self._spec.num_parallel_jobs
        if math.isinf(self._trial_seconds) or seconds <= ASK_SHARE * self._trial_seconds:
            return 0
        return min(slots, math.ceil(slots * seconds / max(self._trial_seconds, 0.001)))

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

    def _has_waited(self) -> bool:
        """Whether a free slot has waited long enough for the model."""
        seconds = self.seconds_to_fallback()
        return seconds is not None and seconds <= 0

    def seconds_to_fallback(self) -> float | None:
        """When a slot that waits for the model is to be served otherwise; None: it need not be."""
        moment = time.monotonic()
        waits = [
            asked.since + self._patience(asked.generator) - moment
            for asked in self._asked.values()
            if asked.generator != FALLBACK
        ]
        return max(0.0, min(waits)) if waits else None

    def _patience(self, generator: str) -> float:
        if not self._ask_seconds:
            return START_PATIENCE_SECONDS
        known = self._ask_seconds.get(generator)
        if known is None:
            return FIRST_PATIENCE_SECONDS
        return 2 * known if known <= ASK_SHARE * self._trial_seconds else 0.0

    def _hand_over(
        self, desk: GeneratorProcess, generator: str, *, node: int, wanted: int, reason: str | None
    ) -> None:
        number = self._ledger.next_generation
        self._ledger.next_generation += 1
        ask = Ask(
            number=number,
            count=wanted,
            seed=seed_of(self._spec.seed, number),
            pending=[trial.point for trial in self._ledger.trials.values()],
            state=self._ledger.generator_states.get(generator),
        )
        desk.ask(generator, ask)
        self._asked[number] = _Asked(
            ask=ask,
            generator=generator,
            count=wanted,
            node=node,
            reason=reason,
            since=time.monotonic(),
        )

    # Answers

    def _take(self, desk: GeneratorProcess) -> None:
        """Store an answer that has come."""
        answer = desk.poll()
        asked = self._asked.get(answer.ask.number) if answer else None
        # After `forget` another ask may have the number of one that is still out.
        if answer is None or asked is None or asked.ask is not answer.ask:
            return
        del self._asked[answer.ask.number]
        seconds = time.monotonic() - asked.since
        if isinstance(answer.result, GeneratorError):
            self._store_error(answer, asked, answer.result)
        else:
            self._ask_seconds[asked.generator] = _smooth(
                self._ask_seconds.get(asked.generator, math.inf), seconds
            )
            self._store_points(answer, asked, answer.result)

    def _store_points(self, answer: Answer, asked: _Asked, batch: Batch) -> None:
        ledger, experiment_id = self._ledger, self._store.experiment_id
        with self._store.write() as connection:
            new = _row(answer, asked, batch)
            generation_id = generations.insert(connection, experiment_id, new)
            ids = trials.insert(
                connection,
                experiment_id,
                first_index=ledger.next_index,
                points=batch.points,
                generation_id=generation_id,
            )
            payload = {
                "generation": new.number,
                "generator": asked.generator,
                "requested": asked.count,
                "trials": [ledger.next_index + offset for offset in range(len(ids))],
                "points": batch.points,
                "fallback_reason": asked.reason,
            }
            events.append(connection, [events.row(experiment_id, "ask", payload)])
        for key, point in zip(ids, batch.points, strict=True):
            trial = OpenTrial(
                id=key, index=ledger.next_index, point=point, status=TrialStatus.CANDIDATE
            )
            ledger.next_index += 1
            ledger.trials[key] = trial
            ledger.counts[TrialStatus.CANDIDATE] += 1
            ledger.waiting.append(key)
        ledger.proposed[asked.node] += len(ids)
        if ids and batch.state is not None:
            ledger.generator_states[asked.generator] = batch.state
        if asked.reason:
            self._note("fallback used", generator=asked.generator, why=asked.reason)

    def _store_error(self, answer: Answer, asked: _Asked, error: GeneratorError) -> None:
        """Note that a generator failed; the fallback serves until it is asked again."""
        with self._store.write() as connection:
            batch = Batch(points=[])
            new = _row(answer, asked, batch, problem=str(error))
            generations.insert(connection, self._store.experiment_id, new)
        self._note("generator failed", level="error", generator=asked.generator, why=str(error))
        if asked.generator == FALLBACK:
            # Nothing is left that could make a point: the constraints leave no room, or the like.
            raise error
        self._model_pause = time.monotonic() + ERROR_PAUSE_SECONDS


def _row(answer: Answer, asked: _Asked, batch: Batch, problem: str | None = None) -> NewGeneration:
    return NewGeneration(
        number=answer.ask.number,
        node=asked.node,
        generator=asked.generator,
        requested=asked.count,
        produced=len(batch.points),
        fit_time=None if problem else batch.fit_seconds,
        gen_time=None if problem else batch.gen_seconds,
        seed=answer.ask.seed,
        state=batch.state,
        predictions=batch.predictions,
        fallback_reason=problem or asked.reason,
    )


def _smooth(old: float, new: float) -> float:
    return new if math.isinf(old) else old + SMOOTHING * (new - old)


def seed_of(seed: int, number: int) -> int:
    """Return the seed of one generation, made of the experiment's seed and its number."""
    digest = hashlib.sha256(f"{seed}/{number}".encode()).digest()
    return int.from_bytes(digest[:4])
