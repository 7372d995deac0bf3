"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import db.sql.columns

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "experiment",
        sa.Column("id", sa.Integer(), nullable=False, comment="Key"),
        sa.Column(
            "uuid", sa.String(length=36), nullable=False, comment="The same in every database"
        ),
        sa.Column("name", sa.String(length=100), nullable=False, comment="Name given by the user"),
        sa.Column(
            "run_number",
            sa.Integer(),
            nullable=False,
            comment="1 for the first run of this name, then 2 …",
        ),
        sa.Column("group", sa.Text(), nullable=True, comment="Experiments that belong together"),
        sa.Column("description", sa.Text(), nullable=True, comment="Free text of the user"),
        sa.Column("participant", sa.Text(), nullable=True, comment="Whom or what was studied"),
        sa.Column(
            "user_metadata", sa.JSON(), nullable=True, comment="The user's own keys and values"
        ),
        sa.Column(
            "spec",
            sa.JSON(),
            nullable=False,
            comment="What was asked for, frozen; holds no password",
        ),
        sa.Column(
            "status",
            sa.Enum(
                "RUNNING",
                "STOPPING",
                "FINISHED",
                "STOPPED",
                "FAILED",
                "INTERRUPTED",
                name="experimentstatus",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
            comment="Where the experiment stands",
        ),
        sa.Column("stop_reason", sa.Text(), nullable=True, comment="Why it ended, in a sentence"),
        sa.Column("owner", sa.Text(), nullable=False, comment="user@host that started it"),
        sa.Column("run_dir", sa.Text(), nullable=False, comment="The run folder, absolute"),
        sa.Column(
            "created_at", db.sql.columns.UtcDateTime(), nullable=False, comment="When it was set up"
        ),
        sa.Column(
            "ended_at",
            db.sql.columns.UtcDateTime(),
            nullable=True,
            comment="When its last head ended",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_experiment")),
        sa.UniqueConstraint("name", "run_number", name=op.f("uq_experiment_name_run_number")),
        sa.UniqueConstraint("uuid", name=op.f("uq_experiment_uuid")),
        comment="One search: a space, objectives, a strategy, a program and resources.",
    )
    op.create_table(
        "generation",
        sa.Column("id", sa.Integer(), nullable=False, comment="Key"),
        sa.Column("experiment_id", sa.Integer(), nullable=False, comment="Experiment"),
        sa.Column(
            "number",
            sa.Integer(),
            nullable=False,
            comment="Order of the calls, from 0; seeds the call",
        ),
        sa.Column(
            "node",
            sa.Integer(),
            nullable=False,
            comment="Position of the strategy's step it counts for",
        ),
        sa.Column(
            "generator",
            sa.String(length=100),
            nullable=False,
            comment="The generator that answered",
        ),
        sa.Column("requested", sa.Integer(), nullable=False, comment="Points asked for"),
        sa.Column("produced", sa.Integer(), nullable=False, comment="Points given"),
        sa.Column(
            "fit_time", sa.Double(), nullable=True, comment="Seconds spent on fitting a model"
        ),
        sa.Column(
            "gen_time", sa.Double(), nullable=True, comment="Seconds spent on making the points"
        ),
        sa.Column("seed", sa.BigInteger(), nullable=False, comment="Seed of this call"),
        sa.Column("state", sa.JSON(), nullable=True, comment="What the generator needs to go on"),
        sa.Column("predictions", sa.JSON(), nullable=True, comment="What the model expected"),
        sa.Column(
            "fallback_reason",
            sa.Text(),
            nullable=True,
            comment="Why another generator than the step's own answered",
        ),
        sa.Column(
            "created_at",
            db.sql.columns.UtcDateTime(),
            nullable=False,
            comment="When the answer came",
        ),
        sa.ForeignKeyConstraint(
            ["experiment_id"],
            ["experiment.id"],
            name=op.f("fk_generation_experiment_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_generation")),
        sa.UniqueConstraint(
            "experiment_id", "number", name=op.f("uq_generation_experiment_id_number")
        ),
        comment="One call of a generator: what it was asked, what it gave, how long it took.",
    )
    op.create_table(
        "generation_node",
        sa.Column("id", sa.Integer(), nullable=False, comment="Key"),
        sa.Column("experiment_id", sa.Integer(), nullable=False, comment="Experiment"),
        sa.Column("position", sa.Integer(), nullable=False, comment="Order of the steps, from 0"),
        sa.Column(
            "generator",
            sa.String(length=100),
            nullable=False,
            comment="Generator, e.g. SOBOL or TPE",
        ),
        sa.Column(
            "num_trials", sa.Integer(), nullable=True, comment="Trials it gives; NULL: all the rest"
        ),
        sa.Column(
            "min_observed",
            sa.Integer(),
            nullable=False,
            comment="Finished trials of earlier steps that it needs before it starts",
        ),
        sa.ForeignKeyConstraint(
            ["experiment_id"],
            ["experiment.id"],
            name=op.f("fk_generation_node_experiment_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_generation_node")),
        sa.UniqueConstraint(
            "experiment_id", "position", name=op.f("uq_generation_node_experiment_id_position")
        ),
        comment="One step of an experiment's strategy.",
    )
    op.create_table(
        "head_lease",
        sa.Column("experiment_id", sa.Integer(), nullable=False, comment="Experiment"),
        sa.Column("host", sa.String(length=255), nullable=False, comment="Host of the head"),
        sa.Column("boot_id", sa.String(length=64), nullable=False, comment="Boot of that host"),
        sa.Column("pid", sa.Integer(), nullable=False, comment="Process of the head"),
        sa.Column(
            "process_started",
            sa.BigInteger(),
            nullable=False,
            comment="Start of the process in clock ticks after boot",
        ),
        sa.Column(
            "epoch", sa.Integer(), nullable=False, comment="Grows with every change of the owner"
        ),
        sa.Column(
            "expires_at",
            db.sql.columns.UtcDateTime(),
            nullable=False,
            comment="By the clock of the database",
        ),
        sa.ForeignKeyConstraint(
            ["experiment_id"],
            ["experiment.id"],
            name=op.f("fk_head_lease_experiment_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("experiment_id", name=op.f("pk_head_lease")),
        comment="Which head owns an experiment, and until when.",
    )
    op.create_table(
        "objective",
        sa.Column("id", sa.Integer(), nullable=False, comment="Key"),
        sa.Column("experiment_id", sa.Integer(), nullable=False, comment="Experiment"),
        sa.Column(
            "position", sa.Integer(), nullable=False, comment="Order in which it was given, from 0"
        ),
        sa.Column(
            "name",
            sa.String(length=100),
            nullable=False,
            comment="Name, as in the line NAME: VALUE",
        ),
        sa.Column("minimize", sa.Boolean(), nullable=False, comment="True: smaller is better"),
        sa.ForeignKeyConstraint(
            ["experiment_id"],
            ["experiment.id"],
            name=op.f("fk_objective_experiment_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_objective")),
        sa.UniqueConstraint("experiment_id", "name", name=op.f("uq_objective_experiment_id_name")),
        comment="One value that trials report and the search makes small or large.",
    )
    op.create_table(
        "parameter",
        sa.Column("id", sa.Integer(), nullable=False, comment="Key"),
        sa.Column("experiment_id", sa.Integer(), nullable=False, comment="Experiment"),
        sa.Column(
            "position", sa.Integer(), nullable=False, comment="Order in which it was given, from 0"
        ),
        sa.Column(
            "name",
            sa.String(length=100),
            nullable=False,
            comment="Name, as the program's text uses it",
        ),
        sa.Column("kind", sa.String(length=10), nullable=False, comment="range, choice or fixed"),
        sa.Column(
            "value_type", sa.String(length=10), nullable=False, comment="int, float, str or bool"
        ),
        sa.Column("lower", sa.Double(), nullable=True, comment="Range: lowest value, included"),
        sa.Column("upper", sa.Double(), nullable=True, comment="Range: highest value, included"),
        sa.Column(
            "log_scale", sa.Boolean(), nullable=True, comment="Range: searched on a log scale"
        ),
        sa.Column("choices", sa.JSON(), nullable=True, comment="Choice: the values"),
        sa.Column(
            "is_ordered", sa.Boolean(), nullable=True, comment="Choice: the order has a meaning"
        ),
        sa.Column("fixed_value", sa.JSON(), nullable=True, comment="Fixed: {value: …}"),
        sa.CheckConstraint("kind IN ('range', 'choice', 'fixed')", name=op.f("ck_parameter_kind")),
        sa.CheckConstraint(
            "value_type IN ('int', 'float', 'str', 'bool')", name=op.f("ck_parameter_value_type")
        ),
        sa.ForeignKeyConstraint(
            ["experiment_id"],
            ["experiment.id"],
            name=op.f("fk_parameter_experiment_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_parameter")),
        sa.UniqueConstraint("experiment_id", "name", name=op.f("uq_parameter_experiment_id_name")),
        comment="One dimension of an experiment's space.",
    )
    op.create_table(
        "parameter_constraint",
        sa.Column("id", sa.Integer(), nullable=False, comment="Key"),
        sa.Column("experiment_id", sa.Integer(), nullable=False, comment="Experiment"),
        sa.Column(
            "position", sa.Integer(), nullable=False, comment="Order in which it was given, from 0"
        ),
        sa.Column("text", sa.Text(), nullable=False, comment="As the user wrote it"),
        sa.Column(
            "coefficients",
            sa.JSON(),
            nullable=True,
            comment="Linear ones: sum(coefficient * parameter) <= bound",
        ),
        sa.Column("bound", sa.Double(), nullable=True, comment="Linear ones: the right-hand side"),
        sa.ForeignKeyConstraint(
            ["experiment_id"],
            ["experiment.id"],
            name=op.f("fk_parameter_constraint_experiment_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_parameter_constraint")),
        sa.UniqueConstraint(
            "experiment_id", "position", name=op.f("uq_parameter_constraint_experiment_id_position")
        ),
        comment="One comparison that every point has to meet.",
    )
    op.create_table(
        "submission",
        sa.Column("id", sa.Integer(), nullable=False, comment="Key"),
        sa.Column("experiment_id", sa.Integer(), nullable=False, comment="Experiment"),
        sa.Column(
            "token",
            sa.String(length=32),
            nullable=False,
            comment="Part of the job's name; identifies the submission",
        ),
        sa.Column("size", sa.Integer(), nullable=False, comment="Number of attempts it carries"),
        sa.Column(
            "resources", sa.JSON(), nullable=False, comment="What was requested of the scheduler"
        ),
        sa.Column(
            "state",
            sa.Enum(
                "PREPARED",
                "ACCEPTED",
                "REFUSED",
                "UNCLEAR",
                name="submissionstate",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
            comment="What became of the call",
        ),
        sa.Column(
            "slurm_job_id", sa.String(length=40), nullable=True, comment="Job id, when known"
        ),
        sa.Column(
            "message", sa.Text(), nullable=True, comment="What sbatch said when it did not accept"
        ),
        sa.Column(
            "created_at",
            db.sql.columns.UtcDateTime(),
            nullable=False,
            comment="When it was prepared",
        ),
        sa.Column(
            "answered_at",
            db.sql.columns.UtcDateTime(),
            nullable=True,
            comment="When its state became known",
        ),
        sa.ForeignKeyConstraint(
            ["experiment_id"],
            ["experiment.id"],
            name=op.f("fk_submission_experiment_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_submission")),
        sa.UniqueConstraint("token", name=op.f("uq_submission_token")),
        comment="One call of sbatch: one job or one array, carrying one or more attempts.",
    )
    op.create_index(
        op.f("ix_submission_experiment_id"), "submission", ["experiment_id"], unique=False
    )
    op.create_table(
        "trial",
        sa.Column("id", sa.Integer(), nullable=False, comment="Key"),
        sa.Column("experiment_id", sa.Integer(), nullable=False, comment="Experiment"),
        sa.Column(
            "index", sa.Integer(), nullable=False, comment="Number within the experiment, from 0"
        ),
        sa.Column(
            "generation_id", sa.Integer(), nullable=True, comment="The call that proposed it"
        ),
        sa.Column("parameters", sa.JSON(), nullable=False, comment="Parameter values, by name"),
        sa.Column(
            "parameter_hash",
            sa.String(length=64),
            nullable=False,
            comment="SHA-256 of the parameters",
        ),
        sa.Column("status", sa.SmallInteger(), nullable=False, comment="Ax's trial status number"),
        sa.Column(
            "status_reason", sa.Text(), nullable=True, comment="Why it failed or was abandoned"
        ),
        sa.Column(
            "created_at",
            db.sql.columns.UtcDateTime(),
            nullable=False,
            comment="When it was proposed",
        ),
        sa.Column(
            "staged_at",
            db.sql.columns.UtcDateTime(),
            nullable=True,
            comment="When its first attempt was planned",
        ),
        sa.Column(
            "run_started_at",
            db.sql.columns.UtcDateTime(),
            nullable=True,
            comment="When a worker first claimed it",
        ),
        sa.Column(
            "completed_at",
            db.sql.columns.UtcDateTime(),
            nullable=True,
            comment="When its status became final",
        ),
        sa.CheckConstraint("status IN (0, 1, 2, 3, 4, 5, 7, 8)", name=op.f("ck_trial_status")),
        sa.ForeignKeyConstraint(
            ["experiment_id"],
            ["experiment.id"],
            name=op.f("fk_trial_experiment_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["generation_id"], ["generation.id"], name=op.f("fk_trial_generation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trial")),
        sa.UniqueConstraint("experiment_id", "index", name=op.f("uq_trial_experiment_id_index")),
        comment="One point of the space that is to be evaluated; has one final outcome.",
    )
    op.create_index(
        "ix_trial_experiment_id_status", "trial", ["experiment_id", "status"], unique=False
    )
    op.create_index(op.f("ix_trial_generation_id"), "trial", ["generation_id"], unique=False)
    op.create_table(
        "attempt",
        sa.Column("id", sa.Integer(), nullable=False, comment="Key"),
        sa.Column("trial_id", sa.Integer(), nullable=False, comment="The trial it tries to run"),
        sa.Column(
            "submission_id", sa.Integer(), nullable=True, comment="The submission that carries it"
        ),
        sa.Column(
            "array_index",
            sa.Integer(),
            nullable=False,
            comment="SLURM_ARRAY_TASK_ID, 0 without an array",
        ),
        sa.Column(
            "number",
            sa.Integer(),
            nullable=False,
            comment="1 for a trial's first attempt, then 2 …",
        ),
        sa.Column("token", sa.String(length=40), nullable=False, comment="Fences its writes"),
        sa.Column(
            "claim",
            sa.String(length=40),
            nullable=True,
            comment="Nonce of the worker that claimed it, so that it knows its own claim",
        ),
        sa.Column(
            "state",
            sa.Enum(
                "PLANNED",
                "SUBMITTED",
                "STARTED",
                "SUCCEEDED",
                "FAILED",
                "LOST",
                "CANCELLED",
                "SUPERSEDED",
                name="attemptstate",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
            comment="Where it stands",
        ),
        sa.Column(
            "slurm_job_id",
            sa.String(length=60),
            nullable=True,
            comment="As squeue -r prints it, e.g. 123_4",
        ),
        sa.Column(
            "cluster", sa.String(length=60), nullable=True, comment="Cluster name, if several"
        ),
        sa.Column(
            "host", sa.String(length=255), nullable=True, comment="Slurm node name, else hostname"
        ),
        sa.Column("requested", sa.JSON(), nullable=True, comment="Resources requested for it"),
        sa.Column("measured", sa.JSON(), nullable=True, comment="Resources it used"),
        sa.Column("infos", sa.JSON(), nullable=True, comment="Its OO-Info lines, by name"),
        sa.Column("exit_code", sa.Integer(), nullable=True, comment="Exit code of the program"),
        sa.Column("signal", sa.Integer(), nullable=True, comment="Signal that ended the program"),
        sa.Column(
            "slurm_state", sa.String(length=40), nullable=True, comment="Slurm's last word on it"
        ),
        sa.Column(
            "failure_class",
            sa.Enum(
                "PROGRAM",
                "NO_RESULT",
                "TIMEOUT",
                "OUT_OF_MEMORY",
                "PREEMPTED",
                "NODE",
                "LOST",
                "NO_DATABASE",
                "SUBMIT",
                "CANCELLED",
                name="failureclass",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=True,
            comment="Why it gave no result",
        ),
        sa.Column("failure_message", sa.Text(), nullable=True, comment="The same in a sentence"),
        sa.Column(
            "log_path", sa.Text(), nullable=True, comment="Its log, relative to the run folder"
        ),
        sa.Column(
            "created_at",
            db.sql.columns.UtcDateTime(),
            nullable=False,
            comment="When it was planned",
        ),
        sa.Column(
            "submitted_at",
            db.sql.columns.UtcDateTime(),
            nullable=True,
            comment="When the scheduler took it",
        ),
        sa.Column(
            "started_at",
            db.sql.columns.UtcDateTime(),
            nullable=True,
            comment="When a worker claimed it",
        ),
        sa.Column("ended_at", db.sql.columns.UtcDateTime(), nullable=True, comment="When it ended"),
        sa.Column(
            "heartbeat_at", db.sql.columns.UtcDateTime(), nullable=True, comment="Last sign of life"
        ),
        sa.ForeignKeyConstraint(
            ["submission_id"], ["submission.id"], name=op.f("fk_attempt_submission_id")
        ),
        sa.ForeignKeyConstraint(
            ["trial_id"], ["trial.id"], name=op.f("fk_attempt_trial_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempt")),
        sa.UniqueConstraint(
            "submission_id", "array_index", name=op.f("uq_attempt_submission_id_array_index")
        ),
        sa.UniqueConstraint("token", name=op.f("uq_attempt_token")),
        sa.UniqueConstraint("trial_id", "number", name=op.f("uq_attempt_trial_id_number")),
        comment="One try to run a trial.",
    )
    op.create_index(
        "ix_attempt_open",
        "attempt",
        ["trial_id"],
        unique=False,
        sqlite_where=sa.text("state IN ('PLANNED', 'SUBMITTED', 'STARTED')"),
        postgresql_where=sa.text("state IN ('PLANNED', 'SUBMITTED', 'STARTED')"),
    )
    op.create_table(
        "event",
        sa.Column("id", sa.Integer(), nullable=False, comment="Key"),
        sa.Column("experiment_id", sa.Integer(), nullable=False, comment="Experiment"),
        sa.Column(
            "kind",
            sa.String(length=40),
            nullable=False,
            comment="What happened, e.g. setup, ask, tell",
        ),
        sa.Column("trial_id", sa.Integer(), nullable=True, comment="The trial it is about"),
        sa.Column("payload", sa.JSON(), nullable=False, comment="The details"),
        sa.Column("created_at", db.sql.columns.UtcDateTime(), nullable=False, comment="When"),
        sa.ForeignKeyConstraint(
            ["experiment_id"],
            ["experiment.id"],
            name=op.f("fk_event_experiment_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["trial_id"], ["trial.id"], name=op.f("fk_event_trial_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
        comment="One thing that happened or was decided; append-only, the audit trail.",
    )
    op.create_index("ix_event_experiment_id_id", "event", ["experiment_id", "id"], unique=False)
    op.create_index(op.f("ix_event_trial_id"), "event", ["trial_id"], unique=False)
    op.create_table(
        "artifact",
        sa.Column("id", sa.Integer(), nullable=False, comment="Key"),
        sa.Column("trial_id", sa.Integer(), nullable=False, comment="Trial"),
        sa.Column("attempt_id", sa.Integer(), nullable=False, comment="The attempt that made it"),
        sa.Column(
            "name",
            sa.Text(),
            nullable=False,
            comment="Name; the file's own unless the line gave another",
        ),
        sa.Column("url", sa.Text(), nullable=False, comment="Where it is, as file:// URL"),
        sa.Column(
            "format", sa.String(length=20), nullable=True, comment="Ending of the file's name"
        ),
        sa.Column("bytes", sa.BigInteger(), nullable=True, comment="Size when it was reported"),
        sa.Column(
            "sha256", sa.String(length=64), nullable=True, comment="Digest when it was reported"
        ),
        sa.ForeignKeyConstraint(
            ["attempt_id"], ["attempt.id"], name=op.f("fk_artifact_attempt_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["trial_id"], ["trial.id"], name=op.f("fk_artifact_trial_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_artifact")),
        comment="A file that a trial made and named in an ARTIFACT line.",
    )
    op.create_index(op.f("ix_artifact_attempt_id"), "artifact", ["attempt_id"], unique=False)
    op.create_index(op.f("ix_artifact_trial_id"), "artifact", ["trial_id"], unique=False)
    op.create_table(
        "metric",
        sa.Column("id", sa.Integer(), nullable=False, comment="Key"),
        sa.Column("trial_id", sa.Integer(), nullable=False, comment="Trial"),
        sa.Column(
            "attempt_id", sa.Integer(), nullable=False, comment="The attempt that measured it"
        ),
        sa.Column("name", sa.String(length=100), nullable=False, comment="Name"),
        sa.Column(
            "value", sa.Double(), nullable=True, comment="Value; NULL if it was not a finite number"
        ),
        sa.Column(
            "split", sa.String(length=10), nullable=False, comment="TRAIN, VALIDATION or TEST"
        ),
        sa.Column(
            "level", sa.String(length=10), nullable=False, comment="LAST, STEP, BATCH or TRIAL"
        ),
        sa.Column("step", sa.BigInteger(), nullable=True, comment="Step, batch or epoch"),
        sa.Column(
            "created_at",
            db.sql.columns.UtcDateTime(),
            nullable=False,
            comment="When the program printed it",
        ),
        sa.CheckConstraint(
            "level IN ('LAST', 'STEP', 'BATCH', 'TRIAL')", name=op.f("ck_metric_level")
        ),
        sa.CheckConstraint(
            "split IN ('TRAIN', 'VALIDATION', 'TEST')", name=op.f("ck_metric_split")
        ),
        sa.ForeignKeyConstraint(
            ["attempt_id"], ["attempt.id"], name=op.f("fk_metric_attempt_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["trial_id"], ["trial.id"], name=op.f("fk_metric_trial_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_metric")),
        comment="One measurement along the way of an attempt.",
    )
    op.create_index(op.f("ix_metric_attempt_id"), "metric", ["attempt_id"], unique=False)
    op.create_index(op.f("ix_metric_trial_id"), "metric", ["trial_id"], unique=False)
    op.create_table(
        "outcome",
        sa.Column("id", sa.Integer(), nullable=False, comment="Key"),
        sa.Column("trial_id", sa.Integer(), nullable=False, comment="Trial"),
        sa.Column("objective_id", sa.Integer(), nullable=False, comment="Objective"),
        sa.Column("mean", sa.Double(), nullable=False, comment="The value"),
        sa.Column(
            "sem", sa.Double(), nullable=True, comment="Its standard error, if the program gave it"
        ),
        sa.Column(
            "source", sa.String(length=10), nullable=False, comment="ATTEMPT, IMPORT or REUSED"
        ),
        sa.Column("attempt_id", sa.Integer(), nullable=True, comment="The attempt that gave it"),
        sa.Column(
            "reused_trial_id", sa.Integer(), nullable=True, comment="The trial it was taken from"
        ),
        sa.CheckConstraint(
            "source IN ('ATTEMPT', 'IMPORT', 'REUSED')", name=op.f("ck_outcome_source")
        ),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempt.id"], name=op.f("fk_outcome_attempt_id")),
        sa.ForeignKeyConstraint(
            ["objective_id"],
            ["objective.id"],
            name=op.f("fk_outcome_objective_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["reused_trial_id"], ["trial.id"], name=op.f("fk_outcome_reused_trial_id")
        ),
        sa.ForeignKeyConstraint(
            ["trial_id"], ["trial.id"], name=op.f("fk_outcome_trial_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outcome")),
        sa.UniqueConstraint(
            "trial_id", "objective_id", name=op.f("uq_outcome_trial_id_objective_id")
        ),
        comment="The accepted value of one objective of one trial.",
    )
    op.create_index(op.f("ix_outcome_attempt_id"), "outcome", ["attempt_id"], unique=False)
    op.create_index(op.f("ix_outcome_objective_id"), "outcome", ["objective_id"], unique=False)
    op.create_table(
        "report",
        sa.Column("id", sa.Integer(), nullable=False, comment="Key; says nothing about the order"),
        sa.Column("attempt_id", sa.Integer(), nullable=False, comment="The attempt it is about"),
        sa.Column(
            "kind",
            sa.Enum(
                "START",
                "METRIC",
                "END",
                name="reportkind",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
            comment="START, METRIC or END",
        ),
        sa.Column(
            "sequence", sa.Integer(), nullable=False, comment="Counts the reports of a kind, from 0"
        ),
        sa.Column("payload", sa.JSON(), nullable=False, comment="What it says"),
        sa.Column(
            "created_at",
            db.sql.columns.UtcDateTime(),
            nullable=False,
            comment="When the database took it",
        ),
        sa.Column(
            "consumed_at",
            db.sql.columns.UtcDateTime(),
            nullable=True,
            comment="When the head had dealt with it",
        ),
        sa.Column(
            "refused_reason", sa.Text(), nullable=True, comment="Why it was kept but not used"
        ),
        sa.ForeignKeyConstraint(
            ["attempt_id"], ["attempt.id"], name=op.f("fk_report_attempt_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report")),
        sa.UniqueConstraint(
            "attempt_id", "kind", "sequence", name=op.f("uq_report_attempt_id_kind_sequence")
        ),
        comment="One append-only message from a worker about an attempt.",
    )
    op.create_index(
        "ix_report_unconsumed",
        "report",
        ["id"],
        unique=False,
        sqlite_where=sa.text("consumed_at IS NULL"),
        postgresql_where=sa.text("consumed_at IS NULL"),
    )
