"""What an experiment asks for: experiment_v2, parameter_v2, parameter_constraint_v2, metric_v2.

Also the two tables that stay empty: runner (Headway runs the trials) and auxiliary_experiments.
"""

from __future__ import annotations

from db.views.ax.columns import EXPERIMENT, empty, no_run, nothing
from db.views.spelling import NAME, Column, View

# With the first member Ax knows that generator runs have no parameters and metrics of their own.
_PROPERTIES = """'{"immutable_search_space_and_opt_config": true, "headway": {"uuid": '
        || {quoted:e.uuid} || ', "run_number": ' || e.run_number
        || ', "group": ' || {quoted:e."group"} || ', "participant": ' || {quoted:e.participant}
        || ', "metadata": ' || coalesce({json:e.user_metadata}, 'null') || '}}'"""

_EXPERIMENT = View(
    comment="Ax's experiments: one row an experiment.",
    columns={
        "description": Column("e.description", "Free text of the user"),
        "experiment_type": nothing("INTEGER", "Ax has no types of experiments"),
        "id": Column("e.id", "Key: experiment.id"),
        "is_test": Column("CAST(0 AS BOOLEAN)", "Always false"),
        "name": Column(NAME, "NAME of the first run, NAME/N of later ones"),
        "properties": Column(_PROPERTIES, "JSON: uuid, run, group, participant, the user's keys"),
        "status_quo_name": nothing("TEXT", "there is no status quo"),
        "status_quo_parameters": nothing("TEXT", "there is no status quo"),
        "time_created": Column("{epoch:e.created_at}", "When it was set up, seconds since 1970"),
        "status": Column(
            "CAST(CASE WHEN e.status IN ('FINISHED', 'STOPPED', 'FAILED') THEN 4 ELSE 2 END"
            " AS SMALLINT)",
            "2 (optimization), or 4 (completed) once it has finished, stopped or failed",
        ),
        "default_trial_type": nothing("TEXT", "all trials are of one type"),
        "default_data_type": Column("CAST(1 AS SMALLINT)", "Always 1, Ax's DATA"),
        "auxiliary_experiments_by_purpose": empty("there are none"),
    },
    source='FROM "experiment" e',
)

# A choice of one value and a range of one point are no dimensions: Ax refuses to load them so.
_KIND = """CASE WHEN p.kind = 'fixed' THEN 0
            WHEN p.kind = 'range' AND p.lower = p.upper THEN 0
            WHEN p.kind = 'range' THEN 1
            WHEN {length:p.choices} = 1 THEN 0 ELSE 2 END"""
_PARAMETER = View(
    comment="Ax's parameters: one row a parameter of an experiment.",
    columns={
        "domain_type": Column(
            "CAST(p.domain AS SMALLINT)",
            "0 fixed, 1 range, 2 choice; what has only one value is fixed",
        ),
        "experiment_id": Column("p.experiment_id", EXPERIMENT),
        "id": Column("p.id", "Key: parameter.id"),
        "generator_run_id": no_run(),
        "name": Column("p.name", "Name"),
        "parameter_type": Column(
            "CAST(CASE p.value_type WHEN 'bool' THEN 0 WHEN 'int' THEN 1 WHEN 'float' THEN 2"
            " ELSE 3 END AS SMALLINT)",
            "0 bool, 1 int, 2 float, 3 string",
        ),
        "is_fidelity": Column("CAST(0 AS BOOLEAN)", "Always false"),
        "target_value": nothing("TEXT", "there are no fidelities and tasks"),
        "backfill_value": nothing("TEXT", "every trial has all parameters"),
        "default_value": nothing("TEXT", "every trial has all parameters"),
        "digits": nothing("INTEGER", "values are not rounded"),
        "step_size": nothing("DOUBLE PRECISION", "ranges have no steps"),
        "log_scale": Column(
            "CASE WHEN p.domain = 1 THEN p.log_scale END", "Range: searched on a log scale"
        ),
        "lower": Column("CASE WHEN p.domain = 1 THEN p.lower END", "Range: lowest value"),
        "upper": Column("CASE WHEN p.domain = 1 THEN p.upper END", "Range: highest value"),
        "choice_values": Column(
            "CASE WHEN p.domain = 2 THEN {json:p.choices} END", "Choice: the values, as JSON"
        ),
        "is_ordered": Column(
            "CASE WHEN p.domain = 2 THEN p.is_ordered END", "Choice: the order has a meaning"
        ),
        "is_task": Column("CASE WHEN p.domain = 2 THEN CAST(0 AS BOOLEAN) END", "Choice: false"),
        "dependents": nothing("TEXT", "spaces are flat"),
        "fixed_value": Column(
            "CASE WHEN p.domain <> 0 THEN NULL WHEN p.kind = 'fixed' THEN {member:p.fixed_value}"
            " WHEN p.kind = 'choice' THEN {first:p.choices}"
            " WHEN p.value_type = 'int' THEN CAST(CAST(p.lower AS NUMERIC) AS TEXT)"
            " ELSE {number:p.lower} END",
            "Fixed: the value, as JSON",
        ),
        "expression_str": nothing("TEXT", "no parameter is derived from others"),
    },
    source='FROM (SELECT p.*, KIND AS domain FROM "parameter" p) p'.replace("KIND", _KIND),
)

