"""The names that OmniOpt2's page and Ax 1.3.1 use for tables and columns."""

from __future__ import annotations

# The page "Using the SQLite3 store", tables and example.
OMNIOPT2 = {
    "experiment_v2": (
        "description experiment_type id is_test name properties status_quo_name "
        "status_quo_parameters time_created default_trial_type default_data_type "
        "auxiliary_experiments_by_purpose"
    ),
    "generation_strategy": "id name steps curr_index experiment_id nodes curr_node_name",
    "trial_v2": (
        "abandoned_reason failed_reason deployed_name experiment_id id index is_batched "
        "lifecycle_stage num_arms_created ttl_seconds run_metadata stop_metadata status "
        "status_quo_name time_completed time_created time_staged time_run_started trial_type "
        "generation_step_index properties"
    ),
    "analysis_card": (
        "id name title subtitle level dataframe_json blob blob_annotation time_created "
        "experiment_id attributes category"
    ),
    "abandoned_arm_v2": "abandoned_reason id name time_abandoned trial_id",
    "generator_run_v2": (
        "best_arm_name best_arm_parameters best_arm_predictions generator_run_type id index "
        "model_predictions time_created trial_id weight fit_time gen_time model_key model_kwargs "
        "bridge_kwargs gen_metadata generation_step_index"
    ),
    "arm_v2": "experiment_id id name parameters trial_id time_created time_removed properties",
    "generation_step": (
        "id generation_strategy_id index name type model_key model_kwargs bridge_kwargs "
        "use_update minimum_trials_observed is_dedicated should_save is_active"
    ),
    "data_row": "id data trial_id arm_name time_created",
}
# The mapped classes of ax.storage.sqa_store.sqa_classes, ax-platform 1.3.1.
AX = {
    "experiment_v2": (
        "description experiment_type id is_test name properties status_quo_name "
        "status_quo_parameters time_created status default_trial_type default_data_type "
        "auxiliary_experiments_by_purpose"
    ),
    "analysis_card_v2": (
        "id experiment_id name timestamp parent_id order title subtitle dataframe_json blob "
        "blob_annotation"
    ),
    "auxiliary_experiments": "source_experiment_id target_experiment_id purpose is_active properties time",
    "generation_strategy": "id name steps curr_index experiment_id nodes curr_node_name",
    "trial_v2": (
        "abandoned_reason failed_reason deployed_name experiment_id id index is_batched "
        "num_arms_created ttl_seconds run_metadata stop_metadata status status_quo_name "
        "time_completed time_created time_staged time_run_started trial_type properties"
    ),
    "abandoned_arm_v2": "abandoned_reason id name time_abandoned trial_id",
    "data_v2": (
        "id data_json description experiment_id time_created trial_index generation_strategy_id "
        "structure_metadata_json"
    ),
    "generator_run_v2": (
        "best_arm_name best_arm_parameters best_arm_predictions generator_run_type id index "
        "model_predictions time_created trial_id weight fit_time gen_time model_key model_kwargs "
        "bridge_kwargs gen_metadata model_state_after_gen generation_strategy_id "
        "candidate_metadata_by_arm_signature generation_node_name suggested_experiment_status"
    ),
    "runner": "id experiment_id properties runner_type trial_id trial_type",
    "arm_v2": "generator_run_id id name parameters weight",
    "metric_v2": (
        "experiment_id generator_run_id id lower_is_better intent metric_type name properties "
        "signature minimize op bound relative trial_type canonical_name scalarized_objective_id "
        "scalarized_objective_weight scalarized_outcome_constraint_id "
        "scalarized_outcome_constraint_weight"
    ),
    "parameter_constraint_v2": "bound constraint_dict experiment_id id generator_run_id type",
    "parameter_v2": (
        "domain_type experiment_id id generator_run_id name parameter_type is_fidelity "
        "target_value backfill_value default_value digits step_size log_scale lower upper "
        "choice_values is_ordered is_task dependents fixed_value expression_str"
    ),
}
