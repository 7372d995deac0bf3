"""AEPsych's tables as its page "Database Overview" documents them: one iteration is one trial.

Where AEPsych keeps pickles, these hold JSON. `param_data` has its columns under the names of the
page's tables and under those of its queries. Its values are numbers and texts on SQLite; on
PostgreSQL a column has one type, there they are texts with all digits: compare them with
`CAST(param_value AS DOUBLE PRECISION)`.
"""

from __future__ import annotations

from db.views.spelling import HAS_OUTCOME, Column, View

SYSTEM = "AEPsych"
SOURCE = "`docs/db_overview.md` of AEPsych"

# Keys of param_data: the trial's key, then the parameter's place, so that they never change.
_PARAMETER = "CAST(t.id AS BIGINT) * 65536"
_MASTER_KEY = "The experiment: master.unique_id"
_ITERATION = "The iteration: raw_data.unique_id"

_MASTER = View(
    comment="AEPsych's experiments: one row an experiment.",
    columns={
        "unique_id": Column("e.id", "Key: experiment.id"),
        "experiment_name": Column(
            "coalesce(nullif(e.name, ''), 'default name')", "Name given by the user"
        ),
        "experiment_description": Column(
            "coalesce(nullif(e.description, ''), 'default description')",
            'Free text of the user, or "default description"',
        ),
        "experiment_id": Column("e.uuid", "The experiment's uuid, the same in every database"),
        "participant_id": Column(
            "nullif(e.participant, '')", "Whom or what was studied; NULL if not given"
        ),
        "extra_metadata": Column(
            "{json:e.user_metadata}",
            "The user's own keys and values as JSON; NULL if there are none",
        ),
    },
    source='FROM "experiment" e',
)
_REPLAY_DATA = View(
    comment="AEPsych's messages: one row an event, in the order of unique_id.",
    columns={
        "unique_id": Column("v.id", "Key: event.id"),
        "timestamp": Column("v.created_at", "When it happened, UTC"),
        "message_type": Column("v.kind", "setup, ask, tell, exit or the kind of a decision"),
        "message_contents": Column("{json:v.payload}", "The event's payload as JSON"),
        "extra_info": Column(
            """'{"trial_index": ' || CAST(t."index" AS TEXT) || '}'""",
            'The trial it is about as JSON, {"trial_index": N}; NULL for none',
        ),
        "master_table_id": Column("v.experiment_id", _MASTER_KEY),
    },
    source='FROM "event" v LEFT JOIN "trial" t ON t.id = v.trial_id',
)
_STRAT_DATA = View(
    comment="AEPsych's saved strategies: one row a snapshot of the strategy, as JSON.",
    columns={
        "unique_id": Column("s.id", "Key: strategy_snapshot.id"),
        "timestamp": Column("s.created_at", "When the strategy stood there, UTC"),
        "strat": Column("{json:s.document}", "The snapshot as JSON"),
        "master_table_id": Column("s.experiment_id", _MASTER_KEY),
    },
    source='FROM "strategy_snapshot" s',
)
_CONFIG = View(
    comment="AEPsych's configs: one row a version of the spec, as JSON.",
    columns={
        "unique_id": Column("c.id", "Key: spec_version.id"),
        "timestamp": Column("c.created_at", "From when on this version was in force, UTC"),
        "config": Column("{json:c.spec}", "The whole spec as JSON"),
        "master_table_id": Column("c.experiment_id", _MASTER_KEY),
    },
    source='FROM "spec_version" c',
)
_RAW_DATA = View(
    comment="AEPsych's iterations: one row a trial that has an outcome.",
    columns={
        "unique_id": Column("t.id", "Key: trial.id"),
        "timestamp": Column("t.completed_at", "When the trial's status became final, UTC"),
        "master_table_id": Column("t.experiment_id", _MASTER_KEY),
        "parameter_id": Column(_PARAMETER, "The trial's first parameter: param_data.unique_id"),
        "model_data": Column(
            "CAST(1 AS BOOLEAN)", "Always true: every outcome is told to the generator"
        ),
    },
    source=f'FROM "trial" t WHERE {HAS_OUTCOME}',
)
_PARAM_DATA = View(
    comment="AEPsych's parameters: one row a parameter of a trial that has an outcome.",
    columns={
        "unique_id": Column(
            f"{_PARAMETER} + p.position", "Key: trial.id * 65536 + the parameter's position"
        ),
        "iteration_id": Column("t.id", _ITERATION),
        "parameter_name": Column("p.name", "Name of the parameter"),
        "parameter_value": Column("{plain:v.value}", "Its value; truth values are 1 and 0"),
        "param_name": Column("p.name", "The same as parameter_name"),
        "param_value": Column("{plain:v.value}", "The same as parameter_value"),
    },
    # SQLite keeps the order of a CROSS JOIN: each trial once, whatever it guesses of the sizes.
    source=f"""FROM "trial" t CROSS JOIN {{entries:t.parameters}} CROSS JOIN "parameter" p
    WHERE p.experiment_id = t.experiment_id AND p.name = v.key AND {HAS_OUTCOME}""",
)
_OUTCOME_DATA = View(
    comment="AEPsych's outcomes: one row an objective of a trial that has an outcome.",
    columns={
        "unique_id": Column("o.id", "Key: outcome.id"),
        "iteration_id": Column("o.trial_id", _ITERATION),
        "outcome_value": Column("o.mean", "Value of the outcome"),
        "outcome_name": Column("b.name", "Name of the objective"),
    },
    source='FROM "outcome" o JOIN "objective" b ON b.id = o.objective_id',
)
_ALL: dict[str, View] = {
    "master": _MASTER,
    "replay_data": _REPLAY_DATA,
    "strat_data": _STRAT_DATA,
    "config": _CONFIG,
    "raw_data": _RAW_DATA,
    "param_data": _PARAM_DATA,
    "outcome_data": _OUTCOME_DATA,
}
VIEWS: dict[str, dict[str, str]] = {name: view.texts() for name, view in _ALL.items()}
# What each view is, in a sentence.
COMMENTS: dict[str, str] = {name: view.comment for name, view in _ALL.items()}
# What each of their columns is, in their order.
COLUMNS: dict[str, dict[str, str]] = {name: view.meanings() for name, view in _ALL.items()}
