"""`headway why`: in words, why a trial waits, failed or was tried again, and what one can do."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from typing import Any

from db.sql.reading import experiments
from db.sql.reading.detail import AttemptDetail, TrialDetail
from db.states import FINAL_TRIALS, OPEN_ATTEMPTS, AttemptState, TrialStatus
from orchestrator.cli.answers import find_trial, place_given
from orchestrator.cli.outputs import answer
from orchestrator.cli.places import Place, open_place
from orchestrator.cli.standing import explain_search, look, search_lines
from orchestrator.cli.tickets import Case, ticket, ticket_lines
from orchestrator.cli.waiting import ask
from orchestrator.health.classes import remedy_of
from orchestrator.reports import rows
from orchestrator.reports.closing import spoken_name
from orchestrator.reports.snapshot import Snapshot, SnapshotReader
from orchestrator.reports.tables import cell, title
from orchestrator.reports.texts import duration, printable, values
from orchestrator.steps.log_ends import read_end

Row = dict[str, Any]

_TAIL_CHARACTERS = 4096
_TAIL_LINES = 15


def why(given: argparse.Namespace) -> int:
    """Explain what became of a trial, or why the search stands as it does.

    Raises:
        UsageError: There is no such trial.
    """
    place = place_given(given)
    if given.trial is None:
        case, lines = _of_search(place)
    else:
        case, lines = _of_trial(place, given.trial)
    record = case.record
    if given.ticket:
        record = ticket(case)
        lines = ticket_lines(record)
    answer(given, record, say=lambda: _print(lines))
    return 0


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        print(printable(line))


def _of_search(place: Place) -> tuple[Case, list[str]]:
    standing = look(place)
    record = explain_search(standing)
    case = Case(place=place, about=place.label, spec=standing.spec, record=record)
    return case, list(search_lines(record, place.label))


def _of_trial(place: Place, index: int) -> tuple[Case, list[str]]:
    with open_place(place) as reader:
        with reader.read() as connection:
            trial = find_trial(connection, place, index)
            spec = experiments.spec(connection, place.experiment_id)
        snapshot = SnapshotReader(reader, place.experiment_id).read()
    slurm = None if spec.get("executor") == "local" else _ask(snapshot, trial, spec)
    record = _explain(snapshot, trial, place, slurm=slurm)
    case = Case(
        place=place,
        about=f"{place.label}, trial {index}",
        spec=spec,
        record=record,
        attempts=trial.attempts,
    )
    return case, list(_lines(record, place))


def _ask(snapshot: Snapshot, trial: TrialDetail, spec: Row) -> Row | None:
    """Return what Slurm says of the trial's job, if that waits there; None: nothing is asked."""
    last = trial.attempts[-1] if trial.attempts else None
    if last is None or last.state != AttemptState.SUBMITTED or not last.slurm_job_id:
        return None
    experiment = snapshot.experiment
    return ask(last.slurm_job_id, spec=spec, name=experiment.name, owner=experiment.owner)


def _explain(snapshot: Snapshot, trial: TrialDetail, place: Place, *, slurm: Row | None) -> Row:
    told = _telling(trial)
    been = {attempt.host for attempt in trial.attempts}
    record = {
        "trial": trial.trial.index,
        "status": trial.trial.status.name,
        "says": _says(snapshot, trial),
        "attempts": [_attempt(attempt) for attempt in trial.attempts],
        "slurm": slurm,
        "hosts": [rows.out_row(out) for out in snapshot.outs if out.host in been],
        "log": str(place.run_dir / told.log_path) if told and told.log_path else None,
        "log_tail": _tail(place, told),
    }
    return {**record, "advice": list(_advice(snapshot, trial, slurm))}


def _telling(trial: TrialDetail) -> AttemptDetail | None:
    """Return the attempt whose log may say why; None: nothing is to be explained."""
    if trial.trial.status == TrialStatus.COMPLETED or not trial.attempts:
        return None
    failed = [attempt for attempt in trial.attempts if attempt.failure_class is not None]
    return failed[-1] if failed else trial.attempts[-1]


def _says(snapshot: Snapshot, trial: TrialDetail) -> str:
    """Say in a sentence how the trial stands."""
    row = trial.trial
    tries = len(trial.attempts)
    again = f" after {tries} attempts" if tries > 1 else ""
    if row.status == TrialStatus.COMPLETED:
        return f"it has its result{again}: {values(row.means)}"
    if row.status in FINAL_TRIALS:
        return f"{row.status.name.lower()}{again}: {rows.reason(row) or 'nobody said why'}"
    if not snapshot.is_active:
        why = snapshot.experiment.stop_reason
        ended = f"{snapshot.experiment.status} ({why})" if why else snapshot.experiment.status
        return f"the search is {ended}, and this trial waits for its resume"
    return _says_open(snapshot, trial)


