"""Jobs that wait and were submitted before a host was excluded: they are told to avoid it, too.

After each change of what is thought of the hosts, jobs that wait and have another list than a new
job would get are amended: one call of the scheduler for all that get the same list, in a thread, one
call at a time. What was changed is written down when it has been: if the head dies in between, the
next one asks for the same once more, which changes nothing. Where a site does not let users amend
their jobs, those that could still land on such a host are taken back and submitted again.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace

import tenacity

from db.sql import attempts, events
from db.sql.store import Store, now
from db.states import AttemptState, EventKind, JobState
from orchestrator.cluster.base import Amendment, Cluster
from orchestrator.cluster.patience import Patience
from orchestrator.health.retries import Request
from orchestrator.steps.cancelling import Canceller
from orchestrator.steps.hosts import Hosts
from orchestrator.steps.ledger import Ledger, OpenAttempt
from orchestrator.steps.notes import Note
from orchestrator.steps.observe import Poll
from orchestrator.steps.parole import canary_on
from orchestrator.steps.recalls import Recall, Recalls

# A scheduler that does not answer is asked again after 2 s, 4 s, … 60 s.
PAUSE = tenacity.wait_exponential(multiplier=2, max=60)
# So says Slurm of a job that no host is left for, also if only its list of hosts to avoid is to
# blame; it goes on when the list gets shorter (tried: 22.05.8).
NO_HOST_LEFT = "BadConstraints"


@dataclass(frozen=True)
class _Call:
    attempt_ids: list[int]
    exclude: tuple[str, ...]
    version: int
    done: Future[Amendment]


class Steerer:
    """Keeps the lists of jobs that wait as those of new jobs would be."""

    def __init__(
        self,
        *,
        store: Store,
        ledger: Ledger,
        cluster: Cluster,
        threads: Executor,
        wake: Callable[[], None],
        note: Note,
        canceller: Canceller,
        hosts: Hosts,
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._cluster = cluster
        self._threads = threads
        self._wake = wake
        self._note = note
        self._hosts = hosts
        self._recalls = Recalls(store=store, ledger=ledger, canceller=canceller, note=note)
        self._version: int | None = None
        self._compared: set[int] = set()
        self._wanted: dict[int, tuple[str, ...]] = {}
        self._unchangeable: set[int] = set()
        self._call: _Call | None = None
        self._amended_at = now()
        self._relaxed_in_vain: int | None = None
        self._not_before = 0.0
        self._patience = Patience(PAUSE, tenacity.stop_never)

    def steer(self, poll: Poll | None) -> None:
        """Find jobs whose lists are not right any more, and have them amended.

        Args:
            poll: What the scheduler said; jobs that it had not known before may need it, too.
        """
        self._take_answer()
        if poll is not None:
            self._give_room(poll)
        if self._hosts.version != self._version:
            self._version, self._wanted, self._compared = self._hosts.version, {}, set()
            self._compare(may_shrink=True)
        elif poll is not None:
            self._compare(may_shrink=False)
        self._begin()

    def _give_room(self, poll: Poll) -> None:
        """Let go of exclusions if they leave a job that waits no host at all."""
        is_settled = not self._wanted and self._call is None and poll.began_at >= self._amended_at
        may_help = is_settled and self._relaxed_in_vain != self._hosts.version
        if may_help and any(_has_no_host(attempt) for attempt in self._steerable()):
            version = self._hosts.version
            self._relaxed_in_vain = None if self._hosts.relax() else version

    def _steerable(self) -> Iterator[OpenAttempt]:
        """Yield the attempts whose jobs have not begun, as far as is known; no canaries."""
        for attempt in self._ledger.attempts.values():
            has_begun = attempt.state == AttemptState.STARTED and not attempt.waits_again
            is_pending = attempt.job is None or attempt.job.state == JobState.PENDING
            is_ending = attempt.is_cancelled or attempt.is_withdrawn
            is_open = attempt.trial_id in self._ledger.trials
            may_change = is_open and is_pending and not (has_begun or is_ending)
            if attempt.job_id and may_change and canary_on(attempt) is None:
                yield attempt

    # What is to be changed

    def _compare(self, *, may_shrink: bool) -> None:
        """Find out which jobs that wait need another list.

        Args:
            may_shrink: Also those that avoid a host that they need not avoid any more. That a job
                avoids what another one of its array has to avoid is no reason.
        """
        self._unchangeable &= self._ledger.attempts.keys()
        # As long as the hosts are thought of as before, each is looked at once.
        waiting = list(self._steerable())
        new = [attempt for attempt in waiting if attempt.id not in self._compared]
        self._compared = {attempt.id for attempt in waiting}
        new.sort(key=_array_of)
        for exclude, array in self._lists(new):
            for attempt in array:
                missing, needless = _difference(attempt, exclude)
                # What was refused once is only asked again if the job must not stay as it is.
                may_ask = may_shrink and attempt.id not in self._unchangeable
                if missing or (needless and (may_ask or _has_no_host(attempt))):
                    self._wanted[attempt.id] = exclude

    def _lists(
        self, found: list[OpenAttempt]
    ) -> Iterator[tuple[tuple[str, ...], list[OpenAttempt]]]:
        """Yield what the tasks of each array are to avoid, all of them the same.

        That is one call, and keeps the array in one piece: where every second task was given
        another list, squeue no longer showed the last one (tried: 22.05.8).
        """
        known: dict[Request, tuple[str, ...]] = {}
        for _, group in itertools.groupby(found, key=_array_of):
            array = list(group)
            trials = [self._ledger.trials[attempt.trial_id] for attempt in array]
            asked = [self._hosts.retries.request(trial.failures) for trial in trials]
            avoid = frozenset[str]().union(*(request.avoid for request in asked))
            request = replace(asked[0], avoid=avoid)
            if request not in known:
                known[request] = self._hosts.to_avoid(request)
            yield known[request], array

    def _begin(self) -> None:
        """Ask the scheduler for the next list."""
        if self._call is not None or not self._wanted or time.monotonic() < self._not_before:
            return
        waiting = {attempt.id: attempt for attempt in self._steerable()}
        self._wanted = {key: names for key, names in self._wanted.items() if key in waiting}
        if not self._wanted:
            return
        exclude = next(iter(self._wanted.values()))
        keys = [key for key, names in self._wanted.items() if names == exclude]
        jobs = [job for key in keys if (job := waiting[key].job_id)]
        self._not_before = time.monotonic() + self._cluster.pause_seconds()
        done = self._threads.submit(self._cluster.amend, jobs, exclude=exclude)
        self._call = _Call(keys, exclude, self._hosts.version, done)
        done.add_done_callback(lambda _: self._wake())

    # What became of it

    def _take_answer(self) -> None:
        if self._call is None or not self._call.done.done():
            return
        call, self._call = self._call, None
        answer, self._amended_at = call.done.result(), now()
        open_ones = [self._ledger.attempts.get(key) for key in call.attempt_ids]
        asked = [attempt for attempt in open_ones if attempt is not None]
        refused = [attempt for attempt in asked if attempt.job_id in answer.refused]
        unchanged = answer.left_alone | answer.refused | answer.unclear
        done = [attempt for attempt in asked if attempt.job_id not in unchanged]
        if done:
            self._write_down(done, call.exclude)
        if call.version != self._hosts.version or answer.has_unknown_host:
            # What has changed meanwhile was compared with lists that were about to change; and the
            # next lists may be without the name that nobody knows.
            self._version = None
        self._take_back(refused, call.exclude, answer.message)
        # Not before all is on record: a database that is away lets the same be asked once more.
        for attempt in asked:
            is_answered = attempt.job_id not in answer.unclear
            if is_answered and self._wanted.get(attempt.id) == call.exclude:
                del self._wanted[attempt.id]
        self._wait_after(answer)

    def _write_down(self, changed: list[OpenAttempt], exclude: tuple[str, ...]) -> None:
        differences = [_difference(attempt, exclude) for attempt in changed]
        payload = {
            "attempts": [attempt.id for attempt in changed],
            "jobs": [attempt.job_id for attempt in changed],
            "exclude": list(exclude),
            "added": sorted(set().union(*(missing for missing, _ in differences))),
            "removed": sorted(set().union(*(needless for _, needless in differences))),
        }
        with self._store.write() as connection:
            keys = [attempt.id for attempt in changed]
            requested = attempts.note_exclusions(connection, keys, exclude)
            row = events.row(self._store.experiment_id, EventKind.STEERED, payload)
            events.append(connection, [row])
        for attempt in changed:
            attempt.requested = requested[attempt.id]
        told = ", ".join(exclude) or "none"
        self._note("jobs that wait avoid other hosts now", jobs=len(changed), hosts=told)

    def _take_back(self, refused: list[OpenAttempt], exclude: tuple[str, ...], why: str) -> None:
        """Let jobs that cannot be changed be submitted again, if they must not stay as they are.

        One whose list is only longer than it needs to be keeps its place in the queue, unless that
        list leaves it no host.
        """
        wrong = {attempt.id: _wrong_hosts(attempt, exclude) for attempt in refused}
        reason = f"it could not be told to avoid other hosts: {why.strip().partition(chr(10))[0]}"
        self._recalls.make(
            Recall(attempt, ", ".join(sorted(wrong[attempt.id])), reason, is_pending=True)
            for attempt in refused
            if wrong[attempt.id]
        )
        self._unchangeable |= {attempt.id for attempt in refused}

    def _wait_after(self, answer: Amendment) -> None:
        """Ask again later for what is unclear."""
        if answer.has_unknown_host:
            self._hosts.ask_soon()
        if not answer.unclear:
            self._patience.regain()
            return
        self._not_before = time.monotonic() + self._patience.lose()
        text = "jobs that wait could not be told to avoid other hosts yet; trying again"
        self._note(text, level="debug", why=answer.message)


def _array_of(attempt: OpenAttempt) -> int:
    return attempt.submission_id


def _difference(
    attempt: OpenAttempt, exclude: tuple[str, ...]
) -> tuple[frozenset[str], frozenset[str]]:
    """Return the hosts that its job does not avoid yet, and those that it need not avoid."""
    has, wanted = frozenset(attempt.requested.get("exclude", ())), frozenset(exclude)
    return wanted - has, has - wanted


def _wrong_hosts(attempt: OpenAttempt, exclude: tuple[str, ...]) -> frozenset[str]:
    """Return the hosts for whose sake a job must not stay as it is; none: it may."""
    missing, needless = _difference(attempt, exclude)
    return missing or (needless if _has_no_host(attempt) else frozenset())


def _has_no_host(attempt: OpenAttempt) -> bool:
    """Whether a job waits as there is no host for it, and it avoids some."""
    is_stuck = attempt.job is not None and attempt.job.reason == NO_HOST_LEFT
    return is_stuck and bool(attempt.requested.get("exclude"))
