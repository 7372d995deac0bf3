"""A worker of a `World`, which has claimed an attempt and tells of it when the test says so."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from db.records import Assignment, EndPayload, ReportMessage
from tests.health.payloads import end

if TYPE_CHECKING:
    from tests.steps.world import World


@dataclass
class Worker:
    """A worker that has claimed an attempt."""

    world: World
    assignment: Assignment
    sequence: int = 0
    messages: list[ReportMessage] = field(default_factory=list)

    @property
    def index(self) -> int:
        return self.assignment["trial_index"]

    def send(self, kind: Any, payload: Any, *, token: str | None = None) -> None:
        """Report."""
        message = self.message(kind, payload, token=token)
        self.messages.append(message)
        self.world.deliver(message)

    def message(self, kind: Any, payload: Any, *, token: str | None = None) -> ReportMessage:
        """Make a report."""
        return {
            "attempt_id": self.assignment["attempt_id"],
            "attempt_token": token or self.assignment["attempt_token"],
            "kind": kind,
            "sequence": 0,
            "created_at": "2030-01-02T03:04:05.678901+00:00",
            "payload": dict(payload),
        }

    def end(self, **changes: Any) -> None:
        """Report an end; a success with results of its own if nothing is changed."""
        first, second = self.world.names
        results = {first: float(self.index), second: -float(self.index)}
        payload: EndPayload = end(**({"results": results} | changes))
        self.send("END", payload)

    def fail(self, code: int = 1) -> None:
        """Report a program that failed."""
        self.end(exit_code=code)
