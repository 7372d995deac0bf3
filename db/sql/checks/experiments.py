"""Invariants of an experiment as a whole: its space, strategy, versions and end."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from db.sql.checks.base import Check, is_not_finite
from db.sql.columns import stored_word
from db.sql.tables import (
    Attempt,
    Base,
    Card,
    CodeFile,
    Experiment,
    Generation,
    GenerationNode,
    Objective,
    Parameter,
    ParameterConstraint,
    SpecVersion,
    Trial,
    table_of,
)
from db.states import ONGOING_EXPERIMENTS

_experiment = table_of(Experiment)
_generation = table_of(Generation)
_node = table_of(GenerationNode)
_parameter = table_of(Parameter)
_constraint = table_of(ParameterConstraint)
_trial = table_of(Trial)
_attempt = table_of(Attempt)
_code_file = table_of(CodeFile)
_card = table_of(Card)
_parent = _card.alias("parent")

_goes_on = _experiment.c.status.in_(ONGOING_EXPERIMENTS)
_proposed = (
    sa.select(sa.func.count())
    .where(_trial.c.generation_id == _generation.c.id)
    .correlate(_generation)
    .scalar_subquery()
)


def _numbered(model: type[Base], column: str, *, first: int, what: str) -> Check:
    """Rows of an experiment that are numbered without a hole."""
    table = table_of(model)
    number = table.c[column]
    low, high, count = sa.func.min(number), sa.func.max(number), sa.func.count()
    return Check(
        name=f"{table.name.replace('_', '-')}-numbers",
        says=f"its {{count}} {what} are numbered {{low}} to {{high}}; they should count from "
        f"{first} without a hole",
        query=sa.select(low.label("low"), high.label("high"), count.label("count"))
        .group_by(table.c.experiment_id)
        .having((low != first) | (high + 1 - first != count)),
        experiment=table.c.experiment_id,
    )


def _missing(model: type[Base], what: str) -> Check:
    """Something that every experiment has."""
    table = table_of(model)
    has_one = sa.exists().where(table.c.experiment_id == _experiment.c.id).correlate(_experiment)
    return Check(
        name=f"no-{table.name}",
        says=f"has no {what}",
        query=sa.select(_experiment.c.name).where(~has_one),
        experiment=_experiment.c.id,
    )


def _finite(table: sa.Table, name: sa.Column[Any], *columns: str) -> Check:
    """Numbers that are neither NaN nor infinite."""
    return Check(
        name=f"{table.name.replace('_', '-')}-not-finite",
        says=f"has {', '.join(columns)} of {table.name} {{name}} that are not finite numbers",
        query=sa.select(name.label("name")).where(
            sa.or_(*(is_not_finite(table.c[column]) for column in columns))
        ),
        experiment=table.c.experiment_id,
    )


CHECKS = (
    Check(
        name="experiment-times",
        says="is {state} with ended_at {ended_at}; it has that time once it has ended",
        query=sa.select(
            stored_word(_experiment.c.status).label("state"), _experiment.c.ended_at
        ).where(
            (_goes_on & _experiment.c.ended_at.is_not(None))
            | (~_goes_on & _experiment.c.ended_at.is_(None))
        ),
        experiment=_experiment.c.id,
    ),
    _missing(Parameter, "parameter"),
    _missing(Objective, "objective"),
    _numbered(Parameter, "position", first=0, what="parameters"),
    _numbered(ParameterConstraint, "position", first=0, what="constraints"),
    _numbered(Objective, "position", first=0, what="objectives"),
    _numbered(GenerationNode, "position", first=0, what="steps of the strategy"),
    _numbered(SpecVersion, "version", first=1, what="versions of the spec"),
    _finite(_parameter, _parameter.c.name, "lower", "upper"),
    _finite(_constraint, _constraint.c.position, "bound"),
    _finite(_generation, _generation.c.number, "fit_time", "gen_time"),
    Check(
        name="generation-produced",
        says="generation {number} produced {produced} points, but {count} trials are from it",
        query=sa.select(
            _generation.c.number, _generation.c.produced, _proposed.label("count")
        ).where(_proposed != _generation.c.produced),
        experiment=_generation.c.experiment_id,
    ),
    Check(
        name="generation-without-step",
        says="generation {number} counts for step {node} of the strategy, which has no such step",
        query=sa.select(_generation.c.number, _generation.c.node)
        .outerjoin_from(
            _generation,
            _node,
            (_node.c.experiment_id == _generation.c.experiment_id)
            & (_node.c.position == _generation.c.node),
        )
        .where(_node.c.id.is_(None)),
        experiment=_generation.c.experiment_id,
    ),
    Check(
        name="code-file-of-another-experiment",
        says="a version of {path} was met first by an attempt of another experiment",
        query=sa.select(_code_file.c.path)
        .join_from(_code_file, _attempt, _attempt.c.id == _code_file.c.attempt_id)
        .join(_trial, _trial.c.id == _attempt.c.trial_id)
        .where(_trial.c.experiment_id != _code_file.c.experiment_id),
        experiment=_code_file.c.experiment_id,
    ),
    Check(
        name="card-of-another-experiment",
        says="card {title} is part of a card of another experiment",
        query=sa.select(_card.c.title)
        .join_from(_card, _parent, _parent.c.id == _card.c.parent_id)
        .where(_parent.c.experiment_id != _card.c.experiment_id),
        experiment=_card.c.experiment_id,
    ),
)
