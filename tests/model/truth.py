"""What really happened around a head, whatever it believes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from db.records import ReportMessage
from orchestrator.cluster.base import Answer, AnswerKind
from tests.steps.worker import Worker

GOOD_ENDS: tuple[dict[str, Any], ...] = ({}, {"cause": "TERMINATED"})
BAD_ENDS: tuple[dict[str, Any], ...] = (
    {"exit_code": 2},
    {"results": {}},
    {"exit_code": None, "signal": 9},
    {"cause": "TIMEOUT", "exit_code": None, "signal": 15},
    {"cause": "NOT_STARTED", "exit_code": None, "results": {}, "problems": ["no bash"]},
)
TOLD: dict[str, Any] = {"cause": "TERMINATED", "exit_code": None, "signal": 15, "results": {}}
REFUSED = Answer(kind=AnswerKind.REFUSED, message="QOSMaxSubmitJobPerUserLimit")
UNCLEAR = Answer(kind=AnswerKind.UNCLEAR, message="Socket timed out")


@dataclass(eq=False)
class Life:
    """A worker and the program that it runs.

    Attributes:
        worker: The worker.
        job: Its job, as the scheduler knows it; the head may not have heard of it yet.
        value: What its program gives, unlike any other's.
        is_running: Whether its program runs.
        is_zombie: Whether the scheduler believes it to be dead while it runs.
    """

    worker: Worker
    job: str
    value: float
    is_running: bool = True
    is_zombie: bool = False

    @property
    def trial(self) -> int:
        """Index of its trial."""
        return self.worker.index


@dataclass
class Truth:
    """What really happened, whatever the head believes.

    Attributes:
        lives: All workers that got something to do.
        delivered: Values of results that are in the database or the spool, by trial.
        accepted: The first outcome seen of each trial.
        late: Reports that are still on their way.
    """

    lives: list[Life] = field(default_factory=list)
    delivered: dict[int, set[float]] = field(default_factory=dict)
    accepted: dict[int, float] = field(default_factory=dict)
    late: list[tuple[Life, ReportMessage]] = field(default_factory=list)

    def running(self) -> list[Life]:
        """Return those whose programs run."""
        return [life for life in self.lives if life.is_running]
