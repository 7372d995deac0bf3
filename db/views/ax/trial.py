"""Trials: trial_v2, generator_run_v2, arm_v2, abandoned_arm_v2, data_v2 and data_row."""

from __future__ import annotations

from db.views.ax.columns import EXPERIMENT, TRIAL, empty, nothing
from db.views.spelling import HAS_OUTCOME, JOIN_STEP, Column, View

_ARM = """CAST(t."index" AS TEXT) || '_0'"""
# As wide as Ax's columns are.
_REASON = "substr(t.status_reason, 1, 100)"
_RUN_METADATA = """CASE WHEN a.id IS NULL THEN '{}' ELSE '{"attempt": ' || CAST(a.number AS TEXT)
        || ', "state": ' || {quoted:a.state} || ', "slurm_job_id": ' || {quoted:a.slurm_job_id}
        || ', "host": ' || {quoted:a.host} || ', "exit_code": '
        || coalesce(CAST(a.exit_code AS TEXT), 'null') || ', "signal": '
        || coalesce(CAST(a.signal AS TEXT), 'null') || ', "failure_class": '
        || {quoted:a.failure_class} || ', "log_path": ' || {quoted:a.log_path}
        || ', "measured": ' || coalesce({json:a.measured}, 'null') || '}' END"""

_TRIAL = View(
    comment="Ax's trials: one row a trial.",
    columns={
        "abandoned_reason": Column(
            f"CASE WHEN t.status IN (5, 8) THEN {_REASON} END",
            "Why it was abandoned or is no longer wanted, 100 characters",
        ),
        "failed_reason": Column(
            f"CASE WHEN t.status NOT IN (5, 8) THEN {_REASON} END",
            "Why it failed or was stopped early, 100 characters",
        ),
        "deployed_name": Column("a.slurm_job_id", "Job id of the attempt that says most"),
        "experiment_id": Column("t.experiment_id", EXPERIMENT),
        "id": Column("t.id", "Key: trial.id"),
        "index": Column('t."index"', "Number within the experiment, from 0"),
        "is_batched": Column("CAST(0 AS BOOLEAN)", "Always false: a trial has one arm"),
        "lifecycle_stage": Column(
            "CASE t.status WHEN 0 THEN 'candidate' WHEN 1 THEN 'staged' WHEN 2 THEN 'failed'"
            " WHEN 3 THEN 'completed' WHEN 4 THEN 'running' WHEN 5 THEN 'abandoned'"
            " WHEN 7 THEN 'early_stopped' WHEN 8 THEN 'stale' END",
            "The status as a word",
        ),
        "num_arms_created": Column("CAST(1 AS INTEGER)", "Always 1"),
        "ttl_seconds": nothing("INTEGER", "Headway watches its jobs itself"),
        "run_metadata": Column(_RUN_METADATA, "JSON: the attempt that says most of the trial"),
        "stop_metadata": empty("the reasons say all"),
        "status": Column(
            "t.status",
            "0 candidate, 1 staged, 2 failed, 3 completed, 4 running, 5 abandoned,"
            " 7 early stopped, 8 stale",
        ),
        "status_quo_name": nothing("TEXT", "there is no status quo"),
        "time_completed": Column(
            "{epoch:t.completed_at}", "When its status became final, seconds since 1970"
        ),
        "time_created": Column("{epoch:t.created_at}", "When it was proposed, seconds since 1970"),
        "time_staged": Column(
            "{epoch:t.staged_at}", "When its first attempt was planned, seconds since 1970"
        ),
        "time_run_started": Column(
            "{epoch:t.run_started_at}", "When a worker first claimed it, seconds since 1970"
        ),
        "trial_type": nothing("TEXT", "all trials are of one type"),
        "generation_step_index": Column("g.node", "The step that proposed it, from 0"),
        "properties": empty("the other columns say all"),
    },
    # The attempt that says most: the one that succeeded, else the last.
    source="""FROM "trial" t LEFT JOIN "generation" g ON g.id = t.generation_id
    LEFT JOIN "attempt" a ON a.id = (SELECT y.id FROM "attempt" y WHERE y.trial_id = t.id
        ORDER BY CASE WHEN y.state = 'SUCCEEDED' THEN 0 ELSE 1 END, y.number DESC LIMIT 1)""",
)

_GEN_METADATA = """CASE WHEN g.id IS NULL THEN '{}' ELSE '{"generation": '
        || CAST(g.number AS TEXT) || ', "seed": ' || CAST(g.seed AS TEXT) || ', "requested": '
        || CAST(g.requested AS TEXT) || ', "produced": ' || CAST(g.produced AS TEXT)
        || ', "fallback_reason": ' || {quoted:g.fallback_reason} || '}' END"""
