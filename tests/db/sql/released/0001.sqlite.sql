BEGIN TRANSACTION;
CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY);
INSERT INTO "alembic_version" VALUES('0001');
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
	failure_message TEXT, 
	log_path TEXT, 
	created_at DATETIME NOT NULL, 
	submitted_at DATETIME, 
	started_at DATETIME, 
	ended_at DATETIME, 
	heartbeat_at DATETIME, 
	CONSTRAINT pk_attempt PRIMARY KEY (id), 
	CONSTRAINT uq_attempt_submission_id_array_index UNIQUE (submission_id, array_index), 
	CONSTRAINT uq_attempt_trial_id_number UNIQUE (trial_id, number), 
	CONSTRAINT fk_attempt_trial_id FOREIGN KEY(trial_id) REFERENCES trial (id) ON DELETE CASCADE, 
	CONSTRAINT fk_attempt_submission_id FOREIGN KEY(submission_id) REFERENCES submission (id), 
	CONSTRAINT uq_attempt_token UNIQUE (token), 
	CONSTRAINT ck_attempt_attemptstate CHECK (state IN ('PLANNED', 'SUBMITTED', 'STARTED', 'SUCCEEDED', 'FAILED', 'LOST', 'CANCELLED', 'SUPERSEDED')), 
	CONSTRAINT ck_attempt_failureclass CHECK (failure_class IN ('PROGRAM', 'NO_RESULT', 'TIMEOUT', 'OUT_OF_MEMORY', 'PREEMPTED', 'NODE', 'LOST', 'NO_DATABASE', 'SUBMIT', 'CANCELLED'))
);
INSERT INTO "attempt" VALUES(1,1,1,0,1,'cc9e5092db178cee19e30a8c','268de76fae9989cd','SUCCEEDED','local-1119-1321441',NULL,'login1','{"cpus": 1, "gpus": 0, "nodes": 1, "exclude": []}','{"wall_seconds": 0.009389271001055022, "user_seconds": 0.001202, "system_seconds": 0.0, "peak_memory_bytes": 12410880, "program_started_at": "2026-11-21T07:11:12.254224+00:00", "program_ended_at": "2026-11-21T07:11:12.290249+00:00"}','{"colour": "blue"}',0,NULL,NULL,NULL,NULL,'logs/f1/f1ae6fe562871f1e_0.log','2026-11-21 07:11:12.193373','2026-11-21 07:11:12.209677','2026-11-21 07:11:12.250000','2026-11-21 07:11:12.323965','2026-11-21 07:11:12.250000');
INSERT INTO "attempt" VALUES(2,2,1,1,1,'ef99500f8b3fc3068986dac5','f0c877e17c269db2','SUCCEEDED','local-1120-1321441',NULL,'login1','{"cpus": 1, "gpus": 0, "nodes": 1, "exclude": []}','{"wall_seconds": 0.021766284000477754, "user_seconds": 0.001267, "system_seconds": 0.0, "peak_memory_bytes": 12308480, "program_started_at": "2026-11-21T07:11:12.243820+00:00", "program_ended_at": "2026-11-21T07:11:12.266371+00:00"}','{"colour": "blue"}',0,NULL,NULL,NULL,NULL,'logs/f1/f1ae6fe562871f1e_1.log','2026-11-21 07:11:12.193373','2026-11-21 07:11:12.209680','2026-11-21 07:11:12.231000','2026-11-21 07:11:12.316303','2026-11-21 07:11:12.231000');
INSERT INTO "attempt" VALUES(3,3,2,0,1,'3a5f1e06494fb8e4f7adb26b','c914b0717d6eaee6','FAILED','local-1124-1321455',NULL,'login1','{"cpus": 1, "gpus": 0, "nodes": 1, "exclude": []}','{"wall_seconds": 0.013469482000800781, "user_seconds": 0.001223, "system_seconds": 0.0, "peak_memory_bytes": 12390400, "program_started_at": "2026-11-21T07:11:12.368281+00:00", "program_ended_at": "2026-11-21T07:11:12.382410+00:00"}',NULL,1,NULL,NULL,'PROGRAM','the program ended with exit code 1','logs/ad/ad1a715f9c7625ad_0.log','2026-11-21 07:11:12.331935','2026-11-21 07:11:12.349119','2026-11-21 07:11:12.367000','2026-11-21 07:11:12.405525','2026-11-21 07:11:12.367000');
INSERT INTO "attempt" VALUES(4,4,2,1,1,'7c4fce2468e73fb13662b930','e83d3e335720a7de','SUCCEEDED','local-1125-1321456',NULL,'login1','{"cpus": 1, "gpus": 0, "nodes": 1, "exclude": []}','{"wall_seconds": 0.0025075560006371234, "user_seconds": 0.0012159999999999999, "system_seconds": 0.0, "peak_memory_bytes": 12177408, "program_started_at": "2026-11-21T07:11:12.378890+00:00", "program_ended_at": "2026-11-21T07:11:12.382034+00:00"}','{"colour": "blue"}',0,NULL,NULL,NULL,NULL,'logs/ad/ad1a715f9c7625ad_1.log','2026-11-21 07:11:12.331935','2026-11-21 07:11:12.349122','2026-11-21 07:11:12.378000','2026-11-21 07:11:12.403728','2026-11-21 07:11:12.378000');
INSERT INTO "attempt" VALUES(5,3,3,0,2,'cbd2fa335035c7f92559068d','a66806342b964764','FAILED','local-1128-1321463',NULL,'login1','{"cpus": 1, "gpus": 0, "nodes": 1, "exclude": []}','{"wall_seconds": 0.0074683399998320965, "user_seconds": 0.001132, "system_seconds": 0.0, "peak_memory_bytes": 12451840, "program_started_at": "2026-11-21T07:11:12.438296+00:00", "program_ended_at": "2026-11-21T07:11:12.446408+00:00"}',NULL,1,NULL,NULL,'PROGRAM','the program ended with exit code 1','logs/f2/f2e4a8d2ce13de19_0.log','2026-11-21 07:11:12.408591','2026-11-21 07:11:12.420909','2026-11-21 07:11:12.437000','2026-11-21 07:11:12.473098','2026-11-21 07:11:12.437000');
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
INSERT INTO "event" VALUES(1,1,'setup',NULL,'{"spec": {"schema_version": 1, "name": "old", "program": "test %(n) -lt 7 && echo \"METRIC: loss=0.5 step=1\" && echo \"OO-Info: colour: blue\" && echo \"LOSS: %(x)\"", "working_folder": "@WORK@", "space": {"parameters": [{"name": "x", "value_type": "float", "kind": "range", "lower": 0.0, "upper": 1.0, "log_scale": false}, {"name": "n", "value_type": "int", "kind": "range", "lower": 1, "upper": 8, "log_scale": false}, {"name": "kind", "value_type": "str", "kind": "choice", "choices": ["a", "b"], "is_ordered": false}], "constraints": [{"text": "x + n <= 8", "coefficients": {"x": 1.0, "n": 1.0}, "bound": 8.0}]}, "objectives": [{"name": "LOSS", "minimize": true}], "strategy": {"nodes": [{"generator": "SOBOL", "num_trials": 4, "min_observed": 0}, {"generator": "TPE", "num_trials": null, "min_observed": 2}]}, "resources": {"partition": null, "memory_mb": null, "cpus": 1, "gpus": 0, "nodes": 1, "minutes": null, "account": null, "reservation": null, "qos": null, "constraint": null, "gres": null, "exclude": []}, "executor": "local", "num_parallel_jobs": 2, "max_eval": 4, "seed": 7, "worker_timeout_seconds": null, "time_limit_seconds": null, "max_failed_jobs": null, "retries": 1, "auto_exclude": true, "description": "a \u201cfirst\u201d search", "participant": null, "user_metadata": {}, "group": null, "timing": {"lease_renew_seconds": 5.0, "lease_expire_seconds": 30.0, "heartbeat_seconds": 15.0, "dead_seconds": 120.0, "spool_grace_seconds": 60.0, "claim_patience_seconds": 600.0, "report_patience_seconds": 60.0, "grace_seconds": 20.0, "slurm_limit_seconds": 60.0, "sacct_limit_seconds": 30.0, "connect_seconds": 10.0, "calls_per_minute": 20.0, "calls_burst": 40, "poll_min_seconds": 2.0, "poll_max_seconds": 60.0}}, "database": "sqlite:///@WORK@/runs/old/1/database.db", "run_dir": "@WORK@/runs/old/1"}','2026-11-21 07:11:11.610736');
INSERT INTO "event" VALUES(2,1,'ask',NULL,'{"generation": 0, "generator": "SOBOL", "requested": 2, "trials": [0, 1], "points": [{"x": 0.30124185513705015, "n": 6, "kind": "a"}, {"x": 0.549255003221333, "n": 2, "kind": "b"}], "fallback_reason": null}','2026-11-21 07:11:12.191824');
INSERT INTO "event" VALUES(3,1,'tell',2,'{"trial_index": 1, "attempt": 2, "results": {"LOSS": 0.549255003221333}, "sems": {}}','2026-11-21 07:11:12.322691');
INSERT INTO "event" VALUES(4,1,'tell',1,'{"trial_index": 0, "attempt": 1, "results": {"LOSS": 0.30124185513705015}, "sems": {}}','2026-11-21 07:11:12.324903');
INSERT INTO "event" VALUES(5,1,'ask',NULL,'{"generation": 1, "generator": "SOBOL", "requested": 2, "trials": [2, 3], "points": [{"x": 0.7731535704806447, "n": 7, "kind": "a"}, {"x": 0.017222526483237743, "n": 3, "kind": "b"}], "fallback_reason": null}','2026-11-21 07:11:12.330622');
INSERT INTO "event" VALUES(6,1,'tell',4,'{"trial_index": 3, "attempt": 4, "results": {"LOSS": 0.017222526483237743}, "sems": {}}','2026-11-21 07:11:12.404897');
INSERT INTO "event" VALUES(7,1,'failure',3,'{"attempt": 3, "failure": "PROGRAM", "message": "the program ended with exit code 1", "again": true}','2026-11-21 07:11:12.406529');
INSERT INTO "event" VALUES(8,1,'failure',3,'{"attempt": 5, "failure": "PROGRAM", "message": "the program ended with exit code 1", "again": false}','2026-11-21 07:11:12.474067');
INSERT INTO "event" VALUES(9,1,'end',NULL,'{"status": "FINISHED", "reason": null}','2026-11-21 07:11:12.477269');
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
INSERT INTO "experiment" VALUES(1,'2d03fd5b-cb49-4c6e-9316-543cd0ed411b','old',1,NULL,'a “first” search',NULL,'null','{"schema_version": 1, "name": "old", "program": "test %(n) -lt 7 && echo \"METRIC: loss=0.5 step=1\" && echo \"OO-Info: colour: blue\" && echo \"LOSS: %(x)\"", "working_folder": "@WORK@", "space": {"parameters": [{"name": "x", "value_type": "float", "kind": "range", "lower": 0.0, "upper": 1.0, "log_scale": false}, {"name": "n", "value_type": "int", "kind": "range", "lower": 1, "upper": 8, "log_scale": false}, {"name": "kind", "value_type": "str", "kind": "choice", "choices": ["a", "b"], "is_ordered": false}], "constraints": [{"text": "x + n <= 8", "coefficients": {"x": 1.0, "n": 1.0}, "bound": 8.0}]}, "objectives": [{"name": "LOSS", "minimize": true}], "strategy": {"nodes": [{"generator": "SOBOL", "num_trials": 4, "min_observed": 0}, {"generator": "TPE", "num_trials": null, "min_observed": 2}]}, "resources": {"partition": null, "memory_mb": null, "cpus": 1, "gpus": 0, "nodes": 1, "minutes": null, "account": null, "reservation": null, "qos": null, "constraint": null, "gres": null, "exclude": []}, "executor": "local", "num_parallel_jobs": 2, "max_eval": 4, "seed": 7, "worker_timeout_seconds": null, "time_limit_seconds": null, "max_failed_jobs": null, "retries": 1, "auto_exclude": true, "description": "a \u201cfirst\u201d search", "participant": null, "user_metadata": {}, "group": null, "timing": {"lease_renew_seconds": 5.0, "lease_expire_seconds": 30.0, "heartbeat_seconds": 15.0, "dead_seconds": 120.0, "spool_grace_seconds": 60.0, "claim_patience_seconds": 600.0, "report_patience_seconds": 60.0, "grace_seconds": 20.0, "slurm_limit_seconds": 60.0, "sacct_limit_seconds": 30.0, "connect_seconds": 10.0, "calls_per_minute": 20.0, "calls_burst": 40, "poll_min_seconds": 2.0, "poll_max_seconds": 60.0}}','FINISHED',NULL,'root@login1','@WORK@/runs/old/1','2026-11-21 07:11:11.606236','2026-11-21 07:11:12.476766');
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
INSERT INTO "generation" VALUES(1,1,0,0,'SOBOL',2,2,0.0,1.50192319997586309909e-02,431379789,'{"seed": 431379789, "position": 2}','null',NULL,'2026-11-21 07:11:12.189511');
INSERT INTO "generation" VALUES(2,1,1,0,'SOBOL',2,2,0.0,8.32943000204977579414e-04,3553817977,'{"seed": 431379789, "position": 4}','null',NULL,'2026-11-21 07:11:12.329672');
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
INSERT INTO "generation_node" VALUES(1,1,0,'SOBOL',4,0);
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
INSERT INTO "head_lease" VALUES(1,'login1','11111111-2222-4333-8444-555555555555',0,0,1,'2026-11-21 07:11:12.495000');
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
	CONSTRAINT ck_metric_split CHECK (split IN ('TRAIN', 'VALIDATION', 'TEST')), 
	CONSTRAINT ck_metric_level CHECK (level IN ('LAST', 'STEP', 'BATCH', 'TRIAL')), 
	CONSTRAINT fk_metric_trial_id FOREIGN KEY(trial_id) REFERENCES trial (id) ON DELETE CASCADE, 
	CONSTRAINT fk_metric_attempt_id FOREIGN KEY(attempt_id) REFERENCES attempt (id) ON DELETE CASCADE
);
INSERT INTO "metric" VALUES(1,2,2,'loss',0.5,'TRAIN','STEP',1,'2026-11-21 07:11:12.250149');
INSERT INTO "metric" VALUES(2,1,1,'loss',0.5,'TRAIN','STEP',1,'2026-11-21 07:11:12.264388');
INSERT INTO "metric" VALUES(3,4,4,'loss',0.5,'TRAIN','STEP',1,'2026-11-21 07:11:12.380894');
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
	CONSTRAINT ck_outcome_source CHECK (source IN ('ATTEMPT', 'IMPORT', 'REUSED')), 
	CONSTRAINT fk_outcome_trial_id FOREIGN KEY(trial_id) REFERENCES trial (id) ON DELETE CASCADE, 
	CONSTRAINT fk_outcome_objective_id FOREIGN KEY(objective_id) REFERENCES objective (id) ON DELETE CASCADE, 
	CONSTRAINT fk_outcome_attempt_id FOREIGN KEY(attempt_id) REFERENCES attempt (id), 
	CONSTRAINT fk_outcome_reused_trial_id FOREIGN KEY(reused_trial_id) REFERENCES trial (id)
);
INSERT INTO "outcome" VALUES(1,2,1,0.549255003221333,NULL,'ATTEMPT',2,NULL);
INSERT INTO "outcome" VALUES(2,1,1,3.01241855137050151824e-01,NULL,'ATTEMPT',1,NULL);
INSERT INTO "outcome" VALUES(3,4,1,1.72225264832377433776e-02,NULL,'ATTEMPT',4,NULL);
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
	CONSTRAINT ck_parameter_kind CHECK (kind IN ('range', 'choice', 'fixed')), 
	CONSTRAINT ck_parameter_value_type CHECK (value_type IN ('int', 'float', 'str', 'bool')), 
	CONSTRAINT fk_parameter_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiment (id) ON DELETE CASCADE
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
INSERT INTO "report" VALUES(1,2,'START',0,'{"claim": "f0c877e17c269db2", "host": "login1", "slurm_job_id": null, "pid": 1120, "started_at": "2026-11-21T07:11:12.216687+00:00"}','2026-11-21 07:11:12.232000','2026-11-21 07:11:12.248804',NULL);
INSERT INTO "report" VALUES(2,1,'START',0,'{"claim": "268de76fae9989cd", "host": "login1", "slurm_job_id": null, "pid": 1119, "started_at": "2026-11-21T07:11:12.221161+00:00"}','2026-11-21 07:11:12.250000','2026-11-21 07:11:12.314190',NULL);
INSERT INTO "report" VALUES(3,2,'METRIC',0,'{"metrics": [{"name": "loss", "value": 0.5, "split": "TRAIN", "level": "STEP", "step": 1, "at": "2026-11-21T07:11:12.250149+00:00"}]}','2026-11-21 07:11:12.258000','2026-11-21 07:11:12.315303',NULL);
INSERT INTO "report" VALUES(4,2,'END',0,'{"results": {"LOSS": 0.549255003221333}, "sems": {}, "infos": {"colour": "blue"}, "artifacts": [], "problems": [], "cause": "EXIT", "exit_code": 0, "signal": null, "host": "login1", "slurm_job_id": null, "started_at": "2026-11-21T07:11:12.243820+00:00", "ended_at": "2026-11-21T07:11:12.266371+00:00", "measured": {"wall_seconds": 0.021766284000477754, "user_seconds": 0.001267, "system_seconds": 0.0, "peak_memory_bytes": 12308480}, "tail": "METRIC: loss=0.5 step=1\nOO-Info: colour: blue\nLOSS: 0.549255003221333\n"}','2026-11-21 07:11:12.266000','2026-11-21 07:11:12.323005',NULL);
INSERT INTO "report" VALUES(5,1,'METRIC',0,'{"metrics": [{"name": "loss", "value": 0.5, "split": "TRAIN", "level": "STEP", "step": 1, "at": "2026-11-21T07:11:12.264388+00:00"}]}','2026-11-21 07:11:12.283000','2026-11-21 07:11:12.323419',NULL);
INSERT INTO "report" VALUES(6,1,'END',0,'{"results": {"LOSS": 0.30124185513705015}, "sems": {}, "infos": {"colour": "blue"}, "artifacts": [], "problems": [], "cause": "EXIT", "exit_code": 0, "signal": null, "host": "login1", "slurm_job_id": null, "started_at": "2026-11-21T07:11:12.254224+00:00", "ended_at": "2026-11-21T07:11:12.290249+00:00", "measured": {"wall_seconds": 0.009389271001055022, "user_seconds": 0.001202, "system_seconds": 0.0, "peak_memory_bytes": 12410880}, "tail": "METRIC: loss=0.5 step=1\nOO-Info: colour: blue\nLOSS: 0.30124185513705015\n"}','2026-11-21 07:11:12.290000','2026-11-21 07:11:12.325146',NULL);
INSERT INTO "report" VALUES(7,3,'START',0,'{"claim": "c914b0717d6eaee6", "host": "login1", "slurm_job_id": null, "pid": 1124, "started_at": "2026-11-21T07:11:12.359987+00:00"}','2026-11-21 07:11:12.367000','2026-11-21 07:11:12.376771',NULL);
INSERT INTO "report" VALUES(8,4,'START',0,'{"claim": "e83d3e335720a7de", "host": "login1", "slurm_job_id": null, "pid": 1125, "started_at": "2026-11-21T07:11:12.363607+00:00"}','2026-11-21 07:11:12.378000','2026-11-21 07:11:12.401652',NULL);
INSERT INTO "report" VALUES(9,4,'METRIC',0,'{"metrics": [{"name": "loss", "value": 0.5, "split": "TRAIN", "level": "STEP", "step": 1, "at": "2026-11-21T07:11:12.380894+00:00"}]}','2026-11-21 07:11:12.381000','2026-11-21 07:11:12.403124',NULL);
INSERT INTO "report" VALUES(10,4,'END',0,'{"results": {"LOSS": 0.017222526483237743}, "sems": {}, "infos": {"colour": "blue"}, "artifacts": [], "problems": [], "cause": "EXIT", "exit_code": 0, "signal": null, "host": "login1", "slurm_job_id": null, "started_at": "2026-11-21T07:11:12.378890+00:00", "ended_at": "2026-11-21T07:11:12.382034+00:00", "measured": {"wall_seconds": 0.0025075560006371234, "user_seconds": 0.0012159999999999999, "system_seconds": 0.0, "peak_memory_bytes": 12177408}, "tail": "METRIC: loss=0.5 step=1\nOO-Info: colour: blue\nLOSS: 0.017222526483237743\n"}','2026-11-21 07:11:12.382000','2026-11-21 07:11:12.405196',NULL);
INSERT INTO "report" VALUES(11,3,'END',0,'{"results": {}, "sems": {}, "infos": {}, "artifacts": [], "problems": [], "cause": "EXIT", "exit_code": 1, "signal": null, "host": "login1", "slurm_job_id": null, "started_at": "2026-11-21T07:11:12.368281+00:00", "ended_at": "2026-11-21T07:11:12.382410+00:00", "measured": {"wall_seconds": 0.013469482000800781, "user_seconds": 0.001223, "system_seconds": 0.0, "peak_memory_bytes": 12390400}, "tail": ""}','2026-11-21 07:11:12.384000','2026-11-21 07:11:12.406775',NULL);
INSERT INTO "report" VALUES(12,5,'START',0,'{"claim": "a66806342b964764", "host": "login1", "slurm_job_id": null, "pid": 1128, "started_at": "2026-11-21T07:11:12.430293+00:00"}','2026-11-21 07:11:12.437000','2026-11-21 07:11:12.446044',NULL);
INSERT INTO "report" VALUES(13,5,'END',0,'{"results": {}, "sems": {}, "infos": {}, "artifacts": [], "problems": [], "cause": "EXIT", "exit_code": 1, "signal": null, "host": "login1", "slurm_job_id": null, "started_at": "2026-11-21T07:11:12.438296+00:00", "ended_at": "2026-11-21T07:11:12.446408+00:00", "measured": {"wall_seconds": 0.0074683399998320965, "user_seconds": 0.001132, "system_seconds": 0.0, "peak_memory_bytes": 12451840}, "tail": ""}','2026-11-21 07:11:12.448000','2026-11-21 07:11:12.474377',NULL);
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
INSERT INTO "submission" VALUES(1,1,'f1ae6fe562871f1e',2,'{"cpus": 1, "gpus": 0, "nodes": 1, "exclude": []}','ACCEPTED','local-1119-1321441',NULL,'2026-11-21 07:11:12.193373','2026-11-21 07:11:12.208770');
INSERT INTO "submission" VALUES(2,1,'ad1a715f9c7625ad',2,'{"cpus": 1, "gpus": 0, "nodes": 1, "exclude": []}','ACCEPTED','local-1124-1321455',NULL,'2026-11-21 07:11:12.331935','2026-11-21 07:11:12.348610');
INSERT INTO "submission" VALUES(3,1,'f2e4a8d2ce13de19',1,'{"cpus": 1, "gpus": 0, "nodes": 1, "exclude": []}','ACCEPTED','local-1128-1321463',NULL,'2026-11-21 07:11:12.408591','2026-11-21 07:11:12.420431');
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
INSERT INTO "trial" VALUES(1,1,0,1,'{"x": 0.30124185513705015, "n": 6, "kind": "a"}','8e48c9a96c1833f2eb347fba95364dec6411ac7be26c4dcba8a832bc7729cf54',3,NULL,'2026-11-21 07:11:12.190801','2026-11-21 07:11:12.195230','2026-11-21 07:11:12.313486','2026-11-21 07:11:12.324455');
INSERT INTO "trial" VALUES(2,1,1,1,'{"x": 0.549255003221333, "n": 2, "kind": "b"}','3cc5ed25878f1050b08dcf2f68c5c015cc6073004a40d0339a7e3e3f28e2e0ef',3,NULL,'2026-11-21 07:11:12.190801','2026-11-21 07:11:12.195230','2026-11-21 07:11:12.247635','2026-11-21 07:11:12.317640');
INSERT INTO "trial" VALUES(3,1,2,2,'{"x": 0.7731535704806447, "n": 7, "kind": "a"}','1dadbf5fcf3a4689fc547ccfd1bf0645e95719831248d13f726c8847da085311',2,'the program ended with exit code 1','2026-11-21 07:11:12.330148','2026-11-21 07:11:12.332806','2026-11-21 07:11:12.373528','2026-11-21 07:11:12.473559');
INSERT INTO "trial" VALUES(4,1,3,2,'{"x": 0.017222526483237743, "n": 3, "kind": "b"}','6c029aad777cf552a46b9b9af44b91d48b242003ec50c16910963f418df14fb2',3,NULL,'2026-11-21 07:11:12.330148','2026-11-21 07:11:12.332806','2026-11-21 07:11:12.401037','2026-11-21 07:11:12.404364');
CREATE INDEX ix_submission_experiment_id ON submission (experiment_id);
CREATE INDEX ix_trial_generation_id ON trial (generation_id);
CREATE INDEX ix_trial_experiment_id_status ON trial (experiment_id, status);
CREATE INDEX ix_attempt_open ON attempt (trial_id) WHERE state IN ('PLANNED', 'SUBMITTED', 'STARTED');
CREATE INDEX ix_event_trial_id ON event (trial_id);
CREATE INDEX ix_event_experiment_id_id ON event (experiment_id, id);
CREATE INDEX ix_report_unconsumed ON report (id) WHERE consumed_at IS NULL;
CREATE INDEX ix_outcome_objective_id ON outcome (objective_id);
CREATE INDEX ix_outcome_attempt_id ON outcome (attempt_id);
CREATE INDEX ix_metric_attempt_id ON metric (attempt_id);
CREATE INDEX ix_metric_trial_id ON metric (trial_id);
CREATE INDEX ix_artifact_attempt_id ON artifact (attempt_id);
CREATE INDEX ix_artifact_trial_id ON artifact (trial_id);
COMMIT;
