"""Invariants of outcomes: exactly one an objective, and from where it says it is."""

from __future__ import annotations

import sqlalchemy as sa

from db.sql.checks.base import Check, is_not_finite, status_of
from db.sql.columns import stored_word
from db.sql.tables import Attempt, Objective, Outcome, Trial, table_of
from db.states import AttemptState, OutcomeSource, TrialStatus

_trial = table_of(Trial)
_outcome = table_of(Outcome)
_objective = table_of(Objective)
_attempt = table_of(Attempt)
_reused = _trial.alias("reused")
_index = _trial.c.index.label("trial")

_of_trial = sa.join(_outcome, _trial, _trial.c.id == _outcome.c.trial_id)
_wanted = sa.join(
    _trial, _objective, _objective.c.experiment_id == _trial.c.experiment_id
).outerjoin(
    _outcome,
    (_outcome.c.trial_id == _trial.c.id) & (_outcome.c.objective_id == _objective.c.id),
)
_has_attempt, _has_reused = (
    _outcome.c.attempt_id.is_not(None),
    _outcome.c.reused_trial_id.is_not(None),
)
_names_its_source = sa.case(
    (_outcome.c.source == OutcomeSource.ATTEMPT, _has_attempt & ~_has_reused),
    (_outcome.c.source == OutcomeSource.REUSED, _has_reused & ~_has_attempt),
    else_=~_has_attempt & ~_has_reused,
)
_source = (stored_word(_outcome.c.source), _outcome.c.attempt_id, _outcome.c.reused_trial_id)

CHECKS = (
    Check(
        name="completed-without-outcome",
        says="is COMPLETED without an outcome of {objective}; it should have exactly one",
        query=sa.select(_index, _objective.c.name.label("objective"))
        .select_from(_wanted)
        .where(_trial.c.status == TrialStatus.COMPLETED, _outcome.c.id.is_(None)),
        experiment=_trial.c.experiment_id,
    ),
    Check(
        name="outcome-twice",
        says="has {count} outcomes of one objective; it should have exactly one",
        query=sa.select(_index, sa.func.count().label("count"))
        .select_from(_of_trial)
        .group_by(
            _trial.c.experiment_id, _trial.c.index, _outcome.c.trial_id, _outcome.c.objective_id
        )
        .having(sa.func.count() > 1),
        experiment=_trial.c.experiment_id,
    ),
    Check(
        name="outcome-of-another-experiment",
        says="has an outcome of {objective}, an objective of another experiment",
        query=sa.select(_index, _objective.c.name.label("objective"))
        .select_from(_of_trial.join(_objective, _objective.c.id == _outcome.c.objective_id))
        .where(_objective.c.experiment_id != _trial.c.experiment_id),
        experiment=_trial.c.experiment_id,
    ),
    Check(
        name="outcome-of-open-trial",
        says="is {status} and has an outcome; only COMPLETED and EARLY_STOPPED ones may have one",
        query=sa.select(_index, status_of(_trial))
        .distinct()
        .select_from(_of_trial)
        .where(_trial.c.status.not_in((TrialStatus.COMPLETED, TrialStatus.EARLY_STOPPED))),
        experiment=_trial.c.experiment_id,
    ),
    Check(
        name="outcome-not-finite",
        says="has the outcome {mean} (sem {sem}); NaN and infinities are failures, not outcomes",
        query=sa.select(_index, _outcome.c.mean, _outcome.c.sem)
        .select_from(_of_trial)
        .where(is_not_finite(_outcome.c.mean) | is_not_finite(_outcome.c.sem)),
        experiment=_trial.c.experiment_id,
    ),
    Check(
        name="outcome-without-source",
        says="has an outcome of source {source}, but names attempt {attempt_id} and reused trial "
        "{reused_trial_id}; it should name exactly what its source says",
        query=sa.select(
            _index,
            stored_word(_outcome.c.source).label("source"),
            _outcome.c.attempt_id,
            _outcome.c.reused_trial_id,
        )
        .select_from(_of_trial)
        .where(sa.not_(_names_its_source)),
        experiment=_trial.c.experiment_id,
    ),
    Check(
        name="outcome-of-bad-attempt",
        says="has an outcome from attempt {attempt_id}, which is {state} and one of {whose}; it "
        "should be a SUCCEEDED one of its own",
        query=sa.select(
            _index,
            _outcome.c.attempt_id,
            stored_word(_attempt.c.state).label("state"),
            sa.case((_attempt.c.trial_id == _trial.c.id, "its own"), else_="another trial's").label(
                "whose"
            ),
        )
        .select_from(_of_trial.join(_attempt, _attempt.c.id == _outcome.c.attempt_id))
        .where(
            (_attempt.c.trial_id != _outcome.c.trial_id)
            | (_attempt.c.state != AttemptState.SUCCEEDED)
        ),
        experiment=_trial.c.experiment_id,
    ),
    Check(
        name="outcomes-of-several-sources",
        says="has outcomes from several attempts or sources; all should come from one",
        query=sa.select(_index)
        .select_from(_of_trial)
        .group_by(_trial.c.experiment_id, _trial.c.index, _outcome.c.trial_id)
        .having(
            sa.or_(
                *(
                    sa.func.min(sa.func.coalesce(column, empty))
                    != sa.func.max(sa.func.coalesce(column, empty))
                    for column, empty in zip(_source, ("", 0, 0), strict=True)
                )
            )
        ),
        experiment=_trial.c.experiment_id,
    ),
    Check(
        name="outcome-of-bad-reuse",
        says="has the outcome of trial {other}, which is not another COMPLETED trial with the same "
        "parameters",
        query=sa.select(_index, _reused.c.index.label("other"))
        .select_from(_of_trial.join(_reused, _reused.c.id == _outcome.c.reused_trial_id))
        .where(
            (_reused.c.id == _trial.c.id)
            | (_reused.c.parameter_hash != _trial.c.parameter_hash)
            | (_reused.c.status != TrialStatus.COMPLETED)
        ),
        experiment=_trial.c.experiment_id,
    ),
)