# Ax reads a constraint as algebra, in which these words mean something else; it would refuse to
# load the experiment. Of the thousand such words of SymPy and Python those that name parameters.
_ALGEBRA = (
    "E I N O Q S Abs Add And Max Min Mod Mul Not Or Order Pow Range Sum Chi Ci Si Li FF GF QQ RR ZZ"
    " abs all and any arg as beta bin class core cos cosh cot cse def deg degree del det diag diff"
    " dir div exp eye field filter floor for frac from gamma gcd group hash id if im in input is"
    " lambda lcm len li limit ln log max min nan next not oct ones open or ord order pass per pi"
    " poly pow prime prod product quo rad range re rem repr root round sec set shape sign sin sinc"
    " sinh size slice sqrt sum take tan tanh test trace trunc type use var vars with zeros zeta"
)
_ALGEBRA_LIST = ", ".join(f"'{word}'" for word in _ALGEBRA.split())
_CONSTRAINT = View(
    comment="Ax's parameter constraints: the linear ones between ranges without a log scale.",
    columns={
        "bound": Column("c.bound", "Right-hand side"),
        "constraint_dict": Column("{json:c.coefficients}", "Coefficients by name, as JSON"),
        "experiment_id": Column("c.experiment_id", EXPERIMENT),
        "id": Column("c.id", "Key: parameter_constraint.id"),
        "generator_run_id": no_run(),
        "type": Column("CAST(0 AS SMALLINT)", "Always 0: sum(coefficient * parameter) <= bound"),
    },
    # Ax takes no others, and loads nothing of an experiment that has one.
    source="""FROM "parameter_constraint" c
WHERE c.bound IS NOT NULL AND {json:c.coefficients} <> '{}'
    AND NOT EXISTS (
        SELECT 1 FROM {keys:c.coefficients}
        WHERE k.key IN (ALGEBRA) OR NOT EXISTS (
            SELECT 1 FROM "parameter" p
            WHERE p.experiment_id = c.experiment_id AND p.name = k.key
                AND p.kind = 'range' AND NOT p.log_scale AND p.lower < p.upper))""".replace(
        "ALGEBRA", _ALGEBRA_LIST
    ),
)

# Keys: even ones for objectives; of several, the parent has the odd one after the first's.
_IS_ONE = """NOT EXISTS (SELECT 1 FROM "objective" x
            WHERE x.experiment_id = b.experiment_id AND x.id <> b.id)"""
_METRIC = View(
    comment="Ax's metrics: one row an objective; several have a parent row in common.",
    columns={
        "experiment_id": Column("m.experiment_id", f"{EXPERIMENT}; NULL below a parent"),
        "generator_run_id": no_run(),
        "id": Column("m.id", "Key: objective.id * 2; a parent's is odd"),
        "lower_is_better": Column("m.minimize", "True: smaller is better"),
        "intent": Column("m.intent", "objective, or multi_objective for a parent"),
        "metric_type": Column("CAST(0 AS INTEGER)", "Always 0, Ax's Metric"),
        "name": Column("m.name", "Name of the objective; multi_objective for a parent"),
        "properties": empty("the other columns say all"),
        "signature": Column("m.name", "The same as name"),
        "minimize": Column("m.minimize", "True: smaller is better; NULL for a parent"),
        "op": nothing("SMALLINT", "there are no outcome constraints"),
        "bound": nothing("DOUBLE PRECISION", "there are no outcome constraints"),
        "relative": nothing("BOOLEAN", "there are no outcome constraints"),
        "trial_type": nothing("TEXT", "all trials are of one type"),
        "canonical_name": nothing("TEXT", "all trials are of one type"),
        "scalarized_objective_id": Column("m.parent_id", "The parent, with several objectives"),
        "scalarized_objective_weight": nothing("DOUBLE PRECISION", "objectives are not summed"),
        "scalarized_outcome_constraint_id": nothing("INTEGER", "there are no outcome constraints"),
        "scalarized_outcome_constraint_weight": nothing(
            "DOUBLE PRECISION", "there are no outcome constraints"
        ),
    },
    source="""FROM (
    SELECT CASE WHEN IS_ONE THEN b.experiment_id END AS experiment_id, b.id * 2 AS id,
        b.minimize AS minimize, 'objective' AS intent, b.name AS name,
        CASE WHEN NOT IS_ONE THEN (SELECT min(f.id) FROM "objective" f
            WHERE f.experiment_id = b.experiment_id) * 2 + 1 END AS parent_id
    FROM "objective" b
    UNION ALL
    SELECT b.experiment_id, min(b.id) * 2 + 1, CAST(NULL AS BOOLEAN), 'multi_objective',
        'multi_objective', CAST(NULL AS INTEGER)
    FROM "objective" b GROUP BY b.experiment_id HAVING count(*) > 1) m""".replace(
        "IS_ONE", _IS_ONE
    ),
)

_RUNNER = View(
    comment="Ax's runners: always empty, since Headway runs the trials.",
    columns={
        "id": nothing("INTEGER", "no rows"),
        "experiment_id": nothing("INTEGER", "no rows"),
        "properties": nothing("TEXT", "no rows"),
        "runner_type": nothing("INTEGER", "no rows"),
        "trial_id": nothing("INTEGER", "no rows"),
        "trial_type": nothing("TEXT", "no rows"),
    },
    source="WHERE 1 = 0",
)
_AUXILIARY = View(
    comment="Ax's auxiliary experiments: always empty.",
    columns={
        "source_experiment_id": nothing("INTEGER", "no rows"),
        "target_experiment_id": nothing("INTEGER", "no rows"),
        "purpose": nothing("TEXT", "no rows"),
        "is_active": nothing("BOOLEAN", "no rows"),
        "properties": nothing("TEXT", "no rows"),
        "time": nothing("BIGINT", "no rows"),
    },
    source="WHERE 1 = 0",
)

VIEWS = {
    "experiment_v2": _EXPERIMENT,
    "parameter_v2": _PARAMETER,
    "parameter_constraint_v2": _CONSTRAINT,
    "metric_v2": _METRIC,
    "runner": _RUNNER,
    "auxiliary_experiments": _AUXILIARY,
}
