"""What a head tells of itself with every renewal of its lease, for those who look at it.

It is stored as JSON beside the lease (`head_lease.vitals`). A Headway of another version may have
written it: what is missing or not as expected is not known then, and what is new is left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """Jobs that wait in Slurm for the same reason.

    Attributes:
        reason: The reason in Slurm's word; empty: it has not said one.
        count: How many of our jobs wait for it.
        job: One of them, as squeue prints its id.
        says: What the reason means, a sentence without a full stop.
        remedy: What one can do; empty: nothing but wait.
        fate: What becomes of such jobs: NEVER, HELD or WAITS (`health.reasons.Fate`).
    """

    reason: str = ""
    count: int = 0
    job: str = ""
    says: str = ""
    remedy: str = ""
    fate: str = ""


@dataclass(frozen=True, kw_only=True)
class GeneratorVitals:
    """How the generation of points stands.

    Attributes:
        name: The generator that the strategy is at.
        is_busy: Whether its process is at work on points at this moment.
        busy_seconds: For how long; None if it is not.
        stock: Points that are ready for slots to come.
        problem: Why the model gives no points at present; None: it does.
    """

    name: str | None = None
    is_busy: bool = False
    busy_seconds: float | None = None
    stock: int = 0
    problem: str | None = None


@dataclass(frozen=True, kw_only=True)
class Vitals:
    """What one head told of itself. None stands for "not known" everywhere.

    Attributes:
        told_at: When, by the clock of its host.
        started_at: When this head began.
        slots: How many trials may run at once now.
        max_eval: How many trials are wanted now.
        stopping: Why there are no new trials any more, in words; None: there are.
        calls: How often it has called each of Slurm's commands since it began; empty where trials
            run as processes of its own machine.
        calls_last_hour: All of them in the last hour, or since it began if that is shorter.
        calls_left: How many it may make at once before it slows itself down.
        poll_seconds: Its pause between two looks at the queue.
        scheduler_seconds: How long Slurm took for its last answer.
        database_ms: How long its last write transactions took, their median.
        waiting: Jobs that wait in Slurm, by reason, the most frequent first.
        refused: What Slurm says if it takes no submissions at present.
        refused_for_seconds: Since when it has taken none.
        generator: How the generation of points stands.
        disk_full: Whether there is no room to write in the run folder, so that nothing is submitted.
        cpu_percent: Share of one core that the head's own process took since it last told.
        memory_mb: Its memory (resident).
        threads: Its threads.
    """

    told_at: datetime
    started_at: datetime | None = None
    slots: int | None = None
    max_eval: int | None = None
    stopping: str | None = None
    calls: dict[str, int] = field(default_factory=dict)
    calls_last_hour: int | None = None
    calls_left: float | None = None
    poll_seconds: float | None = None
    scheduler_seconds: float | None = None
    database_ms: float | None = None
    waiting: tuple[Waiting, ...] = ()
    refused: str | None = None
    refused_for_seconds: float | None = None
    generator: GeneratorVitals | None = None
    disk_full: bool = False
    cpu_percent: float | None = None
    memory_mb: float | None = None
    threads: int | None = None


def as_json(vitals: Vitals) -> dict[str, Any]:
    """Return vitals as `read_vitals` reads them."""
    return {each.name: _plain(getattr(vitals, each.name)) for each in fields(vitals)}


def read_vitals(found: object) -> Vitals | None:
    """Read what a head of any version told; None if it does not even say when."""
    known = _fields_of(found, _VITALS)
    return Vitals(**known) if "told_at" in known else None


def _plain(value: object) -> object:
    match value:
        case datetime():
            return value.isoformat()
        case tuple():
            return [_plain(each) for each in value]
        case Waiting() | GeneratorVitals():
            return {each.name: getattr(value, each.name) for each in fields(value)}
        case _:
            return value


def _fields_of(found: object, readers: Mapping[str, Callable[[Any], object]]) -> dict[str, Any]:
    """Return the fields that are as expected; the others keep what stands for "not known"."""
    known: dict[str, Any] = {}
    if isinstance(found, dict):
        for name, read in readers.items():
            try:
                known[name] = read(found[name])
            except (KeyError, TypeError, ValueError, OverflowError):
                continue
    return known


def _time(value: Any) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        message = "a time without a zone"
        raise ValueError(message)
    return moment


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TypeError
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    number = float(value)
    if not math.isfinite(number):  # Python's JSON has them, and no view can show one
        raise ValueError(value)
    return number


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _counts(value: Any) -> dict[str, int]:
    return {_text(name): _count(count) for name, count in dict(value).items()}


def _waiting(value: Any) -> tuple[Waiting, ...]:
    return tuple(Waiting(**_fields_of(each, _WAITING)) for each in value if isinstance(each, dict))


def _generator(value: Any) -> GeneratorVitals:
    return GeneratorVitals(**_fields_of(dict(value), _GENERATOR))


_WAITING: dict[str, Callable[[Any], object]] = {
    "reason": _text,
    "count": _count,
    "job": _text,
    "says": _text,
    "remedy": _text,
    "fate": _text,
}
_GENERATOR: dict[str, Callable[[Any], object]] = {
    "name": _text,
    "is_busy": _flag,
    "busy_seconds": _number,
    "stock": _count,
    "problem": _text,
}
_VITALS: dict[str, Callable[[Any], object]] = {
    "told_at": _time,
    "started_at": _time,
    "slots": _count,
    "max_eval": _count,
    "stopping": _text,
    "calls": _counts,
    "calls_last_hour": _count,
    "calls_left": _number,
    "poll_seconds": _number,
    "scheduler_seconds": _number,
    "database_ms": _number,
    "waiting": _waiting,
    "refused": _text,
    "refused_for_seconds": _number,
    "generator": _generator,
    "disk_full": _flag,
    "cpu_percent": _number,
    "memory_mb": _number,
    "threads": _count,
}
