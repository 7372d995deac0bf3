"""The tables of Ax (ax.storage.sqa_store.sqa_classes of ax-platform 1.3.1), as SQLite has them.

In an order in which what is referred to comes first. Ax adds rows to them as to its own.
"""

DDL = """
CREATE TABLE experiment_v2 (
    description VARCHAR(255),
    experiment_type INTEGER,
    id INTEGER NOT NULL PRIMARY KEY,
    is_test BOOLEAN NOT NULL,
    name VARCHAR(100) NOT NULL,
    properties TEXT,
    status_quo_name VARCHAR(100),
    status_quo_parameters TEXT,
    time_created INTEGER NOT NULL,
    status SMALLINT,
    default_trial_type VARCHAR(100),
    default_data_type SMALLINT,
    auxiliary_experiments_by_purpose TEXT
);
CREATE TABLE generation_strategy (
    id INTEGER NOT NULL PRIMARY KEY,
    name VARCHAR(100) NOT NULL,
    steps TEXT NOT NULL,
    curr_index INTEGER,
    experiment_id INTEGER REFERENCES experiment_v2(id),
    nodes TEXT,
    curr_node_name VARCHAR(100)
);
CREATE TABLE trial_v2 (
    abandoned_reason VARCHAR(100),
    failed_reason VARCHAR(100),
    deployed_name VARCHAR(100),
    experiment_id INTEGER NOT NULL REFERENCES experiment_v2(id),
    id INTEGER NOT NULL PRIMARY KEY,
    "index" INTEGER NOT NULL,
    is_batched BOOLEAN NOT NULL,
    num_arms_created INTEGER NOT NULL,
    ttl_seconds INTEGER,
    run_metadata TEXT,
    stop_metadata TEXT,
    status SMALLINT NOT NULL,
    status_quo_name VARCHAR(100),
    time_completed INTEGER,
    time_created INTEGER NOT NULL,
    time_staged INTEGER,
    time_run_started INTEGER,
    trial_type VARCHAR(100),
    properties TEXT
);
CREATE TABLE generator_run_v2 (
    best_arm_name VARCHAR(100),
    best_arm_parameters TEXT,
    best_arm_predictions TEXT,
    generator_run_type INTEGER,
    id INTEGER NOT NULL PRIMARY KEY,
    "index" INTEGER,
    model_predictions TEXT,
    time_created INTEGER NOT NULL,
    trial_id INTEGER REFERENCES trial_v2(id),
    weight FLOAT,
    fit_time FLOAT,
    gen_time FLOAT,
    model_key VARCHAR(100),
    model_kwargs TEXT,
    bridge_kwargs TEXT,
    gen_metadata TEXT,
    model_state_after_gen TEXT,
    generation_strategy_id INTEGER REFERENCES generation_strategy(id),
    candidate_metadata_by_arm_signature TEXT,
    generation_node_name VARCHAR(100),
    suggested_experiment_status SMALLINT
);
CREATE TABLE arm_v2 (
    generator_run_id INTEGER NOT NULL REFERENCES generator_run_v2(id),
    id INTEGER NOT NULL PRIMARY KEY,
    name VARCHAR(100),
    parameters TEXT NOT NULL,
    weight FLOAT NOT NULL
);
CREATE TABLE abandoned_arm_v2 (
    abandoned_reason VARCHAR(255),
    id INTEGER NOT NULL PRIMARY KEY,
    name VARCHAR(100) NOT NULL,
    time_abandoned INTEGER NOT NULL,
    trial_id INTEGER NOT NULL REFERENCES trial_v2(id)
);
CREATE TABLE data_v2 (
    id INTEGER NOT NULL PRIMARY KEY,
    data_json TEXT NOT NULL,
    description VARCHAR(255),
    experiment_id INTEGER REFERENCES experiment_v2(id),
    time_created BIGINT NOT NULL,
    trial_index INTEGER,
    generation_strategy_id INTEGER REFERENCES generation_strategy(id),
    structure_metadata_json TEXT
);
CREATE TABLE parameter_v2 (
    domain_type SMALLINT NOT NULL,
    experiment_id INTEGER REFERENCES experiment_v2(id),
    id INTEGER NOT NULL PRIMARY KEY,
    generator_run_id INTEGER REFERENCES generator_run_v2(id),
    name VARCHAR(100) NOT NULL,
    parameter_type SMALLINT NOT NULL,
    is_fidelity BOOLEAN,
    target_value TEXT,
    backfill_value TEXT,
    default_value TEXT,
    digits INTEGER,
    step_size FLOAT,
    log_scale BOOLEAN,
    lower FLOAT,
    upper FLOAT,
    choice_values TEXT,
    is_ordered BOOLEAN,
    is_task BOOLEAN,
    dependents TEXT,
    fixed_value TEXT,
    expression_str TEXT
);
CREATE TABLE parameter_constraint_v2 (
    bound FLOAT NOT NULL,
    constraint_dict TEXT NOT NULL,
    experiment_id INTEGER REFERENCES experiment_v2(id),
    id INTEGER NOT NULL PRIMARY KEY,
    generator_run_id INTEGER REFERENCES generator_run_v2(id),
    type SMALLINT NOT NULL
);
CREATE TABLE metric_v2 (
    experiment_id INTEGER REFERENCES experiment_v2(id),
    generator_run_id INTEGER REFERENCES generator_run_v2(id),
    id INTEGER NOT NULL PRIMARY KEY,
    lower_is_better BOOLEAN,
    intent VARCHAR(100) NOT NULL,
    metric_type INTEGER NOT NULL,
    name VARCHAR(255) NOT NULL,
    properties TEXT,
    signature VARCHAR(255) NOT NULL,
    minimize BOOLEAN,
    op SMALLINT,
    bound FLOAT,
    relative BOOLEAN,
    trial_type VARCHAR(100),
    canonical_name VARCHAR(100),
    scalarized_objective_id INTEGER REFERENCES metric_v2(id),
    scalarized_objective_weight FLOAT,
    scalarized_outcome_constraint_id INTEGER REFERENCES metric_v2(id),
    scalarized_outcome_constraint_weight FLOAT
);
CREATE TABLE runner (
    id INTEGER NOT NULL PRIMARY KEY,
    experiment_id INTEGER REFERENCES experiment_v2(id),
    properties TEXT,
    runner_type INTEGER NOT NULL,
    trial_id INTEGER REFERENCES trial_v2(id),
    trial_type VARCHAR(100)
);
CREATE TABLE analysis_card_v2 (
    id INTEGER NOT NULL PRIMARY KEY,
    experiment_id INTEGER NOT NULL REFERENCES experiment_v2(id),
    name VARCHAR(100) NOT NULL,
    timestamp INTEGER NOT NULL,
    parent_id INTEGER REFERENCES analysis_card_v2(id),
    "order" INTEGER,
    title VARCHAR(255),
    subtitle TEXT,
    dataframe_json TEXT,
    blob TEXT,
    blob_annotation VARCHAR(100)
);
CREATE TABLE auxiliary_experiments (
    source_experiment_id INTEGER NOT NULL REFERENCES experiment_v2(id),
    target_experiment_id INTEGER NOT NULL REFERENCES experiment_v2(id),
    purpose VARCHAR(255) NOT NULL,
    is_active BOOLEAN NOT NULL,
    properties TEXT,
    time INTEGER NOT NULL,
    PRIMARY KEY (source_experiment_id, target_experiment_id, purpose)
);
CREATE INDEX ix_trial_v2_index ON trial_v2 ("index");
"""
