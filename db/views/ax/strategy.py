"""How points are made: generation_strategy and generation_step.

The steps are ours. Beside them stands a strategy that Ax can go on with by itself, since it knows
neither TPE nor most of our generators: its own Sobol until as many trials have results as our first
step makes, then BoTorch.
"""

from __future__ import annotations

import json
from typing import Any

from db.views.ax.columns import EXPERIMENT, empty
from db.views.spelling import Column, View

# Trials with results before BoTorch begins, where our first step has no number of its own.
_FEW = 5
_THRESHOLD = 424242  # stands for that number in the text below


def _spec(generator: str) -> dict[str, Any]:
    return {
        "__type": "GeneratorSpec",
        "generator_enum": {"__type": "Generators", "name": generator},
        "generator_kwargs": {},
        "generator_gen_kwargs": {},
    }


def _node(generator: str, criteria: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "__type": "GenerationNode",
        "name": generator,
        "generator_specs": [_spec(generator)],
        "best_model_selector": None,
        "should_deduplicate": True,
        "transition_criteria": criteria,
        "generator_spec_to_gen_from": _spec(generator),
        "previous_node_name": None,
        "trial_type": None,
        "input_constructors": {},
    }


_ENOUGH = {
    "__type": "MinTrials",
    "threshold": _THRESHOLD,
    "transition_to": "BOTORCH_MODULAR",
    "only_in_statuses": [{"__type": "TrialStatus", "name": "COMPLETED"}],
    "not_in_statuses": None,
    "use_all_trials_in_exp": True,
    "continue_trial_generation": False,
    "count_only_trials_with_data": True,
}
_NODES = json.dumps([_node("SOBOL", [_ENOUGH]), _node("BOTORCH_MODULAR", [])])
_BEFORE, _AFTER = _NODES.split(str(_THRESHOLD))

# The step of the newest call; the first before any.
_CURRENT = """coalesce((SELECT g.node FROM "generation" g WHERE g.experiment_id = EXPERIMENT
        ORDER BY g.number DESC LIMIT 1), 0)"""
_STEP_NAME = (
    "n.generator || coalesce(' for ' || CAST(n.num_trials AS TEXT) || ' steps', '') AS name"
)
_STEP_JSON = """'{"generator": ' || {quoted:n.generator} || ', "num_trials": '
            || coalesce(CAST(n.num_trials AS TEXT), 'null') || ', "min_observed": '
            || CAST(n.min_observed AS TEXT) || '}' AS step"""

_STRATEGY = View(
    comment="Ax's generation strategies: one row an experiment.",
    columns={
        "id": Column("x.id", "Key: experiment.id"),
        "name": Column("replace(x.names, ',', '+')", "The steps and their numbers of trials"),
        "steps": Column("'[' || x.steps || ']'", "Our steps, as JSON"),
        "curr_index": Column("x.current", "Position of the step that is filled now"),
        "experiment_id": Column("x.id", EXPERIMENT),
        "nodes": Column(
            f"'{_BEFORE}' || CAST(coalesce(x.first, {_FEW}) AS TEXT) || '{_AFTER}'",
            "A strategy that Ax can go on with: Sobol, then BoTorch",
        ),
        "curr_node_name": Column(
            '(SELECT n.generator FROM "generation_node" n'
            " WHERE n.experiment_id = x.id AND n.position = x.current)",
            "Generator of the step that is filled now",
        ),
    },
    source="""FROM (
    SELECT i.id AS id, CURRENT AS current,
        (SELECT n.num_trials FROM "generation_node" n
            WHERE n.experiment_id = i.id AND n.position = 0) AS first,
        (SELECT {joined:s.name} FROM (SELECT STEP_NAME FROM "generation_node" n
            WHERE n.experiment_id = i.id ORDER BY n.position) s) AS names,
        (SELECT {joined:s.step} FROM (SELECT STEP_JSON FROM "generation_node" n
            WHERE n.experiment_id = i.id ORDER BY n.position) s) AS steps
    FROM "experiment" i) x""".replace("CURRENT", _CURRENT.replace("EXPERIMENT", "i.id"))
    .replace("STEP_NAME", _STEP_NAME)
    .replace("STEP_JSON", _STEP_JSON),
)

_STEP = View(
    comment="OmniOpt2's generation steps: one row a step of a strategy.",
    columns={
        "id": Column("n.id", "Key: generation_node.id"),
        "generation_strategy_id": Column("n.experiment_id", "The strategy: generation_strategy.id"),
        "index": Column("n.position", "Order of the steps, from 0"),
        "name": Column("n.generator", "Generator, e.g. SOBOL or TPE"),
        "type": Column(
            "CASE WHEN n.position = 0 THEN 'initial' ELSE 'iterative' END",
            "initial for the first step, else iterative",
        ),
        "model_key": Column("n.generator", "Generator, e.g. SOBOL or TPE"),
        "model_kwargs": Column(
            """'{"num_trials": ' || coalesce(CAST(n.num_trials AS TEXT), 'null') || '}'""",
            "JSON: trials that the step gives; null: all the rest",
        ),
        "bridge_kwargs": empty("our generators have none"),
        "use_update": Column("CAST(0 AS BOOLEAN)", "Always false: models are fitted anew"),
        "minimum_trials_observed": Column(
            "n.min_observed", "Finished trials of earlier steps that it needs before it starts"
        ),
        "is_dedicated": Column("CAST(0 AS BOOLEAN)", "Always false"),
        "should_save": Column("CAST(1 AS BOOLEAN)", "Always true"),
        "is_active": Column(
            f"CAST(CASE WHEN n.position = {_CURRENT.replace('EXPERIMENT', 'n.experiment_id')}"
            " THEN 1 ELSE 0 END AS BOOLEAN)",
            "Whether this step is filled now",
        ),
    },
    source='FROM "generation_node" n',
)

VIEWS = {"generation_strategy": _STRATEGY, "generation_step": _STEP}
