"""Hosts, exclusions, versions of the spec, snapshots of the strategy, cards; more indexes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

import db.sql.columns
import db.sql.mysql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


# Columns whose comment was only the words that it may hold.
COMMENTS = {
    ("outcome", "source"): "Where it came from",
    ("metric", "split"): "Part of the data it was measured on",
    ("metric", "level"): "What one value stands for",
}
NEW_INDEXES = {
    "ix_attempt_failed": "attempt",
    "ix_trial_experiment_id_completed_at": "trial",
    "ix_outcome_objective_id_mean": "outcome",
}
NEW_TABLES = ("strategy_snapshot", "spec_version", "exclusion", "card", "host")


def upgrade() -> None:
    if op.get_context().dialect.name in db.sql.mysql.DIALECTS:
        _begin_again()
        _widen()
    if op.get_context().dialect.supports_comments:
        _comment()
    _index()
    op.create_table(
        "host",
        sa.Column("id", sa.Integer(), nullable=False, comment="Key"),
        sa.Column(
            "cluster",
            sa.String(length=60),
            nullable=False,
            comment="Cluster, empty where there is only one",
        ),
        sa.Column(
            "name", sa.String(length=255), nullable=False, comment="Slurm node name, else hostname"
        ),
        sa.Column(
            "state",
            sa.Enum(
                "GOOD",
                "SUSPECT",
                "PAROLE",
                name="hoststate",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
            comment="What is thought of it",
        ),
        sa.Column("reason", db.sql.columns.LONG_TEXT, nullable=True, comment="Why, in a sentence"),
        sa.Column("evidence", sa.JSON(), nullable=True, comment="What that rests on"),
        sa.Column(
            "first_seen_at",
            db.sql.columns.UtcDateTime(),
            nullable=False,
            comment="When an attempt first ran there",
        ),
        sa.Column(
            "changed_at",
            db.sql.columns.UtcDateTime(),
            nullable=False,
            comment="When its state changed last",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_host")),
        sa.UniqueConstraint("cluster", "name", name=op.f("uq_host_cluster_name")),
        comment="A compute node, by its Slurm node name.",
    )
    op.create_table(
        "card",
        sa.Column("id", sa.Integer(), nullable=False, comment="Key"),
        sa.Column("experiment_id", sa.Integer(), nullable=False, comment="Experiment"),
        sa.Column(
            "parent_id", sa.Integer(), nullable=True, comment="The card that this one is a part of"
        ),
        sa.Column(
            "position", sa.Integer(), nullable=True, comment="Order among the parts of its parent"
        ),
        sa.Column(
            "name", sa.String(length=100), nullable=False, comment="The analysis that made it"
        ),
        sa.Column("title", sa.String(length=255), nullable=False, comment="Title"),
        sa.Column(
            "subtitle",
            db.sql.columns.LONG_TEXT,
            nullable=True,
            comment="What it shows, in a sentence",
        ),
        sa.Column(
            "category", sa.String(length=100), nullable=True, comment="Cards that belong together"
        ),
        sa.Column(
            "kind",
            sa.Enum(
                "TABLE",
                "PLOTLY",
                "MARKDOWN",
                name="cardkind",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
            comment="What the blob is",
        ),
        sa.Column("data_frame", sa.JSON(), nullable=True, comment="The numbers, column by column"),
        sa.Column(
            "blob", db.sql.columns.LONG_TEXT, nullable=True, comment="Plotly's JSON, or Markdown"
        ),
        sa.Column("attributes", sa.JSON(), nullable=True, comment="Anything else"),
        sa.Column(
            "created_at", db.sql.columns.UtcDateTime(), nullable=False, comment="When it was made"
        ),
        sa.ForeignKeyConstraint(
            ["experiment_id"],
            ["experiment.id"],
            name=op.f("fk_card_experiment_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["parent_id"], ["card.id"], name=op.f("fk_card_parent_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_card")),
        comment="One analysis of an experiment: a table, a figure or a text.",
    )
    op.create_index(op.f("ix_card_experiment_id"), "card", ["experiment_id"], unique=False)
    op.create_table(
        "exclusion",
        sa.Column("id", sa.Integer(), nullable=False, comment="Key"),
        sa.Column("host_id", sa.Integer(), nullable=False, comment="The host"),
        sa.Column(
            "experiment_id",
            sa.Integer(),
            nullable=True,
            comment="The experiment that found it; the exclusion holds for all",
        ),
        sa.Column(
            "source",
            sa.Enum(
                "HEADWAY",
                "USER",
                name="exclusionsource",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
            comment="Who decided",
        ),
        sa.Column(
            "decided_by",
            db.sql.columns.LONG_TEXT,
            nullable=True,
            comment="user@host, where a person decided",
        ),
        sa.Column("reason", db.sql.columns.LONG_TEXT, nullable=False, comment="Why, in a sentence"),
        sa.Column("evidence", sa.JSON(), nullable=True, comment="What that rests on"),
        sa.Column(
            "created_at", db.sql.columns.UtcDateTime(), nullable=False, comment="From when on"
        ),
        sa.Column(
            "expires_at",
            db.sql.columns.UtcDateTime(),
            nullable=True,
            comment="Until when; NULL: until included",
        ),
        sa.Column(
            "ended_at", db.sql.columns.UtcDateTime(), nullable=True, comment="When it really ended"
        ),
        sa.Column("end_reason", db.sql.columns.LONG_TEXT, nullable=True, comment="Why it ended"),
        sa.CheckConstraint("expires_at > created_at", name=op.f("ck_exclusion_expires_at")),
        sa.ForeignKeyConstraint(
            ["experiment_id"],
            ["experiment.id"],
            name=op.f("fk_exclusion_experiment_id"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["host_id"], ["host.id"], name=op.f("fk_exclusion_host_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exclusion")),
        comment="A host kept out of new jobs, with reason, evidence and expiry.",
    )
    op.create_index(
        op.f("ix_exclusion_experiment_id"), "exclusion", ["experiment_id"], unique=False
    )
    op.create_index(
        "ix_exclusion_host_id_ended_at", "exclusion", ["host_id", "ended_at"], unique=False
    )
    op.create_table(
        "spec_version",
        sa.Column("id", sa.Integer(), nullable=False, comment="Key"),
        sa.Column("experiment_id", sa.Integer(), nullable=False, comment="Experiment"),
        sa.Column(
            "version", sa.Integer(), nullable=False, comment="1 for the spec of the start, then 2 …"
        ),
        sa.Column("spec", sa.JSON(), nullable=False, comment="The whole spec; holds no password"),
        sa.Column(
            "reason",
            db.sql.columns.LONG_TEXT,
            nullable=False,
            comment="What made it: setup, or what a resume changed",
        ),
        sa.Column(
            "created_at",
            db.sql.columns.UtcDateTime(),
            nullable=False,
            comment="From when on it was in force",
        ),
        sa.CheckConstraint("version >= 1", name=op.f("ck_spec_version_version")),
        sa.ForeignKeyConstraint(
            ["experiment_id"],
            ["experiment.id"],
            name=op.f("fk_spec_version_experiment_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_spec_version")),
        sa.UniqueConstraint(
            "experiment_id", "version", name=op.f("uq_spec_version_experiment_id_version")
        ),
        comment="What was asked for at one time: a new version for each change, e.g. at a resume.",
    )
    op.create_table(
        "strategy_snapshot",
        sa.Column("id", sa.Integer(), nullable=False, comment="Key"),
        sa.Column("experiment_id", sa.Integer(), nullable=False, comment="Experiment"),
        sa.Column(
            "reason",
            sa.Enum(
                "NODE_CHANGE",
                "HEAD_END",
                name="snapshotreason",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
            comment="What made it worth keeping",
        ),
        sa.Column(
            "node", sa.Integer(), nullable=False, comment="Position of the step that is filled now"
        ),
        sa.Column(
            "generator", sa.String(length=100), nullable=False, comment="The generator of that step"
        ),
        sa.Column(
            "document",
            sa.JSON(),
            nullable=False,
            comment="Steps with their counts, state of each generator, number of the next call",
        ),
        sa.Column("created_at", db.sql.columns.UtcDateTime(), nullable=False, comment="When"),
        sa.ForeignKeyConstraint(
            ["experiment_id"],
            ["experiment.id"],
            name=op.f("fk_strategy_snapshot_experiment_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_strategy_snapshot")),
        comment="Where the strategy of an experiment stood; enough to go on from there.",
    )
    op.create_index(
        "ix_strategy_snapshot_experiment_id_id",
        "strategy_snapshot",
        ["experiment_id", "id"],
        unique=False,
    )


def _index() -> None:
    """Let the best trials, the last ones and the failed attempts be found among a million."""
    failed = sa.text("failure_class IS NOT NULL")
    op.create_index(
        "ix_attempt_failed",
        "attempt",
        ["failure_class", "trial_id"],
        sqlite_where=failed,
        postgresql_where=failed,
    )
    op.create_index(
        "ix_trial_experiment_id_completed_at", "trial", ["experiment_id", "completed_at"]
    )
    # First the new one: MariaDB keeps an index for the foreign key at all times.
    op.create_index("ix_outcome_objective_id_mean", "outcome", ["objective_id", "mean"])
    op.drop_index("ix_outcome_objective_id", "outcome")


def _comment() -> None:
    for (table, column), comment in COMMENTS.items():
        op.alter_column(
            table,
            column,
            comment=comment,
            existing_type=sa.String(10),
            existing_nullable=False,
        )


def _begin_again() -> None:
    """Take back what an upgrade did that died here: MariaDB commits every statement at once."""
    for name in NEW_TABLES:
        op.drop_table(name, if_exists=True)
    inspector = sa.inspect(op.get_bind())
    keys = {key["name"] for key in inspector.get_indexes("outcome")}
    if "ix_outcome_objective_id" not in keys:
        op.create_index("ix_outcome_objective_id", "outcome", ["objective_id"])
    for name, table in NEW_INDEXES.items():
        if name in {key["name"] for key in inspector.get_indexes(table)}:
            op.drop_index(name, table)


def _widen() -> None:
    """Give the tables whole Unicode, names that tell case, and texts of more than 64 kB."""
    op.execute(f"ALTER DATABASE {db.sql.mysql.CHARSET}")
    inspector = sa.inspect(op.get_bind())
    for table in inspector.get_table_names():
        texts = [c for c in inspector.get_columns(table) if isinstance(c["type"], mysql.TEXT)]
        op.execute(f"ALTER TABLE `{table}` CONVERT TO {db.sql.mysql.CHARSET}")
        for column in texts:
            op.alter_column(
                table,
                column["name"],
                type_=mysql.LONGTEXT(),
                existing_type=column["type"],
                existing_nullable=column["nullable"],
                existing_comment=column["comment"],
            )
