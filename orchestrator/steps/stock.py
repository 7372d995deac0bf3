"""The stock of points: what generators answered, stored as trials, with the record of the ask."""

from __future__ import annotations

from typing import Any

from db.sql import events, generations, snapshots, trials
from db.sql.generations import LastState, NewGeneration
from db.sql.store import Store, Transaction
from db.states import EventKind, SnapshotReason, TrialStatus
from orchestrator.generators.base import Batch, GeneratorError
from orchestrator.generators.strategy import node_for
from orchestrator.spec.experiment import ExperimentSpec
from orchestrator.steps.desks import Asked
from orchestrator.steps.ledger import Ledger, OpenTrial
from orchestrator.steps.notes import Note


class Stock:
    """Stores answers: generation, trials, event and snapshot in one transaction, then the ledger.

    A database that goes away may or may not have committed the last one: `resolve_doubt` finds out.
    """

    def __init__(self, *, store: Store, ledger: Ledger, spec: ExperimentSpec, note: Note) -> None:
        self._store = store
        self._ledger = ledger
        self._spec = spec
        self._note = note
        self._doubtful: Asked | None = None

    def resolve_doubt(self) -> None:
        """Find out whether an answer whose commit got lost was stored."""
        asked = self._doubtful
        if asked is None:
            return
        with self._store.read() as connection:
            # Only this head can have written it: the store is fenced by its lease.
            is_stored = generations.exists(connection, self._store.experiment_id, asked.ask.number)
        if is_stored:
            asked.desk.forget(asked)
        self._doubtful = None

    def put(self, asked: Asked, batch: Batch) -> None:
        """Store the points of an answer as trials that wait."""
        ledger, experiment_id = self._ledger, self._store.experiment_id
        self._doubtful = asked
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

    def note_failure(self, asked: Asked, error: GeneratorError) -> None:
        """Store that a generator could not answer."""
        self._doubtful = asked
        with self._store.write() as connection:
            new = _row(asked, Batch(points=[]), problem=str(error))
            generations.insert(connection, self._store.experiment_id, new)
            self._record(connection, EventKind.ASK_FAILED, asked, {"error": str(error)})
        self._has_recorded(asked)
        self._note("generator failed", level="error", generator=asked.generator, why=str(error))

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
