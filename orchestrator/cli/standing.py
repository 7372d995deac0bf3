"""`headway why` without a trial: why the search stands as it does, and what one can do."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from db.sql.reading import activity, experiments, queue
from db.sql.reading.activity import FailureCount
from db.states import ExperimentStatus, FailureClass, TrialStatus
from orchestrator.cli.places import Place, open_place
from orchestrator.cli.waiting import ask_all
from orchestrator.health.classes import remedy_of
from orchestrator.health.reasons import Fate, explain
from orchestrator.reports import live_file, rows
from orchestrator.reports.closing import spoken_name
from orchestrator.reports.head_record import coming
from orchestrator.reports.snapshot import HeadHealth, Snapshot, SnapshotReader
from orchestrator.reports.texts import duration
from orchestrator.reports.vitals import Waiting

Row = dict[str, Any]

# More jobs than these are not asked for by their ids.
_MOST_JOBS = 1000
# Of what is told, so much at most; `headway hosts` and `headway status` have all.
_MOST = 5
# Below this the head waits with its calls of Slurm.
_FEW_CALLS = 10
# A write that takes longer keeps the head from its work.
_SLOW_MS = 500.0
# Words for the state of a model that thinks for longer than a trial may wait.
_LONG_SECONDS = 60.0
# What sbatch refuses with; such a word is a reason of squeue, too.
_WORD = re.compile(r"\b(?:QOS|Assoc|Max)[A-Z]\w+")
# These are as they should be.
_NO_TROUBLE = frozenset({FailureClass.CANCELLED, FailureClass.PREEMPTED})


@dataclass(frozen=True)
class Finding:
    """One reason why a search stands as it does.

    Attributes:
        about: What it is about, in a word.
        says: A sentence without a full stop.
        remedy: What one can do; empty: nothing is needed.
    """

    about: str
    says: str
    remedy: str = ""


@dataclass(frozen=True)
class Standing:
    """What is known of a search as a whole.

    Attributes:
        snapshot: The moment.
        failures: What failed how often; None: not known from here.
        waiting: Why jobs wait in Slurm; None: nobody could be asked.
        spec: As it is stored; empty: not known from here.
    """

    snapshot: Snapshot
    failures: Sequence[FailureCount] | None
    waiting: Sequence[Waiting] | None
    spec: Row


def look(place: Place) -> Standing:
    """Look at a search; Slurm is asked, once, only where no living head can tell.

    Raises:
        UsageError: Its database cannot be opened.
        DatabaseUnavailable: Only the head's host may open it, and that has left nothing to read.
    """
    if place.other_host is not None:
        snapshot = live_file.read(place.run_dir)
        waiting = None if snapshot.vitals is None else snapshot.vitals.waiting
        return Standing(snapshot, None, waiting, {})
    with open_place(place) as reader:
        snapshot = SnapshotReader(reader, place.experiment_id).read()
        with reader.read() as connection:
            failures = activity.failures(connection, place.experiment_id)
            spec = experiments.spec(connection, place.experiment_id)
            jobs = queue.jobs(connection, place.experiment_id, limit=_MOST_JOBS)
    return Standing(snapshot, failures, _waiting(snapshot, jobs, spec), spec)


def _waiting(snapshot: Snapshot, jobs: Sequence[str], spec: Row) -> Sequence[Waiting] | None:
    if snapshot.vitals is not None and snapshot.health is HeadHealth.ALIVE:
        return snapshot.vitals.waiting
    if spec.get("executor") == "local":
        return ()
    experiment = snapshot.experiment
    return ask_all(jobs, spec=spec, name=experiment.name, owner=experiment.owner)


def explain_search(standing: Standing) -> Row:
    """Return why a search stands as it does, as `headway why --json` tells it."""
    snapshot = standing.snapshot
    findings = list(_findings(standing))
    return {
        "experiment": snapshot.name,
        "status": str(snapshot.experiment.status),
        "head": snapshot.health.value,
        "says": _says(snapshot),
        "findings": [asdict(each) for each in findings],
        "waiting": None if standing.waiting is None else [asdict(w) for w in standing.waiting],
        "failures": None
        if standing.failures is None
        else [
            {"failure": each.failure_class, "count": each.count, "message": each.message}
            for each in standing.failures
        ],
        "hosts": [rows.out_row(out) for out in snapshot.outs],
        "advice": list(dict.fromkeys(each.remedy for each in findings if each.remedy)),
    }


def _says(snapshot: Snapshot) -> str:
    """Say in a sentence how the search stands."""
    status, why = snapshot.experiment.status, snapshot.experiment.stop_reason
    ended = f"{snapshot.done} of {snapshot.max_eval} trials have ended"
    now = f"{snapshot.running_count} run, {snapshot.queued_count} wait in the queue"
    if status == ExperimentStatus.FINISHED:
        return f"it has finished: {ended}"
    if not snapshot.is_active:
        return f"it is {status}{f': {why}' if why else ''}; {ended}"
    if snapshot.health is HeadHealth.NEVER:
        return f"no head has taken it yet; {ended}"
    if snapshot.health is HeadHealth.DEAD:
        return f"its head is gone, so that nothing new begins; {ended}, {now} by its last word"
    stopping = snapshot.vitals.stopping if snapshot.vitals is not None else None
    if stopping is not None or status == ExperimentStatus.STOPPING:
        return f"it comes to its end ({stopping or why or 'as somebody asked'}); {ended}, {now}"
    return f"it goes on; {ended}, {now}"


def _findings(standing: Standing) -> Iterator[Finding]:
    """Yield what keeps the search from its best, what weighs most first."""
    snapshot = standing.snapshot
    yield from _of_head(snapshot)
    if snapshot.is_active:
        yield from _of_submission(snapshot)
    yield from _of_queue(standing)
    if snapshot.is_active:
        yield from _of_generator(snapshot)
    yield from _of_failures(standing)
    yield from _of_hosts(snapshot)
    if snapshot.health is HeadHealth.ALIVE:
        yield from _of_limits(snapshot)


def _of_head(snapshot: Snapshot) -> Iterator[Finding]:
    go_on = f"Go on with: headway resume {spoken_name(snapshot.experiment)}"
    lease, sign = snapshot.lease, snapshot.sign_seconds
    if (said := coming(snapshot)) is not None:
        yield Finding("head", said, "")
    elif snapshot.head_is_missing:
        ago = "" if sign is None else f"; its last sign of life came {duration(sign)} ago"
        where = f"it was on {lease.host}{ago}" if lease is not None else "nobody has led it yet"
        yield Finding("head", where, go_on)
    elif not snapshot.is_active and snapshot.done < snapshot.max_eval:
        left = snapshot.max_eval - snapshot.done
        yield Finding("head", f"{left} trials are left for a resume", go_on)


def _of_submission(snapshot: Snapshot) -> Iterator[Finding]:
    vitals = snapshot.vitals
    if vitals is None:
        return
    if vitals.disk_full:
        says = "there is no room in the run folder, and nothing is submitted"
        yield Finding("disk", says, "Make room there (`df -h`, `quota`); it goes on by itself.")
    if vitals.refused is not None:
        since = vitals.refused_for_seconds
        how_long = "" if since is None else f" for {duration(since)}"
        word = _WORD.search(vitals.refused)
        found = explain(word[0]) if word is not None else None
        means = f": {found.says}" if found is not None else ""
        says = f"Slurm has taken no jobs{how_long} ({vitals.refused}){means}"
        yield Finding("submission", says, found.remedy if found is not None else "")


def _of_queue(standing: Standing) -> Iterator[Finding]:
    if standing.waiting is None:
        says = "nobody can be asked here why jobs wait; ask on a login node of the cluster"
        yield Finding("queue", says)
    # What never starts comes first.
    order = [fate.value for fate in Fate]
    for each in sorted(standing.waiting or (), key=lambda each: _place(each.fate, order)):
        word, says = each.reason or "no reason yet", f": {each.says}" if each.says else ""
        if each.count == 1:
            jobs = f"1 job waits ({word}, {each.job})"
        else:
            jobs = f"{each.count} jobs wait ({word}, such as {each.job})"
        yield Finding("queue", f"{jobs}{says}", each.remedy)


def _place(fate: str, order: Sequence[str]) -> int:
    return order.index(fate) if fate in order else len(order)


def _of_generator(snapshot: Snapshot) -> Iterator[Finding]:
    state = snapshot.vitals.generator if snapshot.vitals is not None else None
    last = snapshot.generation
    if state is not None and state.problem is not None:
        yield Finding("generator", f"{state.name} gives no points: {state.problem}")
    elif state is not None and state.is_busy and (state.busy_seconds or 0) >= _LONG_SECONDS:
        busy = duration(state.busy_seconds or 0)
        says = f"{state.name} has been at work for {busy}, {state.stock} points are in stock"
        yield Finding("generator", says)
    elif last is not None and last.fallback_reason is not None:
        says = f"the last points are not {last.generator}'s own: {last.fallback_reason}"
        yield Finding("generator", says)


def _of_failures(standing: Standing) -> Iterator[Finding]:
    told = [each for each in standing.failures or () if each.failure_class not in _NO_TROUBLE]
    for each in sorted(told, key=lambda each: -each.count)[:_MOST]:
        times = "1 attempt" if each.count == 1 else f"{each.count} attempts"
        message = f": {each.message}" if each.message else ""
        says = f"{times} failed with {each.failure_class}{message}"
        yield Finding("failures", says, remedy_of(each.failure_class, None) or "")
    newest = _newest_failure(standing.snapshot) if told else None
    if newest is not None:
        look_closer = f"headway why {spoken_name(standing.snapshot.experiment)} {newest}"
        says = f"trial {newest} is the one that failed last"
        yield Finding("failures", says, f"Look closer: {look_closer}")


def _newest_failure(snapshot: Snapshot) -> int | None:
    """Return the trial that failed last, for good if there is one; None: none that is known."""
    for_good = (each.index for each in snapshot.endings if each.status == TrialStatus.FAILED)
    again = (each.trial_index for each in snapshot.setbacks)
    return next(itertools.chain(for_good, again), None)


def _of_hosts(snapshot: Snapshot) -> Iterator[Finding]:
    for row in [rows.out_row(out) for out in snapshot.outs[:_MOST]]:
        yield Finding("hosts", f"{row['host']} is {row['says']}")
    left = len(snapshot.outs) - _MOST
    if left > 0:
        yield Finding("hosts", f"{left} more are out: `headway hosts`")


def _of_limits(snapshot: Snapshot) -> Iterator[Finding]:
    vitals = snapshot.vitals
    slots = (vitals.slots if vitals is not None else None) or snapshot.slots
    busy = snapshot.running_count + snapshot.queued_count
    open_trials = snapshot.max_eval - snapshot.done
    if busy >= slots and open_trials > busy:
        says = f"all {slots} slots are taken; {open_trials - busy} trials come after them"
        more = f"headway tune {spoken_name(snapshot.experiment)} --num_parallel_jobs N"
        yield Finding("slots", says, f"More at once, if the cluster has room: {more}")
    if vitals is None:
        return
    if vitals.calls and vitals.calls_left is not None and vitals.calls_left < _FEW_CALLS:
        says = f"few calls of Slurm are left for now ({vitals.calls_left:.0f}), to spare it"
        yield Finding("calls", f"{says}: new jobs go together, and later")
    if vitals.database_ms is not None and vitals.database_ms > _SLOW_MS:
        says = f"a write takes {duration(vitals.database_ms / 1000)}, which holds everything up"
        yield Finding("database", says, "Look at the database's machine, or at its file system.")


def search_lines(record: Row, label: str) -> Iterator[str]:
    """Yield the lines that people read."""
    yield f"{label}: {record['says']}"
    width = max((len(each["about"]) for each in record["findings"]), default=0)
    for each in record["findings"]:
        yield f"  {each['about']:<{width}}  {each['says']}"
    if not record["findings"] and record["head"] == HeadHealth.ALIVE:
        yield "  Nothing keeps it from going on."
    if record["advice"]:
        yield ""
        yield "What you can do:"
        yield from (f"  {text}" for text in record["advice"])
