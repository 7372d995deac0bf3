"""Failures: the rule or pattern, what was done, what it rests on; the class of the user's rules.

And an index by which the newest endings are found, of all experiments. On SQLite the table is
copied with one of each check that it has: the first edition of 0003 had copied each of them twice.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

import db.sql.columns
import db.sql.mysql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

INDEX = "ix_attempt_ended_at"
CHECK = "ck_attempt_failureclass"
WORDS = (
    "PROGRAM",
    "NO_RESULT",
    "TIMEOUT",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "NODE",
    "LOST",
    "NO_DATABASE",
    "SUBMIT",
    "RULE",
    "CANCELLED",
)
ALLOWED = f"failure_class IN ({', '.join(repr(word) for word in WORDS)})"


def upgrade() -> None:
    dialect = op.get_context().dialect.name
    if dialect in db.sql.mysql.DIALECTS:
        _begin_again()
    if dialect == "sqlite":
        _copy_attempts()
    else:
        for column in _columns():
            op.add_column("attempt", column)
        op.drop_constraint(op.f(CHECK), "attempt", type_="check")
        op.create_check_constraint(op.f(CHECK), "attempt", sa.text(ALLOWED))
    if op.get_context().dialect.supports_comments:
        _comment()
    ended = sa.text("ended_at IS NOT NULL")
    op.create_index(INDEX, "attempt", ["ended_at"], sqlite_where=ended, postgresql_where=ended)


def _comment() -> None:
    """Say what is true: a host on which nothing happened has no row."""
    op.alter_column(
        "host",
        "first_seen_at",
        comment="When it was first judged",
        existing_type=db.sql.columns.UtcDateTime(),
        existing_nullable=False,
    )


def _columns() -> list[sa.Column[object]]:
    text = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")
    return [
        sa.Column(
            "failure_name",
            sa.String(length=80),
            nullable=True,
            comment="The rule or the log pattern that gave it its class",
        ),
        sa.Column("failure_action", text, nullable=True, comment="What was done about it"),
        sa.Column("failure_evidence", sa.JSON(), nullable=True, comment="What the class rests on"),
    ]


def _copy_attempts() -> None:
    """SQLite cannot change a constraint: the table is copied, with all else that it has."""
    with op.batch_alter_table("attempt", recreate="always") as batch:
        for column in _columns():
            batch.add_column(column)
        batch.drop_constraint(op.f(CHECK), type_="check")
        batch.create_check_constraint(op.f(CHECK), sa.text(ALLOWED))


def _begin_again() -> None:
    """Take back what an upgrade did that died here: MariaDB commits every statement at once."""
    inspector = sa.inspect(op.get_bind())
    if INDEX in {index["name"] for index in inspector.get_indexes("attempt")}:
        op.drop_index(INDEX, "attempt")
    there = {column["name"] for column in inspector.get_columns("attempt")}
    for column in _columns():
        if column.name in there:
            op.drop_column("attempt", column.name)
    checks = {check["name"] for check in inspector.get_check_constraints("attempt")}
    if CHECK not in checks:
        op.create_check_constraint(op.f(CHECK), "attempt", sa.text(ALLOWED))
