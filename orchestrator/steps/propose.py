"""Third step of a tick: keep a small stock of points ahead of need.

A point is stored as a CANDIDATE trial as soon as it is known, so that no restart loses it. The
model runs in a process of its own; a free slot that the model cannot serve in time gets a point of
the fallback from a second process, and the generation says so.
"""

from __future__ import annotations

import hashlib
import math
import time
from typing import Any

from db.sql import events, generations, snapshots, trials
from db.sql.generations import LastState, NewGeneration
from db.sql.store import Store, Transaction
from db.states import EventKind, SnapshotReason, TrialStatus
from orchestrator.generators.base import (
    Ask,
    Batch,
    GeneratorDeathError,
    GeneratorError,
    Observation,
)
from orchestrator.generators.process import GeneratorProcess
from orchestrator.generators.strategy import FALLBACK, node_for
from orchestrator.spec.experiment import ExperimentSpec
from orchestrator.steps.desks import Asked, Desk, Known
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
# After a restart, so many results are held in memory at a time.
TOLD_AT_ONCE = 1000
# Recent durations count more; about the last ten.
SMOOTHING = 0.2


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
        self._model = Desk("model", model)
        self._fallback = Desk("fallback", fallback)
        self._note = note
        self._asked: dict[int, Asked] = {}
        self._doubtful: Asked | None = None
        self._known = Known()
        self._ask_seconds: dict[str, float] = {}
        self._trial_seconds = math.inf
        self._model_pause = 0.0
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
        asked = self._doubtful
        if asked is not None:
            with self._store.read() as connection:
                # Only this head can have written it: the store is fenced by its lease.
                number, experiment_id = asked.ask.number, self._store.experiment_id
                is_stored = generations.exists(connection, experiment_id, number)
            if is_stored:
                asked.desk.forget(asked)
            self._doubtful = None
        self.catch_up()

    def measure_trial(self, seconds: float) -> None:
        """Learn how long a trial takes: it decides how far ahead points are worth having."""
        self._trial_seconds = _smooth(self._trial_seconds, seconds)

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
        if urgent > 0 and not self._fallback.process.is_busy and (is_paused or self._has_waited()):
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
        self._doubtful = asked
        if isinstance(answer.result, GeneratorError):
            self._store_error(asked, answer.result)
        else:
            self._ask_seconds[asked.generator] = _smooth(
                self._ask_seconds.get(asked.generator, math.inf), seconds
            )
            self._store_points(asked, answer.result)

    def _store_points(self, asked: Asked, batch: Batch) -> None:
        ledger, experiment_id = self._ledger, self._store.experiment_id
        with self._store.write() as connection:
            new = _row(asked, batch)
            ids = trials.insert(
                connection,
                experiment_id,
                first_index=ledger.next_index,
                points=batch.points,
                generation_id=generations.insert(connection, experiment_id, new),
            )
            indices = [ledger.next_index + offset for offset in range(len(ids))]
            self._record(connection, EventKind.ASK, asked, {"trials": indices})
            self._keep_snapshot(connection, asked.node, given=len(ids))
        self._has_recorded(asked)
        for key, index, point in zip(ids, indices, batch.points, strict=True):
            trial = OpenTrial(id=key, index=index, point=point, status=TrialStatus.CANDIDATE)
            ledger.trials[key] = trial
            ledger.counts[TrialStatus.CANDIDATE] += 1
            ledger.waiting.append(key)
        ledger.next_index += len(ids)
        ledger.proposed[asked.node] += len(ids)
        self._follow_state(asked, batch)
        if asked.reason:
            self._note("fallback used", generator=asked.generator, why=asked.reason)

    def _follow_state(self, asked: Asked, batch: Batch) -> None:
        """Hand the state of the latest ask on: answers of two processes may come in any order."""
        last = self._ledger.generator_states.get(asked.generator)
        is_latest = last is None or last.number < asked.ask.number
        if batch.points and batch.state is not None and is_latest:
            latest = LastState(number=asked.ask.number, state=batch.state)
            self._ledger.generator_states[asked.generator] = latest

    def _keep_snapshot(self, connection: Transaction, node: int, *, given: int) -> None:
        """Keep where the strategy stands if these points complete a step."""
        ledger, strategy = self._ledger, self._spec.strategy
        before, _ = node_for(strategy, ledger.proposed, ledger.observed)
        proposed = [n + given * (step == node) for step, n in enumerate(ledger.proposed)]
        after, _ = node_for(strategy, proposed, ledger.observed)
        if after != before:
            snapshots.keep(
                connection,
                self._store.experiment_id,
                reason=SnapshotReason.NODE_CHANGE,
                node=after,
                generator=strategy.nodes[after].generator,
            )

    def _store_error(self, asked: Asked, error: GeneratorError) -> None:
        """Note that a generator failed; the fallback serves until it is asked again."""
        with self._store.write() as connection:
            new = _row(asked, Batch(points=[]), problem=str(error))
            generations.insert(connection, self._store.experiment_id, new)
            self._record(connection, EventKind.ASK_FAILED, asked, {"error": str(error)})
        self._has_recorded(asked)
        self._note("generator failed", level="error", generator=asked.generator, why=str(error))
        if asked.generator == FALLBACK:
            if isinstance(error, GeneratorDeathError):
                return  # which says nothing of the points
            # Nothing is left that could make a point: the constraints leave no room, or the like.
            raise error
        self._model_pause = time.monotonic() + ERROR_PAUSE_SECONDS

    def _record(
        self, connection: Transaction, kind: EventKind, asked: Asked, outcome: dict[str, Any]
    ) -> None:
        payload = asked.payload(head=self._store.epoch) | outcome
        events.append(connection, [events.row(self._store.experiment_id, kind, payload)])

    def _has_recorded(self, asked: Asked) -> None:
        asked.desk.forget(asked)
        self._doubtful = None


def _row(asked: Asked, batch: Batch, problem: str | None = None) -> NewGeneration:
    return NewGeneration(
        number=asked.ask.number,
        node=asked.node,
        generator=asked.generator,
        requested=asked.ask.count,
        produced=len(batch.points),
        fit_time=None if problem else batch.fit_seconds,
        gen_time=None if problem else batch.gen_seconds,
        seed=asked.ask.seed,
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
