"""Asks `sacct` how jobs ended that left the queue, and lets nobody wait for it for long.

It may be absent, hang, fail, be minutes behind, or know another job of the same id. What the queue
says is never held back for it: a call that takes its time goes on in a thread of its own, and its
answer is used by the next look.
"""

from __future__ import annotations

import re
import shutil
import threading
import time
from collections.abc import Collection
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from dataclasses import dataclass, field

import tenacity

from orchestrator.cluster.commands import CommandResult, Commands
from orchestrator.cluster.parsing import SACCT_FORMAT, NamedStatus, read_sacct
from orchestrator.cluster.patience import Patience

NO_ACCOUNTING = re.compile(r"accounting storage is disabled", re.IGNORECASE)
# As long as a look at the queue waits for the accounting.
PATIENCE_SECONDS = 5.0
# One that hung or failed is asked less and less often.
PAUSE = tenacity.wait_exponential(multiplier=10, max=300)
# After so long without an answer the queue is believed alone, as on a site without accounting: else
# a job that left the queue unseen would never end.
SILENCE = tenacity.stop_after_delay(600)


@dataclass(frozen=True)
class Told:
    """What the accounting says.

    Attributes:
        rows: The jobs that it knows.
        answered: The ids or names whose absence from `rows` means that it does not know them.
    """

    rows: list[NamedStatus] = field(default_factory=list)
    answered: frozenset[str] = frozenset()


@dataclass(frozen=True)
class _Call:
    keys: frozenset[str]
    result: Future[CommandResult]


class Accounting:
    """The accounting of one cluster; asked from one thread at a time."""

    def __init__(self, commands: Commands, *, limit_seconds: float) -> None:
        self._commands = commands
        self._limit_seconds = limit_seconds
        self._is_absent = False
        self._calls: dict[str, _Call] = {}
        self._patience = Patience(PAUSE, SILENCE)
        self._not_before = 0.0

    def ask_jobs(self, ids: Collection[str]) -> Told:
        """Ask for tasks by their ids."""
        return self._ask("--jobs", ids)

    def ask_runs(self, ids: Collection[str]) -> Told:
        """Ask for all runs of tasks that Slurm has requeued, one row a run."""
        return self._ask("--jobs", ids, "--duplicates")

    def ask_names(self, names: Collection[str]) -> Told:
        """Ask for jobs of the last week by their names."""
        return self._ask("--name", names, "--starttime=now-7days")

    def _ask(self, option: str, keys: Collection[str], *words: str) -> Told:
        kind = " ".join((option, *words))
        late = self._answer(kind, 0.0)
        wanted = frozenset(keys) - late.answered
        if not wanted:
            return late
        fresh = Told()
        if self._may_call(kind):
            self._call(kind, wanted, option, *words)
            fresh = self._answer(kind, PATIENCE_SECONDS)
        answered = late.answered | (wanted if self._is_out() else fresh.answered)
        return Told(late.rows + fresh.rows, answered)

    def _may_call(self, kind: str) -> bool:
        if not self._is_absent and shutil.which("sacct") is None:
            self._is_absent = True
        is_time = time.monotonic() >= self._not_before
        return is_time and not self._is_absent and kind not in self._calls

    def _call(self, kind: str, keys: frozenset[str], option: str, *words: str) -> None:
        result: Future[CommandResult] = Future()
        command = (
            *("sacct", "--allocations", "--noheader", "--parsable2", f"--format={SACCT_FORMAT}"),
            *(f"{option}={','.join(sorted(keys))}", *words),
        )

        def run() -> None:
            result.set_result(self._commands.run(*command, limit_seconds=self._limit_seconds))

        self._calls[kind] = _Call(keys, result)
        # A daemon: a head that ends does not wait for it.
        threading.Thread(target=run, name="sacct", daemon=True).start()

    def _answer(self, kind: str, seconds: float) -> Told:
        """Return what a call has given if it ends within this time."""
        call = self._calls.get(kind)
        if call is None or not wait_for([call.result], seconds).done:
            return Told()
        del self._calls[kind]
        result = call.result.result()
        if result.is_ok:
            self._patience.regain()
            self._not_before = 0.0
            return Told(read_sacct(result.output), call.keys)
        self._is_absent = NO_ACCOUNTING.search(result.errors) is not None
        self._not_before = time.monotonic() + self._patience.lose()
        return Told()

    def _is_out(self) -> bool:
        """Whether nobody can be asked: the queue is all there is."""
        return self._is_absent or self._patience.is_over()