_GENERATOR_RUN = View(
    comment="Ax's generator runs: one row a trial, with what the call that proposed it has told.",
    columns={
        "best_arm_name": nothing("TEXT", "see the outcomes"),
        "best_arm_parameters": nothing("TEXT", "see the outcomes"),
        "best_arm_predictions": nothing("TEXT", "see generation.predictions"),
        "generator_run_type": Column(
            "CASE WHEN g.id IS NULL THEN 1 END", "1 for a trial that no generator proposed"
        ),
        "id": Column("t.id", "Key: trial.id"),
        "index": Column("CAST(0 AS INTEGER)", "Always 0"),
        "model_predictions": nothing("TEXT", "see generation.predictions"),
        "time_created": Column("{epoch:t.created_at}", "When it was proposed, seconds since 1970"),
        "trial_id": Column("t.id", TRIAL),
        "weight": nothing("DOUBLE PRECISION", "a trial has one generator run"),
        "fit_time": Column("g.fit_time", "Seconds that the whole call spent on fitting a model"),
        "gen_time": Column("g.gen_time", "Seconds that the whole call spent on making points"),
        "model_key": Column(
            "CASE g.generator WHEN 'SOBOL' THEN 'Sobol' WHEN 'BOTORCH_MODULAR' THEN 'BoTorch'"
            " ELSE g.generator END",
            "The generator that answered, Ax's own ones under Ax's keys",
        ),
        "model_kwargs": empty("Headway's generators are not restored by Ax"),
        "bridge_kwargs": empty("Headway's generators are not restored by Ax"),
        "gen_metadata": Column(
            _GEN_METADATA, "JSON: number and seed of the call, points asked for and given"
        ),
        "model_state_after_gen": nothing("TEXT", "Ax would go on from it; see generation.state"),
        "generation_strategy_id": Column("t.experiment_id", "Its strategy: generation_strategy.id"),
        "generation_step_index": Column("g.node", "The step that it counts for, from 0"),
        "candidate_metadata_by_arm_signature": nothing("TEXT", "there is none"),
        "generation_node_name": Column("n.generator", "Generator of the step it counts for"),
        "suggested_experiment_status": nothing("SMALLINT", "see experiment_v2.status"),
    },
    source=f"""FROM "trial" t {JOIN_STEP}""",
)

_ARMS = View(
    comment="Ax's arms: one row a trial.",
    columns={
        "generator_run_id": Column("t.id", "Its generator run: generator_run_v2.id"),
        "id": Column("t.id", "Key: trial.id"),
        "name": Column(_ARM, "INDEX_0"),
        "parameters": Column("{json:t.parameters}", "Parameter values by name, as JSON"),
        "weight": Column("CAST(1 AS DOUBLE PRECISION)", "Always 1"),
        "experiment_id": Column("t.experiment_id", EXPERIMENT),
        "trial_id": Column("t.id", TRIAL),
        "time_created": Column("{epoch:t.created_at}", "When it was proposed, seconds since 1970"),
        "time_removed": nothing("BIGINT", "no arm is ever removed"),
        "properties": empty("the other columns say all"),
    },
    source='FROM "trial" t',
)
_ABANDONED = View(
    comment="Ax's abandoned arms: one row an abandoned trial.",
    columns={
        "abandoned_reason": Column(_REASON, "Why it was abandoned, 100 characters"),
        "id": Column("t.id", "Key: trial.id"),
        "name": Column(_ARM, "INDEX_0"),
        "time_abandoned": Column(
            "{epoch:coalesce(t.completed_at, t.created_at)}",
            "When it was abandoned, seconds since 1970",
        ),
        "trial_id": Column("t.id", TRIAL),
    },
    source='FROM "trial" t WHERE t.status = 5',
)

# A data frame as pandas writes it: column by column, the rows under their numbers.
_DATA = """(SELECT '{"trial_index":{' || {joined:v.place || v.number}
        || '},"arm_name":{' || {joined:v.place || v.arm}
        || '},"metric_name":{' || {joined:v.place || v.metric}
        || '},"metric_signature":{' || {joined:v.place || v.metric}
        || '},"mean":{' || {joined:v.place || v.mean}
        || '},"sem":{' || {joined:v.place || v.sem} || '}}'
    FROM (SELECT '"' || CAST(b.position AS TEXT) || '":' AS place,
            CAST(t."index" AS TEXT) AS number, '"' || ARM || '"' AS arm,
            {quoted:b.name} AS metric, {number:o.mean} AS mean,
            coalesce({number:o.sem}, 'null') AS sem
        FROM "outcome" o JOIN "objective" b ON b.id = o.objective_id
        WHERE o.trial_id = t.id ORDER BY b.position) v)""".replace("ARM", _ARM)
_WHEN = "coalesce(t.completed_at, t.created_at)"
_MEANS = "JSON data frame, column by column: a row an objective with mean and sem"
_DATA_V2 = View(
    comment="Ax's data: one row a trial that has an outcome.",
    columns={
        "id": Column("t.id", "Key: trial.id"),
        "data_json": Column(_DATA, _MEANS),
        "description": nothing("TEXT", "there is none"),
        "experiment_id": Column("t.experiment_id", EXPERIMENT),
        "time_created": Column(
            f"{{millis:{_WHEN}}}", "When the trial's status became final, milliseconds since 1970"
        ),
        "trial_index": Column('t."index"', "Number of the trial"),
        "generation_strategy_id": nothing("INTEGER", "data belongs to the trial"),
        "structure_metadata_json": nothing("TEXT", "Ax does not read it any more"),
    },
    source=f'FROM "trial" t WHERE {HAS_OUTCOME}',
)
_DATA_ROW = View(
    comment="OmniOpt2's data rows: one row a trial that has an outcome.",
    columns={
        "id": Column("d.id", "Key: trial.id"),
        "data": Column("d.data_json", _MEANS),
        "trial_id": Column("d.id", TRIAL),
        "arm_name": Column("CAST(d.trial_index AS TEXT) || '_0'", "INDEX_0"),
        "time_created": Column(
            "d.time_created / 1000", "When the trial's status became final, seconds since 1970"
        ),
    },
    source='FROM "data_v2" d',
)

VIEWS = {
    "trial_v2": _TRIAL,
    "generator_run_v2": _GENERATOR_RUN,
    "arm_v2": _ARMS,
    "abandoned_arm_v2": _ABANDONED,
    "data_v2": _DATA_V2,
    "data_row": _DATA_ROW,
}
