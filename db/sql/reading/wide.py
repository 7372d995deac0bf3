"""The table of trials: one row each, with a column for every parameter, result and extra value.

Three queries a page, each over a range of trial indices, so that a hundred thousand trials take
seconds and a page's memory.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from db.sql.columns import stored_word
from db.sql.reading import experiments
from db.sql.reading.experiments import ObjectiveRow, ParameterRow
from db.sql.reading.fields import PAGE, Column, Kind, Pages, Row, Session, Table, unique_titles
from db.sql.reading.trials import run_seconds, tells_more, told_reason
from db.sql.tables import Attempt, Generation, Outcome, Trial, table_of
from db.states import TrialStatus

_attempt = table_of(Attempt)
_generation = table_of(Generation)
_outcome = table_of(Outcome)
_trial = table_of(Trial)
BEFORE = (
    Column("trial", Kind.INT, "number of the trial within its experiment, from 0"),
    Column("status", Kind.TEXT, "where it stands: COMPLETED, FAILED, RUNNING, …"),
    Column("generator", Kind.TEXT, "the generator that proposed it; empty for an imported one"),
)
AFTER = (
    Column("host", Kind.TEXT, "host of the telling attempt: the one that succeeded, else the last"),
    Column("job", Kind.TEXT, "Slurm job of that attempt"),
    Column("attempts", Kind.INT, "how many attempts the trial has had"),
    Column("wait_seconds", Kind.FLOAT, "from planning the first attempt to its start on a host"),
    Column("run_seconds", Kind.FLOAT, "how long the program of the telling attempt ran"),
    Column("exit_code", Kind.INT, "exit code of its program"),
    Column("signal", Kind.INT, "signal that ended its program"),
    Column("failure", Kind.TEXT, "class of its failure: PROGRAM, TIMEOUT, …"),
    Column("reason", Kind.TEXT, "why the trial has no result, in a sentence"),
    Column("created_at", Kind.TIME, "when the trial was proposed"),
    Column("staged_at", Kind.TIME, "when its first attempt was planned"),
    Column("started_at", Kind.TIME, "when the telling attempt started on its host"),
    Column("ended_at", Kind.TIME, "when the trial's status became final"),
)
# Group of user-named columns -> prefix of a title that is taken, and what the values mean.
_GROUPS = {
    "parameters": ("parameter", "value of the parameter"),
    "results": ("result", "accepted value of the objective"),
    "sems": ("sem", "standard error of the objective's value"),
    "infos": ("info", "OO-Info line of the telling attempt"),
}
_KINDS = {"int": Kind.INT, "float": Kind.FLOAT, "str": Kind.TEXT, "bool": Kind.BOOL}
_STATUS_NAMES = {int(status): status.name for status in TrialStatus}


class _Told(NamedTuple):
    """An attempt as its trial's row shows it; empty for a trial that has had none."""

    trial_id: int | None = None
    state: str | None = None
    host: str | None = None
    slurm_job_id: str | None = None
    exit_code: int | None = None
    signal: int | None = None
    failure_class: str | None = None
    failure_message: str | None = None
    wall_seconds: float | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    infos: str | None = None


_NO_ATTEMPT = (0, _Told())
# Words and JSON are read as they are stored: making enums of the one takes longer than the rest,
# and of the other not everything is wanted.
_TOLD_COLUMNS = (
    _attempt.c.trial_id,
    stored_word(_attempt.c.state),
    _attempt.c.host,
    _attempt.c.slurm_job_id,
    _attempt.c.exit_code,
    _attempt.c.signal,
    stored_word(_attempt.c.failure_class),
    _attempt.c.failure_message,
    _attempt.c.measured["wall_seconds"].as_float(),
    _attempt.c.started_at,
    _attempt.c.ended_at,
)
_INFOS = sa.cast(_attempt.c.infos, sa.Text)
_TRIAL_COLUMNS = (
    _trial.c.id,
    _trial.c.index.label("trial_index"),
    sa.cast(_trial.c.parameters, sa.Text).label("parameters"),
    sa.type_coerce(_trial.c.status, sa.SmallInteger).label("status"),
    _trial.c.status_reason,
    _trial.c.created_at,
    _trial.c.staged_at,
    _trial.c.run_started_at,
    _trial.c.completed_at,
    _generation.c.generator,
)
_decode = json.JSONDecoder().raw_decode


def trials(connection: sa.Connection, experiment_id: int) -> Table:
    """Return the table of trials; its columns depend on the experiment.

    Args:
        connection: A reading transaction.
        experiment_id: An experiment that exists.
    """
    experiment = experiments.find(connection, experiment_id)
    objectives = experiment.objectives if experiment else ()
    parameters = experiments.parameters(connection, experiment_id)
    infos = _info_names(connection, experiment_id)
    return Table(
        name="trials",
        columns=_columns(parameters, objectives, infos),
        pages=_Reading(
            experiment_id,
            parameters=tuple(parameter.name for parameter in parameters),
            objectives=tuple(objective.id for objective in objectives),
            infos=tuple(infos),
        ).pages,
        groups=tuple(_GROUPS),
    )


