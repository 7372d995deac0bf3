"""What all tables share: naming, and how Python types become columns."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from db.sql.columns import LONG_TEXT, Code, UtcDateTime, word
from db.states import (
    AttemptState,
    CardKind,
    ExclusionSource,
    ExperimentStatus,
    FailureClass,
    HostState,
    ReportKind,
    SnapshotReason,
    SubmissionState,
    TrialStatus,
)

# One naming rule, so that a migration can name what it changes on every database.
NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
Json = dict[str, Any]
_WORDS = (
    AttemptState,
    CardKind,
    ExclusionSource,
    ExperimentStatus,
    FailureClass,
    HostState,
    ReportKind,
    SnapshotReason,
    SubmissionState,
)
_COLUMN_TYPES: dict[Any, Any] = {
    datetime: UtcDateTime(),
    Json: sa.JSON(),
    list[Any]: sa.JSON(),
    str: LONG_TEXT,
    float: sa.Double(),
    TrialStatus: Code(TrialStatus),
    **{enum: word(enum) for enum in _WORDS},
}


class Base(DeclarativeBase):
    """The root of all tables; fixes how Python types become columns."""

    metadata = sa.MetaData(naming_convention=NAMES)
    type_annotation_map = _COLUMN_TYPES


def table_of(model: type[Base]) -> sa.Table:
    """Return the table behind a typed class, for statements on columns."""
    table = model.__table__
    assert isinstance(table, sa.Table)
    return table


def part_of(table: str, comment: str, *, index: bool = False) -> Mapped[int]:
    """Make a mandatory foreign key to `table`: the row goes when that one goes."""
    return mapped_column(
        ForeignKey(f"{table}.id", ondelete="CASCADE"), index=index, comment=comment
    )
