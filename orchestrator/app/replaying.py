"""Replay: ask fresh generators everything again, in the order of the record, and compare.

Each ask on record names the process that answered, what that process had been told, which points
were pending and whose state it was handed. A process that died, or whose head died, is followed by
a fresh one here too. What came from the fallback, and when, is taken as given.
"""

from __future__ import annotations

import math
import os
import select
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from db.sql.reading import replay
from db.sql.reading.reader import Reader
from db.sql.reading.replay import EventRow, TrialRecord
from db.states import EventKind
from orchestrator.app.runs import versions_for
from orchestrator.errors import HeadwayError
from orchestrator.generators.base import Ask, Batch, GeneratorError, Observation, Point, Value
from orchestrator.generators.process import GeneratorProcess
from orchestrator.spec.experiment import ExperimentSpec
from orchestrator.spec.parameters import RangeParameter

TOLERANCE = 1e-6
_ASKS_AT_ONCE = 200
# What an ask on record must say; one of a Headway before 0002 does not.
_NEEDED = frozenset({"process", "head", "incarnation", "told", "pending", "state_from"})


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Where a replay and its record part.

    Attributes:
        generation: Number of the ask.
        generator: Who was asked.
        trial: The trial whose point differs; None if the number of points does.
        parameter: The parameter that differs; None with the number of points.
        recorded: What the record says.
        again: What was answered now.
    """

    generation: int
    generator: str
    trial: int | None
    parameter: str | None
    recorded: Any
    again: Any


@dataclass(frozen=True, kw_only=True)
class Unanswered:
    """An ask that had points and cannot be answered now."""

    generation: int
    generator: str
    why: str


@dataclass(kw_only=True)
class Result:
    """What came of a replay.

    Attributes:
        asks: Asks on record that gave points and were asked again.
        asks_equal: Those that gave the same points.
        points: Points of these asks.
        points_equal: Those that are the same.
        failed_asks: Asks on record that gave an error; they are not asked again.
        incomplete_asks: Asks of a Headway that did not write down enough to ask them again.
        difference: The first one.
        unanswered: The first ask that had points and got an error now.
        versions: Libraries whose versions differ: those on record, and the one of now.
    """

    asks: int = 0
    asks_equal: int = 0
    points: int = 0
    points_equal: int = 0
    failed_asks: int = 0
    incomplete_asks: int = 0
    difference: Difference | None = None
    unanswered: Unanswered | None = None
    versions: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def is_equal(self) -> bool:
        """Whether every ask that was asked again gave the points on record."""
        return self.asks == self.asks_equal

    def record(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)


class _Desk:
    """One of the two processes of a head, made anew whenever the record has another one."""

    def __init__(self, spec: ExperimentSpec) -> None:
        self._spec = spec
        self._head: int | None = None
        self._incarnation: int | None = None
        self._told: list[Observation] = []
        self._passed_on = 0
        self._process: GeneratorProcess | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def tell(self, payload: dict[str, Any], told: list[Observation]) -> None:
        """Follow the record to an ask: who was asked, and what it was told since the last one."""
        if payload["head"] != self._head:
            self._close()
            self._told.clear()
        elif payload["incarnation"] != self._incarnation:
            self._close()
        self._head, self._incarnation = payload["head"], payload["incarnation"]
        self._told += told

    def ask(self, generator: str, ask: Ask) -> Batch | GeneratorError:
        """Ask the process that the record is at."""
        if self._process is None:
            self._process = GeneratorProcess(
                self._spec.space,
                self._spec.objectives,
                log_path=Path(os.devnull),
                import_folders=[folder for folder in sys.path if folder],
                warm=generator,
            )
            self._process.start()
        self._process.tell(self._told[self._passed_on :])
        self._passed_on = len(self._told)
        self._process.ask(generator, ask)
        while (answer := self._process.poll()) is None:
            select.select([self._process], [], [])
        return answer.result

    def _close(self) -> None:
        if self._process is not None:
            self._process.close()
        self._process, self._passed_on = None, 0


def replay_experiment(reader: Reader, experiment_id: int, spec: ExperimentSpec) -> Result:
    """Ask everything again.

    Args:
        reader: The database; read in short transactions, so a living head is not disturbed.
        experiment_id: The experiment.
        spec: Its spec.

    Raises:
        HeadwayError: No ask on record says enough to be asked again.
    """
    result = Result()
    with ExitStack() as stack:
        desks = {name: stack.enter_context(_Desk(spec)) for name in ("model", "fallback")}
        for page in _pages(reader, experiment_id):
            complete = [event for event in page if event.payload.keys() >= _NEEDED]
            result.incomplete_asks += len(page) - len(complete)
            known = _Known(reader, experiment_id, complete)
            for event in complete:
                desk = desks[event.payload["process"]]
                desk.tell(event.payload, known.observations(event.payload))
                if event.kind == EventKind.ASK_FAILED:
                    result.failed_asks += 1
                else:
                    _ask_again(desk, event.payload, known, spec, result)
    if result.incomplete_asks and not result.asks:
        raise HeadwayError(
            "its asks were recorded by an earlier Headway, which did not write down what the "
            "generators had been told: they cannot be asked again."
        )
    result.versions = _version_differences(reader, experiment_id, spec)
    return result


def _pages(reader: Reader, experiment_id: int) -> Iterator[list[EventRow]]:
    kinds = (EventKind.ASK, EventKind.ASK_FAILED)
    last = 0
    while True:
        with reader.read() as connection:
            page = replay.events_of(
                connection, experiment_id, kinds, after=last, limit=_ASKS_AT_ONCE
            )
        if not page:
            return
        last = page[-1].id
        yield page


class _Known:
    """What a page of asks refers to: trials and states."""

    def __init__(self, reader: Reader, experiment_id: int, page: list[EventRow]) -> None:
        asks = [event.payload for event in page]
        indices = {
            index
            for ask in asks
            for name in ("told", "pending", "trials")
            for index in ask.get(name, ())
        }
        numbers = {ask["state_from"] for ask in asks if ask["state_from"] is not None}
        with reader.read() as connection:
            self._trials = replay.trial_records(connection, experiment_id, indices)
            self._states = replay.states(connection, experiment_id, numbers)

    def trial(self, index: int) -> TrialRecord:
        """Return a trial; one that is not in the database any more has no parameters."""
        return self._trials.get(index, TrialRecord(point={}))

    def observations(self, ask: dict[str, Any]) -> list[Observation]:
        """Return what a process was told before an ask.

        A trial that failed and had a result after all may be told twice, the failure first.
        """
        failed = set(ask["told_failed"])
        found = []
        for index in ask["told"]:
            trial = self.trial(index)
            is_failed = index in failed
            failed.discard(index)
            found.append(
                Observation(
                    trial=index,
                    point=trial.point,
                    means=None if is_failed else trial.means,
                    sems={} if is_failed else trial.sems,
                )
            )
        return found

    def ask(self, payload: dict[str, Any]) -> Ask:
        """Return an ask as it was handed over."""
        source = payload["state_from"]
        return Ask(
            number=payload["generation"],
            count=payload["requested"],
            seed=payload["seed"],
            pending=[self.trial(index).point for index in payload["pending"]],
            state=None if source is None else self._states.get(source),
        )


def _ask_again(
    desk: _Desk, payload: dict[str, Any], known: _Known, spec: ExperimentSpec, result: Result
) -> None:
    generation, generator = payload["generation"], payload["generator"]
    answer = desk.ask(generator, known.ask(payload))
    result.asks += 1
    result.points += len(payload["trials"])
    if isinstance(answer, GeneratorError):
        why = Unanswered(generation=generation, generator=generator, why=str(answer))
        result.unanswered = result.unanswered or why
        return
    recorded = {index: known.trial(index).point for index in payload["trials"]}
    differences = list(_differences(payload, recorded, answer.points, spec))
    moved = {each.trial for each in differences}
    result.points_equal += sum(index not in moved for index in list(recorded)[: len(answer.points)])
    result.asks_equal += not differences
    if differences and result.difference is None:
        result.difference = differences[0]


def _differences(
    payload: dict[str, Any], recorded: dict[int, Point], again: list[Point], spec: ExperimentSpec
) -> Iterator[Difference]:
    """Yield what differs, the first parameter of each point; then the number of points."""
    own = {"generation": payload["generation"], "generator": payload["generator"]}
    ranges = {p.name: p for p in spec.space.parameters if isinstance(p, RangeParameter)}
    for (index, old), new in zip(recorded.items(), again, strict=False):
        for name in old | new:
            before, now = old.get(name), new.get(name)
            if not _is_same(before, now, ranges.get(name)):
                yield Difference(**own, trial=index, parameter=name, recorded=before, again=now)
                break
    if len(recorded) != len(again):
        yield Difference(
            **own, trial=None, parameter=None, recorded=len(recorded), again=len(again)
        )


def _is_same(old: Value | None, new: Value | None, parameter: RangeParameter | None) -> bool:
    """Whether two values are the same; real numbers up to TOLERANCE.

    Relative to the number, or to the range that it lies in: on a log scale only to the number.
    """
    is_real = parameter is not None and parameter.value_type == "float"
    if not is_real or not isinstance(old, int | float) or not isinstance(new, int | float):
        return type(old) is type(new) and old == new
    assert parameter is not None
    width = 0.0 if parameter.log_scale else float(parameter.upper) - float(parameter.lower)
    return math.isclose(old, new, rel_tol=TOLERANCE, abs_tol=TOLERANCE * width)


def _version_differences(
    reader: Reader, experiment_id: int, spec: ExperimentSpec
) -> dict[str, dict[str, Any]]:
    """Return the libraries that some head had in another version than there is now."""
    with reader.read() as connection:
        kinds = (EventKind.SETUP, EventKind.RESUME)
        heads = replay.events_of(connection, experiment_id, kinds)
    now = versions_for(spec)
    recorded: dict[str, list[str]] = {}
    for event in heads:
        for name, version in event.payload.get("versions", {}).items():
            if version not in recorded.setdefault(name, []):
                recorded[name].append(version)
    return {
        name: {"recorded": versions, "now": now.get(name)}
        for name, versions in recorded.items()
        if versions != [now.get(name)]
    }
