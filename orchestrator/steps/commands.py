"""What people ask of this head from any login node: `headway stop`, `tune`, `hosts exclude`.

Each request is a file in `spool/commands/` (`db.spool.commands`). It is done and its event is
committed before the file is deleted, which is the answer. If the head dies in between, the next one
meets the file: hosts are then simply kept out or let in once more. An end or other numbers are
refused there, as somebody who resumed the search meanwhile has said what he wants.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from db.spool import commands, inbox, layout
from db.spool.commands import Request, RequestKind
from db.sql import events, experiments
from db.sql.store import Store
from db.states import EventKind
from orchestrator.reports.outs import read_outs
from orchestrator.spec.experiment import ExperimentSpec
from orchestrator.steps import by_hand
from orchestrator.steps.goal import Goal
from orchestrator.steps.hosts import Hosts
from orchestrator.steps.ledger import ENDED, Ledger
from orchestrator.steps.mailbox import CLOCK_STEP_NS
from orchestrator.steps.notes import Note

# A listing asks a file server anew, which the time stamp of the folder may not.
LIST_SECONDS = 5.0
# Nobody waits any longer for the reason of a refusal.
FORGET_SECONDS = 3600.0
_TOO_LATE = (
    "the head that was asked has ended, and another one goes on (see headway status); ask again"
)


@dataclass(frozen=True)
class Stop:
    """A person wants the search to end.

    Attributes:
        by: Who.
        now: Whether running trials are cancelled.
    """

    by: str
    now: bool


class RefusedError(Exception):
    """What was asked will not be done; the text says why."""


def waiting_requests(run_dir: Path) -> frozenset[str]:
    """Return the files of requests that wait; those of a head that is about to be replaced."""
    folder = layout.part(layout.spool_of(str(run_dir)), layout.COMMANDS)
    try:
        return frozenset(os.path.join(folder, name) for name in os.listdir(folder))  # noqa: PTH118, PTH208 - the names that db.spool uses
    except OSError:
        return frozenset()


class Requests:
    """Does what people ask.

    Attributes:
        stop: The end that is wanted; None: none.
    """

    def __init__(
        self,
        *,
        store: Store,
        ledger: Ledger,
        spec: ExperimentSpec,
        goal: Goal,
        hosts: Hosts,
        run_dir: Path,
        note: Note,
        stop: Stop | None = None,
        too_late: Collection[str] = (),
    ) -> None:
        """Look nowhere yet.

        Args:
            store: The database, fenced by the lease of this head.
            ledger: What the head keeps in mind.
            spec: What was asked for so far.
            goal: The numbers that a request may change.
            hosts: Told when a person has decided about some.
            run_dir: The run folder.
            note: Takes what happens.
            stop: An end that was wanted before this head began.
            too_late: Files of requests that an earlier head was asked.
        """
        self._store = store
        self._ledger = ledger
        self._spec = spec
        self._goal = goal
        self._hosts = hosts
        self._spool = layout.spool_of(str(run_dir))
        self._folder = layout.part(self._spool, layout.COMMANDS)
        self._note = note
        self._too_late = too_late
        self._stops: list[str] = []
        self._stuck: set[str] = set()
        self._seen = -1
        self._list_at = 0.0
        self.stop = stop
        self._forget_answers()

    def take(self) -> None:
        """Do what is asked; an end is left to the loop, which calls `stop_is_noted`.

        Raises:
            DatabaseUnavailable: The request waits on.
        """
        if not self._is_due():
            return
        try:
            if layout.find_danger(self._spool):
                return  # the mailbox says so
            found = commands.find(self._spool, skip=self._stuck.union(self._stops))
        except OSError:
            return
        self._put_aside(found.faults)
        for path, request in found.requests:
            self._deal_with(path, request)

    def stop_is_noted(self) -> None:
        """Answer those who asked for the end, which is committed now."""
        stops, self._stops = self._stops, []
        for path in stops:
            self._answer(path)

    def _is_due(self) -> bool:
        moment = time.monotonic()
        try:
            stamp = os.stat(self._folder).st_mtime_ns  # noqa: PTH116 - a Path costs more than the call
        except OSError:
            return False
        is_changed = stamp != self._seen
        # File systems keep this time in coarse steps: a second file may come within the same one.
        self._seen = stamp if time.time_ns() - stamp > CLOCK_STEP_NS else -1
        if is_changed or moment >= self._list_at:
            self._list_at = moment + LIST_SECONDS
            return True
        return False

    def _deal_with(self, path: str, request: Request) -> None:
        try:
            if request.kind == RequestKind.STOP:
                self._end(path, request)
                return
            if request.kind == RequestKind.TUNE:
                self._tune(path, request)
            elif request.kind == RequestKind.EXCLUDE:
                self._exclude(request)
            else:
                self._include(request)
        except RefusedError as error:
            self._answer(path, refusal=str(error))
            text = "a request was refused"
            self._note(text, kind=str(request.kind), by=request.by, why=str(error))
        else:
            self._answer(path)

    def _answer(self, path: str, *, refusal: str = "") -> None:
        """Answer; what cannot be written or removed is not read again."""
        try:
            if refusal:
                commands.refuse(path, refusal)
            else:
                commands.done(path)
        except OSError:
            self._stuck.add(path)

    # What can be asked

    def _end(self, path: str, request: Request) -> None:
        self._check_time(path)
        is_stronger = self.stop is None or (request.now and not self.stop.now)
        if is_stronger:
            self.stop = Stop(request.by, request.now)
        self._stops.append(path)

    def _check_time(self, path: str) -> None:
        if path in self._too_late:
            raise RefusedError(_TOO_LATE)

    def _tune(self, path: str, request: Request) -> None:
        self._check_time(path)
        wanted = {
            "num_parallel_jobs": request.num_parallel_jobs or self._goal.slots,
            "max_eval": request.max_eval or self._goal.max_eval,
        }
        before = {"num_parallel_jobs": self._goal.slots, "max_eval": self._goal.max_eval}
        changed = {name: value for name, value in wanted.items() if value != before[name]}
        ended = sum(self._ledger.counts[status] for status in ENDED)
        if changed.get("max_eval", ended) < ended:
            raise RefusedError(
                f"--max_eval: {wanted['max_eval']} is less than the {ended} trials that have ended "
                "already"
            )
        if changed:
            changes = {name: {"before": before[name], "now": now} for name, now in changed.items()}
            self._store_changes(changed, changes, by=request.by)
            self._goal.slots, self._goal.max_eval = wanted["num_parallel_jobs"], wanted["max_eval"]
            told = {name: f"{now} instead of {before[name]}" for name, now in changed.items()}
            self._note("the search was tuned", by=request.by, **told)

    def _store_changes(
        self, changed: dict[str, int], changes: dict[str, dict[str, int]], *, by: str
    ) -> None:
        spec = self._spec.model_copy(update=changed)
        texts = [f"{name} {c['now']} instead of {c['before']}" for name, c in changes.items()]
        key = self._store.experiment_id
        with self._store.write() as connection:
            number = experiments.set_spec(
                connection, key, json.loads(spec.to_json()), reason=f"tune: {', '.join(texts)}"
            )
            payload: dict[str, Any] = {"by": by, "changes": changes, "spec_version": number}
            events.append(connection, [events.row(key, EventKind.TUNED, payload)])
        self._spec = spec

    def _exclude(self, request: Request) -> None:
        with self._store.write() as connection:
            new = by_hand.exclude(
                connection,
                request.hosts,
                by=request.by,
                reason=request.reason,
                seconds=request.seconds,
            )
        self._hosts.look_soon()
        self._note("a person keeps hosts out", by=request.by, hosts=" ".join(new) or "no others")

    def _include(self, request: Request) -> None:
        with self._store.write() as connection:
            out = {each.host for each in read_outs(connection)}
            missing = [name for name in request.hosts if name not in out]
            if missing:
                raise RefusedError(f"{' '.join(missing)} is not kept out")
            by_hand.include(connection, request.hosts, by=request.by, reason=request.reason)
        self._hosts.look_soon()
        self._note("a person lets hosts in", by=request.by, hosts=" ".join(request.hosts))

    # What is no request

    def _put_aside(self, faults: dict[str, str]) -> None:
        if not faults:
            return
        key = self._store.experiment_id
        rows = [
            events.row(key, EventKind.FOREIGN, {"file": Path(path).name, "reason": reason})
            for path, reason in faults.items()
        ]
        with self._store.write() as connection:
            events.append(connection, rows)
        for path, reason in faults.items():
            self._note("a file is no request of a person", level="warning", file=path, why=reason)
            if not inbox.set_aside(self._spool, path, reason):
                self._stuck.add(path)

    def _forget_answers(self) -> None:
        """Remove reasons that nobody has fetched for an hour."""
        latest = time.time() - FORGET_SECONDS
        for path in self._too_late:
            if path.endswith(commands.REFUSED):
                with contextlib.suppress(OSError):
                    if os.stat(path).st_mtime < latest:  # noqa: PTH116 - as above
                        layout.delete([path])
