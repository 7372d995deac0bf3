"""Attempts of requeued jobs; files that the program names."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import db.sql.columns
import db.sql.mysql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

OLD, NEW = "uq_attempt_submission_id_array_index", "uq_attempt_submission_id_array_index_restart"
PLACE = ["submission_id", "array_index", "restart"]
COMMENT = "SLURM_RESTART_COUNT: 0, or more after a requeue"


def upgrade() -> None:
    if op.get_context().dialect.name in db.sql.mysql.DIALECTS:
        _begin_again()
    if op.get_context().dialect.name == "sqlite":
        _copy_attempts()
    else:
        op.add_column("attempt", _restart())
        # First the new one: MariaDB keeps an index for the foreign key at all times.
        op.create_unique_constraint(NEW, "attempt", PLACE)
        op.drop_constraint(OLD, "attempt", type_="unique")
    op.create_table(
        "code_file",
        sa.Column("id", sa.Integer(), nullable=False, comment="Key"),
        sa.Column("experiment_id", sa.Integer(), nullable=False, comment="Experiment"),
        sa.Column("path", sa.String(length=500), nullable=False, comment="Absolute path"),
        sa.Column(
            "sha256",
            sa.String(length=64),
            nullable=False,
            comment="What it held; empty: it was gone",
        ),
        sa.Column("bytes", sa.BigInteger(), nullable=False, comment="Its size"),
        sa.Column(
            "attempt_id",
            sa.Integer(),
            nullable=True,
            comment="The attempt that met it first; NULL: it was so when the head started",
        ),
        sa.Column(
            "created_at",
            db.sql.columns.UtcDateTime(),
            nullable=False,
            comment="When it was met first",
        ),
        sa.ForeignKeyConstraint(
            ["attempt_id"],
            ["attempt.id"],
            name=op.f("fk_code_file_attempt_id"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["experiment_id"],
            ["experiment.id"],
            name=op.f("fk_code_file_experiment_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_code_file")),
        sa.UniqueConstraint(
            "experiment_id", "path", "sha256", name=op.f("uq_code_file_experiment_id_path_sha256")
        ),
        comment="A file that the program names, in one of the versions that were met.",
    )
    op.create_index(op.f("ix_code_file_attempt_id"), "code_file", ["attempt_id"], unique=False)


def _restart() -> sa.Column[int]:
    return sa.Column("restart", sa.Integer(), nullable=False, server_default="0", comment=COMMENT)


def _copy_attempts() -> None:
    """SQLite cannot drop a constraint: the table is copied, with all else that it has."""
    with op.batch_alter_table("attempt", recreate="always") as batch:
        batch.add_column(_restart(), insert_after="array_index")
        batch.drop_constraint(OLD, type_="unique")
        batch.create_unique_constraint(NEW, PLACE)


def _begin_again() -> None:
    """Take back what an upgrade did that died here: MariaDB commits every statement at once."""
    op.drop_table("code_file", if_exists=True)
    inspector = sa.inspect(op.get_bind())
    keys = {key["name"] for key in inspector.get_indexes("attempt")}
    if OLD not in keys:
        op.create_unique_constraint(OLD, "attempt", PLACE[:2])
    if NEW in keys:
        op.drop_constraint(NEW, "attempt", type_="unique")
    if "restart" in {column["name"] for column in inspector.get_columns("attempt")}:
        op.drop_column("attempt", "restart")
