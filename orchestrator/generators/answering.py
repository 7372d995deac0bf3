"""The inside of the generator process: one generator a name, all told the same."""

from __future__ import annotations

import json
import os
import traceback
from typing import IO, Any

from orchestrator.errors import HeadwayError
from orchestrator.generators import wire
from orchestrator.generators.base import Ask, Batch, Generator, GeneratorError, Observation
from orchestrator.generators.strategy import import_library, make_generator
from orchestrator.spec.objectives import Objective
from orchestrator.spec.space import Space


class Desk:
    """Answers asks for one space."""

    def __init__(self, setup: dict[str, Any], journal: int) -> None:
        self._space = Space.model_validate(setup["space"])
        self._objectives = [Objective.model_validate(each) for each in setup["objectives"]]
        self._journal = journal
        self._read = 0
        self._observations: list[Observation] = []
        self._generators: dict[str, Generator] = {}
        self._known: dict[str, int] = {}

    def answer(self, request: dict[str, Any]) -> Batch | GeneratorError:
        """Answer one ask; whatever goes wrong is an answer too."""
        name = request["generator"]
        try:
            generator = self._generator(name, request["told"])
            return generator.ask(Ask(**request["ask"]))
        except GeneratorError as error:
            return error
        except HeadwayError as error:
            return GeneratorError(error.message, error.hint)
        except Exception as error:  # noqa: BLE001  # any library may raise anything
            traceback.print_exc()
            return GeneratorError(f"{name} failed: {type(error).__name__}: {error}")

    def _generator(self, name: str, told: int) -> Generator:
        """Return the generator of a name after telling it what it does not know yet."""
        while self._read < told:
            lines = os.pread(self._journal, told - self._read, self._read)
            lines = lines[: lines.rindex(b"\n") + 1]
            self._observations += wire.load_observations(lines)
            self._read += len(lines)
        if name not in self._generators:
            self._generators[name] = make_generator(name, self._space, self._objectives)
        generator = self._generators[name]
        news = self._observations[self._known.get(name, 0) :]
        if news:
            try:
                generator.tell(news)
            except BaseException:
                # What it took in before it failed is unknown: the next ask begins with a new one.
                del self._generators[name]
                self._known.pop(name, None)
                raise
            self._known[name] = len(self._observations)
        return generator


def answer_all(asks: IO[bytes], replies: IO[bytes], *, journal: int) -> None:
    """Answer every line of `asks` until it ends.

    The first line sets up the space. A line `{"warm": NAME}` imports a generator's library, a line
    `{"log": PATH}` says where standard output and error go from now on; these have no answer.
    """
    setup = asks.readline()
    if not setup:
        return
    desk = Desk(json.loads(setup), journal)
    for line in asks:
        request = json.loads(line)
        if "warm" in request:
            _warm(request["warm"])
        elif "log" in request:
            _log_to(request["log"])
        else:
            replies.write(wire.dump_answer(desk.answer(request)))
            replies.flush()


def _warm(name: str) -> None:
    try:
        import_library(name)
    except Exception:  # noqa: BLE001  # the ask will say it
        traceback.print_exc()


def _log_to(path: str) -> None:
    try:
        log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        traceback.print_exc()
        return
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