def _says_open(snapshot: Snapshot, trial: TrialDetail) -> str:
    last = trial.attempts[-1] if trial.attempts else None
    if last is None:
        busy = f"{snapshot.running_count + snapshot.queued_count} of {snapshot.slots} slots"
        return f"it has not been submitted yet: {busy} are taken"
    if last.state not in OPEN_ATTEMPTS:
        return "its last attempt gave no result, and it waits for its next one"
    began = last.started_at or last.submitted_at or last.created_at
    age = duration((snapshot.taken_at - began).total_seconds())
    job = f", job {last.slurm_job_id}" if last.slurm_job_id else ""
    match last.state:
        case AttemptState.STARTED:
            return f"its program has run on {last.host}{job} for {age}{_sign(snapshot, last)}"
        case AttemptState.SUBMITTED:
            return f"it has waited in the queue{job} for {age}"
        case _:
            return f"it has been on its way to the scheduler for {age}"


def _sign(snapshot: Snapshot, attempt: AttemptDetail) -> str:
    if attempt.heartbeat_at is None:
        return ""
    seconds = (snapshot.taken_at - attempt.heartbeat_at).total_seconds()
    return f"; its last sign of life came {duration(seconds)} ago"


def _attempt(attempt: AttemptDetail) -> Row:
    evidence = dict(attempt.failure_evidence or {})
    return {
        "attempt": attempt.number,
        "state": attempt.state.value,
        "host": attempt.host,
        "job": attempt.slurm_job_id,
        "exit_code": attempt.exit_code,
        "signal": attempt.signal,
        "failure": attempt.failure_class,
        "failure_name": attempt.failure_name,
        "message": attempt.failure_message,
        "blame": evidence.pop("blame", None),
        "evidence": evidence,
        "action": attempt.failure_action,
        "ended_at": attempt.ended_at,
    }


def _advice(snapshot: Snapshot, trial: TrialDetail, slurm: Row | None) -> Iterator[str]:
    """Say what the user can do, each once."""
    if slurm is not None and slurm["remedy"]:
        yield slurm["remedy"]
    if trial.trial.status == TrialStatus.COMPLETED:
        return
    failed = [(a.failure_class, a.failure_name) for a in trial.attempts if a.failure_class]
    for kind, name in reversed(dict.fromkeys(failed)):
        remedy = remedy_of(kind, name)
        if remedy:
            yield remedy
    # What stopped the search comes first: it would stop again.
    is_over = trial.trial.status in FINAL_TRIALS
    if not is_over and (snapshot.head_is_missing or not snapshot.is_active):
        yield f"Go on with: headway resume {spoken_name(snapshot.experiment)}"


def _tail(place: Place, attempt: AttemptDetail | None) -> list[str] | None:
    """Return the last lines that an attempt printed; None: its log cannot be read here."""
    if attempt is None or not attempt.log_path:
        return None
    try:
        text = read_end(place.run_dir / attempt.log_path)
    except OSError:
        return None
    lines = text[-_TAIL_CHARACTERS:].splitlines()
    # The first one may have been cut.
    return lines[1 if len(text) > _TAIL_CHARACTERS else 0 :][-_TAIL_LINES:]


def _lines(record: Row, place: Place) -> Iterator[str]:
    yield f"{place.label}, trial {record['trial']}: {record['says']}"
    if (slurm := record["slurm"]) is not None:
        why = f" ({slurm['reason']})" if slurm["reason"] else ""
        says = f": {slurm['says']}" if slurm["says"] else ""
        yield f"Slurm says: {slurm['state']}{why}{says}"
    for attempt in record["attempts"]:
        if attempt["failure"] is not None:
            yield ""
            yield from _attempt_lines(attempt)
    if record["hosts"]:
        yield ""
        yield from (f"{out['host']} is {out['says']}" for out in record["hosts"])
    if record["advice"]:
        yield ""
        yield "What you can do:"
        yield from (f"  {text}" for text in record["advice"])
    yield from _log_lines(record)


def _log_lines(record: Row) -> Iterator[str]:
    path, tail = record["log"], record["log_tail"]
    has_failed = any(attempt["failure"] and attempt["host"] for attempt in record["attempts"])
    if tail:
        yield ""
        yield f"The end of {path}:"
        yield from (f"  {line}" for line in tail)
    elif path and has_failed:
        yield ""
        yield f"Nothing is in {path}." if tail is not None else f"Its log cannot be read: {path}"


def _attempt_lines(attempt: Row) -> Iterator[str]:
    job = f", job {attempt['job']}" if attempt["job"] else ""
    where = f" on {attempt['host']}" if attempt["host"] else ""
    yield f"attempt {attempt['attempt']}{where}{job}: {attempt['state']}"
    kind = rows.failure_word(attempt["failure"], attempt["failure_name"])
    yield f"  why       {kind}: {attempt['message'] or 'nobody said why'}"
    if attempt["evidence"]:
        yield f"  evidence  {_evidence(attempt['evidence'])}"
    if attempt["action"]:
        yield f"  done      {attempt['action']}"


def _evidence(evidence: Row) -> str:
    """Return what a class rests on in one line, the version of the table of patterns left out."""
    flat: Row = {}
    for name, value in evidence.items():
        # What was looked at on the host comes as an object of its own.
        flat |= value if isinstance(value, dict) else {name: value}
    flat.pop("patterns", None)
    return "; ".join(f"{title(name)} {cell(value, name)}" for name, value in flat.items())
