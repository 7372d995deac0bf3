"""What a run says when it ends: the best, the counts, the failures, where things are, what next."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from db.sql.reading import activity, experiments, outcomes
from db.sql.reading.activity import FailureCount
from db.sql.reading.experiments import ExperimentRow
from db.sql.reading.outcomes import Scored
from db.sql.reading.reader import Reader
from db.states import ExperimentStatus, FailureClass, TrialStatus
from orchestrator.errors import HeadwayError
from orchestrator.reports import rows
from orchestrator.reports.history import History
from orchestrator.reports.outs import Out, Standing, read_outs, spoken
from orchestrator.reports.texts import duration, printable, values

# More trials of a front than this are left to `headway best --pareto`.
_MOST_OF_FRONT = 5
_MOST_OF_HOSTS = 3


def closing(reader: Reader, experiment_id: int, *, database: str) -> str:
    """Sum an experiment up in a few lines.

    Args:
        reader: The database.
        experiment_id: The experiment.
        database: Where its data are, without a password.

    Raises:
        HeadwayError: There is no such experiment.
        DatabaseUnavailable: The database does not answer.
    """
    with reader.read() as connection:
        experiment = experiments.find(connection, experiment_id)
        if experiment is None:
            raise HeadwayError(f"experiment {experiment_id} is not in this database.")
        best = outcomes.best(connection, experiment.objectives)
        history = History(experiment.objectives)
        if len(experiment.objectives) > 1:
            history.add(outcomes.since(connection, experiment.objectives, 0))
        failures = activity.failures(connection, experiment_id)
        max_eval = int(experiments.spec(connection, experiment_id)["max_eval"])
        outs = read_outs(connection)
    lines = [_counts(experiment), *_best(best, history), *_failures(experiment, failures)]
    lines += _hosts(experiment, outs)
    lines += _places(experiment, database)
    return "\n".join([*lines, *_next(experiment, best, max_eval=max_eval, has_outs=bool(outs))])


def spoken_name(experiment: ExperimentRow) -> str:
    """Return how a command finds the experiment from the folder that one is in."""
    name = f"{experiment.name}/{experiment.run_number}"
    folder = Path(experiment.run_dir)
    if folder == Path.cwd() / "runs" / experiment.name / str(experiment.run_number):
        return name
    return shlex.quote(str(folder))


def _counts(experiment: ExperimentRow) -> str:
    counts = rows.counts(experiment.trials)
    parts = [f"{count} {name.replace('_', ' ')}" for name, count in counts.items() if count]
    took = ""
    if experiment.ended_at is not None:
        took = f" after {duration((experiment.ended_at - experiment.created_at).total_seconds())}"
    why = f" ({printable(experiment.stop_reason)})" if experiment.stop_reason else ""
    name = f"{experiment.name}/{experiment.run_number}"
    return f"{name} {experiment.status}{took}{why}. Trials: {', '.join(parts) or 'none'}."


def _best(best: Sequence[Scored], history: History) -> list[str]:
    if not best:
        return ["No trial has given a result."]
    first = best[0]
    line = f"Best:      trial {first.index}, {values(first.means)}, at {values(first.parameters)}"
    if not history.front:
        return [line]
    named = ", ".join(str(index) for index in history.front[:_MOST_OF_FRONT])
    more = ", …" if len(history.front) > _MOST_OF_FRONT else ""
    goals = " ".join(
        f"{best.objective.name}={'min' if best.objective.minimize else 'max'}"
        for best in history.best
    )
    return [line, f"Pareto:    {len(history.front)} trials ({goals}): {named}{more}"]


def _failures(experiment: ExperimentRow, failures: Sequence[FailureCount]) -> list[str]:
    # What was told to end has not failed.
    found = [each for each in failures if each.failure_class is not FailureClass.CANCELLED]
    if not found:
        return []
    total = sum(failure.count for failure in found)
    most = found[0]
    why = f": {printable(most.message)}" if most.message else ""
    tries = "attempt" if total == 1 else "attempts"
    lost = experiment.trials.get(TrialStatus.FAILED, 0)
    said = f"{total} {tries} failed, {lost} trials for good"
    return [f"Failures:  {said}; most often {most.failure_class} ({most.count}){why}"]


def _hosts(experiment: ExperimentRow, outs: Sequence[Out]) -> list[str]:
    """Say which hosts are kept out, and why; of many the last line counts the rest."""
    found = [out for out in outs if out.standing is Standing.EXCLUDED]
    shown = found if len(found) <= _MOST_OF_HOSTS else found[: _MOST_OF_HOSTS - 1]
    lines = [f"{printable(out.host)} is {spoken(out)}" for out in shown]
    if left := len(found) - len(shown):
        lines.append(f"and {left} more: headway hosts {spoken_name(experiment)}")
    return [("Hosts:     " if place == 0 else " " * 11) + line for place, line in enumerate(lines)]


def _places(experiment: ExperimentRow, database: str) -> list[str]:
    return [
        f"Results:   {Path(experiment.run_dir) / 'results.csv'}",
        f"Database:  {database}",
    ]


def _next(
    experiment: ExperimentRow, best: Sequence[Scored], *, max_eval: int, has_outs: bool
) -> list[str]:
    name = spoken_name(experiment)
    option = " --pareto" if len(experiment.objectives) > 1 else ""
    commands = [f"headway trials {name}"]
    if best:
        commands = [f"headway best {name}{option}", f"headway show {name} {best[0].index}"]
    elif experiment.trials.get(TrialStatus.FAILED, 0):
        commands.append(f"headway trials {name} --status failed")
    if experiment.status is ExperimentStatus.FAILED:
        # What stopped it is to be put right first.
        commands.append(f"headway why {name}")
        commands += [f"headway hosts {name}"] if has_outs else []
    has_goal = experiment.status is ExperimentStatus.FINISHED
    commands.append(f"headway resume {name}" + (f" --max_eval {2 * max_eval}" if has_goal else ""))
    return ["Next:      " + commands[0], *[" " * 11 + command for command in commands[1:]]]
