"""What head and generator process say to each other: one JSON value a line.

Observations go through a journal, a file in memory that both have open: the head appends, the
process reads as far as an ask tells it to. So the pipe carries little, and a process that is started
anew finds everything that was ever told.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from orchestrator.generators.base import Ask, Batch, GeneratorError, Observation


def dump_line(message: Any) -> bytes:
    """Return a message as one line."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def dump_observation(observation: Observation) -> bytes:
    """Return an observation as one line of the journal."""
    # Not asdict: it copies deeply, and there may be a hundred thousand of them.
    return dump_line([observation.trial, observation.point, observation.means, observation.sems])


def load_observations(lines: bytes) -> list[Observation]:
    """Read whole lines of the journal."""
    return [
        Observation(trial=trial, point=point, means=means, sems=sems)
        for trial, point, means, sems in map(json.loads, lines.splitlines())
    ]


def dump_ask(generator: str, ask: Ask, *, told: int) -> bytes:
    """Return an ask as one line.

    Args:
        generator: Whom to ask.
        ask: The ask.
        told: Length of the journal that the generator has to know, in bytes.
    """
    return dump_line({"generator": generator, "ask": asdict(ask), "told": told})


def dump_answer(result: Batch | GeneratorError) -> bytes:
    """Return an answer as one line."""
    if isinstance(result, Batch):
        return dump_line({"batch": asdict(result)})
    return dump_line({"error": [result.message, result.hint]})


def load_answer(line: bytes) -> Batch | GeneratorError:
    """Read an answer.

    Raises:
        ValueError: It is none.
    """
    match json.loads(line):
        case {"batch": dict(fields)}:
            return Batch(**fields)
        case {"error": [str(message), str(hint)]}:
            return GeneratorError(message, hint)
        case other:
            raise ValueError(f"not an answer: {other!r}")
