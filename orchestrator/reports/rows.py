"""Rows of tables as plain dictionaries; their field names are the stable fields of `--json`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from db.sql.reading import trials
from db.sql.reading.activity import FailureCount
from db.sql.reading.code import CodeFileRow
from db.sql.reading.detail import TrialDetail
from db.sql.reading.experiments import ExperimentRow
from db.sql.reading.fields import unique_titles
from db.sql.reading.hosts import HostRow
from db.sql.reading.outcomes import Scored
from db.sql.reading.trials import TellingAttempt, TrialRow
from db.states import ExclusionSource, FailureClass, HostState, TrialStatus
from orchestrator.reports.head_rows import vitals_row
from orchestrator.reports.outs import Out, spoken

if TYPE_CHECKING:
    from orchestrator.reports.documents import RunCard
    from orchestrator.reports.snapshot import Snapshot

Row = dict[str, Any]

LIST_COLUMNS = (
    "name",
    "run",
    "status",
    "completed",
    "failed",
    "running",
    "waiting",
    "abandoned",
    "best",
    "created_at",
)
LIST_SORTS = (
    "name",
    "run",
    "status",
    "completed",
    "failed",
    "running",
    "waiting",
    "abandoned",
    "total",
    "created_at",
    "ended_at",
    "owner",
    "group",
)
_WAITING = (TrialStatus.CANDIDATE, TrialStatus.STAGED)
_ABANDONED = (TrialStatus.ABANDONED, TrialStatus.STALE)


def counts(trials: Mapping[TrialStatus, int]) -> Row:
    """Return how many trials stand where, in the words of the tables."""
    return {
        "completed": trials.get(TrialStatus.COMPLETED, 0),
        "early_stopped": trials.get(TrialStatus.EARLY_STOPPED, 0),
        "failed": trials.get(TrialStatus.FAILED, 0),
        "running": trials.get(TrialStatus.RUNNING, 0),
        "waiting": sum(trials.get(status, 0) for status in _WAITING),
        "abandoned": sum(trials.get(status, 0) for status in _ABANDONED),
    }


def experiment_row(experiment: ExperimentRow, best: Scored | None) -> Row:
    """Return the row of one experiment in `headway list`."""
    return {
        "name": experiment.name,
        "run": experiment.run_number,
        "status": str(experiment.status),
        **counts(experiment.trials),
        "total": sum(experiment.trials.values()),
        "best": None if best is None else best.means,
        "best_trial": None if best is None else best.index,
        "created_at": experiment.created_at,
        "ended_at": experiment.ended_at,
        "stop_reason": experiment.stop_reason,
        "owner": experiment.owner,
        "group": experiment.group,
        "description": experiment.description,
        "run_dir": experiment.run_dir,
        "problem": None,
    }


def unreadable_row(card: RunCard, run_dir: str, problem: str) -> Row:
    """Return the row of a run whose database cannot be read: how it stands is not known."""
    unknown = dict.fromkeys(
        (*counts({}), "total", "best", "best_trial", "created_at", "ended_at", "stop_reason")
    )
    return {
        "name": card.name,
        "run": card.run_number,
        "status": "UNKNOWN",
        **unknown,
        "owner": None,
        "group": card.spec.get("group"),
        "description": card.spec.get("description"),
        "run_dir": run_dir,
        "problem": problem,
    }


def best_of(snapshot: Snapshot) -> Row:
    """Return the best of one moment as the row of `headway list` has it."""
    if not snapshot.best:
        return {}
    # The values of the other objectives of that trial are not in a snapshot.
    first = snapshot.best[0]
    return {"best": {first.objective.name: first.value}, "best_trial": first.trial}


def status_row(snapshot: Snapshot, failures: Sequence[FailureCount] | None) -> Row:
    """Return how an experiment stands, for `headway status`.

    Args:
        snapshot: The moment.
        failures: What failed how often; None: not known.
    """
    last = snapshot.generation
    lease = snapshot.lease
    experiment = snapshot.experiment
    return {
        "name": experiment.name,
        "run": experiment.run_number,
        "status": str(experiment.status),
        "stop_reason": experiment.stop_reason,
        "done": snapshot.done,
        "max_eval": snapshot.max_eval,
        **counts(experiment.trials),
        "slots": snapshot.slots,
        "slots_busy": snapshot.running_count,
        "attempts_queued": snapshot.queued_count,
        "eta_seconds": snapshot.eta_seconds if snapshot.is_active else None,
        "best": {best.objective.name: best.value for best in snapshot.best},
        "best_trials": {best.objective.name: best.trial for best in snapshot.best},
        "front_size": snapshot.front_size or None,
        "generator": None if last is None else last.generator,
        "generation": None if last is None else last.number,
        "fit_seconds": None if last is None else last.fit_time,
        "gen_seconds": None if last is None else last.gen_time,
        "fallback_reason": None if last is None else last.fallback_reason,
        "failures": None
        if failures is None
        else {failure.failure_class.value: failure.count for failure in failures},
        "hosts_out": [out_row(out) for out in snapshot.outs],
        "head": snapshot.health.value,
        "head_host": None if lease is None else lease.host,
        "head_pid": None if lease is None else lease.pid or None,
        "head_sign_seconds": snapshot.sign_seconds if snapshot.is_active else None,
        **vitals_row(snapshot.vitals),
        "created_at": experiment.created_at,
        "ended_at": experiment.ended_at,
        "owner": experiment.owner,
        "group": experiment.group,
        "description": experiment.description,
        "participant": experiment.participant,
        "metadata": experiment.user_metadata or {},
        "run_dir": experiment.run_dir,
    }


def trial_row(trial: TrialRow) -> Row:
    """Return the row of one trial, with parameters, results and extra columns nested."""
    last = trial.last
    return {
        "trial": trial.index,
        "status": trial.status.name,
        "generator": trial.generator,
        "host": None if last is None else last.host,
        "job": None if last is None else last.slurm_job_id,
        "attempts": trial.attempts,
        "parameters": trial.parameters,
        "results": trial.means,
        "sems": trial.sems,
        "infos": (last.infos if last is not None else None) or {},
        "created_at": trial.created_at,
        "started_at": None if last is None else last.started_at,
        "ended_at": trial.completed_at,
        "run_seconds": None if last is None else run_seconds(last),
        "exit_code": None if last is None else last.exit_code,
        "signal": None if last is None else last.signal,
        "failure": None if last is None else last.failure_class,
        "reason": reason(trial),
    }


def run_seconds(attempt: TellingAttempt) -> float | None:
    """Return how long the program of an attempt ran; None if that is not known."""
    wall = (attempt.measured or {}).get("wall_seconds")
    return trials.run_seconds(wall, attempt.started_at, attempt.ended_at)


def reason(trial: TrialRow) -> str | None:
    """Return why a trial has no outcome, or why its last attempt gave none."""
    failure = trial.last.failure_message if trial.last else None
    return trials.told_reason(trial.status.name, trial.status_reason, failure)


def failure_word(kind: FailureClass, name: str | None) -> str:
    """Return the class of a failure, with the rule or the log pattern that gave it its class."""
    if name is None:
        return str(kind)
    return f"rule {name}" if kind is FailureClass.RULE else f"{kind} ({name})"


def out_row(out: Out) -> Row:
    """Return the row of a host that is not simply used."""
    return {
        "host": out.host,
        "state": out.standing.value,
        "since_at": out.since,
        "until_at": out.until,
        "by": out.by,
        "reason": out.reason,
        "evidence": out.evidence,
        "says": spoken(out),
    }


def host_row(row: HostRow, probability: float | None) -> Row:
    """Return the row of one host in `headway hosts`.

    Args:
        row: What the database says.
        probability: How likely it is defective by what is known now, 0 to 1; None: nobody knows.
            What a decision rests on counts more.
    """
    exclusion, last = row.exclusion, row.last_failure
    is_good = row.standing == HostState.GOOD
    by_person = exclusion is not None and exclusion.source == ExclusionSource.USER
    evidence = exclusion.evidence if exclusion else None if is_good else row.evidence
    return {
        "host": row.name,
        "state": row.standing,
        "tried": row.tried,
        "running": row.running,
        "succeeded": row.succeeded,
        "failed": dict(row.failed),
        "probability": (evidence or {}).get("probability", probability),
        "since_at": exclusion.created_at if exclusion else None if is_good else row.changed_at,
        "until_at": exclusion.expires_at if exclusion else None,
        "by": (exclusion and exclusion.decided_by) if by_person else None if is_good else "Headway",
        "reason": exclusion.reason if exclusion else None if is_good else row.reason,
        "evidence": evidence,
        "last_failure": None if last is None else dict(vars(last)),
        "history": [dict(vars(each)) for each in row.history],
    }


def best_row(scored: Scored) -> Row:
    """Return the row of one of the best trials."""
    return {"trial": scored.index, "results": scored.means, "parameters": scored.parameters}


def detail_row(detail: TrialDetail) -> Row:
    """Return one trial with all that belongs to it, for `headway show --json`."""
    return {
        **trial_row(detail.trial),
        "all_attempts": [dict(vars(attempt)) for attempt in detail.attempts],
        "outcomes": [dict(vars(outcome)) for outcome in detail.outcomes],
        "metrics": [dict(vars(metric)) for metric in detail.metrics],
        "artifacts": [dict(vars(artifact)) for artifact in detail.artifacts],
        "code": [dict(vars(changed)) for changed in detail.code],
    }


def code_rows(versions: Sequence[CodeFileRow]) -> list[Row]:
    """Return the files that the program names, one row a file.

    `trial` is the one that met its newest version first; None: it was so when a head started.
    """
    by_path = {each.path: each for each in versions}
    counts = Counter(each.path for each in versions)
    return [
        {
            "path": path,
            "versions": counts[path],
            "sha256": last.sha256 or None,
            "bytes": last.bytes if last.sha256 else None,
            "trial": last.trial,
            "since_at": last.created_at,
        }
        for path, last in by_path.items()
    ]


def code_line(files: Sequence[Row]) -> str | None:
    """Return in one line how the files are that the program names; None if it names none."""
    if not files:
        return None
    changed = [row for row in files if row["versions"] > 1]
    count = "1 file" if len(files) == 1 else f"{len(files)} files"
    if not changed:
        return f"{count} named by the program, not changed since the start"
    names = ", ".join(row["path"] + ("" if row["sha256"] else " (gone)") for row in changed)
    return f"changed since the start: {names}"


@dataclass(frozen=True)
class Headings:
    """Column titles for values that users have named, so that no two columns have one title.

    Attributes:
        parameters: Title of each parameter, by its name.
        results: Title of each objective.
        infos: Title of each extra column.
    """

    parameters: dict[str, str]
    results: dict[str, str]
    infos: dict[str, str]

    @classmethod
    def choose(
        cls,
        *,
        fixed: Iterable[str],
        parameters: Sequence[str],
        results: Sequence[str],
        infos: Sequence[str] = (),
    ) -> Headings:
        """Give every name a title that no other column has."""
        taken = set(fixed)

        def titles(prefix: str, names: Sequence[str]) -> dict[str, str]:
            return dict(zip(names, unique_titles(taken, prefix, names), strict=True))

        return cls(
            parameters=titles("parameter", parameters),
            results=titles("result", results),
            infos=titles("info", infos),
        )

    def titles(self) -> list[str]:
        """All titles, in the order of the columns."""
        return [*self.parameters.values(), *self.results.values(), *self.infos.values()]

    def flatten(self, row: Row) -> Row:
        """Return a row with a field for each parameter, result and extra column."""
        flat = dict(row)
        for field in ("parameters", "results", "infos"):
            nested = flat.pop(field)
            chosen: dict[str, str] = getattr(self, field)
            flat |= {title: nested.get(name) for name, title in chosen.items()}
        return flat
