"""Columns that many of Ax's tables have."""

from __future__ import annotations

from db.views.spelling import Column

EXPERIMENT = "The experiment: experiment_v2.id"
TRIAL = "The trial: trial_v2.id"


def nothing(kind: str, meaning: str) -> Column:
    """A column without values; typed, since PostgreSQL compares it with other columns."""
    return Column(f"CAST(NULL AS {kind})", f"Always NULL: {meaning}")


def no_run() -> Column:
    """The generator run that a parameter, constraint or metric may belong to in Ax."""
    return nothing("INTEGER", "all of an experiment's generator runs share its space")


def empty(meaning: str) -> Column:
    """An empty JSON object."""
    return Column("CAST('{}' AS TEXT)", f"Always {{}}: {meaning}")
