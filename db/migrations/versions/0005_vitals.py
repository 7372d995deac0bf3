"""What the head tells of itself, beside its lease."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import db.sql.mysql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_context().dialect.name in db.sql.mysql.DIALECTS:
        _begin_again()
    op.add_column(
        "head_lease",
        sa.Column("vitals", sa.JSON(), nullable=True, comment="What the head told of itself last"),
    )


def _begin_again() -> None:
    """Take back what an upgrade did that died here: MariaDB commits every statement at once."""
    there = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("head_lease")}
    if "vitals" in there:
        op.drop_column("head_lease", "vitals")
