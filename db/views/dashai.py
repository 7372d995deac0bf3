"""DashAI's Run and ModelSession: a run is one of our trials, its session is our experiment.

DashAI's Metric is our own table `metric`; its `run_id` is called `trial_id` there.
"""

from __future__ import annotations

from db.views.spelling import JOIN_STEP, NAME, Column, View

SYSTEM = "DashAI"
SOURCE = 'the page "Database" of DashAI'

# A stale point was never run and nothing went wrong with it; an abandoned one was ended.
_STATUS = """CASE
        WHEN t.status IN (0, 8) THEN 'NOT_STARTED'
        WHEN t.status = 1 THEN 'DELIVERED'
        WHEN t.status = 4 THEN 'STARTED'
        WHEN t.status IN (3, 7) THEN 'FINISHED'
        WHEN t.status IN (2, 5) THEN 'ERROR'
    END"""
_OPTIMIZER_PARAMETERS = """'{"num_trials": ' || coalesce(CAST(n.num_trials AS TEXT), 'null')
        || ', "min_observed": ' || CAST(n.min_observed AS TEXT)
        || ', "seed": ' || CAST(g.seed AS TEXT) || '}'"""
_GOAL = """(SELECT b.name FROM "objective" b WHERE b.experiment_id = t.experiment_id
        ORDER BY b.position LIMIT 1)"""
_NO_PLOT = Column("CAST(NULL AS TEXT)", "Always NULL: figures are in the table card")


# A JSON list: each of the ROWS gives a MEMBER, as JSON.
_LIST = """'[' || coalesce((SELECT {joined:x.member} FROM (SELECT MEMBER AS member
        ROWS) x), '') || ']'"""
_NAMES = _LIST.replace("MEMBER", "{quoted:b.name}").replace(
    "ROWS", 'FROM "TABLE" b WHERE b.experiment_id = e.id ORDER BY b.position'
)
_ARTIFACTS = _LIST.replace(
    "MEMBER", """'{"name": ' || {quoted:a.name} || ', "url": ' || {quoted:a.url} || '}'"""
).replace("ROWS", 'FROM "artifact" a WHERE a.trial_id = t.id ORDER BY a.id')

_RUN = View(
    comment="DashAI's runs: one row a trial; their metrics are in the table metric.",
    columns={
        "id": Column("t.id", "Key: trial.id, and so metric.trial_id"),
        "model_session_id": Column("t.experiment_id", "The session: model_session.id"),
        "created": Column("t.created_at", "When it was proposed, UTC"),
        "last_modified": Column(
            "coalesce(t.completed_at, t.run_started_at, t.staged_at, t.created_at)",
            "When its status changed last, UTC",
        ),
        "model_name": Column(
            "g.generator", "The generator that proposed it; NULL for an imported trial"
        ),
        "parameters": Column("{json:t.parameters}", "Parameter values by name, as JSON"),
        "optimizer_name": Column(
            "n.generator", "The generator of the strategy's step that it counts for"
        ),
        "optimizer_parameters": Column(
            _OPTIMIZER_PARAMETERS, "That step's num_trials and min_observed, and the call's seed"
        ),
        "goal_metric": Column(_GOAL, "Name of the first objective"),
        "name": Column(
            f"""{NAME} || ' trial ' || CAST(t."index" AS TEXT)""",
            "Experiment, run number from the second on, and number of the trial",
        ),
        "description": Column("e.description", "Free text of the user on the experiment"),
        "artifacts": Column(_ARTIFACTS, "Its artifacts as JSON: a list of name and url"),
        "run_path": Column("e.run_dir", "The run folder, absolute"),
        "status": Column(_STATUS, "NOT_STARTED, DELIVERED, STARTED, FINISHED or ERROR"),
        "status_reason": Column("t.status_reason", "Why it ended in ERROR, in a sentence"),
        "delivery_time": Column("t.staged_at", "When its first attempt was planned, UTC"),
        "start_time": Column("t.run_started_at", "When a worker first claimed it, UTC"),
        "end_time": Column("t.completed_at", "When its status became final, UTC"),
        "plot_history_path": _NO_PLOT,
        "plot_slice_path": _NO_PLOT,
        "plot_contour_path": _NO_PLOT,
        "plot_importance_path": _NO_PLOT,
    },
    source=f"""FROM "trial" t JOIN "experiment" e ON e.id = t.experiment_id
    {JOIN_STEP}""",
)
_MODEL_SESSION = View(
    comment="DashAI's sessions: one row an experiment.",
    columns={
        "id": Column("e.id", "Key: experiment.id"),
        "name": Column(NAME, "Name of the experiment, and its run number from the second on"),
        "description": Column("e.description", "Free text of the user"),
        "task_name": Column("CAST('optimization' AS TEXT)", "Always optimization"),
        "input_columns": Column(
            _NAMES.replace("TABLE", "parameter"), "Names of the parameters, as JSON"
        ),
        "output_columns": Column(
            _NAMES.replace("TABLE", "objective"), "Names of the objectives, as JSON"
        ),
        "created": Column("e.created_at", "When it was set up, UTC"),
        "last_modified": Column(
            "coalesce(e.ended_at, e.created_at)",
            "When its last head ended, else when it was set up, UTC",
        ),
    },
    source='FROM "experiment" e',
)
_ALL: dict[str, View] = {"run": _RUN, "model_session": _MODEL_SESSION}
VIEWS: dict[str, dict[str, str]] = {name: view.texts() for name, view in _ALL.items()}
# What each view is, in a sentence.
COMMENTS: dict[str, str] = {name: view.comment for name, view in _ALL.items()}
# What each of their columns is, in their order.
COLUMNS: dict[str, dict[str, str]] = {name: view.meanings() for name, view in _ALL.items()}