def _columns(
    parameters: Sequence[ParameterRow], objectives: Sequence[ObjectiveRow], infos: Sequence[str]
) -> tuple[Column, ...]:
    taken = {column.name for column in (*BEFORE, *AFTER)}
    results = {objective.name: Kind.FLOAT for objective in objectives}
    points = {p.name: _KINDS[p.value_type] for p in parameters}
    return (
        *BEFORE,
        *_named(taken, "parameters", points),
        *_named(taken, "results", results),
        *_named(taken, "sems", results, ending="_sem"),
        *AFTER,
        *_named(taken, "infos", dict.fromkeys(infos, Kind.TEXT)),
    )


def _named(
    taken: set[str], group: str, kinds: Mapping[str, Kind], *, ending: str = ""
) -> list[Column]:
    """Return the columns of values that users have named."""
    prefix, meaning = _GROUPS[group]
    titles = unique_titles(taken, prefix, [name + ending for name in kinds])
    return [
        Column(title, kind, meaning, group, name)
        for title, (name, kind) in zip(titles, kinds.items(), strict=True)
    ]


def _info_names(connection: sa.Connection, experiment_id: int) -> list[str]:
    """Return the names of all extra values that any attempt has printed, the first one first."""
    query = (
        sa.select(_INFOS)
        .join(_trial, _trial.c.id == _attempt.c.trial_id)
        .where(_trial.c.experiment_id == experiment_id, _attempt.c.infos.is_not(None))
        .order_by(_trial.c.index, _attempt.c.number)
    )
    names: dict[str, None] = {}
    for infos in connection.execute(query, execution_options={"yield_per": PAGE}).scalars():
        # A JSON null is not an SQL NULL.
        names |= dict.fromkeys(_decode(infos)[0] or ())
    return list(names)


@dataclass(frozen=True)
class _Reading:
    """Reads the rows of one experiment."""

    experiment_id: int
    parameters: tuple[str, ...]
    objectives: tuple[int, ...]
    infos: tuple[str, ...]

    def pages(self, session: Session) -> Pages:
        """One transaction a page: each row fits together, and no transaction is long."""
        last = -1
        while True:
            with session() as connection:
                page, last = self._page(connection, last)
            if not page:
                return
            yield page

    def _page(self, connection: sa.Connection, after: int) -> tuple[list[Row], int]:
        query = (
            sa.select(*_TRIAL_COLUMNS)
            .outerjoin(_generation, _generation.c.id == _trial.c.generation_id)
            .where(_trial.c.experiment_id == self.experiment_id, _trial.c.index > after)
            .order_by(_trial.c.index)
            .limit(PAGE)
        )
        found = connection.execute(query).all()
        if not found:
            return [], after
        low, high = found[0].trial_index, found[-1].trial_index
        of_page = (_trial.c.experiment_id == self.experiment_id) & _trial.c.index.between(low, high)
        attempts = self._attempts(connection, of_page)
        outcomes = self._outcomes(connection, of_page)
        none: list[float | None] = [None] * (2 * len(self.objectives))
        rows = [
            self._row(trial, outcomes.get(trial.id, none), *attempts.get(trial.id, _NO_ATTEMPT))
            for trial in found
        ]
        return rows, high

    def _attempts(
        self, connection: sa.Connection, of_page: sa.ColumnElement[bool]
    ) -> dict[int, tuple[int, _Told]]:
        """Return how many attempts each trial has had, and the telling one."""
        query = (
            sa.select(*_TOLD_COLUMNS, *([_INFOS] if self.infos else []))
            .join(_trial, _trial.c.id == _attempt.c.trial_id)
            .where(of_page)
            .order_by(_trial.c.index, _attempt.c.number)
        )
        found: dict[int, tuple[int, _Told]] = {}
        for row in connection.execute(query):
            count, told = found.get(row[0], _NO_ATTEMPT)
            if tells_more(told.state):
                told = _Told(*row)
            found[row[0]] = count + 1, told
        return found

    def _outcomes(
        self, connection: sa.Connection, of_page: sa.ColumnElement[bool]
    ) -> dict[int, list[float | None]]:
        """Return for each trial the value of each objective, and then the standard errors."""
        place = {key: position for position, key in enumerate(self.objectives)}
        query = (
            sa.select(_outcome.c.trial_id, _outcome.c.objective_id, _outcome.c.mean, _outcome.c.sem)
            .join(_trial, _trial.c.id == _outcome.c.trial_id)
            .where(of_page)
        )
        found: dict[int, list[float | None]] = {}
        for trial_id, objective_id, mean, sem in connection.execute(query):
            values = found.setdefault(trial_id, [None] * (2 * len(place)))
            position = place[objective_id]
            values[position], values[position + len(place)] = mean, sem
        return found

    def _row(self, trial: Any, outcomes: list[float | None], attempts: int, told: _Told) -> Row:
        point = _decode(trial.parameters)[0]
        status = _STATUS_NAMES[trial.status]
        waited = None
        if trial.run_started_at is not None and trial.staged_at is not None:
            waited = (trial.run_started_at - trial.staged_at).total_seconds()
        infos = (_decode(told.infos)[0] if told.infos else None) or {}
        return (
            trial.trial_index,
            status,
            trial.generator,
            *[point.get(name) for name in self.parameters],
            *outcomes,
            told.host,
            told.slurm_job_id,
            attempts,
            waited,
            run_seconds(told.wall_seconds, told.started_at, told.ended_at),
            told.exit_code,
            told.signal,
            told.failure_class,
            told_reason(status, trial.status_reason, told.failure_message),
            trial.created_at,
            trial.staged_at,
            told.started_at,
            trial.completed_at,
            *[infos.get(name) for name in self.infos],
        )
