BEGIN TRANSACTION;
CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY);
INSERT INTO "alembic_version" VALUES('0004');
CREATE TABLE artifact (
	id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	attempt_id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	url TEXT NOT NULL, 
	format VARCHAR(20), 
	bytes BIGINT, 
	sha256 VARCHAR(64), 
	CONSTRAINT pk_artifact PRIMARY KEY (id), 
	CONSTRAINT fk_artifact_trial_id FOREIGN KEY(trial_id) REFERENCES trial (id) ON DELETE CASCADE, 
	CONSTRAINT fk_artifact_attempt_id FOREIGN KEY(attempt_id) REFERENCES attempt (id) ON DELETE CASCADE
);
CREATE TABLE attempt (
	id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	submission_id INTEGER, 
	array_index INTEGER NOT NULL, 
	restart INTEGER DEFAULT '0' NOT NULL, 
	number INTEGER NOT NULL, 
	token VARCHAR(40) NOT NULL, 
	claim VARCHAR(40), 
	state VARCHAR(20) NOT NULL, 
	slurm_job_id VARCHAR(60), 
	cluster VARCHAR(60), 
	host VARCHAR(255), 
	requested JSON, 
	measured JSON, 
	infos JSON, 
	exit_code INTEGER, 
	signal INTEGER, 
	slurm_state VARCHAR(40), 
	failure_class VARCHAR(20), 
	failure_name VARCHAR(80), 
	failure_message TEXT, 
	failure_action TEXT, 
	failure_evidence JSON, 
	log_path TEXT, 
	created_at DATETIME NOT NULL, 
	submitted_at DATETIME, 
	started_at DATETIME, 
	ended_at DATETIME, 
	heartbeat_at DATETIME, 
	CONSTRAINT pk_attempt PRIMARY KEY (id), 
	CONSTRAINT uq_attempt_submission_id_array_index_restart UNIQUE (submission_id, array_index, restart), 
	CONSTRAINT uq_attempt_trial_id_number UNIQUE (trial_id, number), 
	CONSTRAINT fk_attempt_trial_id FOREIGN KEY(trial_id) REFERENCES trial (id) ON DELETE CASCADE, 
	CONSTRAINT fk_attempt_submission_id FOREIGN KEY(submission_id) REFERENCES submission (id), 
	CONSTRAINT uq_attempt_token UNIQUE (token), 
	CONSTRAINT ck_attempt_attemptstate CHECK (state IN ('PLANNED', 'SUBMITTED', 'STARTED', 'SUCCEEDED', 'FAILED', 'LOST', 'CANCELLED', 'SUPERSEDED')), 
	CONSTRAINT ck_attempt_failureclass CHECK (failure_class IN ('PROGRAM', 'NO_RESULT', 'TIMEOUT', 'OUT_OF_MEMORY', 'PREEMPTED', 'NODE', 'LOST', 'NO_DATABASE', 'SUBMIT', 'RULE', 'CANCELLED'))
);
INSERT INTO "attempt" VALUES(1,1,1,0,0,1,'dd0cce574291313b4f0a0fec','acf9fd4a94759d3b','SUCCEEDED','local-25708-6187714',NULL,'login1','{"cpus": 1, "gpus": 0, "nodes": 1, "exclude": [], "requeue": false}','{"wall_seconds": 0.007685810000111815, "user_seconds": 0.001279, "system_seconds": 0.0, "peak_memory_bytes": 13025280, "program_started_at": "2026-11-21T20:42:15.007292+00:00", "program_ended_at": "2026-11-21T20:42:15.018709+00:00"}','{"colour": "blue"}',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'logs/6b/6b65709adba63429_0.log','2026-11-21 20:42:14.921118','2026-11-21 20:42:14.936948','2026-11-21 20:42:15.004000','2026-11-21 20:42:15.076262','2026-11-21 20:42:15.004000');
INSERT INTO "attempt" VALUES(2,2,1,1,0,1,'72d76106c6385d04f3da09a9','646e1169a61a718a','SUCCEEDED','local-25709-6187714',NULL,'login1','{"cpus": 1, "gpus": 0, "nodes": 1, "exclude": [], "requeue": false}','{"wall_seconds": 0.009338685005786829, "user_seconds": 0.001232, "system_seconds": 0.0, "peak_memory_bytes": 12845056, "program_started_at": "2026-11-21T20:42:15.042784+00:00", "program_ended_at": "2026-11-21T20:42:15.058379+00:00"}','{"colour": "blue"}',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'logs/6b/6b65709adba63429_1.log','2026-11-21 20:42:14.921118','2026-11-21 20:42:14.936951','2026-11-21 20:42:15.033000','2026-11-21 20:42:15.180207','2026-11-21 20:42:15.033000');
INSERT INTO "attempt" VALUES(3,3,2,0,0,1,'176810a1036bb79c14463eea','5c99a36d69ee5a8f','FAILED','local-25724-6187734',NULL,'login1','{"cpus": 1, "gpus": 0, "nodes": 1, "exclude": [], "requeue": false}','{"wall_seconds": 0.012245397003425751, "user_seconds": 0.0017419999999999998, "system_seconds": 0.0, "peak_memory_bytes": 13074432, "program_started_at": "2026-11-21T20:42:15.177108+00:00", "program_ended_at": "2026-11-21T20:42:15.402448+00:00"}',NULL,1,NULL,NULL,'PROGRAM',NULL,'the program ended with exit code 1','tried again for the last time','{"blame": "PAIRED", "exit_code": 1}','logs/f1/f14fb161d5fc7d5a_0.log','2026-11-21 20:42:15.125258','2026-11-21 20:42:15.132039','2026-11-21 20:42:15.172000','2026-11-21 20:42:15.430856','2026-11-21 20:42:15.172000');
INSERT INTO "attempt" VALUES(4,4,3,0,0,1,'0a833ca48d704fc2003d20d2','6d49d7f92d496b1e','SUCCEEDED','local-25731-6187742',NULL,'login1','{"cpus": 1, "gpus": 0, "nodes": 1, "exclude": [], "requeue": false}','{"wall_seconds": 0.00500645799911581, "user_seconds": 0.001272, "system_seconds": 0.0, "peak_memory_bytes": 13070336, "program_started_at": "2026-11-21T20:42:15.262818+00:00", "program_ended_at": "2026-11-21T20:42:15.272330+00:00"}','{"colour": "blue"}',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'logs/db/dbd7704c53909d34_0.log','2026-11-21 20:42:15.206373','2026-11-21 20:42:15.211892','2026-11-21 20:42:15.258000','2026-11-21 20:42:15.312102','2026-11-21 20:42:15.258000');
INSERT INTO "attempt" VALUES(5,3,4,0,0,2,'644e4fb24381efa3fe6473b3','bc6d4d9095e83c5d','FAILED','local-25744-6187765',NULL,'login1','{"cpus": 1, "gpus": 0, "nodes": 1, "exclude": [], "requeue": false}','{"wall_seconds": 0.00311624699679669, "user_seconds": 0.0012649999999999998, "system_seconds": 0.0, "peak_memory_bytes": 12943360, "program_started_at": "2026-11-21T20:42:15.527304+00:00", "program_ended_at": "2026-11-21T20:42:15.738187+00:00"}',NULL,1,NULL,NULL,'PROGRAM',NULL,'the program ended with exit code 1','given up: its one further try was used up','{"blame": "PAIRED", "exit_code": 1}','logs/cf/cf3f7806e3f66b50_0.log','2026-11-21 20:42:15.438884','2026-11-21 20:42:15.443872','2026-11-21 20:42:15.519000','2026-11-21 20:42:15.775642','2026-11-21 20:42:15.519000');
CREATE TABLE card (
	id INTEGER NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	parent_id INTEGER, 
	position INTEGER, 
	name VARCHAR(100) NOT NULL, 
	title VARCHAR(255) NOT NULL, 
	subtitle TEXT, 
	category VARCHAR(100), 
	kind VARCHAR(20) NOT NULL, 
	data_frame JSON, 
	blob TEXT, 
	attributes JSON, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_card PRIMARY KEY (id), 
	CONSTRAINT fk_card_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiment (id) ON DELETE CASCADE, 
	CONSTRAINT fk_card_parent_id FOREIGN KEY(parent_id) REFERENCES card (id) ON DELETE CASCADE, 
	CONSTRAINT ck_card_cardkind CHECK (kind IN ('TABLE', 'PLOTLY', 'MARKDOWN'))
);
CREATE TABLE code_file (
	id INTEGER NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	path VARCHAR(500) NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	bytes BIGINT NOT NULL, 
	attempt_id INTEGER, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_code_file PRIMARY KEY (id), 
	CONSTRAINT uq_code_file_experiment_id_path_sha256 UNIQUE (experiment_id, path, sha256), 
	CONSTRAINT fk_code_file_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiment (id) ON DELETE CASCADE, 
	CONSTRAINT fk_code_file_attempt_id FOREIGN KEY(attempt_id) REFERENCES attempt (id) ON DELETE SET NULL
);
CREATE TABLE event (
	id INTEGER NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	kind VARCHAR(40) NOT NULL, 
	trial_id INTEGER, 
	payload JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_event PRIMARY KEY (id), 
	CONSTRAINT fk_event_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiment (id) ON DELETE CASCADE, 
	CONSTRAINT fk_event_trial_id FOREIGN KEY(trial_id) REFERENCES trial (id)
);
INSERT INTO "event" VALUES(1,1,'setup',NULL,'{"spec": {"schema_version": 1, "name": "old", "program": "test %(n) -lt 7 && echo \"METRIC: loss=0.5 step=1\" && echo \"OO-Info: colour: blue\" && echo \"LOSS: %(x)\"", "working_folder": "@WORK@", "snapshot": [], "space": {"parameters": [{"name": "x", "value_type": "float", "kind": "range", "lower": 0.0, "upper": 1.0, "log_scale": false}, {"name": "n", "value_type": "int", "kind": "range", "lower": 1, "upper": 8, "log_scale": false}, {"name": "kind", "value_type": "str", "kind": "choice", "choices": ["a", "b"], "is_ordered": false}], "constraints": [{"text": "x + n <= 8", "coefficients": {"x": 1.0, "n": 1.0}, "bound": 8.0}]}, "objectives": [{"name": "LOSS", "minimize": true}], "strategy": {"nodes": [{"generator": "SOBOL", "num_trials": 3, "min_observed": 0}, {"generator": "TPE", "num_trials": null, "min_observed": 2}]}, "resources": {"partition": null, "memory_mb": null, "cpus": 1, "gpus": 0, "nodes": 1, "minutes": null, "account": null, "reservation": null, "qos": null, "constraint": null, "gres": null, "exclude": [], "requeue": false}, "executor": "local", "num_parallel_jobs": 2, "max_eval": 4, "seed": 7, "worker_timeout_seconds": null, "time_limit_seconds": null, "max_failed_jobs": null, "max_failure_rate": null, "retries": 1, "auto_exclude": true, "rules": [], "preflight": null, "description": "a \u201cfirst\u201d search", "participant": null, "user_metadata": {}, "group": null, "timing": {"lease_renew_seconds": 5.0, "lease_expire_seconds": 30.0, "heartbeat_seconds": 15.0, "dead_seconds": 120.0, "spool_grace_seconds": 60.0, "claim_patience_seconds": 600.0, "report_patience_seconds": 60.0, "grace_seconds": 20.0, "slurm_limit_seconds": 60.0, "sacct_limit_seconds": 30.0, "connect_seconds": 10.0, "calls_per_minute": 20.0, "calls_burst": 40, "poll_min_seconds": 2.0, "poll_max_seconds": 60.0, "exclusion_seconds": 21600.0, "preflight_seconds": 60.0}}, "database": "sqlite:///@WORK@/runs/old/1/database.db", "run_dir": "@WORK@/runs/old/1", "versions": {"python": "3.11.7", "headway": "0.1.0", "numpy": "2.4.6", "scipy": "1.17.1", "optuna": "5.0.0"}}','2026-11-21 20:42:13.957384');
INSERT INTO "event" VALUES(2,1,'ask',NULL,'{"generation": 0, "step": 0, "generator": "SOBOL", "process": "model", "head": 1, "incarnation": 1, "requested": 2, "seed": 431379789, "state_from": null, "told": [], "told_failed": [], "pending": [], "fallback_reason": null, "trials": [0, 1]}','2026-11-21 20:42:14.919910');
INSERT INTO "event" VALUES(3,1,'tell',1,'{"trial_index": 0, "attempt": 1, "means": {"LOSS": 0.30124185513705015}, "sems": {}}','2026-11-21 20:42:15.099787');
INSERT INTO "event" VALUES(4,1,'ask',NULL,'{"generation": 1, "step": 0, "generator": "SOBOL", "process": "model", "head": 1, "incarnation": 1, "requested": 1, "seed": 3553817977, "state_from": 0, "told": [0], "told_failed": [], "pending": [1], "fallback_reason": null, "trials": [2]}','2026-11-21 20:42:15.119085');
INSERT INTO "event" VALUES(5,1,'tell',2,'{"trial_index": 1, "attempt": 2, "means": {"LOSS": 0.549255003221333}, "sems": {}}','2026-11-21 20:42:15.181616');
INSERT INTO "event" VALUES(6,1,'ask',NULL,'{"generation": 2, "step": 1, "generator": "TPE", "process": "model", "head": 1, "incarnation": 1, "requested": 1, "seed": 462121814, "state_from": null, "told": [1], "told_failed": [], "pending": [2], "fallback_reason": null, "trials": [3]}','2026-11-21 20:42:15.201484');
INSERT INTO "event" VALUES(7,1,'tell',4,'{"trial_index": 3, "attempt": 4, "means": {"LOSS": 0.0008298126951844509}, "sems": {}}','2026-11-21 20:42:15.313491');
INSERT INTO "event" VALUES(8,1,'failure',3,'{"trial_index": 2, "attempt": 3, "failure": "PROGRAM", "name": null, "message": "the program ended with exit code 1", "evidence": {"blame": "PAIRED", "exit_code": 1}, "host": "login1", "again": true, "action": "tried again for the last time"}','2026-11-21 20:42:15.432024');
INSERT INTO "event" VALUES(9,1,'failure',3,'{"trial_index": 2, "attempt": 5, "failure": "PROGRAM", "name": null, "message": "the program ended with exit code 1", "evidence": {"blame": "PAIRED", "exit_code": 1}, "host": "login1", "again": false, "action": "given up: its one further try was used up"}','2026-11-21 20:42:15.776747');
INSERT INTO "event" VALUES(10,1,'tell',3,'{"trial_index": 2, "attempt": 5, "means": null, "sems": {}}','2026-11-21 20:42:15.776955');
INSERT INTO "event" VALUES(11,1,'exit',NULL,'{"how": "DONE", "status": "FINISHED", "reason": null, "head": 1}','2026-11-21 20:42:15.783077');
CREATE TABLE exclusion (
	id INTEGER NOT NULL, 
	host_id INTEGER NOT NULL, 
	experiment_id INTEGER, 
	source VARCHAR(20) NOT NULL, 
	decided_by TEXT, 
	reason TEXT NOT NULL, 
	evidence JSON, 
	created_at DATETIME NOT NULL, 
	expires_at DATETIME, 
	ended_at DATETIME, 
	end_reason TEXT, 
	CONSTRAINT pk_exclusion PRIMARY KEY (id), 
	CONSTRAINT ck_exclusion_expires_at CHECK (expires_at > created_at), 
	CONSTRAINT fk_exclusion_host_id FOREIGN KEY(host_id) REFERENCES host (id) ON DELETE CASCADE, 
	CONSTRAINT fk_exclusion_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiment (id) ON DELETE SET NULL, 
	CONSTRAINT ck_exclusion_exclusionsource CHECK (source IN ('HEADWAY', 'USER'))
);
CREATE TABLE experiment (
	id INTEGER NOT NULL, 
	uuid VARCHAR(36) NOT NULL, 
	name VARCHAR(100) NOT NULL, 
	run_number INTEGER NOT NULL, 
	"group" TEXT, 
	description TEXT, 
	participant TEXT, 
	user_metadata JSON, 
	spec JSON NOT NULL, 
	status VARCHAR(20) NOT NULL, 
	stop_reason TEXT, 
	owner TEXT NOT NULL, 
	run_dir TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	ended_at DATETIME, 
	CONSTRAINT pk_experiment PRIMARY KEY (id), 
	CONSTRAINT uq_experiment_name_run_number UNIQUE (name, run_number), 
	CONSTRAINT uq_experiment_uuid UNIQUE (uuid), 
	CONSTRAINT ck_experiment_experimentstatus CHECK (status IN ('RUNNING', 'STOPPING', 'FINISHED', 'STOPPED', 'FAILED', 'INTERRUPTED'))
);
INSERT INTO "experiment" VALUES(1,'c552de41-d904-4238-b6c4-cd4e7057215c','old',1,NULL,'a “first” search',NULL,'null','{"schema_version": 1, "name": "old", "program": "test %(n) -lt 7 && echo \"METRIC: loss=0.5 step=1\" && echo \"OO-Info: colour: blue\" && echo \"LOSS: %(x)\"", "working_folder": "@WORK@", "snapshot": [], "space": {"parameters": [{"name": "x", "value_type": "float", "kind": "range", "lower": 0.0, "upper": 1.0, "log_scale": false}, {"name": "n", "value_type": "int", "kind": "range", "lower": 1, "upper": 8, "log_scale": false}, {"name": "kind", "value_type": "str", "kind": "choice", "choices": ["a", "b"], "is_ordered": false}], "constraints": [{"text": "x + n <= 8", "coefficients": {"x": 1.0, "n": 1.0}, "bound": 8.0}]}, "objectives": [{"name": "LOSS", "minimize": true}], "strategy": {"nodes": [{"generator": "SOBOL", "num_trials": 3, "min_observed": 0}, {"generator": "TPE", "num_trials": null, "min_observed": 2}]}, "resources": {"partition": null, "memory_mb": null, "cpus": 1, "gpus": 0, "nodes": 1, "minutes": null, "account": null, "reservation": null, "qos": null, "constraint": null, "gres": null, "exclude": [], "requeue": false}, "executor": "local", "num_parallel_jobs": 2, "max_eval": 4, "seed": 7, "worker_timeout_seconds": null, "time_limit_seconds": null, "max_failed_jobs": null, "max_failure_rate": null, "retries": 1, "auto_exclude": true, "rules": [], "preflight": null, "description": "a \u201cfirst\u201d search", "participant": null, "user_metadata": {}, "group": null, "timing": {"lease_renew_seconds": 5.0, "lease_expire_seconds": 30.0, "heartbeat_seconds": 15.0, "dead_seconds": 120.0, "spool_grace_seconds": 60.0, "claim_patience_seconds": 600.0, "report_patience_seconds": 60.0, "grace_seconds": 20.0, "slurm_limit_seconds": 60.0, "sacct_limit_seconds": 30.0, "connect_seconds": 10.0, "calls_per_minute": 20.0, "calls_burst": 40, "poll_min_seconds": 2.0, "poll_max_seconds": 60.0, "exclusion_seconds": 21600.0, "preflight_seconds": 60.0}}','FINISHED',NULL,'root@login1','@WORK@/runs/old/1','2026-11-21 20:42:13.937797','2026-11-21 20:42:15.779244');
CREATE TABLE generation (
	id INTEGER NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	node INTEGER NOT NULL, 
	generator VARCHAR(100) NOT NULL, 
	requested INTEGER NOT NULL, 
	produced INTEGER NOT NULL, 
	fit_time DOUBLE, 
	gen_time DOUBLE, 
	seed BIGINT NOT NULL, 
	state JSON, 
	predictions JSON, 
	fallback_reason TEXT, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_generation PRIMARY KEY (id), 
	CONSTRAINT uq_generation_experiment_id_number UNIQUE (experiment_id, number), 
	CONSTRAINT fk_generation_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiment (id) ON DELETE CASCADE
);
INSERT INTO "generation" VALUES(1,1,0,0,'SOBOL',2,2,0.0,2.11388360039563849568e-02,431379789,'{"seed": 431379789, "position": 2}','null',NULL,'2026-11-21 20:42:14.917654');
INSERT INTO "generation" VALUES(2,1,1,0,'SOBOL',1,1,0.0,8.31970995932351797819e-04,3553817977,'{"seed": 431379789, "position": 3}','null',NULL,'2026-11-21 20:42:15.117557');
INSERT INTO "generation" VALUES(3,1,2,1,'TPE',1,1,1.40039200050523504614e-03,1.29333090008003637194e-02,462121814,'null','null',NULL,'2026-11-21 20:42:15.200765');
CREATE TABLE generation_node (
	id INTEGER NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	generator VARCHAR(100) NOT NULL, 
	num_trials INTEGER, 
	min_observed INTEGER NOT NULL, 
	CONSTRAINT pk_generation_node PRIMARY KEY (id), 
	CONSTRAINT uq_generation_node_experiment_id_position UNIQUE (experiment_id, position), 
	CONSTRAINT fk_generation_node_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiment (id) ON DELETE CASCADE
);
INSERT INTO "generation_node" VALUES(1,1,0,'SOBOL',3,0);
INSERT INTO "generation_node" VALUES(2,1,1,'TPE',NULL,2);
CREATE TABLE head_lease (
	experiment_id INTEGER NOT NULL, 
	host VARCHAR(255) NOT NULL, 
	boot_id VARCHAR(64) NOT NULL, 
	pid INTEGER NOT NULL, 
	process_started BIGINT NOT NULL, 
	epoch INTEGER NOT NULL, 
	expires_at DATETIME NOT NULL, 
	CONSTRAINT pk_head_lease PRIMARY KEY (experiment_id), 
	CONSTRAINT fk_head_lease_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiment (id) ON DELETE CASCADE
);
INSERT INTO "head_lease" VALUES(1,'login1','11111111-2222-4333-8444-555555555555',0,0,1,'2026-11-21 20:42:15.784000');
CREATE TABLE host (
	id INTEGER NOT NULL, 
	cluster VARCHAR(60) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	state VARCHAR(20) NOT NULL, 
	reason TEXT, 
	evidence JSON, 
	first_seen_at DATETIME NOT NULL, 
	changed_at DATETIME NOT NULL, 
	CONSTRAINT pk_host PRIMARY KEY (id), 
	CONSTRAINT uq_host_cluster_name UNIQUE (cluster, name), 
	CONSTRAINT ck_host_hoststate CHECK (state IN ('GOOD', 'SUSPECT', 'PAROLE'))
);
CREATE TABLE metric (
	id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	attempt_id INTEGER NOT NULL, 
	name VARCHAR(100) NOT NULL, 
	value DOUBLE, 
	split VARCHAR(10) NOT NULL, 
	level VARCHAR(10) NOT NULL, 
	step BIGINT, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_metric PRIMARY KEY (id), 
	CONSTRAINT fk_metric_trial_id FOREIGN KEY(trial_id) REFERENCES trial (id) ON DELETE CASCADE, 
	CONSTRAINT fk_metric_attempt_id FOREIGN KEY(attempt_id) REFERENCES attempt (id) ON DELETE CASCADE, 
	CONSTRAINT ck_metric_split CHECK (split IN ('TRAIN', 'VALIDATION', 'TEST')), 
	CONSTRAINT ck_metric_level CHECK (level IN ('LAST', 'STEP', 'BATCH', 'TRIAL'))
);
INSERT INTO "metric" VALUES(1,1,1,'loss',0.5,'TRAIN','STEP',1,'2026-11-21 20:42:15.016674');
INSERT INTO "metric" VALUES(2,2,2,'loss',0.5,'TRAIN','STEP',1,'2026-11-21 20:42:15.053225');
INSERT INTO "metric" VALUES(3,4,4,'loss',0.5,'TRAIN','STEP',1,'2026-11-21 20:42:15.271924');
CREATE TABLE objective (
	id INTEGER NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	name VARCHAR(100) NOT NULL, 
	minimize BOOLEAN NOT NULL, 
	CONSTRAINT pk_objective PRIMARY KEY (id), 
	CONSTRAINT uq_objective_experiment_id_name UNIQUE (experiment_id, name), 
	CONSTRAINT fk_objective_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiment (id) ON DELETE CASCADE
);
INSERT INTO "objective" VALUES(1,1,0,'LOSS',1);
CREATE TABLE outcome (
	id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	objective_id INTEGER NOT NULL, 
	mean DOUBLE NOT NULL, 
	sem DOUBLE, 
	source VARCHAR(10) NOT NULL, 
	attempt_id INTEGER, 
	reused_trial_id INTEGER, 
	CONSTRAINT pk_outcome PRIMARY KEY (id), 
	CONSTRAINT uq_outcome_trial_id_objective_id UNIQUE (trial_id, objective_id), 
	CONSTRAINT fk_outcome_trial_id FOREIGN KEY(trial_id) REFERENCES trial (id) ON DELETE CASCADE, 
	CONSTRAINT fk_outcome_objective_id FOREIGN KEY(objective_id) REFERENCES objective (id) ON DELETE CASCADE, 
	CONSTRAINT ck_outcome_source CHECK (source IN ('ATTEMPT', 'IMPORT', 'REUSED')), 
	CONSTRAINT fk_outcome_attempt_id FOREIGN KEY(attempt_id) REFERENCES attempt (id), 
	CONSTRAINT fk_outcome_reused_trial_id FOREIGN KEY(reused_trial_id) REFERENCES trial (id)
);
INSERT INTO "outcome" VALUES(1,1,1,3.01241855137050151824e-01,NULL,'ATTEMPT',1,NULL);
INSERT INTO "outcome" VALUES(2,2,1,0.549255003221333,NULL,'ATTEMPT',2,NULL);
INSERT INTO "outcome" VALUES(3,4,1,8.29812695184450888064e-04,NULL,'ATTEMPT',4,NULL);
CREATE TABLE parameter (
	id INTEGER NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	name VARCHAR(100) NOT NULL, 
	kind VARCHAR(10) NOT NULL, 
	value_type VARCHAR(10) NOT NULL, 
	lower DOUBLE, 
	upper DOUBLE, 
	log_scale BOOLEAN, 
	choices JSON, 
	is_ordered BOOLEAN, 
	fixed_value JSON, 
	CONSTRAINT pk_parameter PRIMARY KEY (id), 
	CONSTRAINT uq_parameter_experiment_id_name UNIQUE (experiment_id, name), 
	CONSTRAINT fk_parameter_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiment (id) ON DELETE CASCADE, 
	CONSTRAINT ck_parameter_kind CHECK (kind IN ('range', 'choice', 'fixed')), 
	CONSTRAINT ck_parameter_value_type CHECK (value_type IN ('int', 'float', 'str', 'bool'))
);
INSERT INTO "parameter" VALUES(1,1,0,'x','range','float',0.0,1.0,0,'null',NULL,'null');
INSERT INTO "parameter" VALUES(2,1,1,'n','range','int',1.0,8.0,0,'null',NULL,'null');
INSERT INTO "parameter" VALUES(3,1,2,'kind','choice','str',NULL,NULL,NULL,'["a", "b"]',0,'null');
CREATE TABLE parameter_constraint (
	id INTEGER NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	text TEXT NOT NULL, 
	coefficients JSON, 
	bound DOUBLE, 
	CONSTRAINT pk_parameter_constraint PRIMARY KEY (id), 
	CONSTRAINT uq_parameter_constraint_experiment_id_position UNIQUE (experiment_id, position), 
	CONSTRAINT fk_parameter_constraint_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiment (id) ON DELETE CASCADE
);
INSERT INTO "parameter_constraint" VALUES(1,1,0,'x + n <= 8','{"x": 1.0, "n": 1.0}',8.0);
CREATE TABLE report (
	id INTEGER NOT NULL, 
	attempt_id INTEGER NOT NULL, 
	kind VARCHAR(20) NOT NULL, 
	sequence INTEGER NOT NULL, 
	payload JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	consumed_at DATETIME, 
	refused_reason TEXT, 
	CONSTRAINT pk_report PRIMARY KEY (id), 
	CONSTRAINT uq_report_attempt_id_kind_sequence UNIQUE (attempt_id, kind, sequence), 
	CONSTRAINT fk_report_attempt_id FOREIGN KEY(attempt_id) REFERENCES attempt (id) ON DELETE CASCADE, 
	CONSTRAINT ck_report_reportkind CHECK (kind IN ('START', 'METRIC', 'END'))
);
INSERT INTO "report" VALUES(1,1,'START',0,'{"claim": "acf9fd4a94759d3b", "host": "login1", "slurm_job_id": "local-25708-6187714", "pid": 25708, "started_at": "2026-11-21T20:42:14.973795+00:00"}','2026-11-21 20:42:15.004000','2026-11-21 20:42:15.100105',NULL);
INSERT INTO "report" VALUES(2,1,'METRIC',0,'{"metrics": [{"name": "loss", "value": 0.5, "split": "TRAIN", "level": "STEP", "step": 1, "at": "2026-11-21T20:42:15.016674+00:00"}]}','2026-11-21 20:42:15.021000','2026-11-21 20:42:15.100105',NULL);
INSERT INTO "report" VALUES(3,2,'START',0,'{"claim": "646e1169a61a718a", "host": "login1", "slurm_job_id": "local-25709-6187714", "pid": 25709, "started_at": "2026-11-21T20:42:14.975884+00:00"}','2026-11-21 20:42:15.033000','2026-11-21 20:42:15.100105',NULL);
INSERT INTO "report" VALUES(4,1,'END',0,'{"results": {"LOSS": 0.30124185513705015}, "sems": {}, "infos": {"colour": "blue"}, "artifacts": [], "problems": [], "cause": "EXIT", "exit_code": 0, "signal": null, "host": "login1", "slurm_job_id": "local-25708-6187714", "started_at": "2026-11-21T20:42:15.007292+00:00", "ended_at": "2026-11-21T20:42:15.018709+00:00", "measured": {"wall_seconds": 0.007685810000111815, "user_seconds": 0.001279, "system_seconds": 0.0, "peak_memory_bytes": 13025280}, "tail": "METRIC: loss=0.5 step=1\nOO-Info: colour: blue\nLOSS: 0.30124185513705015\n"}','2026-11-21 20:42:15.041000','2026-11-21 20:42:15.100105',NULL);
INSERT INTO "report" VALUES(5,2,'METRIC',0,'{"metrics": [{"name": "loss", "value": 0.5, "split": "TRAIN", "level": "STEP", "step": 1, "at": "2026-11-21T20:42:15.053225+00:00"}]}','2026-11-21 20:42:15.113000','2026-11-21 20:42:15.116789',NULL);
INSERT INTO "report" VALUES(6,2,'END',0,'{"results": {"LOSS": 0.549255003221333}, "sems": {}, "infos": {"colour": "blue"}, "artifacts": [], "problems": [], "cause": "EXIT", "exit_code": 0, "signal": null, "host": "login1", "slurm_job_id": "local-25709-6187714", "started_at": "2026-11-21T20:42:15.042784+00:00", "ended_at": "2026-11-21T20:42:15.058379+00:00", "measured": {"wall_seconds": 0.009338685005786829, "user_seconds": 0.001232, "system_seconds": 0.0, "peak_memory_bytes": 12845056}, "tail": "METRIC: loss=0.5 step=1\nOO-Info: colour: blue\nLOSS: 0.549255003221333\n"}','2026-11-21 20:42:15.155000','2026-11-21 20:42:15.183004',NULL);
INSERT INTO "report" VALUES(7,3,'START',0,'{"claim": "5c99a36d69ee5a8f", "host": "login1", "slurm_job_id": "local-25724-6187734", "pid": 25724, "started_at": "2026-11-21T20:42:15.154624+00:00"}','2026-11-21 20:42:15.172000','2026-11-21 20:42:15.183004',NULL);
INSERT INTO "report" VALUES(8,4,'START',0,'{"claim": "6d49d7f92d496b1e", "host": "login1", "slurm_job_id": "local-25731-6187742", "pid": 25731, "started_at": "2026-11-21T20:42:15.241091+00:00"}','2026-11-21 20:42:15.259000','2026-11-21 20:42:15.288998',NULL);
INSERT INTO "report" VALUES(9,4,'METRIC',0,'{"metrics": [{"name": "loss", "value": 0.5, "split": "TRAIN", "level": "STEP", "step": 1, "at": "2026-11-21T20:42:15.271924+00:00"}]}','2026-11-21 20:42:15.276000','2026-11-21 20:42:15.288998',NULL);
INSERT INTO "report" VALUES(10,4,'END',0,'{"results": {"LOSS": 0.0008298126951844509}, "sems": {}, "infos": {"colour": "blue"}, "artifacts": [], "problems": [], "cause": "EXIT", "exit_code": 0, "signal": null, "host": "login1", "slurm_job_id": "local-25731-6187742", "started_at": "2026-11-21T20:42:15.262818+00:00", "ended_at": "2026-11-21T20:42:15.272330+00:00", "measured": {"wall_seconds": 0.00500645799911581, "user_seconds": 0.001272, "system_seconds": 0.0, "peak_memory_bytes": 13070336}, "tail": "METRIC: loss=0.5 step=1\nOO-Info: colour: blue\nLOSS: 0.0008298126951844509\n"}','2026-11-21 20:42:15.291000','2026-11-21 20:42:15.313749',NULL);
INSERT INTO "report" VALUES(11,3,'END',0,'{"results": {}, "sems": {}, "infos": {}, "artifacts": [], "problems": [], "cause": "EXIT", "exit_code": 1, "signal": null, "host": "login1", "slurm_job_id": "local-25724-6187734", "started_at": "2026-11-21T20:42:15.177108+00:00", "ended_at": "2026-11-21T20:42:15.402448+00:00", "measured": {"wall_seconds": 0.012245397003425751, "user_seconds": 0.0017419999999999998, "system_seconds": 0.0, "peak_memory_bytes": 13074432}, "tail": ""}','2026-11-21 20:42:15.404000','2026-11-21 20:42:15.432349',NULL);
INSERT INTO "report" VALUES(12,5,'START',0,'{"claim": "bc6d4d9095e83c5d", "host": "login1", "slurm_job_id": "local-25744-6187765", "pid": 25744, "started_at": "2026-11-21T20:42:15.482234+00:00"}','2026-11-21 20:42:15.520000','2026-11-21 20:42:15.544149',NULL);
INSERT INTO "report" VALUES(13,5,'END',0,'{"results": {}, "sems": {}, "infos": {}, "artifacts": [], "problems": [], "cause": "EXIT", "exit_code": 1, "signal": null, "host": "login1", "slurm_job_id": "local-25744-6187765", "started_at": "2026-11-21T20:42:15.527304+00:00", "ended_at": "2026-11-21T20:42:15.738187+00:00", "measured": {"wall_seconds": 0.00311624699679669, "user_seconds": 0.0012649999999999998, "system_seconds": 0.0, "peak_memory_bytes": 12943360}, "tail": ""}','2026-11-21 20:42:15.744000','2026-11-21 20:42:15.777179',NULL);
CREATE TABLE spec_version (
	id INTEGER NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	spec JSON NOT NULL, 
	reason TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_spec_version PRIMARY KEY (id), 
	CONSTRAINT uq_spec_version_experiment_id_version UNIQUE (experiment_id, version), 
	CONSTRAINT ck_spec_version_version CHECK (version >= 1), 
	CONSTRAINT fk_spec_version_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiment (id) ON DELETE CASCADE
);
INSERT INTO "spec_version" VALUES(1,1,1,'{"schema_version": 1, "name": "old", "program": "test %(n) -lt 7 && echo \"METRIC: loss=0.5 step=1\" && echo \"OO-Info: colour: blue\" && echo \"LOSS: %(x)\"", "working_folder": "@WORK@", "snapshot": [], "space": {"parameters": [{"name": "x", "value_type": "float", "kind": "range", "lower": 0.0, "upper": 1.0, "log_scale": false}, {"name": "n", "value_type": "int", "kind": "range", "lower": 1, "upper": 8, "log_scale": false}, {"name": "kind", "value_type": "str", "kind": "choice", "choices": ["a", "b"], "is_ordered": false}], "constraints": [{"text": "x + n <= 8", "coefficients": {"x": 1.0, "n": 1.0}, "bound": 8.0}]}, "objectives": [{"name": "LOSS", "minimize": true}], "strategy": {"nodes": [{"generator": "SOBOL", "num_trials": 3, "min_observed": 0}, {"generator": "TPE", "num_trials": null, "min_observed": 2}]}, "resources": {"partition": null, "memory_mb": null, "cpus": 1, "gpus": 0, "nodes": 1, "minutes": null, "account": null, "reservation": null, "qos": null, "constraint": null, "gres": null, "exclude": [], "requeue": false}, "executor": "local", "num_parallel_jobs": 2, "max_eval": 4, "seed": 7, "worker_timeout_seconds": null, "time_limit_seconds": null, "max_failed_jobs": null, "max_failure_rate": null, "retries": 1, "auto_exclude": true, "rules": [], "preflight": null, "description": "a \u201cfirst\u201d search", "participant": null, "user_metadata": {}, "group": null, "timing": {"lease_renew_seconds": 5.0, "lease_expire_seconds": 30.0, "heartbeat_seconds": 15.0, "dead_seconds": 120.0, "spool_grace_seconds": 60.0, "claim_patience_seconds": 600.0, "report_patience_seconds": 60.0, "grace_seconds": 20.0, "slurm_limit_seconds": 60.0, "sacct_limit_seconds": 30.0, "connect_seconds": 10.0, "calls_per_minute": 20.0, "calls_burst": 40, "poll_min_seconds": 2.0, "poll_max_seconds": 60.0, "exclusion_seconds": 21600.0, "preflight_seconds": 60.0}}','setup','2026-11-21 20:42:13.941709');
CREATE TABLE strategy_snapshot (
	id INTEGER NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	reason VARCHAR(20) NOT NULL, 
	node INTEGER NOT NULL, 
	generator VARCHAR(100) NOT NULL, 
	document JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_strategy_snapshot PRIMARY KEY (id), 
	CONSTRAINT fk_strategy_snapshot_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiment (id) ON DELETE CASCADE, 
	CONSTRAINT ck_strategy_snapshot_snapshotreason CHECK (reason IN ('NODE_CHANGE', 'HEAD_END'))
);
INSERT INTO "strategy_snapshot" VALUES(1,1,'NODE_CHANGE',1,'TPE','{"nodes": [{"position": 0, "generator": "SOBOL", "num_trials": 3, "min_observed": 0, "proposed": 3, "observed": 1}, {"position": 1, "generator": "TPE", "num_trials": null, "min_observed": 2, "proposed": 0, "observed": 0}], "states": {"SOBOL": {"number": 1, "state": {"seed": 431379789, "position": 3}}}, "next_generation": 2, "told": 1, "best": [{"objective": "LOSS", "trial": 0, "mean": 0.30124185513705015}]}','2026-11-21 20:42:15.123889');
INSERT INTO "strategy_snapshot" VALUES(2,1,'HEAD_END',1,'TPE','{"nodes": [{"position": 0, "generator": "SOBOL", "num_trials": 3, "min_observed": 0, "proposed": 3, "observed": 2}, {"position": 1, "generator": "TPE", "num_trials": null, "min_observed": 2, "proposed": 1, "observed": 1}], "states": {"SOBOL": {"number": 1, "state": {"seed": 431379789, "position": 3}}}, "next_generation": 3, "told": 4, "best": [{"objective": "LOSS", "trial": 3, "mean": 0.0008298126951844509}]}','2026-11-21 20:42:15.782763');
CREATE TABLE submission (
	id INTEGER NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	token VARCHAR(32) NOT NULL, 
	size INTEGER NOT NULL, 
	resources JSON NOT NULL, 
	state VARCHAR(20) NOT NULL, 
	slurm_job_id VARCHAR(40), 
	message TEXT, 
	created_at DATETIME NOT NULL, 
	answered_at DATETIME, 
	CONSTRAINT pk_submission PRIMARY KEY (id), 
	CONSTRAINT fk_submission_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiment (id) ON DELETE CASCADE, 
	CONSTRAINT uq_submission_token UNIQUE (token), 
	CONSTRAINT ck_submission_submissionstate CHECK (state IN ('PREPARED', 'ACCEPTED', 'REFUSED', 'UNCLEAR'))
);
INSERT INTO "submission" VALUES(1,1,'6b65709adba63429',2,'{"cpus": 1, "gpus": 0, "nodes": 1, "exclude": [], "requeue": false}','ACCEPTED','local-25708-6187714',NULL,'2026-11-21 20:42:14.921118','2026-11-21 20:42:14.936063');
INSERT INTO "submission" VALUES(2,1,'f14fb161d5fc7d5a',1,'{"cpus": 1, "gpus": 0, "nodes": 1, "exclude": [], "requeue": false}','ACCEPTED','local-25724-6187734',NULL,'2026-11-21 20:42:15.125258','2026-11-21 20:42:15.131582');
INSERT INTO "submission" VALUES(3,1,'dbd7704c53909d34',1,'{"cpus": 1, "gpus": 0, "nodes": 1, "exclude": [], "requeue": false}','ACCEPTED','local-25731-6187742',NULL,'2026-11-21 20:42:15.206373','2026-11-21 20:42:15.211462');
INSERT INTO "submission" VALUES(4,1,'cf3f7806e3f66b50',1,'{"cpus": 1, "gpus": 0, "nodes": 1, "exclude": [], "requeue": false}','ACCEPTED','local-25744-6187765',NULL,'2026-11-21 20:42:15.438884','2026-11-21 20:42:15.443435');
CREATE TABLE trial (
	id INTEGER NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	"index" INTEGER NOT NULL, 
	generation_id INTEGER, 
	parameters JSON NOT NULL, 
	parameter_hash VARCHAR(64) NOT NULL, 
	status SMALLINT NOT NULL, 
	status_reason TEXT, 
	created_at DATETIME NOT NULL, 
	staged_at DATETIME, 
	run_started_at DATETIME, 
	completed_at DATETIME, 
	CONSTRAINT pk_trial PRIMARY KEY (id), 
	CONSTRAINT uq_trial_experiment_id_index UNIQUE (experiment_id, "index"), 
	CONSTRAINT ck_trial_status CHECK (status IN (0, 1, 2, 3, 4, 5, 7, 8)), 
	CONSTRAINT fk_trial_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiment (id) ON DELETE CASCADE, 
	CONSTRAINT fk_trial_generation_id FOREIGN KEY(generation_id) REFERENCES generation (id)
);
INSERT INTO "trial" VALUES(1,1,0,1,'{"x": 0.30124185513705015, "n": 6, "kind": "a"}','8e48c9a96c1833f2eb347fba95364dec6411ac7be26c4dcba8a832bc7729cf54',3,NULL,'2026-11-21 20:42:14.918816','2026-11-21 20:42:14.923084','2026-11-21 20:42:15.056427','2026-11-21 20:42:15.098101');
INSERT INTO "trial" VALUES(2,1,1,1,'{"x": 0.549255003221333, "n": 2, "kind": "b"}','3cc5ed25878f1050b08dcf2f68c5c015cc6073004a40d0339a7e3e3f28e2e0ef',3,NULL,'2026-11-21 20:42:14.918816','2026-11-21 20:42:14.923084','2026-11-21 20:42:15.074932','2026-11-21 20:42:15.180788');
INSERT INTO "trial" VALUES(3,1,2,2,'{"x": 0.7731535704806447, "n": 7, "kind": "a"}','1dadbf5fcf3a4689fc547ccfd1bf0645e95719831248d13f726c8847da085311',2,'the program ended with exit code 1','2026-11-21 20:42:15.117950','2026-11-21 20:42:15.126385','2026-11-21 20:42:15.182456','2026-11-21 20:42:15.776167');
INSERT INTO "trial" VALUES(4,1,3,3,'{"x": 0.0008298126951844509, "n": 3, "kind": "a"}','c0c33a3d05cd2e0f3d636501869bbefb114af25d438e6a37a529f4641a081a95',3,NULL,'2026-11-21 20:42:15.201175','2026-11-21 20:42:15.207105','2026-11-21 20:42:15.288069','2026-11-21 20:42:15.312666');
CREATE INDEX ix_submission_experiment_id ON submission (experiment_id);
CREATE INDEX ix_card_experiment_id ON card (experiment_id);
CREATE INDEX ix_strategy_snapshot_experiment_id_id ON strategy_snapshot (experiment_id, id);
CREATE INDEX ix_exclusion_experiment_id ON exclusion (experiment_id);
CREATE INDEX ix_exclusion_host_id_ended_at ON exclusion (host_id, ended_at);
CREATE INDEX ix_trial_generation_id ON trial (generation_id);
CREATE INDEX ix_trial_experiment_id_status ON trial (experiment_id, status);
CREATE INDEX ix_trial_experiment_id_completed_at ON trial (experiment_id, completed_at);
CREATE INDEX ix_attempt_failed ON attempt (failure_class, trial_id) WHERE failure_class IS NOT NULL;
CREATE INDEX ix_attempt_ended_at ON attempt (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX ix_attempt_open ON attempt (trial_id) WHERE state IN ('PLANNED', 'SUBMITTED', 'STARTED');
CREATE INDEX ix_event_trial_id ON event (trial_id);
CREATE INDEX ix_event_experiment_id_id ON event (experiment_id, id);
CREATE INDEX ix_report_unconsumed ON report (id) WHERE consumed_at IS NULL;
CREATE INDEX ix_code_file_attempt_id ON code_file (attempt_id);
CREATE INDEX ix_outcome_attempt_id ON outcome (attempt_id);
CREATE INDEX ix_outcome_objective_id_mean ON outcome (objective_id, mean);
CREATE INDEX ix_metric_trial_id ON metric (trial_id);
CREATE INDEX ix_metric_attempt_id ON metric (attempt_id);
CREATE INDEX ix_artifact_attempt_id ON artifact (attempt_id);
CREATE INDEX ix_artifact_trial_id ON artifact (trial_id);
CREATE VIEW "experiment_v2" AS -- made by Headway
SELECT e.description AS "description",
    CAST(NULL AS INTEGER) AS "experiment_type",
    e.id AS "id",
    CAST(0 AS BOOLEAN) AS "is_test",
    CASE WHEN e.run_number = 1 THEN e.name ELSE e.name || '/' || CAST(e.run_number AS TEXT) END AS "name",
    '{"immutable_search_space_and_opt_config": true, "headway": {"uuid": '
        || json_quote(e.uuid) || ', "run_number": ' || e.run_number
        || ', "group": ' || json_quote(e."group") || ', "participant": ' || json_quote(e.participant)
        || ', "metadata": ' || coalesce(nullif(CAST(e.user_metadata AS TEXT), 'null'), 'null') || '}}' AS "properties",
    CAST(NULL AS TEXT) AS "status_quo_name",
    CAST(NULL AS TEXT) AS "status_quo_parameters",
    CAST(strftime('%s', substr(e.created_at, 1, 19)) AS INTEGER) AS "time_created",
    CAST(CASE WHEN e.status IN ('FINISHED', 'STOPPED', 'FAILED') THEN 4 ELSE 2 END AS SMALLINT) AS "status",
    CAST(NULL AS TEXT) AS "default_trial_type",
    CAST(1 AS SMALLINT) AS "default_data_type",
    CAST('{}' AS TEXT) AS "auxiliary_experiments_by_purpose"
FROM "experiment" e;
CREATE VIEW "parameter_v2" AS -- made by Headway
SELECT CAST(p.domain AS SMALLINT) AS "domain_type",
    p.experiment_id AS "experiment_id",
    p.id AS "id",
    CAST(NULL AS INTEGER) AS "generator_run_id",
    p.name AS "name",
    CAST(CASE p.value_type WHEN 'bool' THEN 0 WHEN 'int' THEN 1 WHEN 'float' THEN 2 ELSE 3 END AS SMALLINT) AS "parameter_type",
    CAST(0 AS BOOLEAN) AS "is_fidelity",
    CAST(NULL AS TEXT) AS "target_value",
    CAST(NULL AS TEXT) AS "backfill_value",
    CAST(NULL AS TEXT) AS "default_value",
    CAST(NULL AS INTEGER) AS "digits",
    CAST(NULL AS DOUBLE PRECISION) AS "step_size",
    CASE WHEN p.domain = 1 THEN p.log_scale END AS "log_scale",
    CASE WHEN p.domain = 1 THEN p.lower END AS "lower",
    CASE WHEN p.domain = 1 THEN p.upper END AS "upper",
    CASE WHEN p.domain = 2 THEN nullif(CAST(p.choices AS TEXT), 'null') END AS "choice_values",
    CASE WHEN p.domain = 2 THEN p.is_ordered END AS "is_ordered",
    CASE WHEN p.domain = 2 THEN CAST(0 AS BOOLEAN) END AS "is_task",
    CAST(NULL AS TEXT) AS "dependents",
    CASE WHEN p.domain <> 0 THEN NULL WHEN p.kind = 'fixed' THEN substr(json_extract(p.fixed_value, '$.value', '$.none'), 2, length(json_extract(p.fixed_value, '$.value', '$.none')) - 7) WHEN p.kind = 'choice' THEN substr(json_extract(p.choices, '$[0]', '$[9999999]'), 2, length(json_extract(p.choices, '$[0]', '$[9999999]')) - 7) WHEN p.value_type = 'int' THEN CAST(CAST(p.lower AS NUMERIC) AS TEXT) ELSE CASE WHEN p.lower IS NULL THEN NULL WHEN p.lower = 0 THEN '0.0' WHEN abs(p.lower) BETWEEN 1 AND 1e99 THEN printf('%!.17g', p.lower) WHEN abs(p.lower) BETWEEN 1e-99 AND 1 THEN printf('%!.16e', p.lower) ELSE printf('%!.20e', p.lower) END END AS "fixed_value",
    CAST(NULL AS TEXT) AS "expression_str"
FROM (SELECT p.*, CASE WHEN p.kind = 'fixed' THEN 0
            WHEN p.kind = 'range' AND p.lower = p.upper THEN 0
            WHEN p.kind = 'range' THEN 1
            WHEN json_array_length(p.choices) = 1 THEN 0 ELSE 2 END AS domain FROM "parameter" p) p;
CREATE VIEW "parameter_constraint_v2" AS -- made by Headway
SELECT c.bound AS "bound",
    nullif(CAST(c.coefficients AS TEXT), 'null') AS "constraint_dict",
    c.experiment_id AS "experiment_id",
    c.id AS "id",
    CAST(NULL AS INTEGER) AS "generator_run_id",
    CAST(0 AS SMALLINT) AS "type"
FROM "parameter_constraint" c
WHERE c.bound IS NOT NULL AND nullif(CAST(c.coefficients AS TEXT), 'null') <> '{}'
    AND NOT EXISTS (
        SELECT 1 FROM json_each(c.coefficients) k
        WHERE k.key IN ('E', 'I', 'N', 'O', 'Q', 'S', 'Abs', 'Add', 'And', 'Max', 'Min', 'Mod', 'Mul', 'Not', 'Or', 'Order', 'Pow', 'Range', 'Sum', 'Chi', 'Ci', 'Si', 'Li', 'FF', 'GF', 'QQ', 'RR', 'ZZ', 'abs', 'all', 'and', 'any', 'arg', 'as', 'beta', 'bin', 'class', 'core', 'cos', 'cosh', 'cot', 'cse', 'def', 'deg', 'degree', 'del', 'det', 'diag', 'diff', 'dir', 'div', 'exp', 'eye', 'field', 'filter', 'floor', 'for', 'frac', 'from', 'gamma', 'gcd', 'group', 'hash', 'id', 'if', 'im', 'in', 'input', 'is', 'lambda', 'lcm', 'len', 'li', 'limit', 'ln', 'log', 'max', 'min', 'nan', 'next', 'not', 'oct', 'ones', 'open', 'or', 'ord', 'order', 'pass', 'per', 'pi', 'poly', 'pow', 'prime', 'prod', 'product', 'quo', 'rad', 'range', 're', 'rem', 'repr', 'root', 'round', 'sec', 'set', 'shape', 'sign', 'sin', 'sinc', 'sinh', 'size', 'slice', 'sqrt', 'sum', 'take', 'tan', 'tanh', 'test', 'trace', 'trunc', 'type', 'use', 'var', 'vars', 'with', 'zeros', 'zeta') OR NOT EXISTS (
            SELECT 1 FROM "parameter" p
            WHERE p.experiment_id = c.experiment_id AND p.name = k.key
                AND p.kind = 'range' AND NOT p.log_scale AND p.lower < p.upper));
CREATE VIEW "metric_v2" AS -- made by Headway
SELECT m.experiment_id AS "experiment_id",
    CAST(NULL AS INTEGER) AS "generator_run_id",
    m.id AS "id",
    m.minimize AS "lower_is_better",
    m.intent AS "intent",
    CAST(0 AS INTEGER) AS "metric_type",
    m.name AS "name",
    CAST('{}' AS TEXT) AS "properties",
    m.name AS "signature",
    m.minimize AS "minimize",
    CAST(NULL AS SMALLINT) AS "op",
    CAST(NULL AS DOUBLE PRECISION) AS "bound",
    CAST(NULL AS BOOLEAN) AS "relative",
    CAST(NULL AS TEXT) AS "trial_type",
    CAST(NULL AS TEXT) AS "canonical_name",
    m.parent_id AS "scalarized_objective_id",
    CAST(NULL AS DOUBLE PRECISION) AS "scalarized_objective_weight",
    CAST(NULL AS INTEGER) AS "scalarized_outcome_constraint_id",
    CAST(NULL AS DOUBLE PRECISION) AS "scalarized_outcome_constraint_weight"
FROM (
    SELECT CASE WHEN NOT EXISTS (SELECT 1 FROM "objective" x
            WHERE x.experiment_id = b.experiment_id AND x.id <> b.id) THEN b.experiment_id END AS experiment_id, b.id * 2 AS id,
        b.minimize AS minimize, 'objective' AS intent, b.name AS name,
        CASE WHEN NOT NOT EXISTS (SELECT 1 FROM "objective" x
            WHERE x.experiment_id = b.experiment_id AND x.id <> b.id) THEN (SELECT min(f.id) FROM "objective" f
            WHERE f.experiment_id = b.experiment_id) * 2 + 1 END AS parent_id
    FROM "objective" b
    UNION ALL
    SELECT b.experiment_id, min(b.id) * 2 + 1, CAST(NULL AS BOOLEAN), 'multi_objective',
        'multi_objective', CAST(NULL AS INTEGER)
    FROM "objective" b GROUP BY b.experiment_id HAVING count(*) > 1) m;
CREATE VIEW "runner" AS -- made by Headway
SELECT CAST(NULL AS INTEGER) AS "id",
    CAST(NULL AS INTEGER) AS "experiment_id",
    CAST(NULL AS TEXT) AS "properties",
    CAST(NULL AS INTEGER) AS "runner_type",
    CAST(NULL AS INTEGER) AS "trial_id",
    CAST(NULL AS TEXT) AS "trial_type"
WHERE 1 = 0;
CREATE VIEW "auxiliary_experiments" AS -- made by Headway
SELECT CAST(NULL AS INTEGER) AS "source_experiment_id",
    CAST(NULL AS INTEGER) AS "target_experiment_id",
    CAST(NULL AS TEXT) AS "purpose",
    CAST(NULL AS BOOLEAN) AS "is_active",
    CAST(NULL AS TEXT) AS "properties",
    CAST(NULL AS BIGINT) AS "time"
WHERE 1 = 0;
CREATE VIEW "generation_strategy" AS -- made by Headway
SELECT x.id AS "id",
    replace(x.names, ',', '+') AS "name",
    '[' || x.steps || ']' AS "steps",
    x.current AS "curr_index",
    x.id AS "experiment_id",
    '[{"__type": "GenerationNode", "name": "SOBOL", "generator_specs": [{"__type": "GeneratorSpec", "generator_enum": {"__type": "Generators", "name": "SOBOL"}, "generator_kwargs": {}, "generator_gen_kwargs": {}}], "best_model_selector": null, "should_deduplicate": true, "transition_criteria": [{"__type": "MinTrials", "threshold": ' || CAST(coalesce(x.first, 5) AS TEXT) || ', "transition_to": "BOTORCH_MODULAR", "only_in_statuses": [{"__type": "TrialStatus", "name": "COMPLETED"}], "not_in_statuses": null, "use_all_trials_in_exp": true, "continue_trial_generation": false, "count_only_trials_with_data": true}], "generator_spec_to_gen_from": {"__type": "GeneratorSpec", "generator_enum": {"__type": "Generators", "name": "SOBOL"}, "generator_kwargs": {}, "generator_gen_kwargs": {}}, "previous_node_name": null, "trial_type": null, "input_constructors": {}}, {"__type": "GenerationNode", "name": "BOTORCH_MODULAR", "generator_specs": [{"__type": "GeneratorSpec", "generator_enum": {"__type": "Generators", "name": "BOTORCH_MODULAR"}, "generator_kwargs": {}, "generator_gen_kwargs": {}}], "best_model_selector": null, "should_deduplicate": true, "transition_criteria": [], "generator_spec_to_gen_from": {"__type": "GeneratorSpec", "generator_enum": {"__type": "Generators", "name": "BOTORCH_MODULAR"}, "generator_kwargs": {}, "generator_gen_kwargs": {}}, "previous_node_name": null, "trial_type": null, "input_constructors": {}}]' AS "nodes",
    (SELECT n.generator FROM "generation_node" n WHERE n.experiment_id = x.id AND n.position = x.current) AS "curr_node_name"
FROM (
    SELECT i.id AS id, coalesce((SELECT g.node FROM "generation" g WHERE g.experiment_id = i.id
        ORDER BY g.number DESC LIMIT 1), 0) AS current,
        (SELECT n.num_trials FROM "generation_node" n
            WHERE n.experiment_id = i.id AND n.position = 0) AS first,
        (SELECT group_concat(s.name, ',') FROM (SELECT n.generator || coalesce(' for ' || CAST(n.num_trials AS TEXT) || ' steps', '') AS name FROM "generation_node" n
            WHERE n.experiment_id = i.id ORDER BY n.position) s) AS names,
        (SELECT group_concat(s.step, ',') FROM (SELECT '{"generator": ' || json_quote(n.generator) || ', "num_trials": '
            || coalesce(CAST(n.num_trials AS TEXT), 'null') || ', "min_observed": '
            || CAST(n.min_observed AS TEXT) || '}' AS step FROM "generation_node" n
            WHERE n.experiment_id = i.id ORDER BY n.position) s) AS steps
    FROM "experiment" i) x;
CREATE VIEW "generation_step" AS -- made by Headway
SELECT n.id AS "id",
    n.experiment_id AS "generation_strategy_id",
    n.position AS "index",
    n.generator AS "name",
    CASE WHEN n.position = 0 THEN 'initial' ELSE 'iterative' END AS "type",
    n.generator AS "model_key",
    '{"num_trials": ' || coalesce(CAST(n.num_trials AS TEXT), 'null') || '}' AS "model_kwargs",
    CAST('{}' AS TEXT) AS "bridge_kwargs",
    CAST(0 AS BOOLEAN) AS "use_update",
    n.min_observed AS "minimum_trials_observed",
    CAST(0 AS BOOLEAN) AS "is_dedicated",
    CAST(1 AS BOOLEAN) AS "should_save",
    CAST(CASE WHEN n.position = coalesce((SELECT g.node FROM "generation" g WHERE g.experiment_id = n.experiment_id
        ORDER BY g.number DESC LIMIT 1), 0) THEN 1 ELSE 0 END AS BOOLEAN) AS "is_active"
FROM "generation_node" n;
CREATE VIEW "trial_v2" AS -- made by Headway
SELECT CASE WHEN t.status IN (5, 8) THEN substr(t.status_reason, 1, 100) END AS "abandoned_reason",
    CASE WHEN t.status NOT IN (5, 8) THEN substr(t.status_reason, 1, 100) END AS "failed_reason",
    a.slurm_job_id AS "deployed_name",
    t.experiment_id AS "experiment_id",
    t.id AS "id",
    t."index" AS "index",
    CAST(0 AS BOOLEAN) AS "is_batched",
    CASE t.status WHEN 0 THEN 'candidate' WHEN 1 THEN 'staged' WHEN 2 THEN 'failed' WHEN 3 THEN 'completed' WHEN 4 THEN 'running' WHEN 5 THEN 'abandoned' WHEN 7 THEN 'early_stopped' WHEN 8 THEN 'stale' END AS "lifecycle_stage",
    CAST(1 AS INTEGER) AS "num_arms_created",
    CAST(NULL AS INTEGER) AS "ttl_seconds",
    CASE WHEN a.id IS NULL THEN '{}' ELSE '{"attempt": ' || CAST(a.number AS TEXT)
        || ', "state": ' || json_quote(a.state) || ', "slurm_job_id": ' || json_quote(a.slurm_job_id)
        || ', "host": ' || json_quote(a.host) || ', "exit_code": '
        || coalesce(CAST(a.exit_code AS TEXT), 'null') || ', "signal": '
        || coalesce(CAST(a.signal AS TEXT), 'null') || ', "failure_class": '
        || json_quote(a.failure_class) || ', "log_path": ' || json_quote(a.log_path)
        || ', "measured": ' || coalesce(nullif(CAST(a.measured AS TEXT), 'null'), 'null') || '}' END AS "run_metadata",
    CAST('{}' AS TEXT) AS "stop_metadata",
    t.status AS "status",
    CAST(NULL AS TEXT) AS "status_quo_name",
    CAST(strftime('%s', substr(t.completed_at, 1, 19)) AS INTEGER) AS "time_completed",
    CAST(strftime('%s', substr(t.created_at, 1, 19)) AS INTEGER) AS "time_created",
    CAST(strftime('%s', substr(t.staged_at, 1, 19)) AS INTEGER) AS "time_staged",
    CAST(strftime('%s', substr(t.run_started_at, 1, 19)) AS INTEGER) AS "time_run_started",
    CAST(NULL AS TEXT) AS "trial_type",
    g.node AS "generation_step_index",
    CAST('{}' AS TEXT) AS "properties"
FROM "trial" t LEFT JOIN "generation" g ON g.id = t.generation_id
    LEFT JOIN "attempt" a ON a.id = (SELECT y.id FROM "attempt" y WHERE y.trial_id = t.id
        ORDER BY CASE WHEN y.state = 'SUCCEEDED' THEN 0 ELSE 1 END, y.number DESC LIMIT 1);
CREATE VIEW "generator_run_v2" AS -- made by Headway
SELECT CAST(NULL AS TEXT) AS "best_arm_name",
    CAST(NULL AS TEXT) AS "best_arm_parameters",
    CAST(NULL AS TEXT) AS "best_arm_predictions",
    CASE WHEN g.id IS NULL THEN 1 END AS "generator_run_type",
    t.id AS "id",
    CAST(0 AS INTEGER) AS "index",
    CAST(NULL AS TEXT) AS "model_predictions",
    CAST(strftime('%s', substr(t.created_at, 1, 19)) AS INTEGER) AS "time_created",
    t.id AS "trial_id",
    CAST(NULL AS DOUBLE PRECISION) AS "weight",
    g.fit_time AS "fit_time",
    g.gen_time AS "gen_time",
    CASE g.generator WHEN 'SOBOL' THEN 'Sobol' WHEN 'BOTORCH_MODULAR' THEN 'BoTorch' ELSE g.generator END AS "model_key",
    CAST('{}' AS TEXT) AS "model_kwargs",
    CAST('{}' AS TEXT) AS "bridge_kwargs",
    CASE WHEN g.id IS NULL THEN '{}' ELSE '{"generation": '
        || CAST(g.number AS TEXT) || ', "seed": ' || CAST(g.seed AS TEXT) || ', "requested": '
        || CAST(g.requested AS TEXT) || ', "produced": ' || CAST(g.produced AS TEXT)
        || ', "fallback_reason": ' || json_quote(g.fallback_reason) || '}' END AS "gen_metadata",
    CAST(NULL AS TEXT) AS "model_state_after_gen",
    t.experiment_id AS "generation_strategy_id",
    g.node AS "generation_step_index",
    CAST(NULL AS TEXT) AS "candidate_metadata_by_arm_signature",
    n.generator AS "generation_node_name",
    CAST(NULL AS SMALLINT) AS "suggested_experiment_status"
FROM "trial" t LEFT JOIN "generation" g ON g.id = t.generation_id
    LEFT JOIN "generation_node" n ON n.experiment_id = g.experiment_id AND n.position = g.node;
CREATE VIEW "arm_v2" AS -- made by Headway
SELECT t.id AS "generator_run_id",
    t.id AS "id",
    CAST(t."index" AS TEXT) || '_0' AS "name",
    nullif(CAST(t.parameters AS TEXT), 'null') AS "parameters",
    CAST(1 AS DOUBLE PRECISION) AS "weight",
    t.experiment_id AS "experiment_id",
    t.id AS "trial_id",
    CAST(strftime('%s', substr(t.created_at, 1, 19)) AS INTEGER) AS "time_created",
    CAST(NULL AS BIGINT) AS "time_removed",
    CAST('{}' AS TEXT) AS "properties"
FROM "trial" t;
CREATE VIEW "abandoned_arm_v2" AS -- made by Headway
SELECT substr(t.status_reason, 1, 100) AS "abandoned_reason",
    t.id AS "id",
    CAST(t."index" AS TEXT) || '_0' AS "name",
    CAST(strftime('%s', substr(coalesce(t.completed_at, t.created_at), 1, 19)) AS INTEGER) AS "time_abandoned",
    t.id AS "trial_id"
FROM "trial" t WHERE t.status = 5;
CREATE VIEW "data_v2" AS -- made by Headway
SELECT t.id AS "id",
    (SELECT '{"trial_index":{' || group_concat(v.place || v.number, ',')
        || '},"arm_name":{' || group_concat(v.place || v.arm, ',')
        || '},"metric_name":{' || group_concat(v.place || v.metric, ',')
        || '},"metric_signature":{' || group_concat(v.place || v.metric, ',')
        || '},"mean":{' || group_concat(v.place || v.mean, ',')
        || '},"sem":{' || group_concat(v.place || v.sem, ',') || '}}'
    FROM (SELECT '"' || CAST(b.position AS TEXT) || '":' AS place,
            CAST(t."index" AS TEXT) AS number, '"' || CAST(t."index" AS TEXT) || '_0' || '"' AS arm,
            json_quote(b.name) AS metric, CASE WHEN o.mean IS NULL THEN NULL WHEN o.mean = 0 THEN '0.0' WHEN abs(o.mean) BETWEEN 1 AND 1e99 THEN printf('%!.17g', o.mean) WHEN abs(o.mean) BETWEEN 1e-99 AND 1 THEN printf('%!.16e', o.mean) ELSE printf('%!.20e', o.mean) END AS mean,
            coalesce(CASE WHEN o.sem IS NULL THEN NULL WHEN o.sem = 0 THEN '0.0' WHEN abs(o.sem) BETWEEN 1 AND 1e99 THEN printf('%!.17g', o.sem) WHEN abs(o.sem) BETWEEN 1e-99 AND 1 THEN printf('%!.16e', o.sem) ELSE printf('%!.20e', o.sem) END, 'null') AS sem
        FROM "outcome" o JOIN "objective" b ON b.id = o.objective_id
        WHERE o.trial_id = t.id ORDER BY b.position) v) AS "data_json",
    CAST(NULL AS TEXT) AS "description",
    t.experiment_id AS "experiment_id",
    (CAST(strftime('%s', substr(coalesce(t.completed_at, t.created_at), 1, 19)) AS INTEGER) * 1000 + CAST(substr(coalesce(t.completed_at, t.created_at), 21, 3) AS INTEGER)) AS "time_created",
    t."index" AS "trial_index",
    CAST(NULL AS INTEGER) AS "generation_strategy_id",
    CAST(NULL AS TEXT) AS "structure_metadata_json"
FROM "trial" t WHERE EXISTS (SELECT 1 FROM "outcome" o WHERE o.trial_id = t.id);
CREATE VIEW "data_row" AS -- made by Headway
SELECT d.id AS "id",
    d.data_json AS "data",
    d.id AS "trial_id",
    CAST(d.trial_index AS TEXT) || '_0' AS "arm_name",
    d.time_created / 1000 AS "time_created"
FROM "data_v2" d;
CREATE VIEW "analysis_card_v2" AS -- made by Headway
SELECT c.id AS "id",
    c.experiment_id AS "experiment_id",
    c.name AS "name",
    c.title AS "title",
    coalesce(c.subtitle, '') AS "subtitle",
    coalesce(nullif(CAST(c.data_frame AS TEXT), 'null'), '{}') AS "dataframe_json",
    coalesce(c.blob, '') AS "blob",
    CASE c.kind WHEN 'TABLE' THEN 'dataframe' ELSE lower(c.kind) END AS "blob_annotation",
    CAST(strftime('%s', substr(c.created_at, 1, 19)) AS INTEGER) AS "timestamp",
    c.parent_id AS "parent_id",
    c.position AS "order"
FROM "card" c;
CREATE VIEW "analysis_card" AS -- made by Headway
SELECT c.id AS "id",
    c.experiment_id AS "experiment_id",
    c.name AS "name",
    c.title AS "title",
    coalesce(c.subtitle, '') AS "subtitle",
    coalesce(nullif(CAST(c.data_frame AS TEXT), 'null'), '{}') AS "dataframe_json",
    coalesce(c.blob, '') AS "blob",
    CASE c.kind WHEN 'TABLE' THEN 'dataframe' ELSE lower(c.kind) END AS "blob_annotation",
    d.level AS "level",
    CAST(strftime('%s', substr(c.created_at, 1, 19)) AS INTEGER) AS "time_created",
    coalesce(nullif(CAST(c.attributes AS TEXT), 'null'), '{}') AS "attributes",
    c.category AS "category"
FROM "card" c JOIN (
    WITH RECURSIVE deep (id, level) AS (
        SELECT r.id, 0 FROM "card" r WHERE r.parent_id IS NULL
        UNION ALL
        SELECT r.id, deep.level + 1 FROM "card" r JOIN deep ON deep.id = r.parent_id)
    SELECT id, level FROM deep) d ON d.id = c.id;
CREATE VIEW "master" AS -- made by Headway
SELECT e.id AS "unique_id",
    coalesce(nullif(e.name, ''), 'default name') AS "experiment_name",
    coalesce(nullif(e.description, ''), 'default description') AS "experiment_description",
    e.uuid AS "experiment_id",
    nullif(e.participant, '') AS "participant_id",
    nullif(CAST(e.user_metadata AS TEXT), 'null') AS "extra_metadata"
FROM "experiment" e;
CREATE VIEW "replay_data" AS -- made by Headway
SELECT v.id AS "unique_id",
    v.created_at AS "timestamp",
    v.kind AS "message_type",
    nullif(CAST(v.payload AS TEXT), 'null') AS "message_contents",
    '{"trial_index": ' || CAST(t."index" AS TEXT) || '}' AS "extra_info",
    v.experiment_id AS "master_table_id"
FROM "event" v LEFT JOIN "trial" t ON t.id = v.trial_id;
CREATE VIEW "strat_data" AS -- made by Headway
SELECT s.id AS "unique_id",
    s.created_at AS "timestamp",
    nullif(CAST(s.document AS TEXT), 'null') AS "strat",
    s.experiment_id AS "master_table_id"
FROM "strategy_snapshot" s;
CREATE VIEW "config" AS -- made by Headway
SELECT c.id AS "unique_id",
    c.created_at AS "timestamp",
    nullif(CAST(c.spec AS TEXT), 'null') AS "config",
    c.experiment_id AS "master_table_id"
FROM "spec_version" c;
CREATE VIEW "raw_data" AS -- made by Headway
SELECT t.id AS "unique_id",
    t.completed_at AS "timestamp",
    t.experiment_id AS "master_table_id",
    CAST(t.id AS BIGINT) * 65536 AS "parameter_id",
    CAST(1 AS BOOLEAN) AS "model_data"
FROM "trial" t WHERE EXISTS (SELECT 1 FROM "outcome" o WHERE o.trial_id = t.id);
CREATE VIEW "param_data" AS -- made by Headway
SELECT CAST(t.id AS BIGINT) * 65536 + p.position AS "unique_id",
    t.id AS "iteration_id",
    p.name AS "parameter_name",
    v.value AS "parameter_value",
    p.name AS "param_name",
    v.value AS "param_value"
FROM "trial" t CROSS JOIN json_each(t.parameters) v CROSS JOIN "parameter" p
    WHERE p.experiment_id = t.experiment_id AND p.name = v.key AND EXISTS (SELECT 1 FROM "outcome" o WHERE o.trial_id = t.id);
CREATE VIEW "outcome_data" AS -- made by Headway
SELECT o.id AS "unique_id",
    o.trial_id AS "iteration_id",
    o.mean AS "outcome_value",
    b.name AS "outcome_name"
FROM "outcome" o JOIN "objective" b ON b.id = o.objective_id;
CREATE VIEW "run" AS -- made by Headway
SELECT t.id AS "id",
    t.experiment_id AS "model_session_id",
    t.created_at AS "created",
    coalesce(t.completed_at, t.run_started_at, t.staged_at, t.created_at) AS "last_modified",
    g.generator AS "model_name",
    nullif(CAST(t.parameters AS TEXT), 'null') AS "parameters",
    n.generator AS "optimizer_name",
    '{"num_trials": ' || coalesce(CAST(n.num_trials AS TEXT), 'null')
        || ', "min_observed": ' || CAST(n.min_observed AS TEXT)
        || ', "seed": ' || CAST(g.seed AS TEXT) || '}' AS "optimizer_parameters",
    (SELECT b.name FROM "objective" b WHERE b.experiment_id = t.experiment_id
        ORDER BY b.position LIMIT 1) AS "goal_metric",
    CASE WHEN e.run_number = 1 THEN e.name ELSE e.name || '/' || CAST(e.run_number AS TEXT) END || ' trial ' || CAST(t."index" AS TEXT) AS "name",
    e.description AS "description",
    '[' || coalesce((SELECT group_concat(x.member, ',') FROM (SELECT '{"name": ' || json_quote(a.name) || ', "url": ' || json_quote(a.url) || '}' AS member
        FROM "artifact" a WHERE a.trial_id = t.id ORDER BY a.id) x), '') || ']' AS "artifacts",
    e.run_dir AS "run_path",
    CASE
        WHEN t.status IN (0, 8) THEN 'NOT_STARTED'
        WHEN t.status = 1 THEN 'DELIVERED'
        WHEN t.status = 4 THEN 'STARTED'
        WHEN t.status IN (3, 7) THEN 'FINISHED'
        WHEN t.status IN (2, 5) THEN 'ERROR'
    END AS "status",
    t.status_reason AS "status_reason",
    t.staged_at AS "delivery_time",
    t.run_started_at AS "start_time",
    t.completed_at AS "end_time",
    CAST(NULL AS TEXT) AS "plot_history_path",
    CAST(NULL AS TEXT) AS "plot_slice_path",
    CAST(NULL AS TEXT) AS "plot_contour_path",
    CAST(NULL AS TEXT) AS "plot_importance_path"
FROM "trial" t JOIN "experiment" e ON e.id = t.experiment_id
    LEFT JOIN "generation" g ON g.id = t.generation_id
    LEFT JOIN "generation_node" n ON n.experiment_id = g.experiment_id AND n.position = g.node;
CREATE VIEW "model_session" AS -- made by Headway
SELECT e.id AS "id",
    CASE WHEN e.run_number = 1 THEN e.name ELSE e.name || '/' || CAST(e.run_number AS TEXT) END AS "name",
    e.description AS "description",
    CAST('optimization' AS TEXT) AS "task_name",
    '[' || coalesce((SELECT group_concat(x.member, ',') FROM (SELECT json_quote(b.name) AS member
        FROM "parameter" b WHERE b.experiment_id = e.id ORDER BY b.position) x), '') || ']' AS "input_columns",
    '[' || coalesce((SELECT group_concat(x.member, ',') FROM (SELECT json_quote(b.name) AS member
        FROM "objective" b WHERE b.experiment_id = e.id ORDER BY b.position) x), '') || ']' AS "output_columns",
    e.created_at AS "created",
    coalesce(e.ended_at, e.created_at) AS "last_modified"
FROM "experiment" e;
CREATE VIEW "experiments" AS -- made by Headway
SELECT t.id AS "id",
    e.run_dir AS "directory",
    e.uuid || '/' || CAST(t."index" AS TEXT) AS "experiment_id",
    e.name AS "module",
    nullif(CAST(t.parameters AS TEXT), 'null') AS "config",
    g.seed AS "seed",
    e."group" AS "group_path",
    CAST(strftime('%s', substr(t.created_at, 1, 19)) AS INTEGER) AS "timestamp",
    t.run_started_at AS "started_at",
    t.completed_at AS "finished_at",
    (SELECT e.run_dir || '/' || a.log_path FROM "attempt" a WHERE a.trial_id = t.id
        ORDER BY a.number DESC LIMIT 1) AS "log_path"
FROM "trial" t JOIN "experiment" e ON e.id = t.experiment_id
    LEFT JOIN "generation" g ON g.id = t.generation_id;
COMMIT;
